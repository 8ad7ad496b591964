"""Who is in a room: the memberships in ``ChatRooms``, read page by page."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from ..wire.events import Form
from .faults import translated

# A page of members, and the connection after which to read on; None where that is all.
Page = tuple[list["Member"], str | None]


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
        # A room of 10,000 must cost no more than its bytes do.
        self._read = self._read_directly if hasattr(client, "query_as") else self._read_plainly

    def pages(self, room: str, after: str | None = None) -> Iterator[list[Member]]:
        """Read the members of a room that have not expired, a page at a time, as they are then.

        Args:
            room: The room.
            after: Members that come after this connection; None for all.

        Raises:
            StorageUnavailable: A page could not be read.
        """
        while True:
            page, after = self.part(room, self._page_size, after)
            yield page
            if after is None:
                return

    def members(self, room: str) -> Iterator[Member]:
        """Read the members of a room, as ``pages`` does."""
        return (member for page in self.pages(room) for member in page)

    def part(self, room: str, limit: int, after: str | None = None) -> Page:
        """Read so many members of a room, by one query: those that have not expired.

        Raises:
            StorageUnavailable: They could not be read.
        """
        with translated():
            members, last = self._read(**self._query(room, after, limit))
        now = self._clock()
        return [each for each in members if each.expires_at > now], last

    def count(self, room: str) -> int:
        """Count the members of a room by reading all of them.

        Raises:
            StorageUnavailable: A page could not be read.
        """
        return sum(len(page) for page in self.pages(room))

    def _read_plainly(self, **request: Any) -> Page:
        answer = self._client.query(**request)
        last = answer.get("LastEvaluatedKey")
        return [to_member(item) for item in answer["Items"]], last and last["connectionid"]["S"]

    def _read_directly(self, **request: Any) -> Page:
        """Do the same in a tenth of the time, where the client can decode into what it is told."""
        answer: _Rows = self._client.query_as(_ROWS, **request)
        members = [
            Member(
                row.connectionid.S,
                row.name.S if row.name else None,
                row.form.S,
                row.joinedAt.N,
                row.expiresAt.N,
            )
            for row in answer.Items
        ]
        last = answer.LastEvaluatedKey
        return members, last.connectionid.S if last else None

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


class _Text(msgspec.Struct, gc=False):
    S: str


class _Form(msgspec.Struct, gc=False):
    S: Form


class _Number(msgspec.Struct, gc=False):
    N: int


class _Key(msgspec.Struct, gc=False):
    connectionid: _Text


class _Row(msgspec.Struct, gc=False):
    """A membership's item, as DynamoDB writes it."""

    connectionid: _Text
    form: _Form
    joinedAt: _Number  # noqa: N815
    expiresAt: _Number  # noqa: N815
    name: _Text | None = None


class _Rows(msgspec.Struct, gc=False):
    """The answer to a query for memberships."""

    Items: list[_Row]
    LastEvaluatedKey: _Key | None = None


# DynamoDB writes numbers as strings.
_ROWS = msgspec.json.Decoder(_Rows, strict=False)


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
