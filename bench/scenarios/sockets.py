"""The sockets of API Gateway without a network, so that thousands fit into one process."""

import asyncio
import random
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from bench.scenarios.frames import Frames
from tests.rig.callbacks import Callbacks
from tests.rig.functions import Failed, Functions
from tests.rig.limits import Account
from tests.rig.socket_events import TOO_MANY, error_frame, socket_event

PROTOCOL = "chat.v1"


class Refused(Exception):
    """A handshake was refused, with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Socket:
    """A client's end of a connection.

    Attributes:
        id: Its connection id.
        began_at: When its handshake came, Unix time in s.
        is_open: Whether it is open.
        receive: Takes each frame that comes.
        closed: Called once, when the other end has closed it.
    """

    def __init__(
        self, connection_id: str, began_at: float, receive: Callable[[str], None], closed: Callable[[], None]
    ) -> None:
        self.id = connection_id
        self.began_at = began_at
        self.is_open = False
        self.receive = receive
        self.closed = closed


class Sockets:
    """All of them; everything here happens in one event loop.

    Args:
        functions: What the events go to.
        callbacks: ``@connections``.
        clock: Unix time in s.
        account: Says what is too much.
        frames: What reads what is posted, to count it by its type.

    Attributes:
        open: By id, the sockets that are open.
        limited: Whether the account's limits are kept.
        posted: By the type of the event, what was posted.
        units: Likewise, in the units that are billed.
    """

    def __init__(
        self,
        functions: Functions,
        callbacks: Callbacks,
        clock: Callable[[], float],
        account: Account,
        frames: Frames,
    ) -> None:
        self.open: dict[str, Socket] = {}
        self.limited = True
        self.posted: Counter[str] = Counter()
        self.units: Counter[str] = Counter()
        self._functions = functions
        self._clock = clock
        self._account = account
        self._frames = frames
        self._chance = random.Random(1)
        self._loop = asyncio.get_running_loop()
        callbacks.deliver = self._post
        callbacks.close = self._delete

    async def connect(
        self,
        query: Sequence[tuple[str, str]],
        receive: Callable[[str], None],
        closed: Callable[[], None],
    ) -> Socket:
        """Open a socket.

        Raises:
            Refused: The account has no more, or ``$connect`` does not let it in.
        """
        if self.limited and not self._account.connect():
            raise Refused(429)
        connection_id = urlsafe_b64encode(self._chance.randbytes(11)).decode()
        socket = Socket(connection_id, self._clock(), receive, closed)
        event = socket_event(socket.id, socket.began_at, self._clock(), "$connect")
        event["headers"] = {"Sec-WebSocket-Protocol": PROTOCOL}
        names = dict.fromkeys(name for name, _ in query)
        event["multiValueQueryStringParameters"] = {
            name: [value for each, value in query if each == name] for name in names
        }
        try:
            response = await asyncio.wrap_future(self._functions.invoke("connect", event))
        except Failed:
            raise Refused(502) from None
        if response["statusCode"] != 200:
            raise Refused(response["statusCode"])
        socket.is_open = True
        self.open[socket.id] = socket
        return socket

    def send(self, socket: Socket, frame: str) -> None:
        """Send a frame."""
        event = socket_event(socket.id, socket.began_at, self._clock(), "$default")
        event["body"] = frame
        if self.limited and not self._account.frame(len(frame.encode())):
            socket.receive(error_frame(TOO_MANY, event))
            return
        invocation = self._functions.invoke("message", event)
        invocation.add_done_callback(partial(self._served, socket, event))

    def stop_reading(self, socket: Socket) -> None:
        """Let the buffer of a socket fill: posts to it are refused from now on."""
        self._account.slow.add(socket.id)

    def leave(self, socket: Socket, farewell: bool = True) -> None:
        """End a socket, from the client's end or by a fault of the network.

        Args:
            socket: The socket.
            farewell: Whether ``$disconnect`` is run.
        """
        if self.open.pop(socket.id, None) is not None:
            socket.is_open = False
            if farewell:
                event = socket_event(socket.id, socket.began_at, self._clock(), "$disconnect")
                event["requestContext"] |= {"disconnectStatusCode": 1006, "disconnectReason": ""}
                self._functions.invoke("disconnect", event)

    def _served(self, socket: Socket, event: dict[str, Any], invocation: "Future[Any]") -> None:
        if isinstance(invocation.exception(), Failed):
            frame = error_frame("Internal server error", event)
            self._loop.call_soon_threadsafe(socket.receive, frame)

    def _post(self, connection_id: str, payload: str) -> int:
        socket = self.open.get(connection_id)
        if socket is None:
            return 410
        event = self._frames.read(payload)
        self.posted[event.type] += 1
        self.units[event.type] += event.units
        socket.receive(payload)
        return 200

    def _delete(self, connection_id: str) -> int:
        socket = self.open.get(connection_id)
        if socket is None:
            return 410
        self.leave(socket)
        socket.closed()
        return 204
