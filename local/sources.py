"""The files that make a deployment: watched, and copied to where they are packaged."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# Not requirements.txt: the workers run under this interpreter, which has the same packages. So
# a deployment is quick, and needs no wheels for this system.
DEPLOYED = ("app.py", "resources.json", ".chalice/*.json", "chalicelib/**/*")

Snapshot = dict[Path, tuple[int, int]]


class Sources:
    """The deployed files of a project."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._seen: Snapshot = {}

    def changes(self) -> list[str]:
        """The files that are not as they were at the last call, new and removed ones included."""
        now = dict(self._snapshot())
        changed = {path for path in now.keys() | self._seen.keys() if now.get(path) != self._seen.get(path)}
        self._seen = now
        return sorted(str(path) for path in changed)

    def copy_to(self, folder: Path) -> None:
        """Make the folder a copy of the deployed files."""
        shutil.rmtree(folder, ignore_errors=True)
        for path in self._paths():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            # An editor may remove what it has just made, after it was listed.
            with suppress(FileNotFoundError):
                shutil.copy2(self._project / path, folder / path)

    def _paths(self) -> Iterator[Path]:
        for pattern in DEPLOYED:
            for path in self._project.glob(pattern):
                # Neither caches nor what an editor keeps beside the file it edits.
                hidden = path.name.startswith(".") or path.name.endswith("~") or "__pycache__" in path.parts
                if path.is_file() and not hidden:
                    yield path.relative_to(self._project)

    def _snapshot(self) -> Iterator[tuple[Path, tuple[int, int]]]:
        for path in self._paths():
            try:
                stat = (self._project / path).stat()
            except FileNotFoundError:
                continue  # Removed since it was listed.
            yield path, (stat.st_mtime_ns, stat.st_size)
