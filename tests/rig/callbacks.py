"""A stand-in for ``@connections``: takes the posts, and answers as it is told to.

Emulators answer only what goes well. This one is real HTTP on the loopback, with a fault for each
connection that wants one.
"""

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from http import HTTPStatus
from urllib.parse import unquote

from tests.rig.limits import Account
from tests.rig.loop import LoopThread

# The status codes of API Gateway, with the x-amzn-ErrorType that comes along.
ERROR_TYPES = {
    400: "BadRequestException",
    403: "ForbiddenException",
    410: "GoneException",
    413: "PayloadTooLargeException",
    429: "LimitExceededException",
    500: "InternalServerErrorException",
    503: "ServiceUnavailableException",
}
# API Gateway's largest message, in bytes.
LARGEST = 128 * 1024
THROTTLED = 429
# Stands for every connection, in ``Callbacks.answers``.
EVERYONE = "*"

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Answer(Enum):
    """What can become of a post, beside a status."""

    DROPPED = "it is applied, and the connection breaks before the answer"
    REFUSED = "the connection breaks before it is applied"


class Callbacks:
    """What was posted to each connection, and how the next posts are answered.

    Without a ``gateway`` every connection is open, and keeps what it gets in ``received``.

    Attributes:
        url: For ``AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI``.
        account: Says what is too much; None where nothing is. What is refused for its rate reaches nobody,
            whatever was ordered.
        received: The payloads that each connection got, in order.
        answers: By connection id, what becomes of the next posts; the last one stays. What has none is
            sent on.
        bare: Connections whose errors come without ``x-amzn-ErrorType``.
        hanging: Connections whose posts are answered only after ``release``.
        closed: Connections that were closed, in order.
        posts: How many there were.
        under_way: Those without an answer yet, and ``most_under_way`` the most there have been at once.
        injected: How often something else than a 200 was ordered, by what it was.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.url = ""
        self.account: Account | None = None
        self.exchanges: set[_Exchange] = set()
        self.deliver: Callable[[str, str], int] = self._keep
        self.close: Callable[[str], int] = lambda connection_id: 204
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.received: defaultdict[str, list[str]] = defaultdict(list)
        self.answers: dict[str, list[int | Answer]] = {}
        self.bare: set[str] = set()
        self.hanging: set[str] = set()
        self.closed: list[str] = []
        self.posts = 0
        self.under_way = 0
        self.most_under_way = 0
        self.injected: Counter[str] = Counter()
        self._held: list[tuple[_Exchange, str, str]] = []

    async def start(self) -> None:
        """Serve on a free port of the loopback."""
        self._server = await self._loop.create_server(lambda: _Exchange(self), "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Serve no more."""
        self._server.close()
        for exchange in list(self.exchanges):
            exchange.drop()
        # The transports close in the loop's next round.
        await asyncio.sleep(0)

    def take_received(self) -> dict[str, list[str]]:
        """What has been received since the last time; to be called in the loop."""
        received, self.received = self.received, defaultdict(list)
        return received

    def release(self) -> None:
        """Answer the posts that hang, and those to come; may be called from any thread."""
        self.hanging = set()
        self._loop.call_soon_threadsafe(self._release)

    def take_post(self, exchange: "_Exchange", connection_id: str, payload: str) -> None:
        """Take a post; it is answered at once, unless it is to hang."""
        self.posts += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        account = self.account
        if account is not None and not account.post(connection_id, len(payload.encode())):
            self._later(self._refuse, exchange)
        elif connection_id in self.hanging:
            self.injected["hang"] += 1
            self._held.append((exchange, connection_id, payload))
        else:
            self._later(self._answer, exchange, connection_id, payload)

    def take_delete(self, exchange: "_Exchange", connection_id: str) -> None:
        """Close a connection."""
        if self.account is not None and not self.account.delete():
            exchange.respond(THROTTLED, ERROR_TYPES)
            return
        self.closed.append(connection_id)
        exchange.respond(self.close(connection_id), ERROR_TYPES)

    def _later(self, answer: Callable[..., None], *arguments: object) -> None:
        """Answer after as long as a post takes."""
        seconds = self.account.limits.post_seconds if self.account is not None else 0.0
        if seconds:
            self._loop.call_later(seconds, answer, *arguments)
        else:
            answer(*arguments)

    def _refuse(self, exchange: "_Exchange") -> None:
        self.under_way -= 1
        exchange.respond(THROTTLED, ERROR_TYPES)

    def _release(self) -> None:
        held, self._held = self._held, []
        for exchange, connection_id, payload in held:
            self._answer(exchange, connection_id, payload)

    def _answer(self, exchange: "_Exchange", connection_id: str, payload: str) -> None:
        self.under_way -= 1
        answer = self._ordered(connection_id)
        if answer == 200:
            too_large = len(payload.encode()) > LARGEST
            status = 413 if too_large else self.deliver(connection_id, payload)
            exchange.respond(status, ERROR_TYPES)
            return
        if isinstance(answer, Answer):
            self.injected[answer.name.lower()] += 1
            if answer is Answer.DROPPED:
                self.deliver(connection_id, payload)
            exchange.drop()
        else:
            bare = connection_id in self.bare
            self.injected[f"{answer}{' bare' if bare else ''}"] += 1
            exchange.respond(answer, {} if bare else ERROR_TYPES)

    def _ordered(self, connection_id: str) -> int | Answer:
        answers = self.answers.get(connection_id) or self.answers.get(EVERYONE) or [200]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def _keep(self, connection_id: str, payload: str) -> int:
        self.received[connection_id].append(payload)
        return 200


class _Exchange(asyncio.Protocol):
    """One kept-alive connection of whoever posts."""

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        self._came = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._callbacks.exchanges.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._callbacks.exchanges.discard(self)

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, end, rest = self._came.partition(b"\r\n\r\n")
        if not end:
            return
        found = _CONTENT_LENGTH.search(head)
        length = int(found[1]) if found else 0
        if len(rest) < length:
            return
        # A client sends its next request when it has the answer to this one.
        assert len(rest) == length
        self._came = b""
        method, target, _ = head.split(b" ", 2)
        connection_id = unquote(target.decode().partition("/@connections/")[2])
        if not connection_id:
            self.respond(403, ERROR_TYPES)
        elif method == b"POST":
            self._callbacks.take_post(self, connection_id, rest.decode())
        elif method == b"DELETE":
            self._callbacks.take_delete(self, connection_id)
        else:
            self.respond(405, {})

    def respond(self, status: int, types: dict[int, str]) -> None:
        """Answer; a client that has given up does not see it."""
        body = b'{"message": "as it was told"}' if status >= 400 else b""
        kind = f"x-amzn-ErrorType: {types[status]}\r\n" if status in types else ""
        phrase = HTTPStatus(status).phrase
        head = f"HTTP/1.1 {status} {phrase}\r\n{kind}Content-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)

    def drop(self) -> None:
        """Break the connection."""
        self._transport.abort()


@contextmanager
def serving() -> Iterator[Callbacks]:
    """Serve ``@connections`` without a gateway: every connection is open."""
    with LoopThread() as thread:
        callbacks = Callbacks(thread.loop)
        thread.run(callbacks.start())
        try:
            yield callbacks
        finally:
            thread.run(callbacks.stop())
