"""How long to wait before connecting again."""

from collections.abc import Callable

SHORTEST_SECONDS = 0.5
LONGEST_SECONDS = 30.0


class Backoff:
    """Waits with full jitter: any time from none to a bound that doubles, so that clients spread out.

    Args:
        random: A number from 0 to 1.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._bound = SHORTEST_SECONDS

    def next(self) -> float:
        """Draw the next wait, in s."""
        wait = self._random() * self._bound
        self._bound = min(self._bound * 2, LONGEST_SECONDS)
        return wait

    def reset(self) -> None:
        """Begin anew, after what was waited for has come to pass."""
        self._bound = SHORTEST_SECONDS
