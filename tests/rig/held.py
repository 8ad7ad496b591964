"""A request that is held back, so that something else comes first."""

import threading
from typing import Any

# For what happens at once where all is well, in s.
WAIT = 10.0


class Held:
    """Holds back a request of an operation until it is released.

    Args:
        client: boto3's DynamoDB client.
        operation: Such as ``"PutItem"``.
        after: How many requests of it go through before.

    Attributes:
        reached: Set once the request is about to be made.
    """

    def __init__(self, client: Any, operation: str, after: int = 0) -> None:
        self._after = after
        self.reached = threading.Event()
        self._release = threading.Event()
        client.meta.events.register(f"before-call.dynamodb.{operation}", self._hold)

    def _hold(self, **_: Any) -> None:
        if self._after:
            self._after -= 1
        elif not self.reached.is_set():
            self.reached.set()
            assert self._release.wait(WAIT)

    def release(self) -> None:
        """Let it through."""
        self._release.set()
