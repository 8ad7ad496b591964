"""What AWS lets one account do in a second, scaled to a machine that is smaller than AWS."""

import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.rig.allowance import Allowance

# What API Gateway bills as one message, in bytes.
METERED = 32 * 1024


@dataclass(frozen=True)
class Limits:
    """The quotas of an account, and how long its services take.

    One factor makes them small: it divides API Gateway's and Lambda's quotas, as it divides the clients and
    the members of a room. So one client here stands for ``factor`` of them. Times stay as they are, and so
    does how often somebody speaks in a room. A partition of DynamoDB is as large as on AWS; what a client
    does to it counts ``factor`` times there, and what a message does once.

    Attributes:
        factor: Clients that one client stands for.
        requests: What API Gateway takes in a second, of everything: frames, handshakes, posts, deletions.
        request_burst: What it takes at once after a silence.
        connections: New sockets in a second.
        invocations: Lambda's, at the same time.
        writes: Write units in a second, of one partition key of a table.
        reads: Read units, likewise.
        post_seconds: How long a post takes.
        storage_seconds: How long a request to DynamoDB takes, and twice that a transaction.
    """

    factor: float = 1.0
    requests: float = 10_000
    request_burst: float = 5_000
    connections: float = 500
    invocations: float = 1_000
    writes: float = 1_000
    reads: float = 3_000
    post_seconds: float = 0.0
    storage_seconds: float = 0.0

    def scaled(self, factor: float) -> "Limits":
        """The same account for a factor's part of the clients."""
        return replace(
            self,
            factor=self.factor * factor,
            requests=self.requests / factor,
            request_burst=self.request_burst / factor,
            connections=self.connections / factor,
            invocations=self.invocations / factor,
        )


class Account:
    """Counts what API Gateway and Lambda do, and refuses what is too much; from any thread.

    Args:
        limits: The quotas.
        clock: Time in s.

    Attributes:
        limits: The quotas.
        slow: Ids of sockets whose buffer is full: their client does not read, and posts to them answer 429.
        taken: How many requests there were of each kind: ``frame``, ``connect``, ``post``, ``delete``.
        refused: How many were too much, likewise, and ``invocation`` and ``slow``.
        metered: Messages as they are billed, ``in`` and ``out``: 32 KB are one.
        by_second: Requests of each kind in each second, counted from the beginning.
        most_running: The most invocations that there have been at once.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.slow: set[str] = set()
        self._clock = clock
        self._requests = Allowance(limits.requests, limits.request_burst, clock)
        self._connections = Allowance(limits.connections, max(1.0, limits.connections), clock)
        self._running = 0
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Count anew; what has been used up stays so."""
        self.taken: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.metered: Counter[str] = Counter()
        self.by_second: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self.most_running = 0
        self._began = self._clock()

    def frame(self, size: int) -> bool:
        """Whether a frame of so many bytes is taken from a client."""
        return self._request("frame", size)

    def connect(self) -> bool:
        """Whether there can be another socket now."""
        if not self._connections.take():
            self.refused["connect"] += 1
            return False
        return self._request("connect")

    def post(self, connection_id: str, size: int) -> bool:
        """Whether a message of so many bytes is taken for a socket."""
        if connection_id in self.slow:
            self.refused["slow"] += 1
            return False
        return self._request("post", size)

    def delete(self) -> bool:
        """Whether a socket may be closed now."""
        return self._request("delete")

    def begin(self) -> bool:
        """Begin an invocation, if there can be one more."""
        with self._lock:
            if self._running >= self.limits.invocations:
                self.refused["invocation"] += 1
                return False
            self._running += 1
            self.most_running = max(self.most_running, self._running)
            return True

    def end(self) -> None:
        """End an invocation that has begun."""
        with self._lock:
            self._running -= 1

    def _request(self, kind: str, size: int = 0) -> bool:
        if not self._requests.take():
            self.refused[kind] += 1
            return False
        self.taken[kind] += 1
        self.by_second[int(self._clock() - self._began)][kind] += 1
        if kind in ("frame", "post"):
            self.metered["in" if kind == "frame" else "out"] += max(1, math.ceil(size / METERED))
        return True
