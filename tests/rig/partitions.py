"""DynamoDB's limit of one partition key: so many units in a second, and throttled beyond.

On AWS a partition that is hot is split, but an item cannot be, nor a log that grows at its end.
"""

import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from tests.rig.allowance import Allowance
from tests.rig.faults import refusal
from tests.rig.limits import Limits
from tests.rig.sizes import item_size

# In bytes: of an item that is written, and of what is read.
WRITE_UNIT = 1024
READ_UNIT = 4096
READS = {"GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"}
THROTTLED = "ProvisionedThroughputExceededException"


class Charge(NamedTuple):
    """What a request costs one partition key.

    Attributes:
        table: The table.
        key: The partition key's value.
        kind: ``"write"`` or ``"read"``.
        units: How many units.
    """

    table: str
    key: str
    kind: str
    units: float


class Partitions:
    """Gives units, from any thread.

    Args:
        limits: How many there are.
        clock: Time in s.

    Attributes:
        crowded: Tables whose items are of the clients, so that each counts for as many as one client stands
            for.
        kept: Whether anything is refused now.
        throttled: How often each table and key was refused.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.crowded: set[str] = set()
        self.kept = True
        self.throttled: Counter[tuple[str, str]] = Counter()
        self._limits = limits
        self._clock = clock
        self._allowances: dict[tuple[str, str, str], Allowance] = {}
        self._lock = threading.Lock()
        self._thread = threading.local()

    def factor_of(self, table: str) -> float:
        """How many items one of a table stands for."""
        return self._limits.factor if table in self.crowded else 1.0

    def weigh(self, clients: float) -> None:
        """Count what this thread does from now on for so many clients."""
        self._thread.weight = clients

    def weigh_event(self, handler: str, event: dict[str, Any]) -> None:
        """Count what follows in this thread for whom an invocation is: what is said is said once."""
        if handler == "deliver":
            once = '"task":"prune"' not in event["Records"][0]["body"]
        else:
            once = handler == "message" and '"onMessage"' in event.get("body", "")
        self.weigh(1.0 if once else self._limits.factor)

    def admit(self, charges: Iterable[Charge]) -> list[bool]:
        """Take the units of a request: for each charge whether there are enough; none are taken if not."""
        charges = list(charges)
        if not self.kept:
            return [True] * len(charges)
        with self._lock:
            admitted = [not self._allowance(charge).is_used_up for charge in charges]
            if all(admitted):
                self._owe(charges)
            for charge, fine in zip(charges, admitted, strict=True):
                if not fine:
                    self.throttled[charge.table, charge.key] += 1
            return admitted

    def owe(self, charges: Iterable[Charge]) -> None:
        """Take the units of what has been done already."""
        with self._lock:
            self._owe(charges)

    def _owe(self, charges: Iterable[Charge]) -> None:
        for charge in charges:
            weight = getattr(self._thread, "weight", 1.0)
            if charge.table in self.crowded:
                weight = self._limits.factor
            self._allowance(charge).owe(charge.units * weight)

    def _allowance(self, charge: Charge) -> Allowance:
        key = (charge.table, charge.key, charge.kind)
        if key not in self._allowances:
            units = self._limits.writes if charge.kind == "write" else self._limits.reads
            self._allowances[key] = Allowance(units, units, self._clock)
        return self._allowances[key]


class Throttle:
    """Holds boto3's client to the limits, botocore's own tries included.

    What an update makes of an item is not known here: it counts as one unit.

    Args:
        client: boto3's DynamoDB client.
        partitions: The limits.
        keys: The name of each table's partition key.
    """

    def __init__(self, client: Any, partitions: Partitions, keys: dict[str, str]) -> None:
        self._partitions = partitions
        self._keys = keys
        self._thread = threading.local()
        client.meta.events.register("before-send.dynamodb", self._send)
        client.meta.events.register("after-call.dynamodb", self._answered)

    def _send(self, event_name: str, request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        operation = event_name.rpartition(".")[2]
        self._thread.body = body = json.loads(request.body)
        charges = list(self._charges(operation, body))
        admitted = self._partitions.admit(charges)
        if all(admitted):
            return None
        if operation.startswith("Transact"):
            reasons = [{"Code": "None" if fine else "ThrottlingError"} for fine in admitted]
            return refusal(request, "TransactionCanceledException", CancellationReasons=reasons)
        return refusal(request, THROTTLED)

    def _charges(self, operation: str, body: dict[str, Any]) -> Iterator[Charge]:
        """What is known before it is done: what is read costs nothing yet."""
        twice = 2.0 if operation.startswith("Transact") else 1.0
        kind = "read" if operation in READS else "write"
        for table, part in _parts(body):
            if table not in self._keys or not part.keys() & {"Key", "Item", "KeyConditionExpression"}:
                continue
            item = part.get("Item")
            units = 0.0 if kind == "read" else twice * units_of(item_size(item) if item else 0, WRITE_UNIT)
            yield Charge(table, self._key(table, part), kind, units)

    def _answered(self, event_name: str, parsed: dict[str, Any], **_: Any) -> None:
        operation = event_name.rpartition(".")[2]
        body = getattr(self._thread, "body", None)
        if operation in ("GetItem", "Query") and body and body["TableName"] in self._keys:
            items = parsed.get("Items") or [parsed.get("Item") or {}]
            table = body["TableName"]
            units = units_of(sum(map(item_size, items)), READ_UNIT)
            consistent = 1.0 if body.get("ConsistentRead") else 0.5
            self._partitions.owe([Charge(table, self._key(table, body), "read", units * consistent)])

    def _key(self, table: str, part: dict[str, Any]) -> str:
        if "KeyConditionExpression" in part:
            # The partition's condition is an equality, and the first one in all of the chat's.
            name = part["KeyConditionExpression"].split("=")[1].split()[0]
            return str(part["ExpressionAttributeValues"][name]["S"])
        return str((part.get("Key") or part["Item"])[self._keys[table]]["S"])


def units_of(size: int, unit: int) -> float:
    """How many units so many bytes are, one at least."""
    return float(max(1, math.ceil(size / unit)))


def _parts(body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a request does, item by item, with the table of each."""
    if "TransactItems" in body:
        for item in body["TransactItems"]:
            [part] = item.values()
            yield part["TableName"], part
    elif "RequestItems" in body:
        for table, requests in body["RequestItems"].items():
            if isinstance(requests, list):
                yield from ((table, part) for request in requests for part in request.values())
            else:
                yield from ((table, {"Key": key}) for key in requests["Keys"])
    else:
        yield body["TableName"], body
