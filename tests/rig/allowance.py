"""How much there may be of something in a second: a token bucket, as AWS keeps them."""

import threading
import time
from collections.abc import Callable


class Allowance:
    """Gives tokens, from any thread.

    Args:
        per_second: Tokens that come in.
        burst: Tokens that there can be.
        clock: Time in s.
    """

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_second = per_second
        self.burst = burst
        self._clock = clock
        self._left = burst
        self._filled_at = clock()
        self._lock = threading.Lock()

    def take(self, tokens: float = 1.0) -> bool:
        """Take tokens, or none where there are not so many; a full bucket gives more than it has, once."""
        with self._lock:
            self._fill()
            if self._left < min(tokens, self.burst):
                return False
            self._left -= tokens
            return True

    def owe(self, tokens: float) -> None:
        """Take tokens that have been used already, whether they are there or not."""
        with self._lock:
            self._fill()
            self._left -= tokens

    @property
    def is_used_up(self) -> bool:
        """Whether there is nothing left."""
        with self._lock:
            self._fill()
            return self._left <= 0

    def _fill(self) -> None:
        now = self._clock()
        self._left = min(self.burst, self._left + (now - self._filled_at) * self.per_second)
        self._filled_at = now
