"""A token bucket in an item of DynamoDB, taken from by the one request that the item is read by.

A bucket of ``burst`` tokens that gets ``per_second`` new ones cannot be kept as a number here: an update
cannot take the lesser of two values, and so not stop the bucket at its brim. It can shift a list, as
all of its right-hand sides are of the item as it was. So the item has the times of the last ``burst``
frames, the newest first, and a frame has a token where, for some k, the k-th last of them is k intervals
ago: then the frames since have used up no more than what came in. An update with this condition shifts
its own time in, or is refused and gives the item back, in one request either way.

So there is never more than the bucket would give, and less in one case: what is left of a burst is lost to
who goes on at the full rate. A burst comes after a pause.
"""

import math
from collections.abc import Mapping
from typing import Any

ATTRIBUTE = "recent"

# Of a frame that there never was.
_NEVER = {"N": "0"}


class Bucket:
    """Says how to take a token.

    Args:
        per_second: Tokens that come in each second.
        burst: Tokens that there can be.
    """

    def __init__(self, per_second: int, burst: int) -> None:
        self._waits = [math.ceil(1000 * k / per_second) for k in range(1, burst + 1)]
        last = range(1, burst)
        self.full = {"L": [_NEVER] * burst}
        self.expression = f"SET {ATTRIBUTE}[0] = :now" + "".join(
            f", {ATTRIBUTE}[{k}] = if_not_exists({ATTRIBUTE}[{k - 1}], :never)" for k in last
        )
        self.condition = "(" + " OR ".join(f"{ATTRIBUTE}[{k}] <= :t{k}" for k in range(burst)) + ")"

    def values(self, now_ms: int) -> dict[str, Any]:
        """The values for the expression and the condition."""
        times = {f":t{k}": {"N": str(now_ms - wait)} for k, wait in enumerate(self._waits)}
        return {":now": {"N": str(now_ms)}, ":never": _NEVER, **times}

    def wait_seconds(self, item: Mapping[str, Any], now_ms: int) -> int:
        """How long an item that had no token has none, in whole s and at least one."""
        times = (int(time["N"]) for time in item[ATTRIBUTE]["L"])
        first = min(time + wait for time, wait in zip(times, self._waits, strict=False))
        return max(1, math.ceil((first - now_ms) / 1000))
