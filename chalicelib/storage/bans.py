"""Who may not be in a room for a while, in ``ChatRooms`` under the key (``#!name``, room)."""

from collections.abc import Callable
from typing import Any

from .faults import translated
from .pages import live_pages


class Bans:
    """Keeps names out of rooms. Both methods raise ``StorageUnavailable`` when DynamoDB does not do it."""

    def __init__(self, client: Any, table: str, clock: Callable[[], float]) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def impose(self, name: str, room: str, seconds: int) -> None:
        """Ban a name from a room for so long from now on, whatever it was banned for before; 0 lifts it."""
        until = {"N": str(int(self._clock()) + seconds)}
        with translated():
            self._client.put_item(
                TableName=self._table,
                Item={"roomId": {"S": _owner(name)}, "connectionid": {"S": room}, "expiresAt": until},
            )

    def rooms(self, name: str) -> set[str]:
        """The rooms that a name is banned from."""
        pages = live_pages(
            self._client.query,
            self._clock,
            TableName=self._table,
            KeyConditionExpression="roomId = :owner",
            ExpressionAttributeValues={":owner": {"S": _owner(name)}},
            ConsistentRead=True,
        )
        return {item["connectionid"]["S"] for page in pages for item in page}


def _owner(name: str) -> str:
    return f"#!{name}"
