"""Items that are written once: a second write finds the first."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from .faults import write

NEW = "attribute_not_exists(entry) OR expiresAt <= :now"


class NewItems:
    """Puts items of ``ChatMessages`` where there are none, and reads them.

    An item that has expired counts for none: DynamoDB deletes it days later.

    Args:
        client: boto3's DynamoDB client.
        table: The table.
        clock: Unix time in s.
    """

    def __init__(self, client: Any, table: str, clock: Callable[[], float]) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def put(
        self, item: Mapping[str, Any], unless: str = "", values: Mapping[str, Any] = MappingProxyType({})
    ) -> dict[str, Any] | None:
        """Put an item; None where that is done, else the one that is there.

        A put whose answer was lost is made again, and finds itself.

        Args:
            item: The item.
            unless: A condition on which the item that is there is replaced.
            values: The values in that.
        """
        try:
            write(
                self._client.put_item,
                TableName=self._table,
                Item=item,
                ConditionExpression=" OR ".join(filter(None, (NEW, unless))),
                ExpressionAttributeValues={":now": to_number(int(self._clock())), **values},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            there: dict[str, Any] = error.response.get("Item", {})
            return there
        return None

    def get(self, key: Mapping[str, Any]) -> dict[str, Any] | None:
        """Read an item; None where there is none."""
        answer = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        item: dict[str, Any] | None = answer.get("Item")
        return item if item is not None and int(item["expiresAt"]["N"]) > self._clock() else None

    def expiry(self, seconds: int) -> dict[str, str]:
        """The ``expiresAt`` of an item that is kept for so long from now on."""
        return to_number(int(self._clock()) + seconds)


def to_number(value: int) -> dict[str, str]:
    """A number, as DynamoDB has it."""
    return {"N": str(value)}
