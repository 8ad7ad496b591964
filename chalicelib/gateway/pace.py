"""How many posts may be under way at once, and how many may begin in a second."""

# After one cut, what the throttled posts of the same moment say is known already; in s.
SETTLED = 0.1
# When the account has not been throttled for this long, the concurrency grows by itself, and doubles each
# time that this has passed; in s.
QUIET_SECONDS = 1.0
DOUBLING_SECONDS = 0.5
# Enough for any concurrency; more could be too large a number.
MOST_DOUBLINGS = 64
# How much of a second's posts may begin at the same moment.
BURST = 0.1
# What a sum of floats may lack of a whole post.
ROUNDING = 1e-6


class Pace:
    """Halves the concurrency when API Gateway throttles the account, and grows it again post by post.

    That is how TCP shares a line (additive increase, multiplicative decrease), here the account's
    requests a second between all that send. After a second without throttling it also grows by time,
    so that a Lambda that sends little recovers, too.

    Times for ``throttled`` and ``recover`` are of a clock that runs while the process is frozen.

    Args:
        most: Posts under way at once, at most.
        per_second: Posts that begin in a second, at most; 0 for no such limit.

    Attributes:
        concurrency: Posts that may be under way at once now.
    """

    def __init__(self, most: int, per_second: int = 0) -> None:
        self.concurrency = float(most)
        self._most = float(most)
        self._per_second = float(per_second)
        self._cut_at = float("-inf")
        self._grows_from = float("-inf")
        self._burst = max(1.0, per_second * BURST)
        self._tokens = self._burst
        self._filled_at = float("-inf")

    def delivered(self) -> None:
        """A post was taken."""
        if self.concurrency < self._most:
            self.concurrency = min(self._most, self.concurrency + 1 / self.concurrency)

    def throttled(self, at: float) -> None:
        """Cut the concurrency because the account was throttled at this time, in s."""
        self._grows_from = at + QUIET_SECONDS
        if not 0 <= at - self._cut_at < SETTLED:
            self._cut_at = at
            self.concurrency = max(1.0, self.concurrency / 2)

    def recover(self, now: float) -> None:
        """Grow by the time that has passed without throttling."""
        if self.concurrency < self._most:
            # A clock that is set back must not delay it.
            self._grows_from = min(self._grows_from, now + QUIET_SECONDS)
            quiet = max(0.0, now - self._grows_from)
            self._grows_from += quiet
            doublings = min(quiet / DOUBLING_SECONDS, MOST_DOUBLINGS)
            self.concurrency = min(self._most, self.concurrency * 2**doublings)

    def begin(self, now: float) -> float:
        """Begin a post; 0, or the seconds to wait before trying again where it may not begin yet."""
        if not self._per_second:
            return 0.0
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        missing = 1 - self._tokens
        if missing > ROUNDING:
            return missing / self._per_second
        self._tokens -= 1
        return 0.0
