"""The whole stack: ``make up`` and ``make deploy``, on a copy of the project."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.e2e.local_stack import LocalStack
from tests.e2e.project import Project
from tests.tools import free_port


@pytest.fixture
def own_stack(new_project: Callable[[], Project]) -> Iterator[LocalStack]:
    """A stack for one test, which may change and end it."""
    with ExitStack() as ending:
        yield ending.enter_context(LocalStack(new_project(), free_port()))
