"""What tests of more than one kind stand on; each is started once."""

import os
import shutil
from collections.abc import Callable, Iterator

import pytest

from local.emulator import Emulator
from tests.e2e.local_stack import LocalStack
from tests.e2e.project import Project
from tests.tools import free_port, missing

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
}


@pytest.fixture(scope="session", autouse=True)
def nobodys_account() -> Iterator[None]:
    """Keep whoever runs the tests from reaching an account of theirs."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def ministack_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """DynamoDB, without the app."""
    with Emulator(free_port(), tmp_path_factory.mktemp("ministack")) as emulator:
        yield emulator.url


@pytest.fixture(scope="session")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Project]:
    """Makes copies of the project."""
    if shutil.which("make") is None:
        missing("make is not installed: on Debian, apt-get install make")
    return lambda: Project(tmp_path_factory.mktemp("e2e") / "project")


@pytest.fixture(scope="session")
def stack(new_project: Callable[[], Project]) -> Iterator[LocalStack]:
    """The deployed stack, shared by all tests that only talk to it."""
    with LocalStack(new_project(), free_port()) as stack:
        yield stack
