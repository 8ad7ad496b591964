"""Time in a soak: ten times as fast as outside, and never so fast that AWS could not keep up."""

import asyncio
import heapq
from itertools import count

from tests.rig.rig import Rig

# One tick is one second of the rig's, and lasts so long, in s.
TICK = 0.1
# How much slower everything is here than on AWS.
SHARING = 6.0


class Time:
    """The rig's clock, and who sleeps by it.

    Args:
        rig: The rig.
    """

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._sleeping: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def __call__(self) -> float:
        return self._rig.clock()

    async def sleep(self, seconds: float) -> None:
        """Sleep by the rig's clock, as ``asyncio.sleep`` does by the other.

        Less than a second is by that other one, and longer: what is waited for so briefly is the work of
        others, which shares this machine here.
        """
        if seconds < 1:
            await asyncio.sleep(seconds * SHARING)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleeping, (self() + seconds, next(self._order), woken))
        await woken

    async def tick(self) -> None:
        """Let a second pass, unless a socket that is opening would have had too long for it."""
        if self() + 1 <= self._rig.gateway.latest:
            await asyncio.wrap_future(self._rig.do(self._rig.pass_time, 1))
        while self._sleeping and self._sleeping[0][0] <= self():
            woken = heapq.heappop(self._sleeping)[2]
            if not woken.done():
                woken.set_result(None)
