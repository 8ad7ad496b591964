"""What the tests need of this machine; missing, it skips them, but never in CI."""

import os
import socket
from pathlib import Path
from typing import NoReturn

import pytest


def tool(path: Path, how: str) -> Path:
    """A program that was installed; ``how`` says how to get it."""
    if not path.exists():
        missing(f"{path.name} is not installed: {how}")
    return path


def missing(why: str) -> NoReturn:
    """Skip the test; in CI, where everything must be there, fail it."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
