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

from .errors import NoAnswer, RequestFailed, Unconfirmed
from .frames import Reply, encode

# The code of an error that says so.
TOO_FAST = "rate_limited"
# How many requests are under way at most: so many can be too fast before the server has said so of one.
WINDOW = 20
# How long one request keeps back the next, where they go out one by one: its reply may get lost.
PATIENCE_SECONDS = 1.0


@dataclass
class _Request:
    """A request that has no answer yet.

    Attributes:
        frame: What is sent.
        answer: What comes back.
        once: Whether it must not be done twice.
        urgent: Whether it is sent before those that are not.
        passing: Whether it is of no use later.
        under_way: Whether it has been sent, and may be done.
        heard: Whether a reply of any kind has come since.
    """

    frame: str
    answer: asyncio.Future[Any]
    once: bool
    urgent: bool
    passing: bool
    under_way: bool = False
    heard: asyncio.Event = field(default_factory=asyncio.Event)


class Outbox:
    """Sends requests, again over each new connection, and matches the replies by their ``ref``.

    No more than ``WINDOW`` requests are under way. When the server says that one was too fast, nothing at all
    is sent for the time that it asks for. What has queued up by then is sent one by one, each after the
    reply to the one before, until nothing is left.

    Args:
        answer_seconds: Time within which a request must be answered.
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
            ValueError: A request with this ref is under way.
        """
        ref = ref or secrets.token_hex(8)
        if ref in self._waiting:
            raise ValueError(f"a request with the ref {ref!r} is under way")
        if passing and self._one_by_one:
            raise RequestFailed(action, ref, Error(code=TOO_FAST, message="too fast, others wait"))
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[ref] = _Request(encode(action, ref, fields), answer, once, urgent, passing)
        self._changed.set()
        try:
            async with asyncio.timeout(self._answer_seconds):
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

    async def send_by(self, socket: ClientConnection) -> None:
        """Send by this connection until cancelled, first of all what has no answer yet."""
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
                        async with asyncio.timeout(PATIENCE_SECONDS):
                            await request.heard.wait()

    def lost(self, resend: bool) -> None:
        """Keep what is to be sent for the next connection.

        Args:
            resend: Whether it is safe to send again what must not be done twice; where it is not, its
                callers are told ``Unconfirmed``.
        """
        self._hold = 0.0
        for request in self._waiting.values():
            if request.under_way and request.once and not resend and not request.answer.done():
                request.answer.set_exception(Unconfirmed("the connection was lost before the answer"))
            request.under_way = False

    def end(self, error: Exception) -> None:
        """Raise an error to all callers that wait."""
        for request in self._waiting.values():
            if not request.answer.done():
                request.answer.set_exception(error)

    async def _held(self) -> None:
        """Wait as long as the server asks for, and asks anew meanwhile."""
        slept = 0.0
        while (left := self._hold - slept) > 0:
            # Not all clients at once: no more are served in a second than before.
            await self._sleep(left + (0 if slept else self._random()))
            slept += left
        self._hold = 0.0

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
