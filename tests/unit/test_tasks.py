"""Tasks, on their way through a queue."""

from collections.abc import Collection
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.errors import BadTask, QueueUnavailable
from chalicelib.storage.presence import Crossing
from chalicelib.storage.rooms import Member
from chalicelib.tasks import (
    MOST_BYTES,
    MOST_ENTRIES,
    MOST_MEMBERS,
    Chunk,
    Prune,
    PumpRoom,
    RestOfRoom,
    Task,
    TaskQueue,
    TellOccupancy,
    TellPresence,
    decode,
)
from chalicelib.wire.events import Form
from chalicelib.wire.fields import Room

ENDPOINT = "https://a.example/dev"


def members(number: int) -> list[Member]:
    return [Member(f"c{each}=", "ann" if each % 2 else None, Form.JSON, 1, 2) for each in range(number)]


def chunk(number: int = 3, payload: str = "hi", **fields: Any) -> Chunk:
    return Chunk(endpoint=ENDPOINT, room="lobby", payload=payload, members=members(number), **fields)


@pytest.mark.parametrize(
    "payload", ["hi", "\N{WAVING HAND SIGN} 'ü\"\\", "\ufffe\uffff", "\x7f\x85\u2028", ""], ids=ascii
)
def test_a_chunk_comes_back_as_it_was(payload: str) -> None:
    original = chunk(payload=payload, passing=True, attempt=2)
    assert decode(original.encode()) == original


def test_a_message_of_sqs_has_no_noncharacters() -> None:
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    body = chunk(payload="".join(map(chr, [*range(32), 0x7F, 0xFFFD, 0xFFFE, 0xFFFF]))).encode()
    assert not {*map(chr, range(32)), "\ufffe", "\uffff"} & set(body)


def test_a_room_of_the_wire_is_a_string() -> None:
    original = Chunk(endpoint=ENDPOINT, room=Room.parse("cats"), payload="hi", members=[])
    assert decode(original.encode()) == original


@pytest.mark.parametrize(
    "task",
    [
        PumpRoom(endpoint=ENDPOINT, room="cats", attempt=3),
        RestOfRoom(endpoint=ENDPOINT, room="cats", payloads={Form.JSON: "{}"}, after="c1=", but="c2="),
        TellPresence(endpoint=ENDPOINT, room="cats", crossings=[Crossing("ann", "join", 7)], but="c1="),
        TellOccupancy(endpoint=ENDPOINT, room="cats", born_ms=5),
        Prune(endpoint=ENDPOINT, room=None, members=members(2)),
    ],
    ids=lambda task: type(task).__name__,
)
def test_a_task_comes_back_as_it_was(task: Task) -> None:
    assert decode(task.encode()) == task


@pytest.mark.parametrize("body", ["", "{}", "[]", '{"endpoint": 1}', "\x00", chunk().encode()[:-1]])
def test_what_is_no_task_is_poison(body: str) -> None:
    with pytest.raises(BadTask):
        decode(body)


def test_the_rest_is_who_is_left_with_another_attempt() -> None:
    rest = chunk(attempt=1).rest({"c0=", "c2="})
    assert rest
    assert ([member.id for member in rest.members], rest.attempt) == (["c0=", "c2="], 2)
    assert chunk().rest(set()) is None
    assert chunk(passing=True).rest({"c0="}) is None


def test_what_is_of_no_use_late_is_no_work_for_workers() -> None:
    assert chunk(passing=True).pieces() == []


def test_a_large_room_is_cut_into_pieces_for_workers() -> None:
    pieces = chunk(2 * MOST_MEMBERS + 1).pieces()
    assert [len(piece.members) for piece in pieces] == [MOST_MEMBERS, MOST_MEMBERS, 1]
    assert {piece.attempt for piece in pieces} == {1}
    assert [member for piece in pieces for member in piece.members] == members(2 * MOST_MEMBERS + 1)


class Sqs:
    """Stands for boto3's SQS client: refuses the entries whose number is in ``refused``, the first time."""

    def __init__(self, refused: Collection[int] = (), error: Exception | None = None) -> None:
        self.batches: list[list[dict[str, Any]]] = []
        self._refused = refused
        self._error = error

    def get_queue_url(self, **arguments: str) -> dict[str, str]:
        return {"QueueUrl": f"https://sqs.example/{arguments['QueueName']}"}

    def send_message_batch(self, **arguments: Any) -> dict[str, Any]:
        if self._error:
            raise self._error
        self.batches.append(arguments["Entries"])
        refused, self._refused = self._refused, ()
        return {"Failed": [{"Id": str(number)} for number in refused]}


def put(sqs: Sqs, *chunks: Chunk, delay: int = 0) -> None:
    TaskQueue(lambda: sqs, "queue", lambda: 1.5).put(chunks, delay)


def test_no_batch_is_larger_than_sqs_takes() -> None:
    sqs = Sqs()
    put(sqs, *[chunk(1, payload="x" * 128 * 1024)] * 25)
    assert sum(len(batch) for batch in sqs.batches) == 25
    for batch in sqs.batches:
        assert len(batch) <= MOST_ENTRIES
        assert sum(len(entry["MessageBody"].encode()) for entry in batch) <= MOST_BYTES
        assert len({entry["Id"] for entry in batch}) == len(batch)


def test_what_was_refused_is_put_again_alone() -> None:
    sqs = Sqs(refused={1})
    put(sqs, chunk(1), chunk(2), chunk(3), delay=7)
    assert [[decode(entry["MessageBody"]) for entry in batch] for batch in sqs.batches] == [
        [chunk(1, born_ms=1500), chunk(2, born_ms=1500), chunk(3, born_ms=1500)],
        [chunk(2, born_ms=1500)],
    ]
    assert {entry["DelaySeconds"] for batch in sqs.batches for entry in batch} == {7}


def test_a_task_that_comes_again_is_as_old_as_it_is() -> None:
    sqs = Sqs()
    put(sqs, chunk(born_ms=7))
    assert decode(sqs.batches[0][0]["MessageBody"]) == chunk(born_ms=7)


def test_no_error_of_botocore_comes_out() -> None:
    error = ClientError({"Error": {"Code": "AccessDenied"}}, "SendMessageBatch")
    with pytest.raises(QueueUnavailable) as caught:
        put(Sqs(error=error), chunk())
    assert caught.value.__cause__ is error


def test_nothing_is_asked_for_nothing() -> None:
    sqs = Sqs()
    put(sqs)
    assert sqs.batches == []
