"""The page in a real browser."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import chromium
from tests.browser.person import Person
from tests.browser.served import Served
from tests.e2e.local_stack import LocalStack
from tests.e2e.project import Project
from tests.tools import free_port

Visit = Callable[..., Person]


# Not for the whole session: playwright keeps a loop in this thread, in which no other can run.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """``make up``."""
    with LocalStack(Project(tmp_path_factory.mktemp("browser") / "project"), free_port()) as stack:
        yield stack


@pytest.fixture(scope="package")
def page_url(stack: LocalStack) -> str:
    return stack.page_url


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens the page for one more person; in the end, all must be well with them."""
    people: list[Person] = []

    def visit(url: str, **options: Any) -> Person:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        people.append(Person(context, url))
        return people[-1]

    yield visit
    for person in people:
        person.must_be_well()
        person.context.close()


@pytest.fixture
def served() -> Iterator[Served]:
    """The rig's server, and the page for it."""
    with Served() as served:
        yield served
