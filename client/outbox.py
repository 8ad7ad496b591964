"""Requests, from when they are made until they are answered, over as many connections as that takes."""

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from chalicelib.wire.events import Error

from .errors import NoAnswer, RequestFailed, Unconfirmed
from .frames import Reply, encode


@dataclass
class _Request:
    """A request that has no answer yet.

    Attributes:
        frame: What is sent.
        answer: What comes back.
        once: Whether it must not be done twice.
        under_way: Whether it has been sent, and may be done.
    """

    frame: str
    answer: asyncio.Future[Any]
    once: bool
    under_way: bool = False


class Outbox:
    """Sends requests, again over each new connection, and matches the replies by their ``ref``.

    Args:
        answer_seconds: Time within which a request must be answered.
    """

    def __init__(self, answer_seconds: float) -> None:
        self._answer_seconds = answer_seconds
        self._waiting: dict[str, _Request] = {}
        self._socket: ClientConnection | None = None

    async def request(
        self, action: str, fields: Mapping[str, object], *, ref: str | None = None, once: bool = False
    ) -> Any:
        """Make a request and wait for its reply.

        Args:
            action: The action.
            fields: Its fields; those that are None are left out.
            ref: The reference; None for a random one.
            once: Whether it is for ``lost`` to decide if it may be sent again.

        Raises:
            RequestFailed: The reply is an error.
            NoAnswer: There is no reply in time.
            ValueError: A request with this ref is under way.
        """
        ref = ref or secrets.token_hex(8)
        if ref in self._waiting:
            raise ValueError(f"a request with the ref {ref!r} is under way")
        request = _Request(encode(action, ref, fields), asyncio.get_running_loop().create_future(), once)
        self._waiting[ref] = request
        try:
            async with asyncio.timeout(self._answer_seconds):
                await self._send(request)
                reply = await request.answer
        except TimeoutError:
            raise NoAnswer(action, ref) from None
        finally:
            del self._waiting[ref]
        if isinstance(reply, Error):
            raise RequestFailed(action, ref, reply)
        return reply

    def answered(self, reply: Reply) -> bool:
        """Hand a reply to who waits for it; False where nobody does."""
        request = self._waiting.get(reply.ref or "")
        if request is None:
            return False
        # It comes twice where the request was sent twice.
        if not request.answer.done():
            request.answer.set_result(reply)
        return True

    def put_off(self, reply: Reply) -> int | None:
        """Where a reply says that a request was too fast, the time in s after which to send it ``again``."""
        request = self._waiting.get(reply.ref or "")
        if request is None or not isinstance(reply, Error) or reply.code != "rate_limited":
            return None
        request.under_way = False
        return reply.retry_after or 1

    async def again(self, ref: str | None) -> None:
        """Send a request that was put off, where it is waited for yet."""
        if request := self._waiting.get(ref or ""):
            await self._send(request)

    async def opened(self, socket: ClientConnection) -> None:
        """Send by this connection from now on, first of all what has no answer yet."""
        self._socket = socket
        for request in list(self._waiting.values()):
            await self._send(request)

    def lost(self, resend: bool) -> None:
        """Keep what is to be sent for the next connection.

        Args:
            resend: Whether it is safe to send again what must not be done twice; where it is not, its
                callers are told ``Unconfirmed``.
        """
        self._socket = None
        for request in self._waiting.values():
            if request.under_way and request.once and not resend and not request.answer.done():
                request.answer.set_exception(Unconfirmed("the connection was lost before the answer"))
            request.under_way = False

    def end(self, error: Exception) -> None:
        """Raise an error to all callers that wait."""
        for request in self._waiting.values():
            if not request.answer.done():
                request.answer.set_exception(error)

    async def _send(self, request: _Request) -> None:
        if self._socket is not None and not request.under_way:
            request.under_way = True
            # The reader notices it too, and what is unanswered goes out by the next connection.
            with suppress(ConnectionClosed):
                await self._socket.send(request.frame)
