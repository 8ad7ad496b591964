"""Who is in a room: the memberships in ``ChatRooms``, read page by page."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..wire.events import Form
from .faults import translated


@dataclass(frozen=True)
class Member:
    """One connection's membership of a room.

    Attributes:
        id: API Gateway's connection id.
        name: The user's name; None for a nameless connection.
        form: How it wants its events.
        joined_at: Unix time in ms; the connection is at least that old.
    """

    id: str
    name: str | None
    form: Form
    joined_at: int


class Rooms:
    """Reads the members of rooms.

    Args:
        client: boto3's DynamoDB client.
        table: Table of the memberships.
        clock: Unix time in s.
        page_size: Most items of a page; DynamoDB's own limit is 1 MB.
    """

    def __init__(
        self, client: Any, table: str, clock: Callable[[], float] = time.time, page_size: int | None = None
    ) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._limit = {} if page_size is None else {"Limit": page_size}

    def pages(self, room: str) -> Iterator[list[Member]]:
        """Read the members of a room, a page at a time, as they are at the time of reading.

        Members that have expired are left out: DynamoDB deletes them days later.

        Raises:
            StorageUnavailable: A page could not be read.
        """
        start: dict[str, Any] = {}
        while True:
            with translated():
                page = self._client.query(
                    TableName=self._table,
                    KeyConditionExpression="roomId = :room",
                    ExpressionAttributeValues={":room": {"S": room}},
                    ConsistentRead=True,
                    **self._limit,
                    **start,
                )
            now = self._clock()
            yield [_from_item(item) for item in page["Items"] if int(item["expiresAt"]["N"]) > now]
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def remove(self, room: str, connection_id: str) -> None:
        """Remove one membership, there or not.

        Raises:
            StorageUnavailable: DynamoDB did not do it.
        """
        key = {"roomId": {"S": room}, "connectionid": {"S": connection_id}}
        with translated():
            self._client.delete_item(TableName=self._table, Key=key)


def _from_item(item: dict[str, Any]) -> Member:
    return Member(
        id=item["connectionid"]["S"],
        name=item["name"]["S"] if "name" in item else None,
        form=Form(item["form"]["S"]),
        joined_at=int(item["joinedAt"]["N"]),
    )
