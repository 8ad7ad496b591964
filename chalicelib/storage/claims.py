"""Who has a client's reference: one item each in ``ChatMessages``, written before its message has a number.

A claim says which number the message is to be stored under. The claim does not say whether it has been: its
writer may be under way, or have died. Whoever finds that it has not been stored seals that number, so that
the writer cannot use it any more, and moves the claim to another one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .faults import write
from .new_items import NewItems, to_number


@dataclass(frozen=True)
class Claim:
    """A reference that somebody has.

    Attributes:
        id: Id of its message, whoever stores it.
        owner: Who is about to store it.
        seq: The number that it is to be stored under; None before there is one.
        epoch: The numbering that this is of.
    """

    id: str
    owner: str
    seq: int | None = None
    epoch: str = ""


class Claims:
    """Takes, reads and moves claims.

    Args:
        client: boto3's DynamoDB client.
        table: The table.
        seconds: How long a reference is remembered.
        clock: Unix time in s.
    """

    def __init__(self, client: Any, table: str, seconds: int, clock: Callable[[], float]) -> None:
        self._client = client
        self._table = table
        self._seconds = seconds
        self._items = NewItems(client, table, clock)

    def take(self, key: dict[str, Any], claim: Claim) -> Claim | None:
        """Take a reference; None where that is done, else the claim that has it."""
        item = {
            **key,
            "id": {"S": claim.id},
            "owner": {"S": claim.owner},
            "expiresAt": self._items.expiry(self._seconds),
        }
        if claim.seq is not None:
            item |= {"seq": to_number(claim.seq), "epoch": {"S": claim.epoch}}
        there = self._items.put(item)
        first = _to_claim(there) if there is not None else None
        return None if first is None or first.owner == claim.owner else first

    def read(self, key: dict[str, Any]) -> Claim | None:
        """Read a claim; None where there is none any more."""
        item = self._items.get(key)
        return _to_claim(item) if item is not None else None

    def move(self, key: dict[str, Any], was: Claim, claim: Claim) -> Claim | None:
        """Change a claim that is as it was; None where that is done, else the claim as it is."""
        as_was = "attribute_not_exists(seq)"
        values = {
            ":id": {"S": claim.id},
            ":was": {"S": was.owner},
            ":owner": {"S": claim.owner},
            ":seq": to_number(claim.seq or 0),
            ":epoch": {"S": claim.epoch},
        }
        if was.seq is not None:
            as_was = "seq = :old"
            values[":old"] = to_number(was.seq)
        # One that was made before claims had owners has none.
        owned = "#owner = :was" if was.owner else "attribute_not_exists(#owner)"
        if not was.owner:
            del values[":was"]
        try:
            write(
                self._client.update_item,
                TableName=self._table,
                Key=key,
                UpdateExpression="SET #owner = :owner, seq = :seq, epoch = :epoch",
                ConditionExpression=f"id = :id AND {owned} AND {as_was}",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues=values,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            there = _to_claim(error.response.get("Item", {}))
            # A move whose answer was lost is made again, and finds itself.
            return None if there == claim else there
        return None


def _to_claim(item: dict[str, Any]) -> Claim:
    return Claim(
        id=item["id"]["S"] if "id" in item else "",
        owner=item["owner"]["S"] if "owner" in item else "",
        seq=int(item["seq"]["N"]) if "seq" in item else None,
        epoch=item["epoch"]["S"] if "epoch" in item else "",
    )
