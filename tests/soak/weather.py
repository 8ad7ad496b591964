"""The faults of a soak, put upon the rig."""

import random
import threading
from collections import Counter, deque
from collections.abc import Callable

from tests.rig.callbacks import Answer
from tests.rig.faults import StorageFault, StorageFaults
from tests.rig.rig import Rig
from tests.soak.schedule import Action

# What the operations of DynamoDB can meet.
OPERATIONS = (
    "GetItem",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "TransactWriteItems",
    "Query",
    "BatchWriteItem",
)
# Requests that a hot partition refuses: more than botocore tries for one call.
HEAT = 8
# Points at which a handler can die; those of it that it does not reach it survives.
POINTS = 40
# Large rooms are spared what delays a message between its number and its place in the log, or uses the
# number up: everybody there asks for the history then, which takes an emulator seconds. Small rooms are not.
LARGE = '"hall'
SPARED = ("PutItem", "UpdateItem", "TransactWriteItems", "Query")
# How long something lasts that lasts, in ticks.
LONGEST_HANG = 30
LONGEST_HOLD = 20


class Weather:
    """Orders faults, and ends those that last.

    Args:
        rig: Where they are ordered.
        chance: Shuffles what the queue gives.
    """

    def __init__(self, rig: Rig, chance: random.Random) -> None:
        self._rig = rig
        self._tick = 0
        self._ending: list[tuple[int, Callable[[], object]]] = []
        self._tables: dict[str, deque[StorageFault]] = {operation: deque() for operation in OPERATIONS}
        self._storage = StorageFaults(rig.dynamodb, self._storage_fault)
        self._forgotten = 0
        self._lock = threading.Lock()
        rig.queues.shuffle = chance.shuffle

    @property
    def injected(self) -> Counter[str]:
        """How often each fault has happened."""
        counts = self._rig.injected
        counts.update({f"DynamoDB: {kind}": times for kind, times in dict(self._storage.injected).items()})
        counts["cold start"] = self._forgotten
        return counts

    def tick(self) -> None:
        """End what has lasted long enough."""
        self._tick += 1
        due = [end for at, end in self._ending if at <= self._tick]
        self._ending = [(at, end) for at, end in self._ending if at > self._tick]
        for end in due:
            end()

    def clear(self) -> None:
        """End all of it: nothing fails any more."""
        for _, end in self._ending:
            end()
        self._ending.clear()
        for faults in self._tables.values():
            faults.clear()
        self._rig.callbacks.answers.clear()
        self._rig.callbacks.bare.clear()
        self._rig.functions.call_off()
        self._rig.queues.failing.clear()
        self._rig.queues.repeats = 0

    def bring(self, action: Action) -> None:
        """Bring a fault about, or order it for what comes next."""
        match action.kind:
            case "throttle a client":
                self._answer(action, [429] * action.times(6))
            case "fail a post":
                self._answer(action, [500, 503][: action.times(2)] * action.times(3))
            case "lose a reply":
                self._answer(action, [Answer.DROPPED])
            case "refuse a post":
                self._answer(action, [Answer.REFUSED] * action.times(4))
            case "hang":
                self._hang(action)
            case "hold openings":
                self._rig.do(self._rig.gateway.may_open.clear)
                self._later(action.times(LONGEST_HOLD), lambda: self._rig.do(self._rig.gateway.may_open.set))
            case "crash connect" | "crash message" | "crash disconnect" | "crash deliver":
                handler = action.kind.removeprefix("crash ")
                self._rig.functions.crash(
                    handler,
                    after=action.times(POINTS) - 1,
                    when=lambda event: LARGE not in event.get("body", ""),
                )
            case "throttle a table":
                self._fail(self._operation(action), StorageFault.THROTTLED)
            case "heat a table":
                for _ in range(HEAT):
                    self._fail(self._operation(action), StorageFault.THROTTLED)
            case "conflict":
                for operation in ("TransactWriteItems", "DeleteItem")[: action.times(2)]:
                    self._fail(operation, StorageFault.CONFLICT)
            case "lose an answer":
                self._fail(self._operation(action), StorageFault.LOST)
            case "do a part of a batch":
                self._fail("BatchWriteItem", StorageFault.PARTLY)
            case "repeat from the queue":
                self._rig.queues.repeats += 1
            case "refuse a part of a write":
                self._rig.queues.failing.append("partly")
            case "end idle functions":
                self._forgotten += 1
                self._rig.functions.forget()

    def _fail(self, operation: str, fault: StorageFault) -> None:
        self._tables[operation].append(fault)

    def _storage_fault(self, operation: str, body: bytes) -> StorageFault | None:
        with self._lock:
            faults = self._tables.get(operation)
            spared = operation in SPARED and LARGE.encode() in body
            return faults.popleft() if faults and not spared else None

    def _answer(self, action: Action, answers: list[int | Answer]) -> None:
        if (connection_id := self._somebody(action)) is not None:
            self._rig.callbacks.answers[connection_id] = [*answers, 200]

    def _hang(self, action: Action) -> None:
        if (connection_id := self._somebody(action)) is not None:
            self._rig.callbacks.hanging.add(connection_id)
            self._later(action.times(LONGEST_HANG), self._rig.callbacks.release)

    def _somebody(self, action: Action) -> str | None:
        ids = sorted(self._rig.gateway.open)
        return ids[int(action.who * len(ids))] if ids else None

    def _later(self, ticks: int, end: Callable[[], object]) -> None:
        self._ending.append((self._tick + ticks, end))

    def _operation(self, action: Action) -> str:
        return OPERATIONS[int(action.who * len(OPERATIONS))]
