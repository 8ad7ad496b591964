"""A program in a terminal of its own, as a person sees it."""

import os
import pty
import re
import subprocess
import termios
from types import TracebackType

from tests.waiting import eventually

CTRL_C = "\x03"

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Terminal:
    """A running program and its screen; a context manager.

    Attributes:
        process: The program.
    """

    def __init__(self, *command: str) -> None:
        self._command = command
        self._screen = b""

    def __enter__(self) -> "Terminal":
        self._master, slave = pty.openpty()
        os.set_blocking(self._master, False)
        # Wide enough that no line is broken.
        termios.tcsetwinsize(slave, (50, 500))
        self.process = subprocess.Popen(
            self._command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm"},
        )
        os.close(slave)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)

    def type(self, text: str) -> None:
        """Type a line, with Enter."""
        os.write(self._master, f"{text}\r".encode())

    def press(self, key: str) -> None:
        """Press one key."""
        os.write(self._master, key.encode())

    @property
    def screen(self) -> str:
        """All that was shown, without colours and movements."""
        try:
            while data := os.read(self._master, 65536):
                self._screen += data
        except (BlockingIOError, OSError):  # Nothing now; or nobody who writes any more.
            pass
        return _CONTROL.sub("", self._screen.decode(errors="replace"))

    @property
    def received(self) -> list[str]:
        """The frames that wscat has shown."""
        return [line.partition("< ")[2] for line in self.screen.splitlines() if "< " in line]

    def receives(self, frames: list[str], seconds: float = 10) -> bool:
        """Whether it comes to show these frames in time, and no others."""
        return eventually(lambda: len(self.received) >= len(frames), seconds) and self.received == frames

    def shows(self, text: str, seconds: float = 10) -> bool:
        """Whether it shows a text in time."""
        return eventually(lambda: text in self.screen, seconds)
