"""Until when the requests of an invocation may take."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_DEADLINE: ContextVar[float] = ContextVar("deadline", default=float("inf"))


def time_limit() -> float:
    """The ``time.monotonic()`` by which the requests of this thread must be done; infinite by default."""
    return _DEADLINE.get()


@contextmanager
def done_by(deadline: float) -> Iterator[None]:
    """Let no request of this thread take longer, nor be tried again after that."""
    token = _DEADLINE.set(deadline)
    try:
        yield
    finally:
        _DEADLINE.reset(token)
