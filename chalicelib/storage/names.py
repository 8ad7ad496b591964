"""Who has which name: how many connections it has, how fast they speak, and that no other looks like it.

There is one item for each name that is connected, beside the memberships in ``ChatRooms``, under what
the name looks like: two names that look the same have one item, and it is the first one's.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..errors import NameTaken, TooManyConnections
from ..wire.lookalikes import skeleton
from .bucket import ATTRIBUTE, Bucket
from .entries import expiry_of, id_of, to_entry
from .faults import translated, write


class Names:
    """Claims names for connections, and gives them back.

    A claim is written in one transaction with the connection that it is for. All methods raise
    ``StorageUnavailable`` when DynamoDB does not do it.

    Args:
        client: boto3's DynamoDB client.
        table: Table of the memberships.
        most: Connections that a name can have.
        bucket: What all connections of a name share; None for no limit.
        clock: Unix time in s.
        seconds: Lifetime of a connection.
    """

    def __init__(
        self,
        client: Any,
        table: str,
        most: int,
        bucket: Bucket | None,
        clock: Callable[[], float],
        seconds: int,
    ) -> None:
        self._client = client
        self._table = table
        self._most = most
        self._bucket = bucket
        self._clock = clock
        self._seconds = seconds

    def claim(self, name: str, connection_id: str, expires_at: int) -> dict[str, Any]:
        """The item of a transaction that claims a name for a connection, which expires then (Unix, in s)."""
        mine = to_entry(connection_id, expires_at)
        expression = "ADD connections :mine SET #name = :name, expiresAt = :expires"
        values: dict[str, Any] = {
            ":mine": {"SS": [mine]},
            ":me": {"S": mine},
            ":name": {"S": name},
            # None of the others lives longer than a connection that begins now.
            ":expires": {"N": str(max(expires_at, int(self._clock()) + self._seconds))},
            ":most": {"N": str(self._most)},
        }
        if self._bucket is not None:
            expression += f", {ATTRIBUTE} = if_not_exists({ATTRIBUTE}, :full)"
            values[":full"] = self._bucket.full
        return {
            "Update": {
                "TableName": self._table,
                "Key": _key(name),
                "UpdateExpression": expression,
                # One's own name is nobody else's, whatever it looks like.
                "ConditionExpression": "attribute_not_exists(connections) OR (#name = :name"
                " AND (contains(connections, :me) OR size(connections) < :most)) OR connections = :mine",
                "ExpressionAttributeNames": {"#name": "name"},
                "ExpressionAttributeValues": values,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def refused(self, name: str, item: dict[str, Any]) -> None:
        """Say why a claim was refused; what stood against it is removed where it has expired.

        Args:
            name: The name.
            item: The item that the transaction gave back.

        Raises:
            NameTaken: The name looks like one that is connected.
            TooManyConnections: It has as many as it can.
        """
        entries = set(item.get("connections", {}).get("SS", ()))
        dead = {entry for entry in entries if expiry_of(entry) <= self._clock()}
        if dead:
            self._delete(name, dead)
        elif item["name"]["S"] != name:
            raise NameTaken
        else:
            raise TooManyConnections(name, self._most)

    def others(self, name: str, connection_id: str) -> list[str]:
        """Ids of the other connections that have a name."""
        return [each for each in map(id_of, self._entries(name)) if each != connection_id]

    def release(self, name: str, connection_id: str, expires_at: int) -> None:
        """Give a name back, claimed or not."""
        mine = to_entry(connection_id, expires_at)
        with translated():
            try:
                write(
                    self._client.delete_item,
                    TableName=self._table,
                    Key=_key(name),
                    ConditionExpression="connections = :mine",
                    ExpressionAttributeValues={":mine": {"SS": [mine]}},
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                self._delete(name, {mine})

    def forget(self, name: str, connection_id: str) -> None:
        """Give back what a connection that is not registered any more has left."""
        left = {entry for entry in self._entries(name) if id_of(entry) == connection_id}
        if left:
            self._delete(name, left)

    def take(self, name: str, cost: int, now_ms: int) -> int:
        """Take the tokens that a frame costs.

        Returns:
            0, or the time in s after which there are enough again.
        """
        if self._bucket is None:
            return 0
        with translated():
            try:
                write(
                    self._client.update_item,
                    TableName=self._table,
                    Key=_key(name),
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **self._bucket.take(cost, now_ms, "attribute_exists(connections)"),
                )
            except self._client.exceptions.ConditionalCheckFailedException as error:
                item = error.response.get("Item")
                return self._bucket.wait_seconds(item, cost, now_ms) if item else 0
        return 0

    def _entries(self, name: str) -> set[str]:
        with translated():
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="roomId = :looks",
                ExpressionAttributeValues={":looks": _key(name)["roomId"]},
                ConsistentRead=True,
            )
        entries = [item.get("connections", {}).get("SS", ()) for item in answer["Items"]]
        return {entry for each in entries for entry in each}

    def _delete(self, name: str, entries: set[str]) -> None:
        with translated(), suppress(self._client.exceptions.ConditionalCheckFailedException):
            answer = write(
                self._client.update_item,
                TableName=self._table,
                Key=_key(name),
                UpdateExpression="DELETE connections :gone",
                ConditionExpression="attribute_exists(connections)",
                ExpressionAttributeValues={":gone": {"SS": sorted(entries)}},
                ReturnValues="ALL_NEW",
            )
            if "connections" not in answer["Attributes"]:
                # Not where somebody of that name has come meanwhile.
                write(
                    self._client.delete_item,
                    TableName=self._table,
                    Key=_key(name),
                    ConditionExpression="attribute_not_exists(connections)",
                )


def _key(name: str) -> dict[str, Any]:
    looks = skeleton(name)
    return {"roomId": {"S": f"#@{looks}"}, "connectionid": {"S": looks}}
