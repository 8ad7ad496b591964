"""What one Lambda leaves for another to send: chunks of recipients, by way of SQS.

SQS gives a chunk at least once and in any order. A client drops what it has by ``seq`` or ``id``.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from .errors import BadChunk, QueueUnavailable
from .storage.faults import TRIES, pause
from .storage.rooms import Member

# A worker sends to so many in tens of milliseconds; with a payload of 128 KB they stay below SQS's 1 MiB.
MOST_MEMBERS = 500
# What SendMessageBatch takes: so many messages, 1 MiB in all.
MOST_ENTRIES = 10
MOST_BYTES = 1024 * 1024
# JSON may have these two as they are, a message of SQS may not.
_ESCAPES = str.maketrans({"\ufffe": "\\ufffe", "\uffff": "\\uffff"})


class Chunk(msgspec.Struct, frozen=True):
    """One payload, and connections that are to get it.

    Attributes:
        endpoint: The API's callback URL: a worker has no event that names it.
        room: The room whose members they are; None for a reply.
        payload: The text frame.
        members: The connections, all of the payload's form.
        passing: It is not worth a second attempt.
        attempt: 0 in the Lambda that the event arose in, 1 for the first worker.
    """

    endpoint: str
    room: str | None
    payload: str
    members: list[Member]
    passing: bool = False
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
        """The chunk in parts for workers."""
        parts = range(0, len(self.members), MOST_MEMBERS)
        return [
            msgspec.structs.replace(self, members=self.members[part : part + MOST_MEMBERS], attempt=1)
            for part in parts
        ]

    @classmethod
    def decode(cls, body: str) -> "Chunk":
        """Read a chunk from a message.

        Raises:
            BadChunk: It is none.
        """
        try:
            return msgspec.json.decode(body, type=cls)
        except msgspec.DecodeError as error:
            raise BadChunk from error

    def encode(self) -> str:
        """Make the body of a message."""
        # The types of wire.fields are strings too, which msgspec does not know.
        return msgspec.json.encode(self, enc_hook=str).decode().translate(_ESCAPES)


class ChunkQueue:
    """Puts chunks on an SQS queue.

    Args:
        client: Makes boto3's SQS client, at the first use.
        name: Name of the queue.
    """

    def __init__(self, client: Callable[[], Any], name: str) -> None:
        self._client = client
        self._name = name
        self._url: str | None = None

    def put(self, chunks: Iterable[Chunk], delay_seconds: int = 0) -> None:
        """Put chunks on the queue, to be given to a worker after a delay.

        Raises:
            QueueUnavailable: SQS did not take all of them, after the retries.
        """
        try:
            if self._url is None:
                self._url = self._client().get_queue_url(QueueName=self._name)["QueueUrl"]
            for batch in _batches([chunk.encode() for chunk in chunks]):
                self._put_batch(batch, delay_seconds)
        except (ClientError, BotoCoreError) as error:
            raise QueueUnavailable from error

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


def _batches(bodies: list[str]) -> Iterator[list[str]]:
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
