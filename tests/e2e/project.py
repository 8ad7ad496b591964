"""A copy of the project, to be changed and deployed."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = (
    "Makefile",
    "app.py",
    "resources.json",
    "requirements.txt",
    "requirements-lock.txt",
    "package-lock.json",
)
COPIED_FOLDERS = ("chalicelib", "infra", "local", "web", ".chalice")


class Project:
    """A folder with all that is deployed, and all that deploys it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in COPIED:
            shutil.copy2(ROOT / name, folder / name)
        leave = shutil.ignore_patterns("__pycache__", "deployments", "deployed")
        for name in COPIED_FOLDERS:
            shutil.copytree(ROOT / name, folder / name, ignore=leave)

    def make(self, *arguments: str) -> list[str]:
        """The command for a target, with the packages that these tests run on."""
        venv = Path(sys.prefix)
        # -o: what is installed stays as it is, whatever the age of the copied files.
        fixed = ["-o", str(venv / ".installed"), "-o", "node_modules/.package-lock.json"]
        # As from a terminal, where these tests themselves are run by make.
        return ["make", "--no-print-directory", *fixed, f"VENV={venv}", *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a target to its end."""
        return subprocess.run(
            self.make(*arguments), cwd=self.folder, capture_output=True, text=True, timeout=60
        )

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text in a file, as an editor saves it: whole."""
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{file} has no {old!r} any more"
        self.save(file, text.replace(old, new))

    def save(self, file: str, text: str) -> None:
        """Write a file, whole."""
        draft = self.folder / f"{file}~"
        draft.write_text(text)
        draft.replace(self.folder / file)

    def files(self) -> set[Path]:
        """What is there, Python's caches left out."""
        return {path for path in self.folder.rglob("*") if "__pycache__" not in path.parts}
