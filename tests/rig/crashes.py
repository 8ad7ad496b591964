"""The death of a process at a chosen point between two of its requests."""

import threading
from typing import Any


class Crash(BaseException):
    """The process has died here. No handler of errors sees that."""


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
        self._thread.left = requests

    @property
    def left(self) -> int | None:
        """How many requests this thread has left; None for as many as it likes."""
        return getattr(self._thread, "left", None)

    def point(self, **_: Any) -> None:
        """A request is about to be made."""
        if self.left == 0:
            # Nor does the dead process make another one, in a ``finally`` for instance.
            raise Crash
        if self.left is not None:
            self.after(self.left - 1)
