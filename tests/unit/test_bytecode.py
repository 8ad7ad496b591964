"""Bytecode in the zip of the code."""

import subprocess
import sys
import zipfile
from pathlib import Path

from infra.bytecode import add_bytecode


def zipped(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("app.py", "import part.thing\nANSWER = part.thing.ANSWER\n")
        packed.writestr("part/__init__.py", "")
        packed.writestr("part/thing.py", "ANSWER = 1\n")
        packed.writestr("part/template.py", "this is no Python")
        packed.writestr("part/data.json", "{}")
    return path


def test_what_is_compiled_is_not_compiled_again(tmp_path: Path) -> None:
    code = zipped(tmp_path / "code.zip")
    add_bytecode(code)
    with zipfile.ZipFile(code) as packed:
        names = packed.namelist()
        packed.extractall(tmp_path / "task")
    assert len(names) == len(set(names)) == 8
    # Python does not look at the source any more.
    (tmp_path / "task/part/thing.py").write_text("ANSWER = 2\n")
    script = "import app; print(app.ANSWER)"
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path / "task", capture_output=True, text=True, check=True
    )
    assert ran.stdout == "1\n"


def test_the_same_code_is_the_same_zip(tmp_path: Path) -> None:
    one, two = (tmp_path / name for name in ("one.zip", "two.zip"))
    zipped(one)
    two.write_bytes(one.read_bytes())
    for code in (one, two):
        add_bytecode(code)
    assert one.read_bytes() == two.read_bytes()
    add_bytecode(one)
    assert one.read_bytes() == two.read_bytes()
