"""The folder ``.local/``: what a running local AWS keeps, and not there when none runs."""

import fcntl
import json
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

# What is where, for whoever talks to it.
ENDPOINTS = Path(".local/endpoints.json")


class AlreadyRunning(Exception):
    """Another local AWS uses this folder."""


class Workspace:
    """The folder, held by one process at a time; a context manager.

    Attributes:
        build: Where the project is packaged.
        emulator: The emulator's own files.
    """

    def __init__(self, project: Path) -> None:
        self._endpoints = project / ENDPOINTS
        self._folder = self._endpoints.parent
        self.build = self._folder / "build"
        self.emulator = self._folder / "emulator"

    def __enter__(self) -> "Workspace":
        """Take the folder, and clear it of what a run that was killed has left.

        Raises:
            AlreadyRunning: It is taken.
        """
        self._folder.mkdir(exist_ok=True)
        self._lock = (self._folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise AlreadyRunning("`make up` is already running in this folder") from None
        self._endpoints.unlink(missing_ok=True)
        for leftover in (self.build, self.emulator):
            shutil.rmtree(leftover, ignore_errors=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder)
        self._lock.close()

    def publish(self, endpoints: dict[str, Any]) -> None:
        """Write ``endpoints.json``, whole or not at all."""
        draft = self._folder / "endpoints.json.new"
        draft.write_text(json.dumps(endpoints, indent=2) + "\n")
        draft.replace(self._endpoints)

    def published(self) -> dict[str, Any]:
        """Read ``endpoints.json``."""
        endpoints: dict[str, Any] = json.loads(self._endpoints.read_text())
        return endpoints
