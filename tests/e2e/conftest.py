"""The whole stack: ``make up`` and ``make deploy``, on a copy of the project."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.e2e.local_stack import LocalStack
from tests.e2e.project import Project
from tests.tools import free_port, missing


@pytest.fixture(scope="session")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Project]:
    """Makes copies of the project."""
    if shutil.which("make") is None:
        missing("make is not installed: on Debian, apt-get install make")
    return lambda: Project(tmp_path_factory.mktemp("e2e") / "project")


@pytest.fixture(scope="session")
def stack(new_project: Callable[[], Project]) -> Iterator[LocalStack]:
    """The stack that all tests share that only talk to it."""
    with LocalStack(new_project(), free_port()) as stack:
        yield stack


@pytest.fixture
def own_stack(new_project: Callable[[], Project]) -> Iterator[LocalStack]:
    """A stack for one test, which may change and end it."""
    with ExitStack() as ending:
        yield ending.enter_context(LocalStack(new_project(), free_port()))
