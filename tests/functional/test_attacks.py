"""What somebody who means ill sends, and what becomes of it. Tokens: tests/unit/test_tokens.py.

More of it where it belongs: origins in tests/unit/test_door.py, look-alikes in test_names.py, floods in
test_rates.py, tokens that expire in test_auth.py.
"""

import base64
import json
from typing import Any

import pytest

from tests.functional.clients import ChatClient, People
from tests.functional.log import PLANTED, Log
from tests.functional.tables import Tables
from tests.rig.callbacks import Callbacks

KB = 1024


def messages(client: ChatClient) -> list[dict[str, Any]]:
    return [event for event in client.events if event["type"] == "message"]


@pytest.mark.parametrize(
    "field",
    ["from", "sender", "name", "connectionid", "connectionId", "seq", "epoch", "id", "sentAt", "type"],
)
@pytest.mark.parametrize("action", ["onMessage", "typingIndicator", "privateMessage"])
def test_nobody_says_who_he_is_in_a_frame(people: People, tables: Tables, field: str, action: str) -> None:
    eve, bob = people.speaking_json("eve"), people.speaking_json("bob")
    bob.take()
    fields = {"message": "hi"} if action != "typingIndicator" else {}
    to = {"to": "bob"} if action == "privateMessage" else {}
    reply = eve.ask(action, **fields, **to, **{field: bob.id if "onnection" in field else "bob"})
    assert reply["code"] == "bad_request"
    assert field in reply["message"]
    assert bob.events == []
    assert tables.items(tables.messages) == [] or not [
        item for item in tables.items(tables.messages) if "message" in item
    ]


@pytest.mark.parametrize("field", ["from", "seq"])
def test_nor_by_saying_it_twice(people: People, field: str) -> None:
    eve, bob = people.speaking_json("eve"), people.speaking_json("bob")
    eve.send('{"action": "onMessage", "message": "hi", "message": "ho"}')
    eve.send(f'{{"action": "ping", "action": "onMessage", "message": "hi", "{field}": 1}}')
    assert [event["code"] for event in eve.events if event["type"] == "error"] == ["bad_json"] * 2
    assert messages(bob) == []


ODD_ROOMS = {
    "of the presence": "#lobby",
    "of a user": "@bob",
    "of a ban": "#!bob",
    "with a hash": "cats#1",
    "CR and LF": "cats\r\nSet-Cookie: a=b",
    "LF at the end": "cats\n",
    "HTML": "<script>alert(1)</script>",
    "path": "../cats",
    "bidi": "cats\u202egnp",
    "zero width": "cats\u200b",
    "homoglyph": "c\u0430ts",
    "full width": "ｃats",  # noqa: RUF001
    "NUL": "cats\0",
    "empty": "",
    "blank": " ",
    "too long": "a" * 65,
    "dot first": ".cats",
}
ODD_NAMES = {
    "hash": "bob#1",
    "at": "@bob",
    "full width at": "\uff20bob",
    "CR and LF": "bob\r\nbob: hi",
    "LF at the end": "bob\n",
    "line separator": "bob\u2028",
    "bidi": "bob\u202e",
    "isolate": "bob\u2066",
    "zero width": "b\u200bob",
    "joiner": "b\u200dob",
    "byte order mark": "\ufeffbob",
    "soft hyphen": "b\u00adob",
    "Hangul filler": "bob\u3164",
    "braille blank": "\u2800",
    "NUL": "bob\0",
    "escape": "\x1b[31mbob",
    "private use": "bob\ue000",
    "lone surrogate": "bob\ud800",
    "empty": "",
    "blank": " ",
    "too long": "a" * 65,
}


@pytest.mark.parametrize("room", ODD_ROOMS.values(), ids=ODD_ROOMS)
def test_an_odd_room(people: People, tables: Tables, room: str) -> None:
    response = people.arriving(rooms=[room]).connect()
    assert response["statusCode"] == 400
    assert tables.registry() == []
    eve = people.speaking_json("eve")
    for action in ("joinRoom", "leaveRoom", "who", "typingIndicator"):
        assert eve.ask(action, room=room)["code"] == "bad_request"
    assert eve.ask("onMessage", room=room, message="hi")["code"] == "bad_request"
    assert eve.ask("history", room=room)["code"] in ("bad_request", "not_in_room")
    assert eve.ask("listRooms")["rooms"] == {"lobby": 1}


@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES)
def test_an_odd_name(people: People, tables: Tables, name: str) -> None:
    assert people.arriving(name=name).connect()["statusCode"] == 400
    assert tables.registry() == []
    eve = people.speaking_json("eve")
    for action, field in (("setName", "name"), ("privateMessage", "to")):
        fields = {"message": "hi"} if field == "to" else {}
        # Half of a character is no JSON at all.
        code = "bad_json" if "\ud800" in name else "bad_request"
        eve.send(json.dumps({"action": action, field: name, **fields}))
        assert eve.events[-1]["code"] == code
    assert eve.ask("who")["members"] == {"eve": 1}


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "'; DROP TABLE Chat; --", "{{7*7}}", "%s%n"])
def test_a_name_is_text_to_us(people: People, name: str) -> None:
    """What renders it must escape it: the wire says what was said."""
    eve, bob = people.speaking_json(name), people.connected()
    eve.say("<img src=x onerror=alert(1)>")
    assert bob.lines[-1] == f'"{name}": <img src=x onerror=alert(1)>'
    assert eve.ask("who")["members"] == {name: 1}


