"""Bytecode in the zip of the functions' code, so that no cold start compiles it.

Lambda's file system is read-only where the code is: without this, each new environment compiles each module
once more. The files do not look at their sources (PEP 552, unchecked), whose times a zip does not keep.
"""

import compileall
import zipfile
from pathlib import Path
from py_compile import PycInvalidationMode
from tempfile import TemporaryDirectory

# Where Lambda unpacks the zip. Bytecode has the name of its file in it, which must not be a temporary one.
TASK_ROOT = "/var/task"
# The same code must make the same zip: the stack changes where its hash does.
DATE = (1980, 1, 1, 0, 0, 0)
READABLE = 0o644 << 16


def add_bytecode(code: Path) -> None:
    """Compile all modules of a zip for this interpreter's version, which is the one that Chalice deploys to.

    Another version of Python ignores the files. A module that cannot be compiled has none.
    """
    with TemporaryDirectory() as folder:
        with zipfile.ZipFile(code) as packed:
            packed.extractall(folder)
        compileall.compile_dir(
            folder,
            quiet=2,
            stripdir=folder,
            prependdir=TASK_ROOT,
            invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
        )
        with zipfile.ZipFile(code, "a", zipfile.ZIP_DEFLATED) as packed:
            there = set(packed.namelist())
            for file in sorted(Path(folder).rglob("*.pyc")):
                name = file.relative_to(folder).as_posix()
                if name not in there:
                    entry = zipfile.ZipInfo(name, DATE)
                    entry.external_attr = READABLE
                    packed.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
