"""Conversations on the deployed stack, by several clients at once."""

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection
from websockets.typing import Subprotocol

from tests.e2e.local_stack import LocalStack
from tests.waiting import eventually

ALICE = "?name=alice"

BAD_FRAMES = {
    "no JSON": "hello",
    "empty object": "{}",
    "array": "[]",
    "null": "null",
    "None": "None",
    "NaN": "NaN",
    "5,000 digits": '{"action": ' + "9" * 5_000 + "}",
    # Deeper, and MiniStack itself fails: it reads the frame to select the route.
    "deep": "[" * 500 + "]" * 500,
    "duplicate keys": '{"action": "ping", "action": "ping"}',
    "unknown action": '{"action": "dance"}',
    "action of a wrong type": '{"action": 1}',
    "message missing": '{"action": "onMessage"}',
    "message of a wrong type": '{"action": "onMessage", "message": {}}',
    "message too long": '{"action": "onMessage", "message": "' + "a" * 4_097 + '"}',
    "lone surrogate": '{"action": "onMessage", "message": "\\ud800"}',
    "unknown field": '{"action": "ping", "colour": "red"}',
    "room of others": '{"action": "onMessage", "message": "hi", "room": "elsewhere"}',
}


@pytest.fixture
def crowd(stack: LocalStack) -> Iterator[list[ClientConnection]]:
    """Five connected clients, the first of them alice, and nobody else."""
    assert eventually(lambda: not stack.items("connections"))
    with ExitStack() as closing:
        yield [closing.enter_context(stack.connect(query)) for query in (ALICE, "", "", "", "")]


def hears(client: ClientConnection) -> str:
    """The next that a client hears, apart from who comes and goes: the test before may be ending still."""
    while (line := str(client.recv(timeout=5))).startswith("* "):
        pass
    return line


def said(text: str) -> str:
    return f'{{"action": "onMessage", "message": "{text}"}}'


def test_everybody_hears_who_speaks(crowd: list[ClientConnection]) -> None:
    alice, nameless, *_ = crowd
    alice.send(said("hi"))
    assert [hears(client) for client in crowd] == ["alice: hi"] * 5
    nameless.send(said("hello"))
    assert [hears(client) for client in crowd] == ["Echo: hello"] * 5


def test_rooms_are_apart(stack: LocalStack) -> None:
    with stack.connect("?name=ann&room=a") as ann, stack.connect("?name=bob&room=b") as bob:
        for client, room, line in ((ann, "a", "[a] ann: hi"), (bob, "b", "[b] bob: hi")):
            client.send(f'{{"action": "onMessage", "message": "hi", "room": "{room}"}}')
            assert hears(client) == line
        for client in (ann, bob):
            client.send('{"action": "ping"}')
            # The next that it hears, with nothing of the other room before.
            assert hears(client) == "pong"


@pytest.mark.parametrize("frame", BAD_FRAMES.values(), ids=BAD_FRAMES)
def test_a_bad_frame_gets_one_error_and_the_socket_stays(stack: LocalStack, frame: str) -> None:
    with stack.connect() as client:
        client.send(frame)
        reply = hears(client)
        assert reply.startswith("Error: ")
        assert "\n" not in reply
        client.send('{"action": "ping"}')
        assert hears(client) == "pong"


def test_the_subprotocol_is_confirmed(stack: LocalStack) -> None:
    for offered, confirmed in ((["bearer.x", "chat.v1"], "chat.v1"), (["chat.v2"], None)):
        with stack.connect("", *map(Subprotocol, offered)) as client:
            assert client.subprotocol == confirmed


def test_a_bad_name_is_refused(stack: LocalStack) -> None:
    with pytest.raises(Exception, match="403"), stack.connect("?name=%00"):
        pass


def test_a_socket_that_dies_stops_nobody(crowd: list[ClientConnection]) -> None:
    alice, dying, *others = crowd
    # No close frame, not even an end of the stream: a reset, as from a crash.
    dying.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    dying.socket.close()
    for text in ("one", "two"):
        alice.send(said(text))
        assert [hears(client) for client in (alice, *others)] == [f"alice: {text}"] * 4


def test_a_row_without_a_socket_stops_nobody_and_is_removed(
    stack: LocalStack, crowd: list[ClientConnection]
) -> None:
    alice = crowd[0]
    dynamodb = stack.client("dynamodb")
    # A connection of an hour ago whose $disconnect never came.
    ghost = next(item for item in stack.items("connections") if "name" not in item)
    membership = next(item for item in stack.items("rooms") if item["connectionid"] == ghost["connectionid"])
    changed = {"connectionid": {"S": "ghost0000000000="}}
    tables = stack.endpoints["tables"]
    dynamodb.put_item(
        TableName=tables["connections"], Item={**ghost, **changed, "connectedAt": {"N": "1700000000000"}}
    )
    dynamodb.put_item(
        TableName=tables["rooms"], Item={**membership, **changed, "joinedAt": {"N": "1700000000000"}}
    )
    alice.send(said("hi"))
    assert [hears(client) for client in crowd] == ["alice: hi"] * 5
    assert eventually(lambda: len(stack.items("connections")) == 5)
    assert eventually(
        lambda: not any(item["connectionid"] == changed["connectionid"] for item in stack.items("rooms"))
    )


def test_a_socket_that_is_not_registered_is_answered_and_closed(stack: LocalStack) -> None:
    assert eventually(lambda: not stack.items("connections"))
    with stack.connect() as client:
        [item] = stack.items("connections")
        key = {"connectionid": item["connectionid"]}
        dynamodb, tables = stack.client("dynamodb"), stack.endpoints["tables"]
        dynamodb.delete_item(TableName=tables["connections"], Key=key)
        dynamodb.delete_item(TableName=tables["rooms"], Key={"roomId": {"S": "lobby"}, **key})
        client.send('{"action": "ping"}')
        assert hears(client) == "pong"
        assert "not registered any more" in hears(client)
        with pytest.raises(ConnectionClosed):
            hears(client)
