"""A value that is kept elsewhere and changes there now and then, such as a key."""

from collections.abc import Callable
from typing import Generic, TypeVar

from ..errors import KeysUnavailable

T = TypeVar("T")

# A key that has been withdrawn is trusted no longer than this; in s.
OLDEST_SECONDS = 600.0
# Between two reads, whatever strangers ask for; while there is nothing to go by, a shorter time.
PAUSE_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 5.0


class Refreshed(Generic[T]):
    """Reads a value when it is first needed, and again once it is old; while that fails, the last one stays.

    Args:
        read: Reads it.
        failures: Says what ``read`` raises where it cannot.
        clock: Unix time in s.
    """

    def __init__(
        self,
        read: Callable[[], T],
        failures: Callable[[], tuple[type[Exception], ...]],
        clock: Callable[[], float],
    ) -> None:
        self._read = read
        self._failures = failures
        self._clock = clock
        self._value: T | None = None
        self._read_at = self._tried_at = float("-inf")

    def get(self) -> T:
        """The value, at most ``OLDEST_SECONDS`` old where it can be read.

        Raises:
            KeysUnavailable: It has never been read, and cannot be.
        """
        if self._clock() >= self._read_at + OLDEST_SECONDS:
            return self.again()
        return self._value  # type: ignore[return-value]

    def again(self) -> T:
        """The value, read anew unless that was tried a moment ago; raises as ``get`` does."""
        now = self._clock()
        cause = None
        if now >= self._tried_at + (FIRST_PAUSE_SECONDS if self._value is None else PAUSE_SECONDS):
            self._tried_at = now
            try:
                self._value = self._read()
                self._read_at = now
            except self._failures() as error:
                cause = error
        if self._value is None:
            raise KeysUnavailable from cause
        return self._value