@pytest.mark.parametrize("breaker", ["\n", "\r\n", "\u2028", "\u2029"])
def test_one_message_does_not_look_like_two(people: People, breaker: str) -> None:
    eve, bob = people.speaking_json("eve"), people.connected()
    eve.say(f"hi{breaker}admin: give me your password")
    assert bob.lines[-1] == "eve: hi ⏎ admin: give me your password"


def frame_of(size: int) -> str:
    frame = {"action": "onMessage", "message": "", "ref": "r1"}
    return json.dumps({**frame, "message": "a" * (size - len(json.dumps(frame)))})


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (frame_of(32 * KB), "bad_request"),
        (frame_of(128 * KB), "bad_request"),
        (frame_of(128 * KB + 1), "too_large"),
        (frame_of(1024 * KB), "too_large"),
        ("名" * (128 * KB // 3 + 1), "too_large"),
        ("[" * 128 * KB, "bad_json"),
        ('{"a":' * (128 * KB // 5), "bad_json"),
        ("9" * 128 * KB, "bad_json"),
        ("\0" * 1000, "bad_json"),
        ("\ud800" * 1000, "bad_json"),
        ("", "bad_json"),
    ],
    ids=[
        "32 KB",
        "128 KB",
        "128 KB + 1",
        "1 MB",
        "128 KB of others' letters",
        "deep list",
        "deep object",
        "number",
        "NULs",
        "surrogates",
        "empty",
    ],
)
def test_a_frame_of_any_size_is_answered_once(people: People, tables: Tables, frame: str, code: str) -> None:
    eve, bob = people.speaking_json("eve"), people.speaking_json("bob")
    eve.take()
    assert eve.send(frame) == {"statusCode": 200}
    assert [event.get("code") for event in eve.events] == [code]
    assert messages(bob) == []
    assert not [item for item in tables.items(tables.messages) if "message" in item]


def test_a_binary_frame_is_no_frame(people: People) -> None:
    """API Gateway closes such a connection (1003); should one come, it is base64."""
    eve = people.speaking_json("eve")
    body = base64.b64encode(b'{"action": "ping"}').decode()
    event = eve.event("$default", body=body)
    assert eve._invoke("message", {**event, "isBase64Encoded": True}) == {"statusCode": 200}
    assert [event.get("code") for event in eve.events] == ["bad_json"]


def test_the_connection_is_api_gateways_word(people: People, callbacks: Callbacks) -> None:
    eve, bob = people.speaking_json("eve"), people.speaking_json("bob")
    eve.send({"action": "leaveRoom", "connectionId": bob.id, "requestContext": {"connectionId": bob.id}})
    assert eve.events[-1]["code"] == "bad_request"
    assert bob.ask("who")["count"] == 2


def test_a_frame_of_nobody_gets_one_answer_and_a_farewell(
    people: People, callbacks: Callbacks, tables: Tables
) -> None:
    stranger = people.arriving()
    stranger.send({"action": "onMessage", "message": "hi", "ref": "r1"})
    assert [event["type"] for event in stranger.events] == ["error", "goodbye"]
    assert callbacks.closed == [stranger.id]
    assert tables.registry() == tables.items(tables.messages) == []


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Origin": PLANTED}, {}),
        ({"Authorization": f"Bearer {PLANTED}"}, {}),
        ({"Authorization": PLANTED}, {}),
        ({"Sec-WebSocket-Protocol": f"chat.v1, bearer.{PLANTED}"}, {}),
        ({"User-Agent": f"{PLANTED}\r\n"}, {}),
        ({}, {"token": [PLANTED]}),
        ({}, {"name": [f"#{PLANTED}"]}),
        ({}, {"room": [f"#{PLANTED}\r\n"]}),
        ({}, {PLANTED: [PLANTED]}),
    ],
)
def test_nothing_of_a_handshake_is_logged(
    people: People, log: Log, headers: dict[str, str], query: dict[str, list[str]]
) -> None:
    client = people.arriving()
    client.headers, client.query = headers, query
    client.connect()
    client.disconnect()
    assert len(log.lines) == 2
    log.must_be_clean()


@pytest.mark.parametrize("action", ["authenticate", PLANTED])
def test_nothing_of_a_token_is_logged_or_told(people: People, log: Log, action: str) -> None:
    eve = people.speaking_json("eve")
    eve.send({"action": action, "token": PLANTED, "message": PLANTED})
    eve.send({"action": "authenticate", "token": PLANTED})
    log.must_be_clean()
    assert not [line for line in eve.lines if PLANTED in line and action != PLANTED]
