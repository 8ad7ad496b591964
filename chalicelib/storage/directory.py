"""Which rooms there are, in ``ChatRooms`` under the key (``#rooms``, room): kept roughly, read by one query.

A row is written when its room comes, goes, or has about doubled or halved; that of a small room with each
change. In between it may be behind, and it expires as a connection does, so that nothing stays for ever.
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..errors import StorageUnavailable
from .faults import translated, write
from .heads import Head

KEY = "#rooms"
# Members up to which each change is written, and times that a row of a larger room is written in the
# time in which all of its connections come anew.
EACH = 8


class Directory:
    """Writes and reads the directory.

    Args:
        client: boto3's DynamoDB client.
        table: Table of the memberships.
        seconds: Lifetime of a connection, and of a row that is not written again.
        clock: Unix time in s.
        chance: From 0 to 1: which changes of a large room are written.
    """

    def __init__(
        self,
        client: Any,
        table: str,
        seconds: int,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._table = table
        self._seconds = seconds
        self._clock = clock
        self._chance = chance

    def note(self, room: str, head: Head, joined: int) -> None:
        """Note that so many have come or gone, and that this is the room after that. It does not fail."""
        crossed = head.members.bit_length() != max(0, head.members - joined).bit_length()
        if crossed or self._chance() * head.members < EACH:
            with suppress(StorageUnavailable):
                self._write(room, head)

    def rooms(self) -> Counter[str]:
        """The rooms that have members, and about how many: those of the first megabyte.

        Raises:
            StorageUnavailable: They could not be read.
        """
        with translated():
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="roomId = :key",
                ExpressionAttributeValues={":key": {"S": KEY}},
            )
        now = self._clock()
        return Counter(
            {
                item["connectionid"]["S"]: int(item["members"]["N"])
                for item in answer["Items"]
                if int(item["expiresAt"]["N"]) > now
            }
        )

    def _write(self, room: str, head: Head) -> None:
        key = {"roomId": {"S": KEY}, "connectionid": {"S": room}}
        # Of two that write at once, the one that has seen less must not be the last.
        later: dict[str, Any] = {
            "ConditionExpression": "attribute_not_exists(version) OR version <= :version",
            "ExpressionAttributeValues": {":version": {"N": str(head.members_version)}},
        }
        with translated(), suppress(self._client.exceptions.ConditionalCheckFailedException):
            if not head.members:
                write(self._client.delete_item, TableName=self._table, Key=key, **later)
                return
            item = {
                **key,
                "members": {"N": str(head.members)},
                "version": {"N": str(head.members_version)},
                "expiresAt": {"N": str(int(self._clock()) + self._seconds)},
            }
            write(self._client.put_item, TableName=self._table, Item=item, **later)
