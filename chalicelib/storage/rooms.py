"""Who is in a room: the memberships in ``ChatRooms``, read page by page."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from ..wire.events import Form
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

    def pages(self, room: str) -> Iterator[list[Member]]:
        """Read the members of a room that have not expired, a page at a time, as they are then.

        Raises:
            StorageUnavailable: A page could not be read.
        """
        pages = self._pages(
            self._client.query,
            KeyConditionExpression="roomId = :room",
            ExpressionAttributeValues={":room": {"S": room}},
            ConsistentRead=True,
            Limit=self._page_size,
        )
        return ([to_member(item) for item in page] for page in pages)

    def members(self, room: str) -> Iterator[Member]:
        """Read the members of a room, as ``pages`` does."""
        return (member for page in self.pages(room) for member in page)

    def sizes(self) -> Counter[str]:
        """Count the connections of each room that has any, personal rooms left out.

        This reads all memberships there are, 1 MB (some 8,000 of them) a request.

        Raises:
            StorageUnavailable: A page could not be read.
        """
        pages = self._pages(self._client.scan, ProjectionExpression="roomId, expiresAt")
        ids = (item["roomId"]["S"] for page in pages for item in page)
        return Counter(room for room in ids if room[0] not in "@#")

    def _pages(self, read: Callable[..., Any], **arguments: Any) -> Iterator[list[dict[str, Any]]]:
        return live_pages(read, self._clock, TableName=self._table, **arguments)


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
