import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.actions.call import Action, Call, Services
from chalicelib.actions.table import ACTIONS
from chalicelib.auth.door import Door
from chalicelib.broadcaster import Delivery
from chalicelib.config import Settings
from chalicelib.dispatcher import Frame, Outcome, dispatch
from chalicelib.errors import GatewayUnavailable, NotInRoom
from chalicelib.storage.connection import Connection
from chalicelib.storage.heads import Head
from chalicelib.storage.messages import Draft, Page, Receipt, Stored
from chalicelib.storage.presence import Change
from chalicelib.storage.rooms import Member
from chalicelib.told import first_event
from chalicelib.wire.events import Ack, Error, Event, Form, HelpText, Message, Pong, render
from chalicelib.wire.requests import Ping

from .test_requests import NO_OBJECT, NOT_JSON


class Log:
    """Stands for the messages: nothing is stored."""

    def position(self, room: str) -> Head:
        return Head()

    def page(self, room: str, limit: int, **_: object) -> Page:
        return Page(self.position(room), [], through=0, more=False, complete=True)


class Registry:
    """Stands for connections, their directory, rooms and bans: all is well, and nobody else is there."""

    def __init__(self) -> None:
        self.directory = self

    def join(self, connection: Connection, room: str) -> Change:
        return Change(room, [], Head(members=2))

    leave = join

    def rename(self, connection: Connection, name: str) -> list[Change]:
        return [self.join(connection, room) for room in connection.public_rooms]

    def rooms(self, name: str | None = None) -> Counter[str]:
        return Counter() if name else Counter(lobby=1)

    def members(self, room: str) -> list[Member]:
        return [Member("c1=", "alice", Form.TEXT, 0, 10**12)]

    def part(self, room: str, limit: int, after: str | None = None) -> tuple[list[Member], str | None]:
        return self.members(room), None

    def mend(self, room: str, members: int, head: Head) -> None:
        assert (members, head) == (1, Head())


class Speaker:
    """A connection in two rooms; stands for all that tells rooms too, and keeps what they are told."""

    def __init__(self, actions: Mapping[str, Action] = ACTIONS) -> None:
        self.published: list[tuple[str, Event]] = []
        self.drafts: list[Draft] = []
        self.forbidden = False
        registry: Any = Registry()
        me: Any = self
        log: Any = Log()
        settings = Settings()
        self.services = Services(
            settings=settings,
            actions=actions,
            door=Door.of(settings, time.time),
            connections=registry,
            rooms=registry,
            bans=registry,
            messages=log,
            broadcaster=me,
            announcer=me,
            pump=me,
            pruner=me,
        )

    def append(self, draft: Draft) -> Receipt:
        self.drafts.append(draft)
        seq = len(self.drafts)
        stored = Stored(draft.room, seq, "e", f"id{seq}", draft.sender, draft.text, draft.sent_at)
        return Receipt(stored, Head(seq=seq, epoch="e"))

    def hand_on(self, receipt: Receipt, deadline: float, delivery: Delivery) -> None:
        event, _ = first_event([receipt.stored])
        self.publish(receipt.stored.room, event, deadline, delivery)

    def publish(self, room: str, event: Event, deadline: float, delivery: Delivery, **_: object) -> None:
        self.published.append((room, event))
        delivery.forbidden = self.forbidden

    def tell(self, changes: Iterable[Change], *_: object, **__: object) -> None:
        assert not any(change.crossings for change in changes)

    def send(self, frame: object) -> Outcome:
        caller = Connection("c1=", "alice", Form.TEXT, frozenset({"lobby", "cats", "@alice"}), 0, 10**12)
        body = frame if isinstance(frame, str) else json.dumps(frame)
        return dispatch(
            Frame.parse(body), Call(caller, self.services, 1_700_000_000_123, deadline=0.0), "request-1"
        )


@pytest.fixture
def alice() -> Speaker:
    return Speaker()


def told(outcome: Outcome) -> Error:
    assert isinstance(outcome.reply, Error)
    assert outcome.error is not None
    return outcome.reply


def test_on_message_goes_to_the_lobby_under_the_senders_name(alice: Speaker) -> None:
    outcome = alice.send({"action": "onMessage", "message": "hi"})
    assert outcome == Outcome(Ack(room="lobby", seq=1, epoch="e", id="id1"), "onMessage")
    [(room, message)] = alice.published
    assert isinstance(message, Message)
    assert (room, message.room, message.sender, message.message) == ("lobby", "lobby", "alice", "hi")
    assert message.sent_at == 1_700_000_000_123
    assert render(message, Form.TEXT) == "alice: hi"
    assert json.loads(render(message, Form.JSON) or "")["from"] == "alice"


def test_two_messages_have_two_ids(alice: Speaker) -> None:
    for _ in range(2):
        alice.send({"action": "onMessage", "message": "hi", "room": "cats"})
    first, second = (event for _, event in alice.published)
    assert isinstance(first, Message)
    assert isinstance(second, Message)
    assert first.id != second.id


def test_a_room_that_one_is_not_in(alice: Speaker) -> None:
    outcome = alice.send({"action": "onMessage", "message": "hi", "room": "dogs", "ref": "r1"})
    error = told(outcome)
    assert (error.code, error.action, error.ref) == ("not_in_room", "onMessage", "r1")
    assert isinstance(outcome.error, NotInRoom)
    assert alice.published == []


