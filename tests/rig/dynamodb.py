"""DynamoDB in this process, behind the interface of boto3's client.

It is here for its speed: a request takes some 30 us of CPU, by boto3 and an emulator some 2.5 ms. It has
what the chat uses and refuses the rest, and the storage layer's contract is run on it beside the others.
"""

import bisect
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import msgspec
from botocore.exceptions import ClientError
from botocore.hooks import HierarchicalEmitter

from tests.rig import expressions
from tests.rig.attributes import Item
from tests.rig.dynamodb_tables import Failed, Table, Write, key_range
from tests.rig.partitions import READ_UNIT, THROTTLED, Charge, Partitions, units_of
from tests.rig.sizes import item_size

# What botocore does in its standard mode: so many tries, and up to 1, 2 and 4 s before the later ones.
TRIES = 4
# What a page of a query or a scan holds, in bytes.
PAGE = 1024 * 1024
BATCH = 25
LONGEST_TRANSACTION = 100

_KNOWN = {
    "TableName", "Key", "Item", "ConditionExpression", "UpdateExpression", "ExpressionAttributeNames",
    "ExpressionAttributeValues", "ReturnValues", "ReturnValuesOnConditionCheckFailure", "ConsistentRead",
    "KeyConditionExpression", "FilterExpression", "ProjectionExpression", "ScanIndexForward", "Limit",
    "ExclusiveStartKey", "Select", "TransactItems", "RequestItems",
}  # fmt: skip


class _Exceptions:
    """The client's ``exceptions``."""

    def __init__(self) -> None:
        self._kinds: dict[str, type[ClientError]] = {}

    def __getattr__(self, name: str) -> type[ClientError]:
        return self._kinds.setdefault(name, type(name, (ClientError,), {}))


