"""The head of a room, one item in ``ChatMessages``: how far its log is, and which membership it has.

The version of the membership changes after each change of who is in the room. It rides on the head
because each message updates that anyway, so who speaks learns it for free. It is written after the
membership, by a request of its own: a transaction on an item that each message updates would meet
conflicts in every busy room. So a crash in between leaves the version behind, and who relies on it looks
again after some time.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .faults import translated

DAY = 24 * 60 * 60


@dataclass(frozen=True)
class Head:
    """What is known of a room as a whole.

    Attributes:
        seq: Number of the last message, 0 before the first.
        epoch: Random id of this numbering; None before the first message.
        since: Unix time in s of the first message.
        members_version: Another one after each change of who is in the room.
    """

    seq: int = 0
    epoch: str | None = None
    since: int = 0
    members_version: int = 0


class Heads:
    """Reads and moves the heads; all methods raise ``StorageUnavailable`` when DynamoDB does not do it.

    Args:
        client: boto3's DynamoDB client.
        table: Table of the messages.
        history_days: How long messages are kept, and a head beyond them.
        clock: Unix time in s.
    """

    def __init__(
        self, client: Any, table: str, history_days: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._table = table
        self._kept = history_days * DAY
        self._clock = clock

    def read(self, room: str) -> Head:
        """Read the head of a room."""
        with translated():
            answer = self._client.get_item(TableName=self._table, Key=_key(room), ConsistentRead=True)
        return _to_head(answer.get("Item", {}))

    def next_message(self, room: str) -> Head:
        """Take the next number of a room, and begin its log where there is none."""
        return self._update(
            room,
            "ADD seq :one SET epoch = if_not_exists(epoch, :epoch), "
            "since = if_not_exists(since, :now), expiresAt = :expires",
            {":epoch": {"S": secrets.token_hex(8)}, ":now": {"N": str(int(self._clock()))}},
        )

    def members_changed(self, room: str) -> None:
        """Give the membership of a room another version. Personal rooms have none."""
        if not room.startswith("@"):
            self._update(
                room, "ADD membersVersion :one SET expiresAt = if_not_exists(expiresAt, :expires)", {}
            )

    def _update(self, room: str, expression: str, values: dict[str, Any]) -> Head:
        # After all its messages: a number must not come again while a message has it.
        expires = int(self._clock()) + self._kept + 2 * DAY
        with translated():
            answer = self._client.update_item(
                TableName=self._table,
                Key=_key(room),
                UpdateExpression=expression,
                ExpressionAttributeValues={":one": {"N": "1"}, ":expires": {"N": str(expires)}, **values},
                ReturnValues="ALL_NEW",
            )
        return _to_head(answer["Attributes"])


def _key(room: str) -> dict[str, Any]:
    return {"roomId": {"S": room}, "entry": {"S": "head"}}


def _to_head(item: dict[str, Any]) -> Head:
    return Head(
        seq=int(item["seq"]["N"]) if "seq" in item else 0,
        epoch=item["epoch"]["S"] if "epoch" in item else None,
        since=int(item["since"]["N"]) if "since" in item else 0,
        members_version=int(item["membersVersion"]["N"]) if "membersVersion" in item else 0,
    )
