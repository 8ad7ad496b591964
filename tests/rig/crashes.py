"""The death of a process at a chosen point between two of its requests, and what others do meanwhile."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

# What others do before a process makes its next request, after so many.
Meanwhile = Mapping[int, Callable[[], object]]


class Crash(BaseException):
    """The process has died here. No handler of errors sees that."""


@dataclass
class Process:
    """What a process has done, and what becomes of it.

    Attributes:
        left: How many requests it makes before it dies; None for as many as it likes.
        ends_at: When its time is up, by ``time.monotonic``: it dies at its first request after that.
        meanwhile: What other processes do between two of its requests.
        requests: Those that it has made: operations of DynamoDB, or what whoever called ``point`` said.
    """

    left: int | None = None
    ends_at: float = float("inf")
    meanwhile: Meanwhile = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)


class Crashes:
    """Counts the requests of a DynamoDB client, and of whoever calls ``point``, and dies at one.

    Each thread counts for itself: of many handlers that run at once, one dies.

    Args:
        client: boto3's DynamoDB client.
    """

    def __init__(self, client: Any) -> None:
        self._thread = threading.local()
        client.meta.events.register("before-call.dynamodb", self.point)

    def after(self, requests: int | None, ends_at: float = float("inf")) -> None:
        """Die after so many more requests of this thread; None for never, and to live again.

        Args:
            requests: How many.
            ends_at: When its time is up in any case, by ``time.monotonic``.
        """
        self._thread.process = Process(requests, ends_at)

    @contextmanager
    def process(self, dies_after: int | None, meanwhile: Meanwhile | None = None) -> Iterator[Process]:
        """Be another process in this thread, until the block ends.

        Args:
            dies_after: As for ``after``.
            meanwhile: What others do between two of its requests.
        """
        outer, inner = self._process, Process(dies_after, meanwhile=meanwhile or {})
        self._thread.process = inner
        try:
            yield inner
        finally:
            self._thread.process = outer

    @property
    def left(self) -> int | None:
        """How many requests this thread has left; None for as many as it likes."""
        return self._process.left

    def point(self, request: str = "", **event: Any) -> None:
        """A request is about to be made."""
        process = self._process
        if (work := process.meanwhile.get(len(process.requests))) is not None:
            work()
        if process.left == 0 or time.monotonic() > process.ends_at:
            # Nor does the dead process make another one, in a ``finally`` for instance.
            raise Crash
        process.requests.append(event["model"].name if event else request)
        if process.left is not None:
            process.left -= 1

    @property
    def _process(self) -> Process:
        process: Process = getattr(self._thread, "process", None) or Process()
        self._thread.process = process
        return process
