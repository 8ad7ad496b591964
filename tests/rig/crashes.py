"""The death of a process at a chosen point between two of its requests, and what others do meanwhile."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# Something to do before a process makes its next request after so many.
Meanwhile = tuple[int, Callable[[], object]]


class Crash(BaseException):
    """The process has died here. No handler of errors sees that."""


@dataclass
class Process:
    """What a process has done, and what becomes of it.

    Attributes:
        left: How many requests it makes before it dies; None for as many as it likes.
        meanwhile: What another process does between two of its requests.
        requests: How many it has made.
    """

    left: int | None = None
    meanwhile: Meanwhile | None = None
    requests: int = 0


class Crashes:
    """Counts the requests of a DynamoDB client, and of whoever calls ``point``, and dies at one.

    Each thread counts for itself: of many handlers that run at once, one dies.

    Args:
        client: boto3's DynamoDB client.
    """

    def __init__(self, client: Any) -> None:
        self._thread = threading.local()
        client.meta.events.register("before-call.dynamodb", self.point)

    def after(self, requests: int | None) -> None:
        """Die after so many more requests of this thread; None for never, and to live again."""
        self._thread.process = Process(requests)

    @contextmanager
    def process(self, dies_after: int | None, meanwhile: Meanwhile | None = None) -> Iterator[Process]:
        """Be another process in this thread, until the block ends.

        Args:
            dies_after: As for ``after``.
            meanwhile: What somebody else does at a point in between.
        """
        outer, inner = self._process, Process(dies_after, meanwhile)
        self._thread.process = inner
        try:
            yield inner
        finally:
            self._thread.process = outer

    @property
    def left(self) -> int | None:
        """How many requests this thread has left; None for as many as it likes."""
        return self._process.left

    def point(self, **_: Any) -> None:
        """A request is about to be made."""
        process = self._process
        if process.meanwhile is not None and process.meanwhile[0] == process.requests:
            (_, work), process.meanwhile = process.meanwhile, None
            work()
        if process.left == 0:
            # Nor does the dead process make another one, in a ``finally`` for instance.
            raise Crash
        process.requests += 1
        if process.left is not None:
            process.left -= 1

    @property
    def _process(self) -> Process:
        process: Process = getattr(self._thread, "process", None) or Process()
        self._thread.process = process
        return process
