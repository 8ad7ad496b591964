"""What goes over the wire in one short conversation: at least one example of each action and event.

Alice is in the lobby with a nameless connection and talks to Bob, who is in the room ``cats`` too. The room
``football`` is a crowd.
"""

import json
from typing import Any

from chalicelib.broadcaster import SLOW
from chalicelib.chat import FLOODING, OUTDATED, UNREGISTERED
from chalicelib.dispatcher import explain
from chalicelib.errors import BadRequest, NotInRoom, RateLimited
from chalicelib.wire import events
from chalicelib.wire.fields import Room

_LOBBY = "5e884898da280471"
_CATS = "b1a2c3d4e5f60718"
_FOOTBALL = "0f1e2d3c4b5a6978"
_BAD_ROOM = {"action": "joinRoom", "room": "my cats", "ref": "r6"}
_NOT_IN_DOGS = {"action": "onMessage", "message": "Hello?", "room": "dogs"}

_GREETING = events.Message(
    room="lobby",
    seq=41,
    epoch=_LOBBY,
    id="2f8a91c07b3d4e65",
    sender=None,
    message="Hello everyone",
    sent_at=1767268800000,
)
_ANSWER = events.Message(
    room="lobby",
    seq=42,
    epoch=_LOBBY,
    id="90be13d2f4a5c687",
    sender="alice",
    message="Hello, whoever you are",
    sent_at=1767268803500,
)

FRAMES: list[dict[str, Any]] = [
    {"action": "onMessage", "message": "Hello everyone"},
    {"action": "onMessage", "message": "Who has seen Tom?", "room": "cats", "ref": "r1"},
    {"action": "privateMessage", "to": "bob", "message": "Are you there?", "ref": "r2"},
    {"action": "joinRoom", "room": "cats", "ref": "r3"},
    {"action": "leaveRoom", "room": "cats"},
    {"action": "typingIndicator", "room": "cats", "typing": True},
    {"action": "who", "room": "cats"},
    {"action": "who", "room": "football", "limit": 100, "after": "M2Q5Zg"},
    {"action": "listRooms"},
    {"action": "history", "limit": 2},
    {"action": "history", "room": "lobby", "after": 40, "epoch": _LOBBY},
    {"action": "setName", "name": "alice"},
    {
        "action": "authenticate",
        "token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl",
        "ref": "r7",
    },
    {"action": "ping", "ref": "r4"},
    {"action": "help"},
]

EVENTS: list[events.Event] = [
    _GREETING,
    events.Message(
        room="cats",
        seq=7,
        epoch=_CATS,
        id="c4d5e6f708192a3b",
        sender="alice",
        message="Who has seen Tom?",
        sent_at=1767268810250,
    ),
    events.Messages(room="lobby", epoch=_LOBBY, messages=[_GREETING, _ANSWER]),
    events.Private(
        id="17c6a5b4938271f0", sender="alice", to="bob", message="Are you there?", sent_at=1767268815000
    ),
    events.Ack(room="cats", seq=7, epoch=_CATS, id="c4d5e6f708192a3b", ref="r1"),
    events.Ack(room="cats"),
    events.Joined(room="cats", seq=6, epoch=_CATS, members={"alice": 1, "bob": 2}, count=3, ref="r3"),
    events.Joined(room="football", seq=8120, epoch=_FOOTBALL, members={}, count=3410, ref="r8"),
    events.Left(room="cats"),
    events.Presence(room="cats", name="alice", event="join", at=1767268806120),
    events.Presence(room="cats", name="alice", event="leave", at=1767268901440),
    events.Presence(room="cats", name="bob", event="leave", at=1767268907015, names=["bob", "carol"]),
    events.Occupancy(room="football", count=3412),
    events.Typing(room="cats", sender="bob", typing=True),
    events.WhoIsThere(room="lobby", members={"alice": 1, "bob": 2}, nameless=1, count=4),
    events.WhoIsThere(
        room="football", members={"dave": 1, "erin": 2}, nameless=97, count=3412, more=True, after="OWUwYQ"
    ),
    events.RoomList(rooms={"lobby": 4, "cats": 3}),
    events.StoredMessages(
        room="lobby",
        seq=42,
        epoch=_LOBBY,
        messages=[_GREETING, _ANSWER],
        more=True,
        complete=True,
        through=42,
    ),
    events.Named(name="alice"),
    events.Authenticated(name="alice", expires_at=1767272400, ref="r7"),
    events.Pong(ref="r4"),
    events.HelpText(actions={"onMessage": ["message", "[room]", "[ref]"], "ping": ["[ref]"]}),
    UNREGISTERED,
    OUTDATED,
    SLOW,
    FLOODING,
    explain(BadRequest("room", Room.rule), "", _BAD_ROOM),
    explain(NotInRoom("dogs"), "", _NOT_IN_DOGS),
    explain(RateLimited(1), "", _NOT_IN_DOGS),
]


def frames_of(action: str) -> list[dict[str, Any]]:
    """The example frames of an action."""
    return [frame for frame in FRAMES if frame["action"] == action]


def events_of(name: str) -> list[events.Event]:
    """The example events of a ``type``."""
    return [event for event in EVENTS if payload(event)["type"] == name]


def payload(event: events.Event) -> dict[str, Any]:
    """The JSON form of an event."""
    rendered: dict[str, Any] = json.loads(events.render(event, events.Form.JSON) or "")
    return rendered
