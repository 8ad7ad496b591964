"""What is written of a connection: its item, its memberships, and on what condition. No I/O, no clock."""

from collections.abc import Iterable, Iterator
from typing import Any

from .bucket import ATTRIBUTE, Bucket
from .connection import Connection, to_attributes
from .rooms import Member, to_item


class Rows:
    """Makes the items of transactions.

    Args:
        table: Table of the connections.
        rooms_table: Table of the memberships.
    """

    def __init__(self, table: str, rooms_table: str) -> None:
        self._table = table
        self._rooms_table = rooms_table

    def put(self, connection: Connection, bucket: Bucket | None) -> dict[str, Any]:
        """Register a connection that is not there, with a full bucket where there are rates."""
        item = {
            **to_key(connection.id),
            "form": {"S": connection.form.value},
            "connectedAt": {"N": str(connection.connected_at)},
            "expiresAt": {"N": str(connection.expires_at)},
            **to_attributes(connection),
            **({ATTRIBUTE: bucket.full} if bucket else {}),
        }
        condition = "attribute_not_exists(connectionid)"
        return {"Put": {"TableName": self._table, "Item": item, "ConditionExpression": condition}}

    def join(self, connection: Connection, room: str, now_ms: int, most: int) -> list[dict[str, Any]]:
        """Make a connection that is as it was read a member of a room, of so many at the most."""
        update = self._update_rooms(connection, "ADD rooms :room", room)
        # Of several that it joins at once, too.
        update["Update"]["ConditionExpression"] += " AND (attribute_not_exists(rooms) OR size(rooms) < :most)"
        update["Update"]["ExpressionAttributeValues"][":most"] = {"N": str(most)}
        return [update, *self.put_memberships(connection, [room], now_ms)]

    def leave(self, connection: Connection, room: str) -> list[dict[str, Any]]:
        """End the membership of a connection that is as it was read."""
        update = self._update_rooms(connection, "DELETE rooms :room", room)
        return [update, self._delete_membership(connection.id, room)]

    def change(self, connection: Connection, new: Connection) -> dict[str, Any]:
        """Give a connection that is as it was read another name, token and personal room."""
        item = to_attributes(new)
        names = {f"#{number}": attribute for number, attribute in enumerate(item)}
        sets = ", ".join(f"{name} = :{name[1:]}" for name in names)
        condition, values = _as_read(connection)
        values |= {f":{number}": value for number, value in enumerate(item.values())}
        if connection.rooms:
            condition += " AND rooms = :were"
            values[":were"] = _set(connection.rooms)
        return self._update(connection, f"SET {sets}", condition, values, names)

    def move(self, connection: Connection, new: Connection, now_ms: int) -> Iterator[dict[str, Any]]:
        """Let the memberships of a connection be those that it has then."""
        for room in sorted(connection.rooms & new.rooms):
            yield {
                "Update": {
                    "TableName": self._rooms_table,
                    "Key": to_membership_key(connection.id, room),
                    "UpdateExpression": "SET #name = :name, expiresAt = :expires",
                    "ConditionExpression": "attribute_exists(connectionid)",
                    "ExpressionAttributeNames": {"#name": "name"},
                    "ExpressionAttributeValues": {
                        ":name": {"S": new.name},
                        ":expires": {"N": str(new.counts_until)},
                    },
                }
            }
        for room in connection.rooms - new.rooms:
            yield self._delete_membership(connection.id, room)
        yield from self.put_memberships(new, new.rooms - connection.rooms, now_ms)

    def put_memberships(
        self, connection: Connection, rooms: Iterable[str], joined_at: int
    ) -> Iterator[dict[str, Any]]:
        """Make a connection a member of rooms, from then on (Unix, in ms)."""
        member = Member(connection.id, connection.name, connection.form, joined_at, connection.counts_until)
        for room in sorted(rooms):
            yield {"Put": {"TableName": self._rooms_table, "Item": to_item(room, member)}}

    def _delete_membership(self, connection_id: str, room: str) -> dict[str, Any]:
        return {"Delete": {"TableName": self._rooms_table, "Key": to_membership_key(connection_id, room)}}

    def _update_rooms(self, connection: Connection, expression: str, room: str) -> dict[str, Any]:
        # With the name and the expiry that its memberships have.
        condition, values = _as_read(connection)
        return self._update(connection, expression, condition, {":room": _set([room]), **values}, {})

    def _update(
        self,
        connection: Connection,
        expression: str,
        condition: str,
        values: dict[str, Any],
        names: dict[str, str],
    ) -> dict[str, Any]:
        return {
            "Update": {
                "TableName": self._table,
                "Key": to_key(connection.id),
                "UpdateExpression": expression,
                "ConditionExpression": condition,
                "ExpressionAttributeNames": {**names, "#name": "name"},
                "ExpressionAttributeValues": values,
            }
        }


def to_key(connection_id: str) -> dict[str, Any]:
    """The key of a connection."""
    return {"connectionid": {"S": connection_id}}


def to_membership_key(connection_id: str, room: str) -> dict[str, Any]:
    """The key of a membership."""
    return {"roomId": {"S": room}, **to_key(connection_id)}


def _as_read(connection: Connection) -> tuple[str, dict[str, Any]]:
    """The condition that a connection is there, with its name and token, and the values in that."""
    name, expiry, values = "attribute_not_exists(#name)", "attribute_not_exists(tokenExpiresAt)", {}
    if connection.name is not None:
        name, values[":was"] = "#name = :was", {"S": connection.name}
    if connection.token_expires_at is not None:
        expiry, values[":until"] = "tokenExpiresAt = :until", {"N": str(connection.token_expires_at)}
    return f"attribute_exists(connectionid) AND {name} AND {expiry}", values


def _set(rooms: Iterable[str]) -> dict[str, Any]:
    return {"SS": sorted(rooms)}
