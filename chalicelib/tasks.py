"""What one Lambda leaves for another to do, by way of SQS.

SQS gives a task at least once and in any order. Doing one twice harms nobody: a client drops what it has by
``seq``, ``id`` or ``at``, and the rest looks at what there is to do.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from .aws.errors import client_errors
from .aws.retries import pause
from .errors import BadTask, QueueUnavailable
from .storage.presence import Crossing
from .storage.rooms import Member
from .wire.events import Form

# A worker sends to so many in tens of milliseconds; with a payload of 128 KB they stay below SQS's 1 MiB.
MOST_MEMBERS = 500
# What SendMessageBatch takes: so many messages, 1 MiB in all.
MOST_ENTRIES = 10
MOST_BYTES = 1024 * 1024
# How often a batch is put, each time with those of its messages that SQS has not taken.
TRIES = 5
# What a message of SQS can be delayed by, in s.
LONGEST_DELAY = 900
# JSON may have these two as they are, a message of SQS may not.
_ESCAPES = str.maketrans({"\ufffe": "\\ufffe", "\uffff": "\\uffff"})


class Task(msgspec.Struct, frozen=True, kw_only=True, tag_field="task"):
    """Something to do.

    Attributes:
        endpoint: The API's callback URL: a worker has no event that names it.
        born_ms: Unix time in ms at which it was first put on the queue; 0 where that is not known.
    """

    endpoint: str
    born_ms: int = 0

    def encode(self) -> str:
        """Make the body of a message."""
        # The types of wire.fields are strings too, which msgspec does not know.
        return msgspec.json.encode(self, enc_hook=str).decode().translate(_ESCAPES)


class Chunk(Task, frozen=True, kw_only=True, tag="chunk"):
    """Send one payload to connections.

    Attributes:
        room: The room whose members they are; None for a reply.
        payload: The text frame.
        members: The connections, all of the payload's form.
        passing: It is not worth a second attempt.
        slow: They did not read what they had been sent before: after the last attempt they are closed.
        attempt: 0 in the Lambda that the event arose in, 1 for the first worker.
    """

    room: str | None
    payload: str
    members: list[Member]
    passing: bool = False
    slow: bool = False
    attempt: int = 0

    def only(self, members: list[Member]) -> "Chunk":
        """The same chunk for some of its members."""
        return msgspec.structs.replace(self, members=members)

    def rest(self, left: Collection[str]) -> "Chunk | None":
        """What is worth another attempt, with the ids that are left; None where that is nothing."""
        if not left or self.passing:
            return None
        members = [member for member in self.members if member.id in left]
        return msgspec.structs.replace(self, members=members, attempt=self.attempt + 1)

    def pieces(self) -> list["Chunk"]:
        """The chunk in parts for workers; none where it is of no use late."""
        if self.passing:
            return []
        parts = range(0, len(self.members), MOST_MEMBERS)
        return [
            msgspec.structs.replace(self, members=self.members[part : part + MOST_MEMBERS], attempt=1)
            for part in parts
        ]


class PumpRoom(Task, frozen=True, kw_only=True, tag="pump"):
    """Send what a room has not been sent yet.

    Attributes:
        room: The room.
        attempt: 1 for the first worker.
        left: The lease of whoever has left the room: nobody sends under it, ended or not.
    """

    room: str
    attempt: int = 1
    left: str | None = None


class RestOfRoom(Task, frozen=True, kw_only=True, tag="rest"):
    """Send an event to the members of a room that there was no time to read.

    Attributes:
        room: The room.
        payloads: The event in each form that has something to say.
        after: The members that come after this connection.
        but: A connection that does not get it.
    """

    room: str
    payloads: dict[Form, str]
    after: str
    but: str | None = None


class TellPresence(Task, frozen=True, kw_only=True, tag="presence"):
    """Tell a room who came and went.

    Attributes:
        room: The room.
        crossings: Who did.
        but: A connection that is not told.
    """

    room: str
    crossings: list[Crossing]
    but: str | None = None


class TellOccupancy(Task, frozen=True, kw_only=True, tag="occupancy"):
    """Tell a crowd how many it is."""

    room: str


class Prune(Task, frozen=True, kw_only=True, tag="prune"):
    """Remove connections that are gone.

    Attributes:
        room: The room whose members they are; None for one that was replied to.
        members: The connections.
    """

    room: str | None
    members: list[Member]


AnyTask = Chunk | PumpRoom | RestOfRoom | TellPresence | TellOccupancy | Prune
_TASK: msgspec.json.Decoder[AnyTask] = msgspec.json.Decoder(AnyTask)


def decode(body: str) -> AnyTask:
    """Read a task from a message.

    Raises:
        BadTask: It is none.
    """
    try:
        return _TASK.decode(body)
    except msgspec.DecodeError as error:
        raise BadTask from error


class TaskQueue:
    """Puts tasks on an SQS queue.

    Args:
        client: Makes a client with boto3's interface of SQS, at the first use.
        name: Name of the queue.
        clock: Unix time in s.
    """

    def __init__(self, client: Callable[[], Any], name: str, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._name = name
        self._clock = clock
        self._url: str | None = None

    def put(self, tasks: Sequence[Task], delay_seconds: int = 0) -> None:
        """Put tasks on the queue, to be given to a worker after a delay.

        Raises:
            QueueUnavailable: SQS did not take all of them, after the retries.
        """
        try:
            if self._url is None:
                self._url = self._client().get_queue_url(QueueName=self._name)["QueueUrl"]
            for batch in _batches(self._born(task).encode() for task in tasks):
                self._put_batch(batch, min(delay_seconds, LONGEST_DELAY))
        except client_errors() as error:
            raise QueueUnavailable from error

    def _born(self, task: Task) -> Task:
        """The task, with the time at which it was first put here: its age is logged."""
        return task if task.born_ms else msgspec.structs.replace(task, born_ms=int(self._clock() * 1000))

    def _put_batch(self, bodies: list[str], delay_seconds: int) -> None:
        entries = [
            {"Id": str(number), "MessageBody": body, "DelaySeconds": delay_seconds}
            for number, body in enumerate(bodies)
        ]
        for attempt in range(1, TRIES + 1):
            answer = self._client().send_message_batch(QueueUrl=self._url, Entries=entries)
            refused = {failure["Id"] for failure in answer.get("Failed", ())}
            entries = [entry for entry in entries if entry["Id"] in refused]
            if not entries:
                return
            pause(attempt)
        raise QueueUnavailable


def _batches(bodies: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for body in bodies:
        length = len(body.encode())
        if batch and (len(batch) == MOST_ENTRIES or size + length > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(body)
        size += length
    if batch:
        yield batch
