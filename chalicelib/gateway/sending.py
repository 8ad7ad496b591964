"""One payload on its way to many connections: who has it, who waits, and what is tried again."""

import random
from collections import Counter, deque
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from .refusals import Cause
from .signer import SignedPost

# Tries of a post that fails, or is refused for the account's rate, or for an unknown reason.
TRIES = 3
ACCOUNT_TRIES = 40
UNKNOWN_TRIES = 4
# The longest delay before the second try doubles with each try, up to a limit; in s.
FIRST_DELAY = 0.1
LONGEST_DELAY = 0.2
# The longest delay where the reason is unknown; the shortest is half of it. By then the others are answered,
# and a burst that throttled the account for a moment is over; in s.
UNKNOWN_DELAY = 0.04


@dataclass
class SendResult:
    """What became of one payload, by connection id.

    Attributes:
        delivered: Taken by API Gateway.
        gone: Not connected any more, or not yet (410).
        throttled: Refused for the account's rate, or for an unknown reason, after the retries (429).
        slow: Refused because the client does not read what it is sent: its buffer is full (429).
        unsure: Refused for an unknown reason (429) when all others had an outcome: nobody is to wait for it.
        throttles: How often posts were refused for the account's rate; most of them were taken later.
        failed: Anything else, with the reason: a status such as ``"403"``,
            ``"unreachable"``, or ``"timeout"``.
    """

    delivered: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    throttled: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)
    throttles: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def refused(self) -> list[str]:
        """Those that would be refused again: 400, 403, 413."""
        return [each for each, reason in self.failed.items() if reason.startswith("4")]

    @property
    def left(self) -> set[str]:
        """Those that are worth another try, some time later; not those that are slow, or may be."""
        return {*self.throttled, *self.failed}.difference(self.refused)

    @property
    def forbidden(self) -> bool:
        """Whether this chat may not send at all: 403 is never the client's fault."""
        return "403" in self.failed.values()


class Sending:
    """Counts the outcomes until there is one for each connection.

    Args:
        post: The payload.
        connection_ids: Where to; each gets it once.
        deadline: ``time.monotonic()`` at which what has no outcome has failed with ``"timeout"``.
        patient: Whether nobody waits for the result: what is refused for an unknown reason is tried until the
            deadline.

    Attributes:
        waiting: Connections whose post can begin.
        future: The result, once it is there.
    """

    def __init__(
        self, post: SignedPost, connection_ids: Sequence[str], deadline: float, patient: bool = False
    ) -> None:
        self.post = post
        self.deadline = deadline
        self._left = dict.fromkeys(connection_ids)
        self.waiting = deque(self._left)
        self.future: Future[SendResult] = Future()
        self._result = SendResult()
        self._tries: Counter[str] = Counter()
        self._refused: set[str] = set()
        # Those that wait for another try, after a refusal for an unknown reason.
        self._aside: set[str] = set()
        self._patient = patient
        # One that is alone holds up nobody.
        self._hurried = len(self._left) > 1 and not patient
        if not self._left:
            self.future.set_result(self._result)

    def answered(self, connection_id: str, status: int) -> float | None:
        """Take a response other than 429.

        Returns:
            The seconds after which to try again, or None if this is the outcome.
        """
        if status == 200:
            self._result.delivered.append(connection_id)
        elif status == 410:
            self._result.gone.append(connection_id)
        elif status >= 500 and (delay := self._again(connection_id)) is not None:
            return delay
        else:
            self._result.failed[connection_id] = str(status)
        self._settled(connection_id)
        return None

    def refused(self, connection_id: str, cause: Cause) -> float | None:
        """Take a 429; the rest as for ``answered``."""
        if cause is Cause.SOCKET:
            self.leave_out(connection_id)
            return None
        if cause is Cause.ACCOUNT:
            self._result.throttles += 1
            # So it is why those were refused that wait for another try.
            self._aside.clear()
        self._refused.add(connection_id)
        self._tries[connection_id] += 1
        tries = self._tries[connection_id]
        if self._patient and tries < ACCOUNT_TRIES:
            return random.uniform(UNKNOWN_DELAY / 2, min(LONGEST_DELAY, UNKNOWN_DELAY * 2 ** (tries - 1)))
        if tries < UNKNOWN_TRIES and cause is Cause.UNKNOWN:
            self._aside.add(connection_id)
            if self._end_aside():
                return None
            return random.uniform(UNKNOWN_DELAY / 2, UNKNOWN_DELAY)
        if tries < ACCOUNT_TRIES and cause is Cause.ACCOUNT:
            return random.uniform(0, min(LONGEST_DELAY, FIRST_DELAY * 2 ** (tries - 1)))
        self._result.throttled.append(connection_id)
        self._settled(connection_id)
        return None

    def try_again(self, connection_id: str) -> None:
        """Note that a refused post is about to be tried again."""
        self._aside.discard(connection_id)

    def leave_out(self, connection_id: str) -> None:
        """Give up a connection that is found to be slow."""
        self._result.slow.append(connection_id)
        self._settled(connection_id)

    def unanswered(self, connection_id: str) -> float | None:
        """Take the loss of a response; the seconds after which to try again, as for ``answered``."""
        delay = self._again(connection_id)
        if delay is None:
            self.give_up(connection_id, "unreachable")
        return delay

    def give_up(self, connection_id: str, reason: str) -> None:
        """Fail a connection."""
        self._result.failed[connection_id] = reason
        self._settled(connection_id)

    def expire(self, under_way: Collection[str] = ()) -> None:
        """End it: what waits after a 429 was throttled, and anything else has failed.

        Args:
            under_way: Connections whose posts have been sent and not answered.
        """
        self.waiting.clear()
        for connection_id in list(self._left):
            if connection_id in self._refused and connection_id not in under_way:
                self._result.throttled.append(connection_id)
                self._settled(connection_id)
            else:
                self.give_up(connection_id, "timeout")

    @property
    def done(self) -> bool:
        """Whether there is an outcome for each connection."""
        return not self._left

    def _again(self, connection_id: str) -> float | None:
        self._tries[connection_id] += 1
        tries = self._tries[connection_id]
        return random.uniform(0, FIRST_DELAY * 2 ** (tries - 1)) if tries < TRIES else None

    def _settled(self, connection_id: str) -> None:
        del self._left[connection_id]
        self._aside.discard(connection_id)
        if not self._left:
            self.future.set_result(self._result)
        else:
            self._end_aside()

    def _end_aside(self) -> bool:
        """End it where all are waiting that have no outcome: they must not hold up what follows."""
        if not self._hurried or len(self._aside) < len(self._left):
            return False
        self._result.unsure += self._left
        self._left.clear()
        self._aside.clear()
        self.future.set_result(self._result)
        return True
