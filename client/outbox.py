"""Requests, from when they are made until they are answered, over as many connections as that takes."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from chalicelib.wire.events import Error

from .errors import NoAnswer, RequestFailed, Unconfirmed, Unsendable
from .frames import Reply, encode

# The code of an error that says so.
TOO_FAST = "rate_limited"
# How many requests are under way at most: so many can be too fast before the server has said so of one.
WINDOW = 20
# How long one request keeps back the next, where they go out one by one: its reply may get lost.
PATIENCE_SECONDS = 1.0
# The same for what is said, which is to keep its order, also where a function of the chat has to start first.
ORDER_SECONDS = 5.0
# How long nothing is sent after API Gateway has refused a frame itself, in s; twice that after the next
# refusal, and so on, until there is a reply.
REFUSED_SECONDS = 1.0
MOST_REFUSED_SECONDS = 8.0
# How many connections a request may cost that are closed for a frame that the other end does not take.
MOST_CLOSURES = 3


@dataclass
class _Request:
    """A request that has no answer yet.

    Attributes:
        frame: What is sent.
        answer: What comes back.
        once: Whether it must not be done twice.
        urgent: Whether it is sent before those that are not.
        passing: Whether it is of no use later.
        left: Time in s that there is for an answer while a connection is open, where the clock stands.
        clock: What ends the waiting for an answer.
        under_way: Whether it has been sent, and may be done.
        doubtful: Whether API Gateway has refused a frame since, which may have been this one.
        closures: How often a connection was closed for a frame that the other end does not take, while this
            was under way.
        heard: Whether a reply of any kind has come since.
    """

    frame: str
    answer: asyncio.Future[Any]
    once: bool
    urgent: bool
    passing: bool
    left: float
    under_way: bool = False
    doubtful: bool = False
    closures: int = 0
    clock: asyncio.Timeout | None = None
    heard: asyncio.Event = field(default_factory=asyncio.Event)


class Outbox:
    """Sends requests, again over each new connection, and matches the replies by their ``ref``.

    No more than ``WINDOW`` requests are under way. When the server says that one was too fast, nothing at all
    is sent for the time that it asks for. What has queued up by then is sent one by one, each after the
    reply to the one before, until nothing is left. So is what has queued up while there was no connection: it
    keeps its order.

    Args:
        answer_seconds: Time within which a request must be answered, while a connection is open. Without one
            a request waits as long as its caller does.
        random: From 0 to 1, for the jitter.
        sleep: Waits that many s.
    """

    def __init__(
        self,
        answer_seconds: float,
        random: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._answer_seconds = answer_seconds
        self._random = random
        self._sleep = sleep
        self._waiting: dict[str, _Request] = {}
        # There may be something to send.
        self._changed = asyncio.Event()
        # For how long nothing may be sent, in s.
        self._hold = 0.0
        self._one_by_one = False
        # The clock by which there is a connection; None while there is none.
        self._open_since: float | None = None
        self._refusals = 0

    async def request(
        self,
        action: str,
        fields: Mapping[str, object],
        *,
        ref: str | None = None,
        once: bool = False,
        urgent: bool = False,
        passing: bool = False,
    ) -> Any:
        """Make a request and wait for its reply.

        Args:
            action: The action.
            fields: Its fields; those that are None are left out.
            ref: The reference; None for a random one.
            once: Whether it is for ``lost`` to decide if it may be sent again.
            urgent: Whether it is sent before those that wait to be.
            passing: Whether it is of no use later, and so not sent (again) where the server finds that this
                client is too fast.

        Raises:
            RequestFailed: The reply is an error.
            NoAnswer: There is no reply in time.
            Unsendable: It is too large, or not text.
            ValueError: A request with this ref is under way.
        """
        ref = ref or secrets.token_hex(8)
        if ref in self._waiting:
            raise ValueError(f"a request with the ref {ref!r} is under way")
        if passing and self._one_by_one:
            raise RequestFailed(action, ref, Error(code=TOO_FAST, message="too fast, others wait"))
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        frame = encode(action, ref, fields)
        waiting = _Request(frame, answer, once, urgent, passing, self._answer_seconds)
        self._waiting[ref] = waiting
        self._changed.set()
        try:
            async with asyncio.timeout(None) as waiting.clock:
                self._start_clock(waiting)
                reply = await answer
        except TimeoutError:
            raise NoAnswer(action, ref) from None
        finally:
            del self._waiting[ref]
            self._changed.set()
        if isinstance(reply, Error):
            raise RequestFailed(action, ref, reply)
        return reply

    def answered(self, reply: Reply) -> bool:
        """Hand a reply to the request that waits for it; False if none does."""
        request = self._waiting.get(reply.ref or "")
        if request is None:
            return False
        self._refusals = 0
        request.doubtful = False
        # It comes twice where the request was sent twice.
        if request.answer.done():
            return True
        is_too_fast = isinstance(reply, Error) and reply.code == TOO_FAST
        if isinstance(reply, Error) and is_too_fast:
            self._hold = max(self._hold, reply.retry_after or 1)
            self._one_by_one = True
        if is_too_fast and not request.passing:
            # It has not been done.
            request.under_way = False
        else:
            request.answer.set_result(reply)
        request.heard.set()
        self._changed.set()
        return True

    def refused(self, resend: bool) -> None:
        """Take note that API Gateway has refused one of the requests under way, or that the chat has failed.

        Those that have no answer after a while are sent again.

        Args:
            resend: As for ``lost``. What is not sent again may be answered yet.
        """
        self._hold = max(self._hold, min(MOST_REFUSED_SECONDS, REFUSED_SECONDS * 2**self._refusals))
        self._refusals += 1
        self._one_by_one = True
        for request in self._waiting.values():
            request.doubtful = request.under_way and (resend or not request.once)
        self._changed.set()

    async def send_by(self, socket: ClientConnection) -> None:
        """Send by this connection until cancelled, first of all what has no answer yet."""
        self._open_since = asyncio.get_running_loop().time()
        for each in self._waiting.values():
            self._start_clock(each)
        # What was said first is to come first.
        self._one_by_one |= sum(each.once for each in self._waiting.values()) > 1
        self._changed.set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._held()
            while request := self._next():
                request.under_way = True
                request.heard.clear()
                # The reader notices it too, and what is unanswered goes out by the next connection.
                with suppress(ConnectionClosed):
                    await socket.send(request.frame)
                if self._one_by_one:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(ORDER_SECONDS if request.once else PATIENCE_SECONDS):
                            await request.heard.wait()

    def lost(self, resend: bool, unacceptable: bool = False) -> None:
        """Keep what is to be sent for the next connection.

        Args:
            resend: Whether it is safe to send again what must not be done twice; where it is not, its
                callers are told ``Unconfirmed``.
            unacceptable: Whether the connection was closed for a frame that the other end does not take. The
                callers of that one are told ``Unsendable``, once it is known which it is.
        """
        self._hold = 0.0
        self._stop_clocks()
        if unacceptable:
            self._find_unacceptable()
        for request in self._waiting.values():
            request.doubtful = False
            if request.under_way and request.once and not resend and not request.answer.done():
                request.answer.set_exception(Unconfirmed("the connection was lost before the answer"))
            request.under_way = False

    def end(self, error: Exception) -> None:
        """Raise an error to all callers that wait."""
        for request in self._waiting.values():
            if not request.answer.done():
                request.answer.set_exception(error)

    def _start_clock(self, request: _Request) -> None:
        if self._open_since is not None and request.clock is not None:
            request.clock.reschedule(asyncio.get_running_loop().time() + request.left)

    def _stop_clocks(self) -> None:
        now = asyncio.get_running_loop().time()
        for request in self._waiting.values():
            when = request.clock.when() if request.clock is not None else None
            if request.clock is not None and when is not None and when > now:
                request.left = when - now
                request.clock.reschedule(None)
        self._open_since = None

    def _find_unacceptable(self) -> None:
        """Fail the request that was the only one under way, or whichever has met that often enough."""
        suspects = [each for each in self._waiting.values() if each.under_way and not each.answer.done()]
        self._one_by_one = True
        for request in suspects:
            request.closures += 1
            if len(suspects) == 1 or request.closures >= MOST_CLOSURES:
                request.answer.set_exception(Unsendable("the other end does not take such a frame"))

    async def _held(self) -> None:
        """Wait as long as the server asks for, and asks anew meanwhile."""
        slept = 0.0
        while (left := self._hold - slept) > 0:
            # Not all clients at once: no more are served in a second than before.
            await self._sleep(left + (0 if slept else self._random()))
            slept += left
        self._hold = 0.0
        for request in self._waiting.values():
            if request.doubtful:
                request.doubtful = request.under_way = False

    def _next(self) -> _Request | None:
        """What may be sent now."""
        open_ones = [request for request in self._waiting.values() if not request.answer.done()]
        unsent = [request for request in open_ones if not request.under_way]
        if not unsent:
            self._one_by_one = False
        if not unsent or self._hold:
            return None
        first = next((request for request in unsent if request.urgent), unsent[0])
        return first if first.urgent or len(open_ones) - len(unsent) < WINDOW else None
