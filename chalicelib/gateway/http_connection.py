"""One kept-alive HTTP/1.1 connection, which posts one thing at a time."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar, cast

import httptools

J = TypeVar("J")


class HttpConnection(asyncio.Protocol, Generic[J]):
    """Sends a request, and tells the status of its response.

    Args:
        answered: Called with the connection and the status of each response; the next request can be
            sent from there, after ``take_job``. Headers and body are read and left alone.
        lost: Called once, when the connection is closed from either side, or what comes is no HTTP.

    Attributes:
        job: What the request under way belongs to; None between two of them.
        posted_at: When it was sent, on the loop's clock.
        idle_since: When there was last something to do, in Unix time: the loop's clock may stand still
            while a Lambda is frozen.
        rested: Whether it had been idle before the request under way.
    """

    def __init__(
        self,
        answered: Callable[["HttpConnection[J]", int], None],
        lost: Callable[["HttpConnection[J]"], None],
    ) -> None:
        self.job: J | None = None
        self.posted_at = 0.0
        self.idle_since = 0.0
        self.rested = False
        self._answered = answered
        self._lost = lost
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Take what the server sends."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._transport.abort()

    def on_message_complete(self) -> None:
        """Take the end of a response; httptools calls this."""
        if not self._parser.should_keep_alive() or self.job is None:
            # What nobody has asked for is a server that says why it closes.
            self._transport.abort()
        if self.job is not None:
            self._answered(self, self._parser.get_status_code())

    def connection_lost(self, error: Exception | None) -> None:
        """Tell that it is over."""
        self._lost(self)

    def send(self, request: bytes, job: J, now: float) -> None:
        """Send a whole request."""
        self.job = job
        self.posted_at = now
        self._transport.write(request)

    def take_job(self) -> J:
        """Whose request was under way; none is, from now on."""
        job, self.job = self.job, None
        return cast(J, job)

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent, as far as this end knows."""
        return not self._transport.is_closing()
