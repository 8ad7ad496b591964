"""A stand-in for API Gateway's WebSocket half: real sockets, and events for the handlers.

It does what AWS does and no emulator shows. The upgrade waits for ``$connect`` and is refused with its
status. Frames are handled concurrently. ``$disconnect`` is best effort. A socket ends after two hours,
ten idle minutes, or a frame that it must not have.
"""

import asyncio
import random
import re
import time
import uuid
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.typing import Subprotocol

from tests.rig.callbacks import Callbacks
from tests.rig.clock import Clock
from tests.rig.functions import Failed, Functions
from tests.rig.limits import Account
from tests.rig.socket_events import API_ID as API_ID
from tests.rig.socket_events import STAGE, TOO_MANY, error_frame, socket_event

# In bytes.
LARGEST_MESSAGE = 128 * 1024
LARGEST_FRAME = 32 * 1024
# In s.
LONGEST_IDLE = 10 * 60
LONGEST = 2 * 60 * 60
# What the integration may take, $connect's too.
INTEGRATION = 29

_ID = re.compile(r"[A-Za-z0-9_-]{14,15}=")


@dataclass
class Socket:
    """A client, from its upgrade on.

    Attributes:
        id: Its connection id.
        connection: Its connection.
        query: The parameters in its URL.
        began_at: When its upgrade came, by the rig's clock.
        active_at: When a frame last went either way.
        protocol: The subprotocol that ``$connect`` has confirmed.
        opened_at: When its upgrade was done, by ``time.monotonic``; None before.
        farewells: How long after its end ``$disconnect`` runs, in s: once for each that is in here.
    """

    id: str
    connection: ServerConnection
    query: dict[str, list[str]]
    began_at: float
    active_at: float
    protocol: Subprotocol | None = None
    opened_at: float | None = None
    farewells: Sequence[float] = (0.0,)

    @property
    def is_open(self) -> bool:
        """Whether it is open: after ``$connect``, and before its end."""
        return self.opened_at is not None and self.connection.state is State.OPEN


@dataclass(order=True)
class Due:
    """Something that happens at a time of the rig's clock."""

    at: float
    event: dict[str, Any] = field(compare=False)


