"""Who is in a room: the memberships in ``ChatRooms``, read page by page."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from ..wire.events import Form
from .faults import translated
from .pages import live_pages


class Member(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One connection's membership of a room; an array where it is written as JSON.

    Attributes:
        id: API Gateway's connection id.
        name: The user's name; None for a nameless connection.
        form: How it wants its events.
        joined_at: Unix time in ms; the connection is at least that old.
        expires_at: Unix time in s, from which it does not count any more.
    """

    id: str
    name: str | None
    form: Form
    joined_at: int
    expires_at: int


class Rooms:
    """Reads the members of rooms.

    Args:
        client: boto3's DynamoDB client.
        table: Table of the memberships.
        clock: Unix time in s.
        page_size: Most items of a page. The default can be sent to in the time in which the next page is
            read; DynamoDB's own limit is 1 MB, some 8,000 memberships.
    """

    def __init__(
        self, client: Any, table: str, clock: Callable[[], float] = time.time, page_size: int = 1000
    ) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._page_size = page_size

    def pages(self, room: str, after: str | None = None) -> Iterator[list[Member]]:
        """Read the members of a room that have not expired, a page at a time, as they are then.

        Args:
            room: The room.
            after: Members that come after this connection; None for all.

        Raises:
            StorageUnavailable: A page could not be read.
        """
        pages = live_pages(self._client.query, self._clock, **self._query(room, after, self._page_size))
        return ([to_member(item) for item in page] for page in pages)

    def members(self, room: str) -> Iterator[Member]:
        """Read the members of a room, as ``pages`` does."""
        return (member for page in self.pages(room) for member in page)

    def part(self, room: str, limit: int, after: str | None = None) -> tuple[list[Member], str | None]:
        """Read so many members of a room, by one query.

        Returns:
            Those that have not expired, and the connection after which to read on; None where that is all.

        Raises:
            StorageUnavailable: They could not be read.
        """
        with translated():
            answer = self._client.query(**self._query(room, after, limit))
        members = [to_member(item) for item in answer["Items"]]
        last = answer.get("LastEvaluatedKey")
        now = self._clock()
        return [each for each in members if each.expires_at > now], last and last["connectionid"]["S"]

    def count(self, room: str) -> int:
        """Count the members of a room by reading all of them.

        Raises:
            StorageUnavailable: A page could not be read.
        """
        return sum(len(page) for page in self.pages(room))

    def _query(self, room: str, after: str | None, limit: int) -> dict[str, Any]:
        begin = {"roomId": {"S": room}, "connectionid": {"S": after}} if after is not None else None
        return {
            "TableName": self._table,
            "KeyConditionExpression": "roomId = :room",
            "ExpressionAttributeValues": {":room": {"S": room}},
            "ConsistentRead": True,
            "Limit": limit,
            **({"ExclusiveStartKey": begin} if begin else {}),
        }


def to_member(item: dict[str, Any]) -> Member:
    """Read a membership from its item."""
    return Member(
        id=item["connectionid"]["S"],
        name=item["name"]["S"] if "name" in item else None,
        form=Form(item["form"]["S"]),
        joined_at=int(item["joinedAt"]["N"]),
        expires_at=int(item["expiresAt"]["N"]),
    )


def to_item(room: str, member: Member) -> dict[str, Any]:
    """Make the item of a membership."""
    item = {
        "roomId": {"S": room},
        "connectionid": {"S": member.id},
        "form": {"S": member.form.value},
        "joinedAt": {"N": str(member.joined_at)},
        "expiresAt": {"N": str(member.expires_at)},
    }
    if member.name is not None:
        item["name"] = {"S": member.name}
    return item
