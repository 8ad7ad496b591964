import json

import pytest

from chalicelib.errors import TooLarge
from chalicelib.wire.events import (
    Ack,
    Error,
    Event,
    Form,
    Goodbye,
    HelpText,
    Joined,
    Left,
    Message,
    Named,
    Pong,
    Presence,
    Private,
    RoomList,
    StoredMessages,
    Typing,
    WhoIsThere,
    render,
)
from chalicelib.wire.fields import Room


def said(**fields: object) -> Message:
    basic = {
        "room": "lobby",
        "seq": 7,
        "epoch": "e",
        "id": "i",
        "sender": None,
        "message": "hi",
        "sent_at": 1,
    }
    return Message(**(basic | fields))  # type: ignore[arg-type]


def stored(*messages: Message, room: str = "lobby") -> StoredMessages:
    return StoredMessages(room=room, seq=7, epoch="e", messages=list(messages), more=False, complete=True)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (said(), "Echo: hi"),
        (said(sender="alice"), "alice: hi"),
        (said(room="cats"), "[cats] Echo: hi"),
        (said(room="cats", sender="alice"), "[cats] alice: hi"),
        (said(message="a\nalice: b\u2028c"), "Echo: a ⏎ alice: b ⏎ c"),
        (Private(id="i", sender="alice", to="bob", message="hi", sent_at=1), "alice -> bob: hi"),
        (Joined(room="cats", seq=0, epoch=None, members={"ann": 2}, count=3), "Joined cats (3 here)"),
        (Left(room="cats"), "Left cats"),
        (Presence(room="cats", name="alice", event="join"), "* alice joined cats"),
        (Presence(room="cats", name="alice", event="leave"), "* alice left cats"),
        (Typing(room="cats", sender="alice", typing=True), None),
        (
            WhoIsThere(room="cats", members={"ann": 2, "bob": 1}, nameless=3, count=6),
            "In cats: ann (2), bob (1), 3 nameless",
        ),
        (WhoIsThere(room="cats", members={}, nameless=0, count=0), "In cats: nobody"),
        (RoomList(rooms={"lobby": 3, "cats": 1}), "Rooms: lobby (3), cats (1)"),
        (RoomList(rooms={}), "Rooms: none"),
        (stored(said(message="one\n1"), said(sender="bob", message="two")), "Echo: one ⏎ 1\nbob: two"),
        (stored(room="cats"), "No messages in cats"),
        (Named(name="ann"), "You are ann"),
        (Pong(), "pong"),
        (HelpText(actions={"ping": ["[ref]"], "help": []}), "ping [ref]; help"),
        (Ack(room="lobby", seq=1, epoch="e", id="i", ref="r"), None),
        (Goodbye(code="c", reason="Bye", retry_after=0), "Bye"),
        (Error(code="bad_json", message="no"), "Error: no"),
    ],
)
def test_the_text_form(event: Event, text: str | None) -> None:
    assert render(event, Form.TEXT) == text


@pytest.mark.parametrize("form", Form)
def test_what_api_gateway_would_not_send_is_too_large(form: Form) -> None:
    empty = len((render(said(message=""), form) or "").encode())
    assert render(said(message="x" * (128 * 1024 - empty)), form) is not None
    with pytest.raises(TooLarge, match="131,073 bytes"):
        render(said(message="x" * (128 * 1024 - empty + 1)), form)


@pytest.mark.parametrize(
    ("event", "frame"),
    [
        (
            said(room=Room("cats")),
            {
                "type": "message",
                "room": "cats",
                "seq": 7,
                "epoch": "e",
                "id": "i",
                "from": None,
                "message": "hi",
                "sentAt": 1,
            },
        ),
        (
            Private(id="i", sender="alice", to="bob", message="hi", sent_at=1),
            {"type": "private", "id": "i", "from": "alice", "to": "bob", "message": "hi", "sentAt": 1},
        ),
        (
            Ack(room="lobby", seq=1, epoch="e", id="i", ref="r"),
            {
                "type": "ack",
                "room": "lobby",
                "seq": 1,
                "epoch": "e",
                "id": "i",
                "duplicate": False,
                "ref": "r",
            },
        ),
        (
            Joined(room="cats", seq=0, epoch=None, members={"ann": 2}, count=3),
            {
                "type": "joined",
                "room": "cats",
                "seq": 0,
                "epoch": None,
                "members": {"ann": 2},
                "count": 3,
                "ref": None,
            },
        ),
        (
            Presence(room="cats", name="alice", event="leave"),
            {"type": "presence", "room": "cats", "name": "alice", "event": "leave"},
        ),
        (
            Typing(room="cats", sender="alice", typing=True),
            {"type": "typing", "room": "cats", "from": "alice", "typing": True},
        ),
        (
            Goodbye(code="c", reason="Bye", retry_after=0),
            {"type": "goodbye", "code": "c", "reason": "Bye", "retryAfter": 0},
        ),
        (
            Error(code="bad_json", message="no"),
            {
                "type": "error",
                "code": "bad_json",
                "message": "no",
                "action": None,
                "retryAfter": None,
                "ref": None,
            },
        ),
    ],
)
def test_the_json_form_has_the_names_of_the_wire(event: Event, frame: dict[str, object]) -> None:
    assert json.loads(render(event, Form.JSON) or "") == frame
