"""Chalice's ``WebsocketAPI``, taught to send to many connections at once."""

import ssl
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.httpsession import get_cert_path
from chalice.app import WebsocketAPI, WebsocketDisconnectedError

from .addresses import Addresses
from .loop_thread import LoopThread
from .pace import Pace
from .pool import Pool
from .sending import Sending, SendResult
from .session import GatewaySession, redirected
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
            ClientError: API Gateway refused otherwise; likewise botocore's other errors.
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
        with suppress(WebsocketDisconnectedError, ClientError, BotoCoreError):
            self.close(connection_id)

    def stop(self) -> None:
        """Close all that is open. A later use begins anew."""
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
        # Asked for each time: they change under a session that runs on.
        credentials = self._boto3().get_credentials()
        if credentials is None:
            raise NoCredentialsError
        frozen = credentials.get_frozen_credentials()
        post = SignedPost(endpoint, body, frozen, self._get_region(), time.time())
        sending = Sending(post, connection_ids, deadline, patient)
        thread.call(self._pool.start, sending)
        return sending.future

    def _get_client(self) -> Any:
        self._boto3()
        return super()._get_client()

    def _boto3(self) -> Any:
        if self.session is None:
            self.session = GatewaySession()
        return self.session

    def _running(self, endpoint: str) -> LoopThread:
        with self._starting:
            if self._thread is None:
                self._thread = LoopThread()
                self._pool = self._thread.run(self._make_pool(endpoint))
            return self._thread

    async def _make_pool(self, endpoint: str) -> Pool:
        parts = urlsplit(endpoint)
        host, tls = parts.hostname or "", parts.scheme == "https"
        return Pool(
            Addresses(host, parts.port or (443 if tls else 80)),
            self._tls() if tls else None,
            Pace(self.max_concurrency, self.max_posts_per_second),
        )

    def _tls(self) -> ssl.SSLContext:
        """Trust whom boto3 trusts."""
        bundle = self._boto3()._session.get_config_variable("ca_bundle")
        return ssl.create_default_context(cafile=bundle or get_cert_path(True))
