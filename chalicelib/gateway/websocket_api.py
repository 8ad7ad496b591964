"""Chalice's ``WebsocketAPI``, taught to send to many connections at once."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from chalice.app import WebsocketAPI, WebsocketDisconnectedError

from ..aws.credentials import Credentials, credentials
from ..aws.errors import NoCredentialsError, RequestError
from ..aws.tls import tls
from .addresses import Addresses
from .callback_url import redirected
from .hanging_up import HangingUp
from .loop_thread import LoopThread
from .pace import Pace
from .pool import Pool
from .sending import Sending, SendResult
from .signer import SignedPost

# What Chalice's ``send`` may take, which knows no deadline.
SEND_SECONDS = 10.0


class ManyWebsocketAPI(WebsocketAPI):
    """Sends to one connection as Chalice does, and to many at once.

    Like Chalice's it is made at import and used after ``configure...``; what costs time is made at
    the first use. ``close`` and ``info`` are Chalice's own, by boto3.

    Attributes:
        max_concurrency: Posts under way at once, at most. Set it before the first use.
        max_posts_per_second: Posts that begin in a second, at most; 0 for no such limit. Likewise.
    """

    max_concurrency = 256
    max_posts_per_second = 0

    def __init__(self) -> None:
        super().__init__()
        self._starting = threading.Lock()
        self._thread: LoopThread | None = None
        self._pool: Pool
        self._hanging_up: HangingUp | None = None

    @property
    def endpoint(self) -> str:
        """The callback URL of the API that this sends to.

        Raises:
            ValueError: ``configure...`` has not been called.
        """
        if self._endpoint is None:
            raise ValueError("WebsocketAPI.configure must be called before using the WebsocketAPI")
        return self._endpoint

    def use(self, endpoint: str) -> None:
        """Configure this by the ``endpoint`` of another, unless it is configured."""
        parts = urlsplit(endpoint)
        self.configure(parts.netloc, parts.path.removeprefix("/"))

    def send_many(self, connection_ids: Sequence[str], payload: str, deadline: float) -> SendResult:
        """Send one payload to each connection. No failure of one stops the others.

        Args:
            connection_ids: Where to; each gets it once.
            payload: The text frame.
            deadline: ``time.monotonic()`` by which to return. What has no answer by then has
                failed with ``"timeout"``, though it may still arrive.
        """
        return self.start_many(connection_ids, payload, deadline).result()

    def start_many(
        self, connection_ids: Sequence[str], payload: str, deadline: float, patient: bool = False
    ) -> Future[SendResult]:
        """Begin what ``send_many`` does, and return at once.

        Args:
            connection_ids: As for ``send_many``.
            payload: Likewise.
            deadline: Likewise.
            patient: Whether nobody waits for the result: what may have been refused for a client that does
                not read is tried until the deadline.
        """
        return self._start(connection_ids, payload.encode(), deadline, patient)

    def send(self, connection_id: str, message: str | bytes) -> None:
        """Send to one connection, as Chalice's does.

        Raises:
            WebsocketDisconnectedError: It is gone.
            ClientError: API Gateway refused otherwise; botocore's, likewise its other errors.
        """
        body = message.encode() if isinstance(message, str) else message
        result = self._start([connection_id], body, time.monotonic() + SEND_SECONDS).result()
        if result.gone:
            raise WebsocketDisconnectedError(connection_id)
        if not result.delivered:
            # What boto3 makes of it, in its own words.
            super().send(connection_id, message)  # type: ignore[arg-type]  # boto3 takes both

    def hang_up(self, connection_id: str) -> None:
        """Close a connection, where it can be done; API Gateway chooses the close code."""
        if self._hanging_up is None:
            self._hanging_up = HangingUp(redirected(self.endpoint), self._get_region())
        with suppress(RequestError):
            self._hanging_up.close(connection_id, self._credentials())

    def stop(self) -> None:
        """Close all that is open. A later use begins anew."""
        if self._hanging_up is not None:
            self._hanging_up.stop()
            self._hanging_up = None
        with self._starting:
            if self._thread is not None:
                self._thread.run(self._pool.close())
                self._thread.stop()
                self._thread = None

    def _start(
        self, connection_ids: Sequence[str], body: bytes, deadline: float, patient: bool = False
    ) -> Future[SendResult]:
        endpoint = redirected(self.endpoint)
        thread = self._running(endpoint)
        post = SignedPost(endpoint, body, self._credentials(), self._get_region(), time.time())
        sending = Sending(post, connection_ids, deadline, patient)
        thread.call(self._pool.start, sending)
        return sending.future

    def _get_client(self) -> Any:
        if self.session is None:
            from .session import GatewaySession

            self.session = GatewaySession()
        return super()._get_client()

    def _credentials(self) -> Credentials:
        """Ask for the credentials, each time: they change under a session that runs on."""
        if self.session is None:
            return credentials()
        found = self.session.get_credentials()
        if found is None:
            raise NoCredentialsError
        frozen: Credentials = found.get_frozen_credentials()
        return frozen

    def _running(self, endpoint: str) -> LoopThread:
        with self._starting:
            if self._thread is None:
                self._thread = LoopThread()
                self._pool = self._thread.run(self._make_pool(endpoint))
            return self._thread

    async def _make_pool(self, endpoint: str) -> Pool:
        parts = urlsplit(endpoint)
        is_secure = parts.scheme == "https"
        return Pool(
            Addresses(parts.hostname or "", parts.port or (443 if is_secure else 80)),
            tls() if is_secure else None,
            Pace(self.max_concurrency, self.max_posts_per_second),
        )
