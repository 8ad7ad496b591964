"""A token bucket in an item of DynamoDB, taken from by the one request that the item is read by.

A bucket of ``burst`` tokens that gets ``per_second`` new ones cannot be kept as a number here: an update
cannot take the lesser of two values, and so not stop the bucket at its brim. It can shift a list, as
all of its right-hand sides are of the item as it was. So the item has the times of the last ``burst``
tokens that were taken, the newest first. Where the i-th of them was taken i + cost intervals ago, counted
from 0, the i tokens since have left ``cost`` of what came in meanwhile, and the frame is served. An update
with this condition shifts its own time in, once for each token, or is refused and gives the item back, in
one request either way.

So there is never more than the bucket would give, and at times less: of what is left of a burst and what
has come in since, a client has the greater one, not the sum. After a pause in which a bucket fills from
empty, all of it is there; a frame that costs the whole burst waits for such a pause.
"""

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

ATTRIBUTE = "recent"

# The largest burst whose expressions DynamoDB takes: 4 KB each, and 300 operators and functions. They
# take 3.6 KB and 201 of them; with 128 tokens, they would be too long.
LARGEST_BURST = 100

# Of a token that was never taken.
_NEVER = {"N": "0"}


class Bucket:
    """Says how to take tokens.

    Args:
        per_second: Tokens that come in each second.
        burst: Tokens that there can be, from 1 to ``LARGEST_BURST``.
    """

    def __init__(self, per_second: int, burst: int) -> None:
        self._burst = burst
        self._waits = [math.ceil(1000 * tokens / per_second) for tokens in range(burst + 1)]
        self.full = {"L": [_NEVER] * burst}

    def take(self, cost: int, now_ms: int, condition: str) -> dict[str, Any]:
        """Describe the update of an item that takes tokens from its bucket.

        Args:
            cost: Tokens to take, one at least; who asks for more than the whole burst takes the burst.
            now_ms: Unix time in ms.
            condition: What else must hold, without names and values of its own.

        Returns:
            The arguments of ``update_item`` but for the table, the key and what to return.
        """
        cost = self._payable(cost)
        expression, enough = _expressions(self._burst, cost)
        values = {":now": {"N": str(now_ms)}}
        # DynamoDB refuses a value that is not used.
        if cost < self._burst:
            values[":never"] = _NEVER
        for index, wait in enumerate(self._waits[cost:]):
            values[f":t{index}"] = {"N": str(now_ms - wait)}
        return {
            "UpdateExpression": expression,
            "ConditionExpression": f"{condition} AND ({enough})",
            "ExpressionAttributeNames": {"#r": ATTRIBUTE},
            "ExpressionAttributeValues": values,
        }

    def wait_seconds(self, item: Mapping[str, Any], cost: int, now_ms: int) -> int:
        """How long an item that was refused some tokens has too few, in whole s and at least one.

        It is 0 for an item without a bucket, which was written while there were no rates.
        """
        if ATTRIBUTE not in item:
            return 0
        times = (int(time["N"]) for time in item[ATTRIBUTE]["L"])
        waits = self._waits[self._payable(cost) :]
        first = min(time + wait for time, wait in zip(times, waits, strict=False))
        return max(1, math.ceil((first - now_ms) / 1000))

    def _payable(self, cost: int) -> int:
        return min(cost, self._burst)


@cache
def _expressions(burst: int, cost: int) -> tuple[str, str]:
    """The update that shifts the list, and the condition that there are enough tokens."""
    taken = [f"#r[{index}]=:now" for index in range(cost)]
    # An item of a time when the burst was smaller has a shorter list.
    shifted = [f"#r[{index}]=if_not_exists(#r[{index - cost}],:never)" for index in range(cost, burst)]
    enough = [f"#r[{index}]<=:t{index}" for index in range(burst - cost + 1)]
    return f"SET {','.join(taken + shifted)}", " OR ".join(enough)