@pytest.mark.parametrize("ref", ["r" * 65, "r" * 1000, "a\nb"])
def test_a_ref_that_breaks_its_rule_is_given_back(alice: Speaker, ref: str) -> None:
    error = told(alice.send({"action": "onMessage", "message": "hi", "ref": ref}))
    assert (error.code, error.ref) == ("bad_request", ref)
    assert error.message.startswith("ref must be 1-64 characters")


@pytest.mark.parametrize("ref", ["", "r" * 1025, 7, None, ["r"], {"r": 1}, True])
def test_what_cannot_be_given_back_is_named(alice: Speaker, ref: object) -> None:
    error = told(alice.send({"action": "onMessage", "message": 7, "ref": ref}))
    assert (error.code, error.ref) == ("bad_request", None)


def test_ping(alice: Speaker) -> None:
    assert alice.send({"action": "ping", "ref": "r1"}).reply == Pong(ref="r1")


def test_help_lists_every_action_with_its_fields(alice: Speaker) -> None:
    reply = alice.send({"action": "help"}).reply
    assert isinstance(reply, HelpText)
    assert reply.actions.keys() == ACTIONS.keys()
    assert set(reply.actions["onMessage"]) == {"message", "[room]", "[ref]"}
    assert reply.lines()[0].startswith("onMessage message ")


@pytest.mark.parametrize("body", [*NOT_JSON.values(), *NO_OBJECT], ids=[*NOT_JSON, *NO_OBJECT])
def test_what_is_no_object_is_bad_json(alice: Speaker, body: str) -> None:
    assert told(alice.send(body)).code == "bad_json"


@pytest.mark.parametrize(
    ("frame", "code", "message"),
    [
        ({}, "bad_request", "action is missing; known are onMessage"),
        ({"message": "hi"}, "bad_request", "action is missing"),
        ({"action": 3}, "bad_request", "action must be a string"),
        ({"action": None}, "bad_request", "action must be a string"),
        ({"action": ["ping"]}, "bad_request", "action must be a string"),
        ({"action": "shout"}, "unknown_action", "unknown action 'shout'; known are onMessage"),
        ({"action": ""}, "unknown_action", "unknown action ''"),
        ({"action": "PING"}, "unknown_action", "unknown action 'PING'"),
        ({"action": "__class__"}, "unknown_action", "unknown action '__class__'"),
        ({"action": "a\n\u202e" + "x" * 99}, "unknown_action", r"unknown action 'a\n\u202exxx"),
        ({"action": "onMessage"}, "bad_request", "message is missing"),
        ({"action": "onMessage", "message": ""}, "bad_request", "message must be"),
        ({"action": "onMessage", "message": 1}, "bad_request", "message must be"),
        ({"action": "onMessage", "message": "x" * 4097}, "bad_request", "message must be"),
        ({"action": "onMessage", "message": "a\0"}, "bad_request", "message must be"),
        ({"action": "onMessage", "message": "a", "from": "bob"}, "bad_request", "'from' is not a field"),
    ],
)
def test_a_bad_frame_is_told_why(alice: Speaker, frame: object, code: str, message: str) -> None:
    error = told(alice.send(frame))
    assert error.code == code
    assert error.message.startswith(message)
    assert len(error.message) < 300
    assert alice.published == []


def test_a_bug_is_internal_and_tells_no_details() -> None:
    def broken(request: Ping, call: Call) -> Pong:
        raise KeyError("secret")

    outcome = Speaker({"ping": Action(Ping, broken)}).send({"action": "ping", "ref": "r1"})
    error = told(outcome)
    assert (error.code, error.ref) == ("internal", "r1")
    assert "request-1" in error.message
    assert "secret" not in error.message
    assert isinstance(outcome.error, KeyError)


def test_a_chat_that_may_not_send_says_so(alice: Speaker) -> None:
    alice.forbidden = True
    outcome = alice.send({"action": "onMessage", "message": "hi"})
    assert told(outcome).code == "unavailable"
    assert isinstance(outcome.error, GatewayUnavailable)


ANY_TEXT = st.text(st.characters(exclude_categories=()))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
)
ACTION_NAMES = st.sampled_from(sorted(ACTIONS))
FIELD_NAMES = st.sampled_from(["message", "room", "ref", "to", "from", "name", "after", "limit"]) | ANY_TEXT
FRAMES = ANY_TEXT | JSON.map(json.dumps) | st.builds(
    lambda action, fields: json.dumps({"action": action, **fields}),
    ACTION_NAMES | JSON,
    st.dictionaries(FIELD_NAMES, JSON, max_size=4),
)  # fmt: skip


@given(FRAMES)
def test_no_frame_raises_and_every_answer_can_be_sent(body: str) -> None:
    speaker = Speaker()
    outcome = speaker.send(body)
    for event in [outcome.reply, *(event for _, event in speaker.published)]:
        for form in Form:
            payload = render(event, form) or ""
            assert len(payload.encode()) < 128 * 1024
            assert "\n" not in payload
    assert outcome.code != "internal"