class Gateway:
    """The sockets. All of it happens in one event loop, but for what ``Rig`` says.

    Args:
        functions: What the events go to.
        callbacks: ``@connections``.
        clock: By it sockets grow old.
        chance: Makes the connection ids.

    Attributes:
        url: Where to connect.
        account: Says what is too much; None where nothing is.
        sockets: By id, those that are open or about to be.
        may_open: While not set, upgrades wait after ``$connect`` has been done.
        farewells: That of each new socket; see ``Socket``.
        injected: How often ``$disconnect`` was left out, late or doubled, and a post came too early.
    """

    def __init__(
        self, functions: Functions, callbacks: Callbacks, clock: Clock, chance: random.Random
    ) -> None:
        self.url = ""
        self.account: Account | None = None
        self.sockets: dict[str, Socket] = {}
        self._by_connection: dict[ServerConnection, Socket] = {}
        self.may_open = asyncio.Event()
        self.may_open.set()
        self.farewells: Sequence[float] = (0.0,)
        self.injected: Counter[str] = Counter()
        self._functions = functions
        self._clock = clock
        self._chance = chance
        self._callbacks = callbacks
        self._due: list[Due] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        callbacks.deliver = self.post
        callbacks.close = self.delete

    async def start(self) -> None:
        """Serve on a free port of the loopback."""
        self._server = await serve(
            self._talk,
            "127.0.0.1",
            0,
            process_request=self._connect,
            select_subprotocol=self._confirmed,
            compression=None,
            max_size=(LARGEST_MESSAGE, LARGEST_FRAME),
            max_queue=None,
            open_timeout=None,
            ping_interval=None,
            close_timeout=1,
            backlog=1024,
        )
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/{STAGE}"

    async def stop(self) -> None:
        """Close all sockets, and wait for their handlers."""
        self._server.close()
        await self._server.wait_closed()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def open(self) -> set[str]:
        """Ids of the sockets that are open."""
        return {socket.id for socket in list(self.sockets.values()) if socket.is_open}

    @property
    def busy(self) -> bool:
        """Whether a handler runs for a socket."""
        return bool(self._tasks)

    @property
    def latest(self) -> float:
        """How far the clock can go before an upgrade that is under way would have taken too long."""
        opening = [socket.began_at for socket in list(self.sockets.values()) if socket.opened_at is None]
        return min(opening, default=float("inf")) + INTEGRATION

    def post(self, connection_id: str, payload: str) -> int:
        """Send a message to a socket; the status of the answer."""
        if not _ID.fullmatch(connection_id):
            return 400
        socket = self.sockets.get(connection_id)
        if socket is not None and socket.opened_at is None:
            self.injected["410 before the opening"] += 1
        if socket is None or not socket.is_open:
            return 410
        socket.active_at = self._clock()
        self._callbacks.received[connection_id].append(payload)
        self._tell(socket, payload)
        return 200

    def delete(self, connection_id: str) -> int:
        """Close a socket; the status of the answer."""
        if not _ID.fullmatch(connection_id):
            return 400
        socket = self.sockets.get(connection_id)
        if socket is None or not socket.is_open:
            return 410
        self._close(socket, 1000, "")
        return 204

    def cut(self, connection_id: str, farewells: Sequence[float]) -> None:
        """Break the connection of a socket, so that neither end is told by a frame."""
        socket = self.sockets.get(connection_id)
        if socket is not None:
            socket.farewells = farewells
            socket.connection.transport.abort()

    def tick(self) -> None:
        """Do what is due: the clock has been set."""
        now = self._clock()
        for socket in list(self.sockets.values()):
            too_old = now - socket.began_at >= LONGEST or now - socket.active_at >= LONGEST_IDLE
            if socket.is_open and too_old:
                self._close(socket, 1001, "Going away")
        due = sorted(each for each in self._due if each.at <= now)
        self._due = [each for each in self._due if each.at > now]
        for each in due:
            self._spawn(self._handle("disconnect", each.event))

    async def _connect(self, connection: ServerConnection, request: Request) -> Response | None:
        parts = urlsplit(request.path)
        if parts.path.strip("/") != STAGE:
            return connection.respond(403, '{"message": "Forbidden"}')
        if self.account is not None and not self.account.connect():
            return connection.respond(429, f'{{"message": "{TOO_MANY}"}}')
        now = self._clock()
        query = parse_qs(parts.query, keep_blank_values=True)
        connection_id = urlsafe_b64encode(self._chance.randbytes(11)).decode()
        socket = Socket(connection_id, connection, query, now, now, farewells=self.farewells)
        self.sockets[connection_id] = self._by_connection[connection] = socket
        event = socket_event(socket.id, socket.began_at, self._clock(), "$connect")
        event["headers"] = dict(request.headers.raw_items())
        event["multiValueHeaders"] = {name: [value] for name, value in request.headers.raw_items()}
        if query:
            event["queryStringParameters"] = {name: values[-1] for name, values in query.items()}
            event["multiValueQueryStringParameters"] = query
        answer = asyncio.wrap_future(self._functions.invoke("connect", event))
        if not await self._before_end(socket, answer):
            # The client has hung up, and its end does not wait for its beginning.
            await asyncio.wait([answer])
            return connection.respond(502, "")
        try:
            response = await answer
        except Failed:
            self._forget(socket)
            return connection.respond(502, '{"message": "Internal server error"}')
        if not 200 <= response["statusCode"] < 300:
            self._forget(socket)
            return connection.respond(response["statusCode"], "")
        headers = {name.lower(): value for name, value in response.get("headers", {}).items()}
        if "sec-websocket-protocol" in headers:
            socket.protocol = Subprotocol(headers["sec-websocket-protocol"])
        await self._before_end(socket, asyncio.ensure_future(self.may_open.wait()))
        return None

    async def _before_end(self, socket: Socket, waited_for: "asyncio.Future[Any]") -> bool:
        """Wait for something; False where the client has gone first, for which ``$disconnect`` runs."""
        lost = socket.connection.connection_lost_waiter
        await asyncio.wait([waited_for, lost], return_when=asyncio.FIRST_COMPLETED)
        if lost.done():
            self._forget(socket)
            self._end(socket, 1006, "")
        return not lost.done()

    async def _talk(self, connection: ServerConnection) -> None:
        socket = self._by_connection[connection]
        socket.opened_at = time.monotonic()
        try:
            while True:
                frame = await connection.recv()
                socket.active_at = self._clock()
                if isinstance(frame, bytes):
                    await connection.close(1003, "Binary is not supported")
                    break
                event = socket_event(socket.id, socket.began_at, self._clock(), "$default")
                event["requestContext"]["messageId"] = uuid.uuid4().hex[:12]
                event["body"] = frame
                if self.account is not None and not self.account.frame(len(frame.encode())):
                    self._tell(socket, error_frame(TOO_MANY, event))
                    continue
                self._spawn(self._message(socket, event))
        except ConnectionClosed:
            pass
        finally:
            self._forget(socket)
            self._end(socket, connection.close_code or 1006, connection.close_reason or "")

    async def _message(self, socket: Socket, event: dict[str, Any]) -> None:
        if not await self._handle("message", event) and socket.is_open:
            self._tell(socket, error_frame("Internal server error", event))

    def _tell(self, socket: Socket, frame: str) -> None:
        """What ``send`` does, without waiting for a client that reads slowly."""
        socket.connection.protocol.send_text(frame.encode())
        socket.connection.send_data()

    async def _handle(self, handler: str, event: dict[str, Any]) -> bool:
        """Run a handler; False where it raises, or its process dies."""
        try:
            await asyncio.wrap_future(self._functions.invoke(handler, event))
        except Failed:
            return False
        return True

    def _end(self, socket: Socket, code: int, reason: str) -> None:
        """Run ``$disconnect`` for a socket, as often and as late as it is to be."""
        event = socket_event(socket.id, socket.began_at, self._clock(), "$disconnect")
        event["requestContext"] |= {"disconnectStatusCode": code, "disconnectReason": reason}
        if len(socket.farewells) != 1:
            self.injected["no $disconnect" if not socket.farewells else "$disconnect twice"] += 1
        elif socket.farewells[0]:
            self.injected["late $disconnect"] += 1
        for delay in socket.farewells:
            if delay:
                self._due.append(Due(self._clock() + delay, event))
            else:
                self._spawn(self._handle("disconnect", event))

    def _close(self, socket: Socket, code: int, reason: str) -> None:
        self._spawn(socket.connection.close(code, reason))

    def _forget(self, socket: Socket) -> None:
        """It was refused, or has gone."""
        del self.sockets[socket.id], self._by_connection[socket.connection]

    def _confirmed(self, connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        socket = self._by_connection.get(connection)
        return None if socket is None else socket.protocol

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
