"""The page of a chat that wants tokens: ``make up AUTH=jwt``."""

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.person import SECONDS
from tests.e2e.local_stack import LocalStack
from tests.e2e.project import Project
from tests.tools import free_port
from tests.waiting import eventually


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    project = Project(tmp_path_factory.mktemp("tokens") / "project")
    with LocalStack(project, free_port(), "AUTH=jwt") as stack:
        yield stack


def page_of(stack: LocalStack, name: str, seconds: int) -> str:
    """The page with a token of that name."""
    done = stack.project.run("token", f"NAME={name}", f"TTL={seconds}")
    assert done.returncode == 0, done.stderr
    return f"{stack.page_url}#token={done.stdout.strip()}"


def test_the_token_says_who_one_is(stack: LocalStack, visit: Visit) -> None:
    alice = visit(stack.page_url).connected()
    bob = visit(page_of(stack, "bob", 600)).connected()
    alice.say("Hello bob")
    bob.sees("Hello bob")
    bob.say("Hello alice")
    alice.sees("Hello bob", "Hello alice")
    expect(alice.page.locator("#messages .author")).to_have_text(["alice", "bob"])
    bob.page.get_by_role("button", name="Settings").click()
    expect(bob.page.locator("#rename")).to_be_hidden()


def test_a_session_is_renewed_on_its_connection(stack: LocalStack, visit: Visit) -> None:
    over = time.time() + 20
    carl = visit(page_of(stack, "carl", 20)).connected()
    carl.join("renewed")
    seen = len(stack.output)
    carl.page.evaluate("hash => { location.hash = hash; }", page_of(stack, "carl", 600).partition("#")[2])
    stack.said("action=authenticate", after=seen, seconds=SECONDS)
    assert eventually(lambda: time.time() > over + 1, 30), "the first token is not over"
    carl.say("still here")
    carl.sees("still here")
    assert " connect " not in stack.output[seen:]


def test_a_session_that_is_not_renewed_ends(stack: LocalStack, visit: Visit) -> None:
    over = time.time() + 12
    dora = visit(page_of(stack, "dora", 12)).connected()
    assert eventually(lambda: time.time() > over + 1, 20)
    dora.say("too late")
    expect(dora.page.get_by_role("button", name="Connect again")).to_be_visible(timeout=SECONDS * 1000)
    expect(dora.page.locator(".failure")).to_contain_text("Not sent.")
