"""chat-client.js without the page, as others use it."""

from typing import Any

import pytest

from tests.browser.conftest import Visit
from tests.browser.person import SECONDS, Person
from tests.browser.served import Served
from tests.rig.chat_server import Fault
from tests.waiting import eventually

# Keeps what a client gives, for the tests to look at.
OPEN = """
async ([url, options]) => {
  const {ChatClient} = await import("/chat-client.js");
  window.chat = new ChatClient(url, {random: () => 0.5, ...options});
  window.given = [];
  for (const type of ["message", "private", "missed", "begun", "expelled", "state", "rollover", "error"]) {
    chat.addEventListener(type, ({detail}) => given.push(detail));
  }
  await chat.connect();
}
"""
# What a call comes to: what it resolves with, or the error's kind and code.
CALL = """
async ([method, ...given]) => {
  try {
    return await chat[method](...given) ?? null;
  } catch (error) {
    return [error.constructor.name, error.code ?? null];
  }
}
"""


class Client:
    """A ChatClient in a browser that is not on the page."""

    def __init__(self, person: Person, served: Served, **options: Any) -> None:
        self._page = person.page
        self._page.evaluate(OPEN, [served.server.url, options])

    def call(self, method: str, *arguments: Any) -> Any:
        return self._page.evaluate(CALL, [method, *arguments])

    def given(self, kind: str, field: str) -> list[Any]:
        """A field of all events of a kind so far."""
        found: list[Any] = self._page.evaluate(
            "([kind, field]) => given.filter(({type}) => type === kind).map((event) => event[field])",
            [kind, field],
        )
        return found


@pytest.fixture
def alone(served: Served, visit: Visit) -> Person:
    """Somebody at the door of the page, whose policy lets the module be imported."""
    return visit(served.url)


def test_it_gives_messages_and_takes_requests(served: Served, alone: Person) -> None:
    served.publish("one", "two", "three")
    client = Client(alone, served, name="bob", history=2)
    assert client.given("message", "message") == ["two", "three"]
    assert client.given("begun", "room") == ["lobby"]
    assert client.call("say", "four")["seq"] == 4
    assert client.call("join", "cats")["room"] == "cats"
    assert client.call("say", "meow", "cats")["seq"] == 1
    assert client.call("who")["members"] == {"ann": 1}
    assert client.call("listRooms")["rooms"] == {"lobby": 1}
    assert [each["seq"] for each in client.call("history", "lobby", {"before": 3})["messages"]] == [1, 2]
    assert client.call("setName", "rob") is None
    assert client.call("leave", "cats") is None
    assert client.given("message", "message") == ["two", "three", "four", "meow"]
    served.cut(1)
    again = served.do(served.server.until(2, "history"))
    assert (again.name, again.rooms) == ("rob", ["lobby"])


def test_errors_have_their_kinds(served: Served, alone: Person) -> None:
    client = Client(alone, served, name="bob", answerSeconds=1)
    assert client.call("say", "hi", "cats") == ["RequestFailed", "not_in_room"]
    served.server.faults["onMessage"] = [Fault.IGNORED]
    assert client.call("say", "hi") == ["NoAnswer", None]
    client.call("close")
    assert client.call("ping") == ["Closed", None]
    assert client.given("state", "state") == ["connecting", "open", "closed"]


def test_without_a_name_nothing_is_said_twice(served: Served, alone: Person) -> None:
    client = Client(alone, served)
    served.server.faults["onMessage"] = [Fault.UNANSWERED]
    assert client.call("say", "hi") == ["Unconfirmed", None]
    assert served.said() == ["hi"]


def test_a_private_message_on_both_sockets_of_a_rollover_is_given_once(served: Served, alone: Person) -> None:
    client = Client(alone, served, name="bob", rolloverSeconds=1, answerSeconds=3)
    # While the first socket owes an answer, both are open.
    served.server.faults["typingIndicator"] = [Fault.IGNORED]
    alone.page.evaluate("() => { chat.typing().catch(() => {}); }")
    served.do(served.server.until(2, "history"), SECONDS)
    assert [visitor.socket.close_code for visitor in served.server.visitors] == [None, None]
    served.do(served.server._whisper(served.server.visitors[0], "bob", "once", "r1"))
    assert eventually(lambda: client.given("rollover", "type"), SECONDS)
    assert client.given("private", "message") == ["once"]


@pytest.mark.parametrize("fault", [None, Fault.SLOW], ids=["while it is opened", "from before to after"])
def test_a_room_that_one_joins_during_a_rollover_is_kept(
    fault: Fault | None, served: Served, alone: Person
) -> None:
    client = Client(alone, served, name="bob", rolloverSeconds=1)
    if fault:
        served.server.faults["joinRoom"] = [fault]
    else:
        served.server.greeting_seconds = 1
        assert eventually(lambda: served.server.greeted == 2, SECONDS)
    assert client.call("join", "cats")["room"] == "cats"
    served.server.greeting_seconds = 0
    assert eventually(lambda: client.given("rollover", "type"), SECONDS)
    talking = [visitor for visitor in served.server.visitors[1:] if visitor.asked("history")]
    assert {tuple(visitor.rooms) for visitor in talking} == {("lobby", "cats")}


def test_a_room_that_one_is_put_out_of_is_lost(served: Served, alone: Person) -> None:
    client = Client(alone, served, name="bob", rooms=["lobby", "cats"])

    async def put_out() -> None:
        visitor = served.server.visitors[0]
        await visitor.socket.send('{"type": "left", "room": "cats", "ref": null}')

    served.do(put_out())
    assert eventually(lambda: client.given("expelled", "room") == ["cats"], SECONDS)
    served.cut(1)
    assert served.do(served.server.until(2, "history"), SECONDS).rooms == ["lobby"]


def test_a_gap_that_closes_by_itself_is_not_asked_about(served: Served, alone: Person) -> None:
    client = Client(alone, served, name="bob")
    [visitor] = served.server.visitors

    async def in_the_wrong_order() -> None:
        late = await served.server.publish("one", lost=True)
        await served.server.publish("two")
        await visitor.tell(late)

    served.do(in_the_wrong_order())
    assert eventually(lambda: client.given("message", "message") == ["one", "two"], SECONDS)
    client.call("ping")
    assert len(visitor.asked("history")) == 1


def test_what_comes_too_fast_is_sent_again_in_time(served: Served, alone: Person) -> None:
    client = Client(alone, served, name="bob")
    served.server.faults["onMessage"] = [Fault.TOO_FAST]
    assert client.call("say", "hi")["seq"] == 1
    assert len(served.server.visitors[0].asked("onMessage")) == 2
