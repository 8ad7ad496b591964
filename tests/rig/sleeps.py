"""Sleeping without waiting."""

import asyncio

# Longer than any wait before connecting again: the time between pings.
INTERVAL = 300.0


class Sleeps:
    """Stands for ``asyncio.sleep``: short sleeps end at once, intervals when the test says so.

    Attributes:
        short: How long the short ones were to be, in s.
    """

    def __init__(self) -> None:
        self.short: list[float] = []
        self._interval = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        """Sleep."""
        if seconds < INTERVAL:
            self.short.append(seconds)
            await asyncio.sleep(0)
        else:
            await self._interval.wait()
            self._interval.clear()

    def end_interval(self) -> None:
        """End the interval that is slept through."""
        self._interval.set()

    async def slept(self, times: int) -> None:
        """Wait until so many short sleeps have begun."""
        while len(self.short) < times:
            await asyncio.sleep(0)
