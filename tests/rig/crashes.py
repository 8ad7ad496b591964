"""The death of a process at a chosen point between two of its requests."""

from typing import Any


class Crash(BaseException):
    """The process has died here. No handler of errors sees that."""


class Crashes:
    """Counts the requests of a DynamoDB client, and of whoever calls ``point``, and dies at one.

    Args:
        client: boto3's DynamoDB client.
    """

    def __init__(self, client: Any) -> None:
        self._left: int | None = None
        client.meta.events.register("before-call.dynamodb", self.point)

    def after(self, requests: int | None) -> None:
        """Die after so many more requests; None for never."""
        self._left = requests

    def point(self, **_: Any) -> None:
        """A request is about to be made."""
        if self._left is not None:
            if self._left == 0:
                self._left = None
                raise Crash
            self._left -= 1
