"""The live connections: one item each in ``Chat``, one membership for each of its rooms."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..errors import StorageUnavailable
from ..wire.events import Form
from .faults import TRIES, pause, transact, translated, write
from .heads import Heads
from .presence import Crossing, Presence
from .rooms import Member, to_item

# BatchWriteItem takes no more.
BATCH = 25


@dataclass(frozen=True)
class Connection:
    """A connection as the registry knows it.

    Attributes:
        id: API Gateway's connection id.
        name: The user's name; None for a nameless connection.
        form: How it wants its events.
        rooms: Rooms that it is in, its personal room among them.
        connected_at: Unix time in ms.
        expires_at: Unix time in s, from which it does not count any more.
    """

    id: str
    name: str | None
    form: Form
    rooms: frozenset[str]
    connected_at: int
    expires_at: int

    @property
    def public_rooms(self) -> list[str]:
        """The rooms that others can be in too."""
        return [room for room in sorted(self.rooms) if not room.startswith("@")]

    def named(self, name: str) -> "Connection":
        """The same connection under a name, moved to that name's personal room."""
        return replace(self, name=name, rooms=frozenset([*self.public_rooms, personal_room(name)]))


def personal_room(name: str) -> str:
    """The room that all connections of a user are in, and nobody else."""
    return f"@{name}"


