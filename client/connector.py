"""Connecting to the chat, again and again."""

import asyncio
import logging
import urllib.request
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal
from urllib.parse import quote, urlencode, urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    InvalidHandshake,
    InvalidProxy,
    InvalidProxyStatus,
    InvalidStatus,
    ProxyError,
)
from websockets.proxy import get_proxy
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from chalicelib.handshake import BEARER
from chalicelib.wire.events import Goodbye

from .backoff import LONGEST_SECONDS, Backoff
from .errors import ProxyFailed, Refused

SUBPROTOCOL = Subprotocol("chat.v1")
# How long a server may take to take leave.
CLOSE_SECONDS = 2.0
# Of the 4xx, those that pass: the server was slow, or throttles.
PASSING = {408, 429}
# Somebody has a name that looks the same. That passes too, but a new client is not to wait for it.
NAME_TAKEN = 409

Query = Sequence[tuple[str, str]]

_log = logging.getLogger(__name__)


class Connector:
    """Keeps a connection open, as long as the server lets it.

    Args:
        url: The chat's URL.
        headers: Sent with each handshake.
        token: The token for the next handshake, if there is one.
        proxy: The proxy's URL; True for the one that the environment names, None for none.
        random: From 0 to 1, for the jitter.
        clock: Monotonic, in s.
        sleep: Waits that many s.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        token: Callable[[], str | None],
        proxy: str | Literal[True] | None,
        random: Callable[[], float],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._url = url
        self._headers = headers
        self._token = token
        self._proxy = proxy
        self._backoff = Backoff(random)
        self._clock = clock
        self._sleep = sleep

    async def run(
        self, query: Callable[[], Query], talk: Callable[[ClientConnection], Awaitable[Goodbye | None]]
    ) -> None:
        """Connect and talk, until a ``goodbye`` that says not to come back.

        A connection that was open for as long as the longest wait is good: the waits begin anew.

        Args:
            query: The parameters for the URL of the next connection.
            talk: Uses a connection up; returns the server's ``goodbye``, if it came to one.

        Raises:
            Refused: The server does not let this client in.
            ProxyFailed: The proxy does not, or cannot be used.
        """
        passing = set(PASSING)
        while True:
            goodbye, opened, why = None, None, "the connection was lost"
            proxy = self._proxy_now()
            try:
                async with self._connect(query(), proxy) as socket:
                    opened = self._clock()
                    passing.add(NAME_TAKEN)
                    try:
                        goodbye = await talk(socket)
                    except asyncio.CancelledError:
                        # Wanted, and so no error (1011), as the context manager would call it.
                        await socket.close()
                        raise
                    # Nothing is expected of it any more, and a dead peer would be waited for.
                    socket.transport.abort()
            except InvalidStatus as error:
                status = error.response.status_code
                if 400 <= status < 500 and status not in passing:
                    raise Refused(status, error.response.reason_phrase) from error
                why = str(error)
            except InvalidProxyStatus as error:
                status, reason = error.response.status_code, error.response.reason_phrase
                if 400 <= status < 500 and status not in PASSING:
                    raise ProxyFailed(_shown(proxy), f"it answered {status} {reason}") from None
                why = f"the proxy {_shown(proxy)} answered {status} {reason}"
            except InvalidProxy as error:
                raise ProxyFailed(_shown(proxy), error.msg) from None
            except ImportError:
                raise ProxyFailed(
                    _shown(proxy), "a SOCKS proxy needs the package python-socks[asyncio]"
                ) from None
            except (OSError, InvalidHandshake) as error:
                why = str(error) or type(error).__name__
                if proxy is not None and (opened is None and isinstance(error, OSError | ProxyError)):
                    why = f"the proxy {_shown(proxy)} cannot be reached: {why}"
            if goodbye is not None:
                why = goodbye.reason
                if goodbye.retry_after is None:
                    return
            if opened is not None and self._clock() - opened >= LONGEST_SECONDS:
                self._backoff.reset()
            # On top of what the server asks for: it says the same to many at once.
            wait = self._backoff.next() + ((goodbye.retry_after or 0) if goodbye else 0)
            _log.warning("connecting again in %.1f s: %s", wait, why)
            await self._sleep(wait)

    def _proxy_now(self) -> str | None:
        """The proxy for the next connection."""
        if self._proxy is not True:
            return self._proxy
        uri = parse_uri(self._url)
        if urllib.request.proxy_bypass(f"{uri.host}:{uri.port}"):
            return None
        # The environment's proxy for everything, such as curl takes it too, is the last choice.
        return get_proxy(uri) or urllib.request.getproxies().get("all")

    def _connect(self, query: Query, proxy: str | None) -> connect:
        url = self._url
        if query:
            url += f"{'&' if urlsplit(url).query else '?'}{urlencode(query, quote_via=quote)}"
        token = self._token()
        return connect(
            url,
            # Not every emulator confirms it, as API Gateway does.
            subprotocols=[SUBPROTOCOL, *([Subprotocol(f"{BEARER}{token}")] if token else [])],
            additional_headers=self._headers,
            proxy=proxy,
            # The chat's own ping is answered by the chat, and not by what stands before it.
            ping_interval=None,
            close_timeout=CLOSE_SECONDS,
        )


def _shown(proxy: str | None) -> str:
    """A proxy's URL without a user's name and password."""
    scheme, separator, rest = (proxy or "").rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
