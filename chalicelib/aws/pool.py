"""Connections to one host, for any number of threads."""

import time
import weakref
from collections import deque
from urllib.parse import urlsplit

from .connection import Answer, HttpConnection, connect
from .errors import ConnectionClosedError
from .tls import tls

# Idle for longer, a connection is not used again: while a Lambda was frozen the other end may have
# forgotten it, and its farewell may never come.
IDLE_SECONDS = 30.0
# Idle connections that are kept.
MOST_IDLE = 16


class Pool:
    """Sends requests, each on a connection of its own while it lasts.

    Args:
        url: The service's.

    Attributes:
        host: What the header ``host`` must be.
        path: Where requests go.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        self.path = parts.path or "/"
        self._url = url
        self._is_secure = parts.scheme == "https"
        self._address = parts.hostname or "", parts.port or (443 if self._is_secure else 80)
        # Taking and giving are atomic. The one that was used last is taken first.
        self._idle: deque[HttpConnection] = deque(maxlen=MOST_IDLE)
        weakref.finalize(self, _close, self._idle)

    def exchange(self, request: bytes, deadline: float = float("inf")) -> Answer:
        """Send a request, and wait for its answer.

        A kept connection that turns out to be closed says nothing of the request, which is then sent on a new
        connection.

        Args:
            request: Head and body.
            deadline: ``time.monotonic()`` at which to give up.

        Raises:
            RequestError: There is no answer.
        """
        kept = self._take()
        if kept is not None:
            try:
                return self._exchange(kept, request, deadline)
            except ConnectionClosedError:
                if kept.heard:
                    raise
                # The others are as old as this one, or older.
                self.close()
        fresh = connect(*self._address, tls() if self._is_secure else None, self._url, deadline)
        return self._exchange(fresh, request, deadline)

    def close(self) -> None:
        """Close the connections that are idle now."""
        _close(self._idle)

    def _exchange(self, connection: HttpConnection, request: bytes, deadline: float) -> Answer:
        answer = connection.exchange(request, deadline)
        if connection.is_open:
            if len(self._idle) >= MOST_IDLE:
                connection.close()
            else:
                self._idle.append(connection)
        return answer

    def _take(self) -> HttpConnection | None:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if 0 <= time.time() - connection.used_at < IDLE_SECONDS and connection.is_usable:
                return connection
            connection.close()
        return None


def _close(idle: deque[HttpConnection]) -> None:
    while idle:
        try:
            idle.pop().close()
        except IndexError:
            # Another thread has taken it.
            return
