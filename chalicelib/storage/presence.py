"""Which names are in a room, kept so that each coming and going is noticed exactly once.

A name may be in a room with several connections. For each such pair there is one item beside the
memberships in ``ChatRooms``, under the key (``#room``, name), with the set of its connections. DynamoDB
changes the set atomically and gives back what was in it, so of two connections that come or go at the
same moment exactly one is the first, or the last.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import msgspec

from .entries import expiry_of, to_entry
from .faults import translated, write
from .heads import Head


class Crossing(msgspec.Struct, frozen=True, array_like=True):
    """A name that came into a room or went out of it: what the others there see.

    Attributes:
        name: The name.
        event: What it did.
        at: Unix time in ms, to tell which of two is the later.
    """

    name: str
    event: Literal["join", "leave"]
    at: int


class Change(msgspec.Struct, frozen=True):
    """What has changed of who is in a room.

    Attributes:
        room: The room.
        crossings: Who came and went.
        head: The room after that; None where it is too large for each change to be counted.
        joined: How many connections have come, or gone where it is negative.
    """

    room: str
    crossings: list[Crossing]
    head: Head | None = None
    joined: int = 0


class Presence:
    """Adds connections to their name's set, and takes them out.

    Both methods may run twice, and raise ``StorageUnavailable`` when DynamoDB does not do it.
    """

    def __init__(self, client: Any, table: str, clock: Callable[[], float]) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def arrive(
        self, room: str, name: str, connection_id: str, expires_at: int, kept_until: int
    ) -> Crossing | None:
        """Add a connection; the crossing where it is the name's first in the room.

        Until ``kept_until`` the item is needed at least: for the name's other connections, which may expire
        later than this one.
        """
        mine = {":one": {"SS": [to_entry(connection_id, expires_at)]}}
        with translated():
            try:
                before = self._add(
                    room,
                    name,
                    {**mine, ":kept": {"N": str(kept_until)}},
                    UpdateExpression="ADD connections :one SET expiresAt = :kept",
                    ConditionExpression="attribute_not_exists(expiresAt) OR expiresAt <= :kept",
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                # Another connection of the name needs the item for longer.
                before = self._add(room, name, mine, UpdateExpression="ADD connections :one")
        return None if self._live(before.get("Attributes", {})) else self._crossing(name, "join")

    def depart(self, room: str, name: str, connection_id: str, expires_at: int) -> Crossing | None:
        """Take a connection out; the crossing where it was there, and the name's last in the room."""
        mine = to_entry(connection_id, expires_at)
        with translated():
            try:
                # Most names have one connection: then this is all.
                write(
                    self._client.delete_item,
                    TableName=self._table,
                    Key=_key(room, name),
                    ConditionExpression="connections = :mine",
                    ExpressionAttributeValues={":mine": {"SS": [mine]}},
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except self._client.exceptions.ConditionalCheckFailedException as error:
                if mine not in _entries(error.response.get("Item", {})):
                    return None
                if not self._take_out(room, name, mine):
                    return None
        return self._crossing(name, "leave")

    def _add(self, room: str, name: str, values: dict[str, Any], **expressions: Any) -> dict[str, Any]:
        return write(
            self._client.update_item,
            TableName=self._table,
            Key=_key(room, name),
            ExpressionAttributeValues=values,
            ReturnValues="ALL_OLD",
            **expressions,
        )

    def _take_out(self, room: str, name: str, mine: str) -> bool:
        """Take an entry out of a set that has others; whether it was there, and the last that lives."""
        try:
            before = write(
                self._client.update_item,
                TableName=self._table,
                Key=_key(room, name),
                UpdateExpression="DELETE connections :one",
                ConditionExpression="contains(connections, :mine)",
                ExpressionAttributeValues={":one": {"SS": [mine]}, ":mine": {"S": mine}},
                ReturnValues="ALL_OLD",
            )["Attributes"]
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        if self._live(before) - {mine}:
            return False
        # It stays where somebody of that name has come meanwhile, or one that has expired is in it.
        with suppress(self._client.exceptions.ConditionalCheckFailedException):
            write(
                self._client.delete_item,
                TableName=self._table,
                Key=_key(room, name),
                ConditionExpression="attribute_not_exists(connections)",
            )
        return True

    def _live(self, item: dict[str, Any]) -> set[str]:
        """The entries of a set that have not expired: a connection can die without a word."""
        return {entry for entry in _entries(item) if expiry_of(entry) > self._clock()}

    def _crossing(self, name: str, event: Literal["join", "leave"]) -> Crossing:
        return Crossing(name, event, int(self._clock() * 1000))


def _entries(item: dict[str, Any]) -> set[str]:
    return set(item.get("connections", {}).get("SS", ()))


def _key(room: str, name: str) -> dict[str, Any]:
    return {"roomId": {"S": f"#{room}"}, "connectionid": {"S": name}}
