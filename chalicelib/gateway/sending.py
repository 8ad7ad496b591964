"""One payload on its way to many connections: who has it, who waits, and what is tried again."""

import random
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from .signer import SignedPost

TRIES = 3
THROTTLED = 429
# Before the second try, and twice that before the third, at most; in s.
FIRST_DELAY = 0.1


@dataclass
class SendResult:
    """What became of one payload, by connection id.

    Attributes:
        delivered: Taken by API Gateway.
        gone: Not connected any more, or not yet (410).
        slow: Refused for they do not read what they have been sent (429).
        throttled: Refused for the account's or the client's rate, after the retries (429).
        failed: Anything else, with the reason: a status such as ``"403"``,
            ``"unreachable"``, or ``"timeout"``.
    """

    delivered: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    throttled: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def refused(self) -> list[str]:
        """Those that would be refused again: 400, 403, 413."""
        return [each for each, reason in self.failed.items() if reason.startswith("4")]

    @property
    def left(self) -> set[str]:
        """Those that are worth another try, some time later."""
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

    Attributes:
        waiting: Connections whose post can begin.
        future: The result, once it is there.
    """

    def __init__(self, post: SignedPost, connection_ids: Sequence[str], deadline: float) -> None:
        self.post = post
        self.deadline = deadline
        self._left = dict.fromkeys(connection_ids)
        self.waiting = deque(self._left)
        self.future: Future[SendResult] = Future()
        self._result = SendResult()
        self._tries: Counter[str] = Counter()
        if not self._left:
            self.future.set_result(self._result)

    def answered(self, connection_id: str, status: int) -> float | None:
        """Take a response; None where that was it, or the seconds after which to try again."""
        if status == 200:
            self._result.delivered.append(connection_id)
        elif status == 410:
            self._result.gone.append(connection_id)
        elif status != THROTTLED and status < 500:
            self._result.failed[connection_id] = str(status)
        elif (delay := self._again(connection_id)) is not None:
            return delay
        elif status == THROTTLED:
            self._result.throttled.append(connection_id)
        else:
            self._result.failed[connection_id] = str(status)
        self._settled(connection_id)
        return None

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

    def expire(self) -> None:
        """Fail all that have no outcome."""
        self.waiting.clear()
        for connection_id in list(self._left):
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
        if not self._left:
            self.future.set_result(self._result)
