"""Until when an invocation does what it does."""

import time

# Kept back of the time that is left: to reply, and to write the log line.
RESERVE_SECONDS = 1.0

# How much of that what must still be written may take: a lease that is given back, a task for a worker.
LATE_SECONDS = 0.8


def deadline_in(remaining_seconds: float) -> float:
    """The ``time.monotonic()`` by which to be done, where Lambda ends the process so many s from now."""
    return time.monotonic() + remaining_seconds - RESERVE_SECONDS


def last_moment(remaining_seconds: float) -> float:
    """The ``time.monotonic()`` by which the last request to AWS must have ended, late or not."""
    return deadline_in(remaining_seconds) + LATE_SECONDS
