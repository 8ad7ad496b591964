"""Until when an invocation does what it does."""

import time

# Kept back of the time that is left: to reply, and to write the log line.
RESERVE_SECONDS = 1.0


def deadline_in(remaining_seconds: float) -> float:
    """The ``time.monotonic()`` by which to be done, where Lambda ends the process so many s from now."""
    return time.monotonic() + remaining_seconds - RESERVE_SECONDS
