"""chat-client.js without the page, as others use it."""

import time
from typing import Any

import pytest

from chalicelib.wire.events import Presence
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
  const others = ["missed", "begun", "expelled", "state", "rollover", "error"];
  for (const type of ["message", "private", "presence", "occupancy", ...others]) {
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

# Keeps the actions that are sent.
RECORD = """
() => {
  window.sent = [];
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (frame) {
    sent.push(JSON.parse(frame).action);
    send.call(this, frame);
  };
}
"""


class Client:
    """A ChatClient in a browser that is not on the page."""

    def __init__(self, person: Person, served: Served, **options: Any) -> None:
        self._page = person.page
        self._page.evaluate(OPEN, [served.server.url, options])

    def begin(self, method: str, times: int = 1) -> None:
        """Call so many times at once, and do not wait for what comes of it."""
        self._page.evaluate(
            "([method, times]) => { while (times--) chat[method]().catch(() => {}); }", [method, times]
        )

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
def frozen(served: Served, visit: Visit) -> Person:
    """Somebody at the door, with a clock that runs when the test says so."""
    person = visit("about:blank")
    person.page.clock.install()
    person.page.goto(served.url)
    person.page.clock.pause_at(time.time() + 60)
    return person


def pass_by(person: Person, seconds: float) -> None:
    """Let so much time pass."""
    person.page.clock.run_for(int(seconds * 1000))


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


def test_messages_of_one_frame_are_given_like_others(served: Served, alone: Person) -> None:
    client = Client(alone, served, name="bob")
    [visitor] = served.server.visitors
    served.publish_round("one", "two", "three")
    assert eventually(lambda: client.given("message", "message") == ["one", "two", "three"], SECONDS)
    client.call("ping")
    assert len(visitor.asked("history")) == 1, "it asked for what it had been sent"
    served.publish_round("four", "five", lost=True)
    served.publish_round("six", "seven")
    texts = ["one", "two", "three", "four", "five", "six", "seven"]
    assert eventually(lambda: client.given("message", "message") == texts, SECONDS)


def test_numbers_that_were_never_used_are_asked_about_once(served: Served, alone: Person) -> None:
    client = Client(alone, served, name="bob")
    served.server.numbers = 100
    served.publish("one")
    served.server.skip(250)
    served.cut(1)
    again = served.do(served.server.until(2, "history", 3), SECONDS)
    assert [question["after"] for question in again.asked("history")] == [1, 101, 201]
    served.publish("two")
    assert eventually(lambda: client.given("message", "message") == ["one", "two"], SECONDS)
    client.call("ping")
    assert len(again.asked("history")) == 3


def test_a_presence_event_that_is_outdated_is_not_given(served: Served, alone: Person) -> None:
    client = Client(alone, served, name="bob")
    served.tell(
        Presence(room="lobby", name="ann", event="leave", at=6),
        Presence(room="lobby", name="ann", event="join", at=5),
        Presence(room="lobby", name="ann", event="leave", at=4, names=["ann", "carol", "dave"]),
        Presence(room="cats", name="ann", event="join", at=5),
    )
    client.call("ping")
    assert client.given("presence", "names") == [["ann"], ["carol", "dave"], ["ann"]]
    assert client.given("presence", "name") == ["ann", "carol", "ann"]
    assert client.given("presence", "event") == ["leave", "leave", "join"]


def test_the_number_of_connections_is_what_was_heard_last(served: Served, alone: Person) -> None:
    client = Client(alone, served, name="bob")
    assert client.call("count") is None
    client.call("who")
    assert client.call("count") == 1
    served.occupy(1234)
    client.call("ping")
    assert client.given("occupancy", "count") == [1234]
    assert client.call("count") == 1234
    client.call("join", "cats")
    assert client.call("count", "cats") == 1234
    client.call("leave", "cats")
    assert client.call("count", "cats") is None


def test_who_gives_all_pages_or_one(served: Served, alone: Person) -> None:
    client = Client(alone, served, name="bob")
    served.server.members = {"ann": 2, "bob": 3, "carol": 1, "dave": 4}
    # Pages of three connections: two of them have some of bob's, and two some of dave's.
    served.server.page = 3
    there = client.call("who")
    assert (there["members"], there["count"]) == (served.server.members, 10)
    assert (there["more"], there["after"]) == (False, None)
    assert [each.get("after") for each in served.server.visitors[0].asked("who")] == [None, "3", "6", "9"]
    first = client.call("who", "lobby", {"limit": 2})
    assert (first["members"], first["after"]) == ({"ann": 2}, "2")
    second = client.call("who", "lobby", {"after": "2"})
    assert (second["members"], second["after"]) == ({"bob": 3}, "5")


@pytest.mark.parametrize(("count", "seconds"), [(20, 0.25), (1000, 1.0), (10_000, 10.0)])
def test_a_gap_is_asked_about_the_later_the_larger_the_room(
    count: int, seconds: float, served: Served, frozen: Person
) -> None:
    client = Client(frozen, served, name="bob")
    served.occupy(count)
    served.publish("one", lost=True)
    served.publish("two")
    client.call("ping")
    # Half of the time over which the room's clients spread their questions.
    pass_by(frozen, seconds - 0.05)
    client.call("ping")
    assert len(served.server.visitors[0].asked("history")) == 1
    pass_by(frozen, 0.1)
    served.do(served.server.until(1, "history", 2), SECONDS)
    assert eventually(lambda: client.given("message", "message") == ["one", "two"], SECONDS)


@pytest.mark.parametrize(("count", "seconds"), [(500, 0.5), (10_000, 1.0)])
def test_who_comes_back_into_a_large_room_asks_a_little_later(
    count: int, seconds: float, served: Served, frozen: Person
) -> None:
    client = Client(frozen, served, name="bob")
    served.occupy(count)
    client.call("ping")
    served.cut(1)
    assert eventually(lambda: client.given("state", "state")[-1] == "waiting", SECONDS)
    pass_by(frozen, 0.3)
    assert eventually(lambda: client.given("state", "state")[-1] == "open", SECONDS)
    pass_by(frozen, seconds - 0.05)
    client.call("ping")
    assert served.server.visitors[1].asked("history") == []
    pass_by(frozen, 0.1)
    served.do(served.server.until(2, "history"), SECONDS)


def test_a_gap_of_the_last_connection_does_not_hold_up_the_next(served: Served, frozen: Person) -> None:
    client = Client(frozen, served, name="bob")
    served.occupy(10_000)
    served.publish("one", lost=True)
    served.publish("two")
    client.call("ping")
    served.cut(1)
    assert eventually(lambda: client.given("state", "state")[-1] == "waiting", SECONDS)
    pass_by(frozen, 0.3)
    assert eventually(lambda: client.given("state", "state")[-1] == "open", SECONDS)
    # Of the gap it would be asked after 10 s.
    pass_by(frozen, 1.1)
    again = served.do(served.server.until(2, "history"), SECONDS)
    assert eventually(lambda: client.given("message", "message") == ["one", "two"], SECONDS)
    pass_by(frozen, 10)
    client.call("ping")
    assert len(again.asked("history")) == 1


def test_only_some_rooms_are_asked_for_at_the_same_time(served: Served, alone: Person) -> None:
    client = Client(alone, served, name="bob", rooms=[f"room{number}" for number in range(9)])
    served.server.faults["history"] = [Fault.IGNORED] * 4
    served.cut(1)
    again = served.do(served.server.until(2, "history", 4), SECONDS)
    # It is served after whatever was sent before it.
    client.call("ping")
    assert len(again.asked("history")) == 4


def test_after_a_ping_the_rooms_are_not_all_asked_for_at_once(served: Served, frozen: Person) -> None:
    client = Client(frozen, served, name="bob", rooms=[f"room{number}" for number in range(9)])
    pass_by(frozen, 300)
    [visitor] = served.server.visitors
    served.do(served.server.until(1, "ping"), SECONDS)
    client.call("ping")
    pass_by(frozen, 1.9)
    client.call("ping")
    assert len(visitor.asked("history")) == 9
    pass_by(frozen, 0.2)
    served.do(served.server.until(1, "history", 18), SECONDS)


def test_after_a_refusal_nothing_is_sent_until_its_time_has_passed(served: Served, frozen: Person) -> None:
    client = Client(frozen, served, name="bob")
    frozen.page.evaluate(RECORD)
    served.server.faults["who"] = [Fault.TOO_FAST]
    client.begin("who")
    served.do(served.server.until(1, "who"), SECONDS)
    served.publish("after the refusal")
    assert eventually(lambda: client.given("message", "message"), SECONDS)
    client.begin("listRooms")
    frozen.page.evaluate("chat.wake()")
    pass_by(frozen, 1.4)
    assert frozen.page.evaluate("sent") == ["who"]
    pass_by(frozen, 0.2)
    served.do(served.server.until(1, "listRooms"), SECONDS)
    assert frozen.page.evaluate("sent") == ["who", "ping", "who", "listRooms"]


def test_that_one_types_is_sent_at_once_or_not_at_all(served: Served, frozen: Person) -> None:
    client = Client(frozen, served, name="bob")
    frozen.page.evaluate(RECORD)
    served.server.faults["typingIndicator"] = [Fault.TOO_FAST]
    assert client.call("typing") == ["RequestFailed", "rate_limited"]
    assert client.call("typing") == ["Closed", None]
    pass_by(frozen, 1.6)
    assert client.call("typing")["type"] == "ack"
    assert frozen.page.evaluate("sent") == ["typingIndicator"] * 2


def test_what_has_queued_up_is_sent_one_by_one(served: Served, frozen: Person) -> None:
    client = Client(frozen, served, name="bob")
    [visitor] = served.server.visitors
    served.server.faults["who"] = [Fault.TOO_FAST] * 3 + [Fault.IGNORED]
    client.begin("who", 3)
    served.do(served.server.until(1, "who", 3), SECONDS)
    served.publish("after the refusals")
    assert eventually(lambda: client.given("message", "message"), SECONDS)
    pass_by(frozen, 1.6)
    served.do(served.server.until(1, "who", 4), SECONDS)
    # One need not wait: a pong would say that the connection is alive.
    frozen.page.evaluate("chat.wake()")
    served.do(served.server.until(1, "ping"), SECONDS)
    assert len(visitor.asked("who")) == 4
    # Its reply is lost, and keeps back no others for long.
    pass_by(frozen, 1.1)
    served.do(served.server.until(1, "who", 6), SECONDS)


def test_no_more_are_under_way_at_once_than_the_window(served: Served, frozen: Person) -> None:
    client = Client(frozen, served, name="bob")
    [visitor] = served.server.visitors
    served.server.faults["who"] = [Fault.IGNORED] * 22
    client.begin("who", 22)
    served.do(served.server.until(1, "who", 20), SECONDS)
    frozen.page.evaluate("chat.wake()")
    served.do(served.server.until(1, "ping"), SECONDS)
    assert len(visitor.asked("who")) == 20
    pass_by(frozen, 1.1)
    served.do(served.server.until(1, "who", 22), SECONDS)


@pytest.mark.parametrize(
    "frame",
    [
        "Worker process died",
        "null",
        "[1]",
        '{"type": "message"}',
        '{"type": "message", "room": "lobby", "seq": "7", "epoch": "e", "message": "x"}',
        '{"type": "messages", "room": "lobby", "messages": [7]}',
        '{"type": "presence", "room": "lobby", "name": "ann", "event": "join", "names": 7}',
        '{"type": "history", "ref": "nobody"}',
        '{"type": "pong", "ref": "nobody"}',
        '{"type": "later"}',
    ],
)
def test_a_frame_that_is_no_event_changes_nothing(served: Served, alone: Person, frame: str) -> None:
    client = Client(alone, served, name="bob")
    served.do(served.server.visitors[0].socket.send(frame))
    served.publish("one")
    assert eventually(lambda: client.given("message", "message") == ["one"], SECONDS)
    assert client.call("ping")["type"] == "pong"
    assert len(served.server.visitors) == 1


def test_what_api_gateway_has_refused_is_asked_again(served: Served, alone: Person) -> None:
    client = Client(alone, served, name="bob")
    served.server.faults["onMessage"] = [Fault.GATEWAY]
    served.server.faults["who"] = [Fault.GATEWAY]
    assert client.call("say", "hi")["seq"] == 1
    assert client.call("who")["members"] == {"ann": 1}
    assert served.said() == ["hi"]
    assert len(served.server.visitors) == 1


def test_what_no_frame_takes_is_not_sent_and_fails_alone(served: Served, alone: Person) -> None:
    client = Client(alone, served, name="bob")
    for text in ("x" * 40_000, "\N{GRINNING FACE}" * 9_000):
        assert client.call("say", text) == ["Unsendable", None]
    lone = (
        "async () => { try { await chat.say('\\ud83d'); } catch (error) { return error.constructor.name; } }"
    )
    assert alone.page.evaluate(lone) == "Unsendable"
    assert client.call("say", "hi")["seq"] == 1
    assert len(served.server.visitors) == 1
    served.server.faults["onMessage"] = [Fault.UNACCEPTABLE] * 3
    assert client.call("say", "what") == ["Unsendable", None]
    served.server.faults["onMessage"].clear()
    assert client.call("say", "ho")["seq"] == 2


def test_what_is_said_without_a_connection_waits_in_order_unless_it_is_given_up(
    served: Served, alone: Person
) -> None:
    client = Client(alone, served, name="bob", answerSeconds=2)
    # Two handshakes, which take longer than an answer may.
    served.server.greeting_seconds = 1.2
    served.server.statuses = [503]
    served.cut(1)
    alone.page.evaluate("""
        async () => {
          while (chat.state === "open") await new Promise((resolve) => setTimeout(resolve, 5));
          const given = new AbortController();
          window.saying = ["one", "two", "three"].map((text) => chat.say(text));
          window.saying.push(chat.say("no", "lobby", {signal: given.signal}).catch(() => null));
          window.saying.push(chat.say("four"));
          given.abort();
        }
    """)
    served.server.faults["onMessage"] = [Fault.SLOW]
    acks = alone.page.evaluate("Promise.all(saying)")
    assert [ack and ack["seq"] for ack in acks] == [None if n == 3 else n + 1 - (n > 3) for n in range(5)]
    assert served.said() == ["one", "two", "three", "four"]
    assert client.call("ping")["type"] == "pong"


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"rooms": "lobby"}, "TypeError"),
        ({"rooms": [7]}, "TypeError"),
        ({"name": 7}, "TypeError"),
        ({"pingSeconds": 0}, "RangeError"),
        ({"history": 101}, "RangeError"),
    ],
)
def test_arguments_that_are_wrong_are_told(alone: Person, options: dict[str, Any], kind: str) -> None:
    made = """
        async (options) => {
          const {ChatClient} = await import("/chat-client.js");
          try { new ChatClient("ws://127.0.0.1", options); } catch (error) { return error.constructor.name; }
        }
    """
    assert alone.page.evaluate(made, options) == kind