class DynamoDB:
    """The client, for any number of threads.

    Args:
        partitions: How fast each partition key is; None for as fast as may be.
        seconds: How long a request takes beside its CPU, and a transaction twice that.

    Attributes:
        exceptions: As boto3's client has them.
        meta: Has ``events``; of these, there is ``before-call`` for each operation.
        units: How many units were read and written.
    """

    def __init__(self, partitions: Partitions | None = None, seconds: float = 0.0) -> None:
        self.exceptions = _Exceptions()
        self.meta = SimpleNamespace(
            events=HierarchicalEmitter(),
            service_model=SimpleNamespace(service_id=SimpleNamespace(hyphenize=lambda: "dynamodb")),
        )
        self.units = {"read": 0.0, "write": 0.0}
        self._partitions = partitions
        self._seconds = seconds
        self._tables: dict[str, Table] = {}
        self._lock = threading.Lock()

    def create_table(self, TableName: str, KeySchema: list[dict[str, str]], **_: Any) -> None:  # noqa: N803
        """Make a table; both of its keys are strings."""
        names = {key["KeyType"]: key["AttributeName"] for key in KeySchema}
        self._tables[TableName] = Table(names["HASH"], names.get("RANGE"))

    def delete_table(self, TableName: str) -> None:  # noqa: N803
        """Delete a table."""
        with self._lock:
            if self._tables.pop(TableName, None) is None:
                raise self._error(Failed("ResourceNotFoundException"), "DeleteTable")

    def everything(self, table: str) -> list[Item]:
        """All items of a table, for whoever looks at it from outside: no request, and no units."""
        with self._lock:
            partitions = list(self._tables[table].partitions.values())
            return [items[each] for order, items in partitions for each in order]

    def get_paginator(self, operation: str) -> Any:
        """All pages of a ``query`` or ``scan``."""

        def paginate(**arguments: Any) -> Iterator[dict[str, Any]]:
            while True:
                page = getattr(self, operation)(**arguments)
                yield page
                if "LastEvaluatedKey" not in page:
                    return
                arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

        return SimpleNamespace(paginate=paginate)

    def get_item(self, **arguments: Any) -> dict[str, Any]:
        """Read an item."""
        return self._call("GetItem", self._get_item, arguments)

    def put_item(self, **arguments: Any) -> dict[str, Any]:
        """Put an item."""
        return self._call("PutItem", self._write_one, arguments)

    def update_item(self, **arguments: Any) -> dict[str, Any]:
        """Change an item."""
        return self._call("UpdateItem", self._write_one, arguments)

    def delete_item(self, **arguments: Any) -> dict[str, Any]:
        """Delete an item."""
        return self._call("DeleteItem", self._write_one, arguments)

    def query(self, **arguments: Any) -> dict[str, Any]:
        """Read a page of a partition."""
        return self._call("Query", self._query, arguments)

    def scan(self, **arguments: Any) -> dict[str, Any]:
        """Read a page of a table."""
        return self._call("Scan", self._scan, arguments)

    def batch_get_item(self, **arguments: Any) -> dict[str, Any]:
        """Read items."""
        return self._call("BatchGetItem", self._batch_get, arguments)

    def batch_write_item(self, **arguments: Any) -> dict[str, Any]:
        """Put and delete items, each for itself."""
        return self._call("BatchWriteItem", self._batch_write, arguments)

    def transact_write_items(self, **arguments: Any) -> dict[str, Any]:
        """Write items, all or none."""
        return self._call("TransactWriteItems", self._transact, arguments)

    def _call(
        self,
        operation: str,
        do: Callable[[str, dict[str, Any]], dict[str, Any]],
        arguments: dict[str, Any],
    ) -> dict[str, Any]:
        body = msgspec.json.encode(arguments, enc_hook=str)
        _, answer = self.meta.events.emit_until_response(
            f"before-call.dynamodb.{operation}",
            model=SimpleNamespace(name=operation),
            params={"body": body},
        )
        if answer is not None:
            parsed: dict[str, Any] = answer[1]
            if "Error" in parsed:
                raise getattr(self.exceptions, parsed["Error"]["Code"])(parsed, operation)
            return parsed
        data = msgspec.json.decode(body)
        unknown = data.keys() - _KNOWN
        if unknown:
            raise NotImplementedError(f"{operation} with {', '.join(unknown)}")
        for attempt in range(1, TRIES + 1):
            if self._seconds:
                time.sleep(self._seconds * (2 if operation.startswith("Transact") else 1))
            try:
                with self._lock:
                    return do(operation, data)
            except Failed as failure:
                if failure.code != THROTTLED or attempt == TRIES:
                    raise self._error(failure, operation) from failure
            time.sleep(random.random() * 2 ** (attempt - 1))
        raise AssertionError

    def _error(self, failure: Failed, operation: str) -> ClientError:
        answer = {
            "Error": {"Code": failure.code, "Message": failure.message},
            "ResponseMetadata": {"HTTPStatusCode": 400, "RequestId": "here", "RetryAttempts": 0},
            **failure.fields,
        }
        kind: type[ClientError] = getattr(self.exceptions, failure.code)
        return kind(answer, operation)

    def _table(self, name: str) -> Table:
        if name not in self._tables:
            raise Failed("ResourceNotFoundException", f"there is no table {name}")
        return self._tables[name]

    def _pay(self, charges: list[Charge], transaction: bool = False) -> None:
        """Take the units of what is about to be done."""
        admitted = self._partitions.admit(charges) if self._partitions else [True]
        if not all(admitted):
            if transaction:
                reasons = [{"Code": "None" if fine else "ThrottlingError"} for fine in admitted]
                raise _cancelled(reasons)
            raise Failed(THROTTLED)
        for charge in charges:
            self.units[charge.kind] += charge.units

    def _get_item(self, operation: str, data: dict[str, Any]) -> dict[str, Any]:
        table = self._table(data["TableName"])
        place = table.place(data["Key"])
        item = table.get(place)
        self._pay([_reading(data, place[0], item_size(item or {}))])
        return {} if item is None else {"Item": _projected(item, data)}

    def _write_one(self, operation: str, data: dict[str, Any]) -> dict[str, Any]:
        write = self._prepare(data)
        if not self._holds(write, data):
            self._pay([write.charge._replace(units=1.0)])
            raise Failed("ConditionalCheckFailedException", **_shown(write, data))
        self._pay([write.charge])
        write.do()
        wanted = {"ALL_NEW": write.new, "ALL_OLD": write.old, "NONE": None}[data.get("ReturnValues", "NONE")]
        return {} if wanted is None else {"Attributes": dict(wanted)}

    def _prepare(self, part: dict[str, Any]) -> Write:
        """What a put, an update or a deletion makes of an item."""
        name = part["TableName"]
        table = self._table(name)
        if "Item" in part:
            return Write(name, table, table.place(part["Item"]), part["Item"])
        place = table.place(part["Key"])
        if "UpdateExpression" not in part:
            return Write(name, table, place, None)
        # Its condition is looked at later; what would not hold need not be possible either.
        update = expressions.update(part["UpdateExpression"], part.get("ExpressionAttributeNames", {}))
        write = Write(name, table, place, None)
        if self._holds(write, part):
            new = update(write.old or part["Key"], part.get("ExpressionAttributeValues", {}))
            if table.key_of(new) != part["Key"]:
                raise Failed("ValidationException", "a key cannot be updated")
            write = Write(name, table, place, new)
        return write

    def _holds(self, write: Write, part: dict[str, Any]) -> bool:
        if "ConditionExpression" not in part:
            return True
        condition = expressions.condition(
            part["ConditionExpression"], part.get("ExpressionAttributeNames", {})
        )
        return condition(write.old or {}, part.get("ExpressionAttributeValues", {}))

    def _transact(self, operation: str, data: dict[str, Any]) -> dict[str, Any]:
        parts = [part for item in data["TransactItems"] for part in item.values()]
        writes = [self._prepare(part) for part in parts]
        places = {(part["TableName"], write.place) for part, write in zip(parts, writes, strict=True)}
        if not 1 <= len(places) == len(parts) <= LONGEST_TRANSACTION:
            raise Failed("ValidationException", "1 to 100 items, each once")
        reasons: list[dict[str, Any]] = [
            {"Code": "None"}
            if self._holds(write, part)
            else {"Code": "ConditionalCheckFailed", "Message": "it does not hold", **_shown(write, part)}
            for part, write in zip(parts, writes, strict=True)
        ]
        charges = [write.charge._replace(units=write.charge.units * 2) for write in writes]
        self._pay(charges, transaction=True)
        if any(reason["Code"] != "None" for reason in reasons):
            raise _cancelled(reasons)
        for item, write in zip(data["TransactItems"], writes, strict=True):
            if "ConditionCheck" not in item:
                write.do()
        return {}

    def _batch_write(self, operation: str, data: dict[str, Any]) -> dict[str, Any]:
        left: dict[str, list[dict[str, Any]]] = {}
        done = 0
        if sum(map(len, data["RequestItems"].values())) > BATCH:
            raise Failed("ValidationException", f"more than {BATCH} items")
        # All of it is looked at before any of it is done.
        writes = [
            (name, request, self._prepare({"TableName": name, **part}))
            for name, requests in data["RequestItems"].items()
            for request in requests
            for part in request.values()
        ]
        for name, request, write in writes:
            try:
                self._pay([write.charge])
            except Failed:
                left.setdefault(name, []).append(request)
            else:
                write.do()
                done += 1
        if not done:
            raise Failed(THROTTLED)
        return {"UnprocessedItems": left}

    def _batch_get(self, operation: str, data: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, list[Item]] = {}
        charges = []
        for name, wanted in data["RequestItems"].items():
            table = self._table(name)
            for key in wanted["Keys"]:
                place = table.place(key)
                item = table.get(place)
                charges.append(_reading({**wanted, "TableName": name}, place[0], item_size(item or {})))
                if item is not None:
                    found.setdefault(name, []).append(_projected(item, wanted))
        self._pay(charges)
        return {"Responses": found, "UnprocessedKeys": {}}

    def _query(self, operation: str, data: dict[str, Any]) -> dict[str, Any]:
        table = self._table(data["TableName"])
        values = data.get("ExpressionAttributeValues", {})
        parts = expressions.key_condition(
            data["KeyConditionExpression"], data.get("ExpressionAttributeNames", {})
        )
        by_name = {name: (sign, [values[each]["S"] for each in given]) for name, sign, given in parts}
        sign, [partition] = by_name.pop(table.hash_key)
        if sign != "=" or by_name.keys() - {table.range_key}:
            raise Failed("ValidationException", "not a condition of the keys")
        order, items = table.partitions.get(partition, ([], {}))
        low, high = key_range(order, *by_name.get(table.range_key or "", ("all", [])))
        forward = data.get("ScanIndexForward", True)
        if "ExclusiveStartKey" in data:
            last = table.place(data["ExclusiveStartKey"])[1]
            if forward:
                low = max(low, bisect.bisect_right(order, last))
            else:
                high = min(high, bisect.bisect_left(order, last))
        there = order[low:high] if forward else order[low:high][::-1]
        return self._page(table, data, partition, (items[each] for each in there))

    def _scan(self, operation: str, data: dict[str, Any]) -> dict[str, Any]:
        table = self._table(data["TableName"])
        start = table.place(data["ExclusiveStartKey"]) if "ExclusiveStartKey" in data else ("", "")
        places = (
            (partition, each)
            for partition in sorted(table.partitions)
            if partition >= start[0]
            for each in table.partitions[partition][0]
        )
        items = (
            table.partitions[place[0]][1][place[1]]
            for place in places
            if "ExclusiveStartKey" not in data or place > start
        )
        return self._page(table, data, None, items)

    def _page(
        self, table: Table, data: dict[str, Any], partition: str | None, items: Iterator[Item]
    ) -> dict[str, Any]:
        # An item of a crowd stands for many, so fewer of them fill a page.
        factor = self._partitions.factor_of(data["TableName"]) if self._partitions else 1.0
        most = max(1, int(data.get("Limit", PAGE) / factor))
        largest = PAGE / factor
        page: list[Item] = []
        size = 0
        more = False
        for item in items:
            if len(page) == most or size > largest:
                more = True
                break
            page.append(item)
            size += item_size(item)
        # DynamoDB does not look further, and says that there may be more.
        more = more or len(page) == most
        if partition is not None:
            self._pay([_reading(data, partition, size)])
        else:
            self.units["read"] += _reading(data, "", size).units
        values = data.get("ExpressionAttributeValues", {})
        kept = page
        if "FilterExpression" in data:
            fits = expressions.condition(data["FilterExpression"], data.get("ExpressionAttributeNames", {}))
            kept = [item for item in page if fits(item, values)]
        answer: dict[str, Any] = {"Count": len(kept), "ScannedCount": len(page)}
        if data.get("Select") != "COUNT":
            answer["Items"] = [_projected(item, data) for item in kept]
        if more:
            answer["LastEvaluatedKey"] = table.key_of(page[-1])
        return answer


def _reading(data: Mapping[str, Any], partition: str, size: int) -> Charge:
    units = units_of(size, READ_UNIT) * (1.0 if data.get("ConsistentRead") else 0.5)
    return Charge(data["TableName"], partition, "read", units)


def _projected(item: Item, data: Mapping[str, Any]) -> Item:
    if "ProjectionExpression" in data:
        return expressions.project(
            item, data["ProjectionExpression"], data.get("ExpressionAttributeNames", {})
        )
    return dict(item)


def _shown(write: Write, part: Mapping[str, Any]) -> dict[str, Any]:
    """What was there, where that is wanted of a condition that does not hold."""
    wanted = part.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
    return {"Item": dict(write.old)} if wanted and write.old is not None else {}


def _cancelled(reasons: list[dict[str, Any]]) -> Failed:
    return Failed("TransactionCanceledException", CancellationReasons=reasons)
