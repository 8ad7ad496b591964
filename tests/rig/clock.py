"""A clock that stands still until it is set."""


class Clock:
    """Unix time in s, as ``time.time`` gives it.

    Attributes:
        now: What it shows.
    """

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Stand for ``time.sleep``: nobody waits, the time has passed."""
        self.now += seconds
