"""The local AWS: one MiniStack process, with the workers that it starts."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from .account import HOST, environment

START_SECONDS = 30.0


class PortTaken(Exception):
    """Something else listens there. The message names a port that is free."""


class EmulatorFailed(Exception):
    """MiniStack did not start, or has ended. The message has the end of its log."""


class Emulator:
    """MiniStack on a port of this machine alone, with IAM enforced; a context manager.

    Its state is in memory and in ``folder``, and ends with it.

    Args:
        port: The port.
        folder: Where it keeps its files, its log among them.
    """

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self.url = f"http://{HOST}:{port}"
        self._folder = folder
        self._log = folder / "ministack.log"

    def __enter__(self) -> "Emulator":
        """Start it, and wait until it serves.

        Raises:
            PortTaken: The port is in use.
            EmulatorFailed: It has ended, or does not serve in time.
        """
        if not is_free(self.port):
            free = next_free(self.port)
            raise PortTaken(f"port {self.port} is taken; this one is free: make up PORT={free}")
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "local.ministack"],
                cwd=Path(__file__).parent.parent,
                env=self._environment(),
                # Its end tells the emulator that we are gone.
                stdin=subprocess.PIPE,
                stderr=stderr,
                # A group of its own: Ctrl-C in the terminal is for us, who then end it whole.
                start_new_session=True,
            )
        try:
            self._wait()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """End it and its workers at once, whatever sockets are open."""
        self._end()

    def check(self) -> None:
        """Make sure that it still runs.

        Raises:
            EmulatorFailed: It does not.
        """
        if self._process.poll() is not None:
            raise EmulatorFailed(f"MiniStack has ended:\n{self._log.read_text()[-2000:]}")

    def _environment(self) -> dict[str, str]:
        return {
            **environment(os.environ),
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(self.port),
            "AUTH": "true",
            "TMPDIR": str(self._folder.resolve()),
        }

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._serves():
            self.check()
            if time.monotonic() > deadline:
                raise EmulatorFailed(f"MiniStack does not serve:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.02)

    def _serves(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=1)
        try:
            connection.request("GET", "/_ministack/ready")
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            connection.close()

    def _end(self) -> None:
        # No state is worth a farewell, and MiniStack's own takes a minute while sockets are open.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


def is_free(port: int) -> bool:
    """Whether a server can listen on this port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def next_free(port: int) -> int:
    """The next port above this one on which a server can listen."""
    return next(each for each in range(port + 1, 65536) if is_free(each))