class Connections:
    """Registers connections and their memberships, moves them, and removes both.

    Every method may run twice, and may run after the other handlers of the same connection:
    ``$disconnect`` can come before ``$connect`` is done, or never. All return the crossings that the
    others in the rooms are to see, and raise ``StorageUnavailable`` when DynamoDB does not do it.

    A crash can come between any two calls. While a connection lives, its name is in a room before its
    membership is, so that no ``leave`` is seen while it is there; when it goes, its name goes before
    its membership, so that whoever meets the membership that is left over can do the rest. After all that
    comes the version of the room's membership: who has heard it sees the membership too.
    """

    def __init__(
        self,
        client: Any,
        table: str,
        rooms_table: str,
        heads: Heads,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._table = table
        self._rooms_table = rooms_table
        self._heads = heads
        self._clock = clock
        self._presence = Presence(client, rooms_table, clock)

    def add(self, connection: Connection) -> list[Crossing]:
        """Register a connection and its memberships, all or none. One that is there stays as it is."""
        put = {
            "Put": {
                "TableName": self._table,
                "Item": _to_item(connection),
                "ConditionExpression": "attribute_not_exists(connectionid)",
            }
        }
        joined_at = connection.connected_at
        memberships = [self._put_membership(connection, room, joined_at) for room in sorted(connection.rooms)]
        with translated():
            there = transact(self._client, [put, *memberships])
        registered = self.get(connection.id) if there else connection
        if registered is None:
            return []
        crossings = self._arrive(registered, registered.public_rooms)
        self._changed(registered.rooms)
        return crossings

    def get(self, connection_id: str) -> Connection | None:
        """Read a connection; None where there is none, or it has expired."""
        with translated():
            answer = self._client.get_item(
                TableName=self._table, Key=_key(connection_id), ConsistentRead=True
            )
        connection = _from_item(answer["Item"]) if "Item" in answer else None
        return connection if connection and connection.expires_at > self._clock() else None

    def join(self, connection: Connection, room: str) -> list[Crossing]:
        """Make a connection a member of a room.

        Raises:
            StorageUnavailable: Also where the connection has been renamed or removed meanwhile.
        """
        crossings = self._arrive(connection, [room])
        if room in connection.rooms:
            # Its name may be missing there, after a leave that was not done to the end, or the
            # membership may have no version yet, after a join that was not.
            self._changed([room])
            return crossings
        update = self._update_rooms(connection, "ADD rooms :room", room)
        put = self._put_membership(connection, room, joined_at=int(self._clock() * 1000))
        with translated():
            reasons = transact(self._client, [update, put])
        if reasons:
            self._depart(connection, [room])
            raise StorageUnavailable
        self._changed([room])
        return crossings

    def leave(self, connection: Connection, room: str) -> list[Crossing]:
        """End a connection's membership of a room.

        Raises:
            StorageUnavailable: Also where the connection has been renamed or removed meanwhile.
        """
        crossings = self._depart(connection, [room])
        update = self._update_rooms(connection, "DELETE rooms :room", room)
        with translated():
            reasons = transact(self._client, [update, self._delete_membership(connection.id, room)])
        if reasons:
            raise StorageUnavailable
        self._changed([room])
        return crossings

    def rename(self, connection: Connection, name: str) -> list[Crossing]:
        """Give a connection a name, in all its rooms and in its personal one, all or none.

        Raises:
            StorageUnavailable: Also where the connection has been removed, or keeps changing.
        """
        for attempt in range(1, TRIES + 1):
            if connection.name == name:
                return []
            renamed = connection.named(name)
            arrived = self._arrive(renamed, renamed.public_rooms)
            with translated():
                reasons = transact(self._client, list(self._renaming(connection, renamed)))
            if not reasons:
                self._changed(renamed.rooms)
                return arrived + self._depart(connection, connection.public_rooms)
            # It has joined, left, gone or taken a name since it was read.
            self._depart(renamed, renamed.public_rooms)
            now = self.get(connection.id)
            if now is None:
                break
            connection = now
            pause(attempt)
        raise StorageUnavailable

    def remove(self, connection_id: str) -> list[Crossing] | None:
        """Remove a connection and its memberships; None where there was none."""
        with translated():
            answer = write(
                self._client.delete_item,
                TableName=self._table,
                Key=_key(connection_id),
                ReturnValues="ALL_OLD",
            )
        if "Attributes" not in answer:
            return None
        connection = _from_item(answer["Attributes"])
        crossings = self._depart(connection, connection.public_rooms)
        with translated():
            self._remove_memberships(connection)
        self._changed(connection.rooms)
        return crossings

    def remove_membership(self, member: Member, room: str) -> list[Crossing]:
        """Remove a membership that has outlived its connection."""
        crossing = None
        if member.name is not None and not room.startswith("@"):
            crossing = self._presence.depart(room, member.name, member.id, member.expires_at)
        with translated():
            key = _membership_key(member.id, room)
            write(self._client.delete_item, TableName=self._rooms_table, Key=key)
        self._changed([room])
        return [crossing] if crossing else []

    def _changed(self, rooms: Iterable[str]) -> None:
        for room in sorted(rooms):
            self._heads.members_changed(room)

    def _arrive(self, connection: Connection, rooms: Iterable[str]) -> list[Crossing]:
        return self._cross(self._presence.arrive, connection, rooms)

    def _depart(self, connection: Connection, rooms: Iterable[str]) -> list[Crossing]:
        return self._cross(self._presence.depart, connection, rooms)

    def _cross(
        self, change: Callable[..., Crossing | None], connection: Connection, rooms: Iterable[str]
    ) -> list[Crossing]:
        if connection.name is None:
            return []
        changes = (change(room, connection.name, connection.id, connection.expires_at) for room in rooms)
        return [crossing for crossing in changes if crossing is not None]

    def _renaming(self, connection: Connection, renamed: Connection) -> Iterator[dict[str, Any]]:
        """The transaction that moves every row of a connection to its new name."""
        name = {":name": {"S": renamed.name}}
        update: dict[str, Any] = {
            "UpdateExpression": "SET #name = :name, rooms = :rooms",
            "ConditionExpression": _same_name(connection),
            "ExpressionAttributeNames": {"#name": "name"},
            "ExpressionAttributeValues": {**name, ":rooms": _set(renamed.rooms), **_name_values(connection)},
        }
        if connection.rooms:
            update["ConditionExpression"] += " AND rooms = :were"
            update["ExpressionAttributeValues"][":were"] = _set(connection.rooms)
        yield {"Update": {"TableName": self._table, "Key": _key(connection.id), **update}}
        for room in connection.public_rooms:
            yield {
                "Update": {
                    "TableName": self._rooms_table,
                    "Key": _membership_key(connection.id, room),
                    "UpdateExpression": "SET #name = :name",
                    "ConditionExpression": "attribute_exists(connectionid)",
                    "ExpressionAttributeNames": {"#name": "name"},
                    "ExpressionAttributeValues": name,
                }
            }
        if connection.name is not None:
            yield self._delete_membership(connection.id, personal_room(connection.name))
        [personal] = renamed.rooms.difference(connection.public_rooms)
        yield self._put_membership(renamed, personal, joined_at=int(self._clock() * 1000))

    def _update_rooms(self, connection: Connection, expression: str, room: str) -> dict[str, Any]:
        """Update a connection that is there, under the name that its memberships have."""
        return {
            "Update": {
                "TableName": self._table,
                "Key": _key(connection.id),
                "UpdateExpression": expression,
                "ConditionExpression": _same_name(connection),
                "ExpressionAttributeNames": {"#name": "name"},
                "ExpressionAttributeValues": {":room": _set([room]), **_name_values(connection)},
            }
        }

    def _put_membership(self, connection: Connection, room: str, joined_at: int) -> dict[str, Any]:
        member = Member(connection.id, connection.name, connection.form, joined_at, connection.expires_at)
        return {"Put": {"TableName": self._rooms_table, "Item": to_item(room, member)}}

    def _delete_membership(self, connection_id: str, room: str) -> dict[str, Any]:
        return {"Delete": {"TableName": self._rooms_table, "Key": _membership_key(connection_id, room)}}

    def _remove_memberships(self, connection: Connection) -> None:
        rooms = sorted(connection.rooms)
        for start in range(0, len(rooms), BATCH):
            batch = rooms[start : start + BATCH]
            left = {
                self._rooms_table: [
                    {"DeleteRequest": {"Key": _membership_key(connection.id, room)}} for room in batch
                ]
            }
            for attempt in range(1, TRIES + 1):
                left = self._client.batch_write_item(RequestItems=left)["UnprocessedItems"]
                if not left:
                    break
                pause(attempt)


def _key(connection_id: str) -> dict[str, Any]:
    return {"connectionid": {"S": connection_id}}


def _membership_key(connection_id: str, room: str) -> dict[str, Any]:
    return {"roomId": {"S": room}, **_key(connection_id)}


def _same_name(connection: Connection) -> str:
    """The condition that a connection is there and has kept its name; for ``_name_values``."""
    name = "attribute_not_exists(#name)" if connection.name is None else "#name = :was"
    return f"attribute_exists(connectionid) AND {name}"


def _name_values(connection: Connection) -> dict[str, Any]:
    return {} if connection.name is None else {":was": {"S": connection.name}}


def _set(rooms: Iterable[str]) -> dict[str, Any]:
    return {"SS": sorted(rooms)}


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
        item["rooms"] = _set(connection.rooms)
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
