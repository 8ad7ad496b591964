"""Clients over real sockets, for tests that read as actions."""

import asyncio
import json
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.rig.loop import LoopThread
from tests.waiting import eventually

# Within which what is to come has come, on a loaded machine, in s.
SOON = 10.0


class SocketClient:
    """One client. Frames that come are kept; whoever asks for one waits for it.

    Attributes:
        lines: The frames that have come, in order.
        close_code: How its connection has ended; None while it has not.
    """

    def __init__(self, thread: LoopThread, socket: ClientConnection) -> None:
        self.lines: list[str] = []
        self.close_code: int | None = None
        self._thread = thread
        self._socket = socket
        self._reading = asyncio.ensure_future(self._read())

    @property
    def port(self) -> int:
        """Where it connects from."""
        port: int = self._socket.local_address[1]
        return port

    @property
    def subprotocol(self) -> str | None:
        """What the handshake came to."""
        return self._socket.subprotocol

    def send(self, frame: Any) -> None:
        """Send a frame: a string or bytes as they are, anything else as JSON."""
        frame = frame if isinstance(frame, str | bytes) else json.dumps(frame)
        self._thread.run(self._socket.send(frame))

    def send_fragments(self, *fragments: str) -> None:
        """Send one message in several frames."""
        self._thread.run(self._socket.send(fragments))

    def say(self, message: str, **fields: Any) -> None:
        """Send an ``onMessage``."""
        self.send({"action": "onMessage", "message": message, **fields})

    def ask(self, action: str, **fields: Any) -> dict[str, Any]:
        """Send a request and wait for the one reply to it, told by its ref."""
        ref = fields.setdefault("ref", secrets.token_hex(4))
        before = len(self.lines)
        self.send({"action": action, **fields})
        return self.event(lambda event: event.get("ref") == ref, before)

    @property
    def events(self) -> list[dict[str, Any]]:
        """What has come so far, parsed: for a client of the JSON form."""
        return [json.loads(line) for line in self.lines]

    def event(self, wanted: Callable[[dict[str, Any]], bool], after: int = 0) -> dict[str, Any]:
        """Wait for the one event of a kind, after so many frames."""
        assert eventually(lambda: any(wanted(event) for event in self.events[after:]), SOON), self.lines
        [event] = [event for event in self.events[after:] if wanted(event)]
        return event

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages that have come, alone or several in a frame: for a client of the JSON form."""
        return [message for event in self.events for message in messages_of(event)]

    @property
    def texts(self) -> list[str]:
        """What they say."""
        return [message["message"] for message in self.messages]

    def hears(self, *lines: str) -> None:
        """Wait until exactly these lines have come, in one frame or several, who comes and goes apart."""

        def heard() -> list[str]:
            said = (line for frame in self.lines for line in frame.split("\n"))
            return [line for line in said if not line.startswith("* ")]

        eventually(lambda: len(heard()) >= len(lines), SOON)
        assert heard() == list(lines)

    def gets(self, *texts: str) -> None:
        """Wait until exactly these messages have come: for a client of the JSON form."""
        eventually(lambda: len(self.texts) >= len(texts), SOON)
        assert self.texts == list(texts)

    def ended(self) -> int:
        """Wait until its connection has ended; the close code."""
        assert eventually(lambda: self.close_code is not None, SOON)
        assert self.close_code
        return self.close_code

    def close(self) -> None:
        """Close as a browser does."""
        self._thread.run(self._socket.close())

    def vanish(self) -> None:
        """Be gone: the connection breaks without a close frame."""
        self._thread.call(self._socket.transport.abort)

    async def _read(self) -> None:
        try:
            while True:
                self.lines.append(str(await self._socket.recv()))
        except ConnectionClosed:
            self.close_code = self._socket.close_code


def messages_of(event: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages that an event of the JSON form brings; none where it is of another kind."""
    match event.get("type"):
        case "message":
            return [event]
        case "messages":
            messages: list[dict[str, Any]] = event["messages"]
            return messages
    return []


class Crowd:
    """Makes clients; a context manager that closes them.

    Args:
        url: Where they connect.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._clients: list[SocketClient] = []
        self._thread = LoopThread()

    def __enter__(self) -> "Crowd":
        self._thread.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.vanish()
        self._thread.__exit__(None, None, None)

    def connect(
        self,
        name: str | None = None,
        *rooms: str,
        subprotocols: Sequence[str] = (),
        open_seconds: float = SOON,
    ) -> SocketClient:
        """Connect a client of the text form, or of what it asks for.

        Raises:
            InvalidStatus: It was refused.
        """
        return self._thread.run(self._connect(name, rooms, subprotocols, open_seconds))

    def connect_json(self, name: str | None = None, *rooms: str) -> SocketClient:
        """Connect a client of the JSON form."""
        return self.connect(name, *rooms, subprotocols=["chat.v1"])

    def connect_many(self, number: int, *rooms: str, subprotocols: Sequence[str] = ()) -> list[SocketClient]:
        """Connect so many nameless clients at once."""

        async def all_at_once() -> list[SocketClient]:
            connecting = (self._connect(None, rooms, subprotocols, 60) for _ in range(number))
            return list(await asyncio.gather(*connecting))

        return self._thread.run(all_at_once())

    def start_connecting(self, name: str | None = None, *rooms: str) -> Future[SocketClient]:
        """Begin to connect a client of the JSON form; ``result()`` is the client."""
        connecting = self._connect(name, rooms, ["chat.v1"], 60)
        return asyncio.run_coroutine_threadsafe(connecting, self._thread.loop)

    async def _connect(
        self, name: str | None, rooms: Sequence[str], subprotocols: Sequence[str], open_seconds: float
    ) -> SocketClient:
        query = ([("name", name)] if name is not None else []) + [("room", room) for room in rooms]
        socket = await connect(
            f"{self._url}?{urlencode(query)}" if query else self._url,
            subprotocols=[Subprotocol(each) for each in subprotocols] or None,
            compression=None,
            max_queue=None,
            open_timeout=open_seconds,
            ping_interval=None,
            close_timeout=1,
        )
        client = SocketClient(self._thread, socket)
        self._clients.append(client)
        return client
