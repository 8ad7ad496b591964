"""The live connections: one item each in ``Chat``, one membership for each of its rooms."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..wire.events import Form
from .faults import TRIES, pause, transact, translated

# BatchWriteItem takes no more.
BATCH = 25


@dataclass(frozen=True)
class Connection:
    """A connection as the registry knows it.

    Attributes:
        id: API Gateway's connection id.
        name: The user's name; None for a nameless connection.
        form: How it wants its events.
        rooms: Rooms that it is in.
        connected_at: Unix time in ms.
        expires_at: Unix time in s, from which it does not count any more.
    """

    id: str
    name: str | None
    form: Form
    rooms: frozenset[str]
    connected_at: int
    expires_at: int


class Connections:
    """Registers connections and their memberships, and removes both.

    Every method may run twice, and may run after the other handlers of the same connection:
    ``$disconnect`` can come before ``$connect`` is done, or never.

    All methods raise ``StorageUnavailable`` when DynamoDB does not do it.
    """

    def __init__(
        self, client: Any, table: str, rooms_table: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._table = table
        self._rooms_table = rooms_table
        self._clock = clock

    def add(self, connection: Connection) -> None:
        """Register a connection and its memberships, all or none. One that is there stays as it is."""
        put = {
            "Put": {
                "TableName": self._table,
                "Item": _to_item(connection),
                "ConditionExpression": "attribute_not_exists(connectionid)",
            }
        }
        memberships = [
            {"Put": {"TableName": self._rooms_table, "Item": _to_membership(connection, room)}}
            for room in sorted(connection.rooms)
        ]
        with translated():
            transact(self._client, [put, *memberships])

    def get(self, connection_id: str) -> Connection | None:
        """Read a connection; None where there is none, or it has expired."""
        with translated():
            answer = self._client.get_item(
                TableName=self._table, Key=_key(connection_id), ConsistentRead=True
            )
        connection = _from_item(answer["Item"]) if "Item" in answer else None
        return connection if connection and connection.expires_at > self._clock() else None

    def remove(self, connection_id: str) -> Connection | None:
        """Remove a connection and its memberships; None where there was none."""
        with translated():
            answer = self._client.delete_item(
                TableName=self._table, Key=_key(connection_id), ReturnValues="ALL_OLD"
            )
            if "Attributes" not in answer:
                return None
            connection = _from_item(answer["Attributes"])
            self._remove_memberships(connection_id, connection.rooms)
        return connection

    def _remove_memberships(self, connection_id: str, rooms: Iterable[str]) -> None:
        deletes = [
            {"DeleteRequest": {"Key": {"roomId": {"S": room}, **_key(connection_id)}}}
            for room in sorted(rooms)
        ]
        for start in range(0, len(deletes), BATCH):
            left = {self._rooms_table: deletes[start : start + BATCH]}
            for attempt in range(1, TRIES + 1):
                left = self._client.batch_write_item(RequestItems=left)["UnprocessedItems"]
                if not left:
                    break
                pause(attempt)


def _key(connection_id: str) -> dict[str, Any]:
    return {"connectionid": {"S": connection_id}}


def _to_item(connection: Connection) -> dict[str, Any]:
    item: dict[str, Any] = {
        **_key(connection.id),
        "form": {"S": connection.form.value},
        "connectedAt": {"N": str(connection.connected_at)},
        "expiresAt": {"N": str(connection.expires_at)},
    }
    if connection.name is not None:
        item["name"] = {"S": connection.name}
    if connection.rooms:
        item["rooms"] = {"SS": sorted(connection.rooms)}
    return item


def _from_item(item: dict[str, Any]) -> Connection:
    return Connection(
        id=item["connectionid"]["S"],
        name=item["name"]["S"] if "name" in item else None,
        form=Form(item["form"]["S"]),
        rooms=frozenset(item["rooms"]["SS"] if "rooms" in item else ()),
        connected_at=int(item["connectedAt"]["N"]),
        expires_at=int(item["expiresAt"]["N"]),
    )


def _to_membership(connection: Connection, room: str) -> dict[str, Any]:
    item = {
        "roomId": {"S": room},
        **_key(connection.id),
        "form": {"S": connection.form.value},
        "joinedAt": {"N": str(connection.connected_at)},
        "expiresAt": {"N": str(connection.expires_at)},
    }
    if connection.name is not None:
        item["name"] = {"S": connection.name}
    return item
