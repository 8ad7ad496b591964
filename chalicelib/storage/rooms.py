"""Who is in a room: the memberships in ``ChatRooms``, read page by page."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..wire.events import Form
from .pages import live_pages


@dataclass(frozen=True)
class Member:
    """One connection's membership of a room.

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
        """Read the members of a room that have not expired, a page at a time, as they are then.

        Raises:
            StorageUnavailable: A page could not be read.
        """
        pages = self._pages(
            self._client.query,
            KeyConditionExpression="roomId = :room",
            ExpressionAttributeValues={":room": {"S": room}},
            ConsistentRead=True,
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
        return live_pages(read, self._clock, TableName=self._table, **self._limit, **arguments)


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
