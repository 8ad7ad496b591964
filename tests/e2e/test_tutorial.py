"""The tutorial's chat, as its reader sees it: two terminals with wscat."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.e2e.local_stack import LocalStack
from tests.e2e.project import ROOT
from tests.e2e.terminal import CTRL_C, Terminal
from tests.tools import tool
from tests.waiting import eventually

HELLO = '{"action": "onMessage", "message": "Hello everyone"}'


@pytest.fixture
def wscat() -> str:
    return str(tool(ROOT / "node_modules" / ".bin" / "wscat", "npm, and then: make node"))


@pytest.fixture
def terminals(stack: LocalStack, wscat: str) -> Iterator[list[Terminal]]:
    """Two connected terminals, and nobody else."""
    assert eventually(lambda: not stack.items("connections"))
    with ExitStack() as ending:
        both = [
            ending.enter_context(Terminal(wscat, "-c", stack.endpoints["websocketUrl"])) for _ in range(2)
        ]
        for terminal in both:
            assert terminal.shows("Connected"), terminal.screen
        yield both


def test_everyone_sees_the_echo_once(terminals: list[Terminal]) -> None:
    sender, other = terminals
    sender.type(HELLO)
    for terminal in terminals:
        assert terminal.shows("Echo: Hello everyone"), terminal.screen
    # A second frame, so that nothing more can be on its way.
    other.type(HELLO)
    for terminal in terminals:
        assert terminal.receives(["Echo: Hello everyone"] * 2), terminal.screen


def test_an_unknown_action_is_one_error_line_for_its_sender(terminals: list[Terminal]) -> None:
    sender, other = terminals
    sender.type('{"action": "dance"}')
    assert sender.shows("Error: "), sender.screen
    sender.type(HELLO)
    for terminal in terminals:
        assert terminal.shows("Echo: Hello everyone"), terminal.screen
    error, echo = sender.received
    assert error.startswith("Error: ")
    assert "dance" in error
    assert echo == "Echo: Hello everyone"
    assert other.received == ["Echo: Hello everyone"]


def test_the_table_has_one_item_per_terminal_and_none_after(
    stack: LocalStack, terminals: list[Terminal]
) -> None:
    assert stack.endpoints["tables"]["connections"] == "Chat"
    ids = {item["connectionid"]["S"] for item in stack.items("connections")}
    assert len(ids) == len(stack.items("connections")) == 2
    first, second = terminals
    first.press(CTRL_C)
    assert eventually(lambda: len(stack.items("connections")) == 1)
    second.press(CTRL_C)
    assert eventually(lambda: not stack.items("connections"))
    assert eventually(lambda: not stack.items("rooms"))


def test_a_terminal_that_asks_for_json_gets_it(stack: LocalStack, wscat: str) -> None:
    with Terminal(wscat, "-s", "chat.v1", "-c", stack.endpoints["websocketUrl"]) as terminal:
        assert terminal.shows("Connected"), terminal.screen
        terminal.type('{"action": "ping", "ref": "r1"}')
        assert terminal.receives(['{"type":"pong","ref":"r1"}']), terminal.screen
