"""Which names are in a room, kept so that each coming and going is noticed exactly once.

A name may be in a room with several connections. For each such pair there is one item beside the
memberships in ``ChatRooms``, under the key (``#room``, name), with the set of its connections. DynamoDB
changes the set atomically and gives back what was in it, so of two connections that come or go at the
same moment exactly one is the first, or the last.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from .entries import expiry_of, to_entry
from .faults import translated


@dataclass(frozen=True)
class Crossing:
    """A name that came into a room or went out of it: what the others there see."""

    room: str
    name: str
    event: Literal["join", "leave"]


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
        with translated():
            before = self._client.update_item(
                TableName=self._table,
                Key=_key(room, name),
                UpdateExpression="ADD connections :one SET expiresAt = :kept",
                ExpressionAttributeValues={
                    ":one": {"SS": [to_entry(connection_id, expires_at)]},
                    ":kept": {"N": str(kept_until)},
                },
                ReturnValues="ALL_OLD",
            )
        return None if self._live(before) else Crossing(room, name, "join")

    def depart(self, room: str, name: str, connection_id: str, expires_at: int) -> Crossing | None:
        """Take a connection out; the crossing where it was there, and the name's last in the room."""
        mine = to_entry(connection_id, expires_at)
        with translated():
            try:
                before = self._client.update_item(
                    TableName=self._table,
                    Key=_key(room, name),
                    UpdateExpression="DELETE connections :one",
                    ConditionExpression="contains(connections, :mine)",
                    ExpressionAttributeValues={":one": {"SS": [mine]}, ":mine": {"S": mine}},
                    ReturnValues="ALL_OLD",
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return None
            if self._live(before) - {mine}:
                return None
            self._delete_if_empty(room, name)
        return Crossing(room, name, "leave")

    def _delete_if_empty(self, room: str, name: str) -> None:
        # It is not where somebody of that name has come meanwhile, or one that has expired is in it.
        with suppress(self._client.exceptions.ConditionalCheckFailedException):
            self._client.delete_item(
                TableName=self._table,
                Key=_key(room, name),
                ConditionExpression="attribute_not_exists(connections)",
            )

    def _live(self, answer: dict[str, Any]) -> set[str]:
        """The entries of a set that have not expired: a connection can die without a word."""
        entries = answer.get("Attributes", {}).get("connections", {}).get("SS", [])
        return {entry for entry in entries if expiry_of(entry) > self._clock()}


def _key(room: str, name: str) -> dict[str, Any]:
    return {"roomId": {"S": f"#{room}"}, "connectionid": {"S": name}}
