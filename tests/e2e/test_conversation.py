"""Conversations on the deployed stack, by several clients at once."""

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from websockets.sync.client import ClientConnection

from tests.e2e.local_stack import LocalStack
from tests.e2e.waiting import eventually

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


def said(text: str) -> str:
    return f'{{"action": "onMessage", "message": "{text}"}}'


def test_everybody_hears_who_speaks(crowd: list[ClientConnection]) -> None:
    alice, nameless, *_ = crowd
    alice.send(said("hi"))
    assert [client.recv(timeout=5) for client in crowd] == ["alice: hi"] * 5
    nameless.send(said("hello"))
    assert [client.recv(timeout=5) for client in crowd] == ["Echo: hello"] * 5


def test_rooms_are_apart(stack: LocalStack) -> None:
    with stack.connect("?name=ann&room=a") as ann, stack.connect("?name=bob&room=b") as bob:
        for client, room, line in ((ann, "a", "[a] ann: hi"), (bob, "b", "[b] bob: hi")):
            client.send(f'{{"action": "onMessage", "message": "hi", "room": "{room}"}}')
            assert client.recv(timeout=5) == line
        for client in (ann, bob):
            client.send('{"action": "ping"}')
            # The next that it hears, with nothing of the other room before.
            assert client.recv(timeout=5) == "pong"


@pytest.mark.parametrize("frame", BAD_FRAMES.values(), ids=BAD_FRAMES)
def test_a_bad_frame_gets_one_error_and_the_socket_stays(stack: LocalStack, frame: str) -> None:
    with stack.connect() as client:
        client.send(frame)
        reply = str(client.recv(timeout=5))
        assert reply.startswith("Error: ")
        assert "\n" not in reply
        client.send('{"action": "ping"}')
        assert client.recv(timeout=5) == "pong"


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
        assert [client.recv(timeout=5) for client in (alice, *others)] == [f"alice: {text}"] * 4


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
    assert [client.recv(timeout=5) for client in crowd] == ["alice: hi"] * 5
    assert eventually(lambda: len(stack.items("connections")) == 5)
    assert eventually(lambda: len(stack.items("rooms")) == 5)
