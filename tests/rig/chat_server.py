"""A chat for clients to be tested with: the wire over real sockets, in memory, with faults to order.

It is no model of the real one. It has what a client can meet and the local stack does not show: lost
messages, lost replies, refused handshakes, silence.
"""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Coroutine
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from chalicelib.actions.table import ACTIONS
from chalicelib.errors import ChatError, NotFound, NotInRoom
from chalicelib.wire import requests
from chalicelib.wire.events import (
    Ack,
    Error,
    Event,
    Form,
    Goodbye,
    Joined,
    Left,
    Message,
    Messages,
    Named,
    Occupancy,
    Pong,
    Private,
    RoomList,
    StoredMessages,
    WhoIsThere,
    render,
)
from chalicelib.wire.requests import parse_frame, parse_request


class Fault(Enum):
    """What becomes of a request."""

    UNSEEN = "the connection breaks before it is served"
    UNANSWERED = "the connection breaks before it is answered"
    IGNORED = "nothing happens"
    UNAVAILABLE = "it is done, and answered with an error"
    REFUSED = "it is not done, and answered with an error"
    TOO_FAST = "it is not done, and answered with the error that says so"
    SLOW = "it is served a second later, after those that follow it"
    REPEATED = "it is answered twice"
    GATEWAY = "nothing happens, and API Gateway says that something has failed"
    UNACCEPTABLE = "the connection is closed with 1009"
    OVERTAKEN = "a message to its room comes before the answer"


NOT_DONE = {
    Fault.UNSEEN,
    Fault.IGNORED,
    Fault.REFUSED,
    Fault.TOO_FAST,
    Fault.GATEWAY,
    Fault.UNACCEPTABLE,
}
# What API Gateway answers itself; it names no ``ref``.
GATEWAY_ERROR = '{"message": "Internal server error", "connectionId": "c1", "requestId": "r1"}'


class Visitor:
    """A connection, as the server has it.

    Attributes:
        socket: Its socket.
        name: The name in its URL.
        rooms: The rooms that it is in.
        token: The token that it came with, or has renewed.
        frames: What it has sent, in order.
        expired: Whether its token has expired.
    """

    def __init__(self, socket: ServerConnection) -> None:
        assert socket.request
        query = parse_qs(urlsplit(socket.request.path).query)
        self.socket = socket
        self.name = query.get("name", [None])[0]
        self.rooms = query.get("room", ["lobby"])
        offers = self.headers.get("Sec-WebSocket-Protocol", "").split(", ")
        self.token = next((offer[7:] for offer in offers if offer.startswith("bearer.")), None)
        self.expired = False
        self.frames: list[dict[str, object]] = []

    @property
    def headers(self) -> Headers:
        """The headers of its handshake."""
        assert self.socket.request
        return self.socket.request.headers

    def asked(self, action: str) -> list[dict[str, object]]:
        """The requests for an action, without ``action`` and ``ref``."""
        return [
            {name: value for name, value in frame.items() if name not in ("action", "ref")}
            for frame in self.frames
            if frame["action"] == action
        ]

    async def tell(self, event: Event) -> None:
        """Send an event; not to one who is gone."""
        with suppress(ConnectionClosed):
            await self.socket.send(render(event, Form.JSON) or "")

    def cut(self) -> None:
        """Break the connection, without a close frame."""
        self.socket.transport.abort()


class ChatServer:
    """The server; an async context manager.

    Attributes:
        url: Where it is.
        visitors: All connections that there were.
        logs: The messages of each room.
        epoch: The numbering of all rooms.
        expired: Numbers up to this one are not in the history any more.
        statuses: How the next handshakes are refused.
        faults: What becomes of the next requests for an action.
        members: Who is in every room.
        page: How many of their connections an answer to ``who`` has at most.
        count: How many connections every room is said to have, which is a crowd then; None for those of the
            members.
        numbers: How many numbers an answer of the history has read at most.
        open_rooms: The rooms that are listed.
        closed_rooms: Those that nobody is let into, and whose history nobody is told.
        clock: Unix time in s.
        greeted: How many handshakes there were, refused ones too.
        greeting_seconds: Time that a handshake takes.
        longest_seconds: After so long a connection is ended, as API Gateway does after two hours.
    """

    def __init__(self) -> None:
        self.visitors: list[Visitor] = []
        self.logs: defaultdict[str, list[Message]] = defaultdict(list)
        self.epoch = "e"
        self.expired = 0
        self.statuses: list[int] = []
        self.faults: defaultdict[str, list[Fault]] = defaultdict(list)
        self.members = {"ann": 1}
        self.page = 500
        self.count: int | None = None
        self.numbers = 1000
        self.open_rooms = {"lobby": 1}
        self.closed_rooms: set[str] = set()
        self.clock = time.time
        self.greeted = 0
        self.greeting_seconds = 0.0
        self.longest_seconds: float | None = None
        self._taken: defaultdict[str, int] = defaultdict(int)
        self._acks: dict[tuple[str | None, str], Ack] = {}
        self._changed = asyncio.Condition()
        self._working: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "ChatServer":
        self._serving = serve(
            self._receive,
            "127.0.0.1",
            0,
            subprotocols=[Subprotocol("chat.v1")],
            process_request=self._greet,
            close_timeout=1,
        )
        server = await self._serving.__aenter__()
        self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._serving.__aexit__(kind, error, at)

    async def visitor(self, number: int) -> Visitor:
        """Wait for the connection of this number, from 1 on, and its first question for history."""
        return await self.until(number, "history")

    async def until(self, number: int, action: str, times: int = 1) -> Visitor:
        """Wait until the connection of this number has asked for an action so many times."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: len(self.visitors) >= number and len(self.visitors[number - 1].asked(action)) >= times
            )
        return self.visitors[number - 1]

    async def publish(
        self,
        text: str,
        room: str = "lobby",
        *,
        lost: bool = False,
        sender: str | None = "ann",
        sent_at: int | None = None,
    ) -> Message:
        """Store a message, and send it unless it is to be lost on the way.

        Args:
            text: What is said.
            room: Where.
            lost: Whether it is.
            sender: Who says it.
            sent_at: Unix time in ms; None for a time that tells nothing.
        """
        message = self._store(text, room, sender, sent_at)
        if not lost:
            await self._tell(room, message)
        return message

    async def publish_round(self, *texts: str, room: str = "lobby", lost: bool = False) -> Messages:
        """Store several messages of ann's, and send them in one frame unless that is to be lost."""
        messages = [self._store(text, room, "ann", None) for text in texts]
        round_ = Messages(room=room, epoch=self.epoch, messages=messages)
        if not lost:
            await self._tell(room, round_)
        return round_

    async def occupy(self, count: int, room: str = "lobby") -> None:
        """Be so many in a crowd, and tell it."""
        self.count = count
        await self._tell(room, Occupancy(room=room, count=count))

    def skip(self, numbers: int, room: str = "lobby") -> None:
        """Use numbers up without a message: they were taken, and then sealed."""
        self._taken[room] += numbers

    def _store(self, text: str, room: str, sender: str | None, sent_at: int | None) -> Message:
        self._taken[room] += 1
        seq = self._taken[room]
        message = Message(
            room=room,
            seq=seq,
            epoch=self.epoch,
            id=f"{room}{seq}",
            sender=sender,
            message=text,
            sent_at=seq if sent_at is None else sent_at,
        )
        self.logs[room].append(message)
        return message

    async def _tell(self, room: str, event: Event) -> None:
        for visitor in self.visitors:
            if room in visitor.rooms:
                await visitor.tell(event)

    async def _greet(self, connection: ServerConnection, request: Request) -> Response | None:
        self.greeted += 1
        await asyncio.sleep(self.greeting_seconds)
        return connection.respond(self.statuses.pop(0), "no") if self.statuses else None

    async def _receive(self, socket: ServerConnection) -> None:
        visitor = Visitor(socket)
        self.visitors.append(visitor)
        if self.longest_seconds is not None:
            self._meanwhile(self._end(socket, self.longest_seconds))
        with suppress(ConnectionClosed):
            async for frame in socket:
                fields = json.loads(frame)
                await self._serve(visitor, str(frame))
                async with self._changed:
                    visitor.frames.append(fields)
                    self._changed.notify_all()

    def _meanwhile(self, work: Coroutine[Any, Any, None]) -> None:
        self._working.add(task := asyncio.create_task(work))
        task.add_done_callback(self._working.discard)

    async def _end(self, socket: ServerConnection, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await socket.close(1001, "Going away")

    async def _serve_later(self, visitor: Visitor, body: str) -> None:
        await asyncio.sleep(1)
        await self._serve(visitor, body)

    async def _serve(self, visitor: Visitor, body: str) -> None:
        frame = parse_frame(body)
        action, ref = frame.pop("action"), frame["ref"]
        if action == "authenticate":
            visitor.token, visitor.expired = frame["token"], False
            await visitor.tell(Named(name=visitor.name or "", ref=ref))
            return
        if visitor.expired:
            await visitor.tell(Error(code="token_expired", message="it has", action=action, ref=ref))
            await visitor.tell(
                Goodbye(code="token_expired", reason="Your token has expired", retry_after=None)
            )
            await visitor.socket.close()
            return
        fault = self.faults[action].pop(0) if self.faults[action] else None
        if fault is Fault.UNSEEN:
            visitor.cut()
        if fault is Fault.SLOW:
            self._meanwhile(self._serve_later(visitor, body))
            return
        if fault in (Fault.REFUSED, Fault.TOO_FAST):
            code = "unavailable" if fault is Fault.REFUSED else "rate_limited"
            await visitor.tell(Error(code=code, message="try again", action=action, ref=ref))
        if fault is Fault.GATEWAY:
            await visitor.socket.send(GATEWAY_ERROR)
        if fault is Fault.UNACCEPTABLE:
            await visitor.socket.close(1009, "Message too big")
        if fault in NOT_DONE:
            return
        try:
            reply = await self._do(parse_request(action, frame, ACTIONS[action].request), visitor)
        except ChatError as error:
            reply = Error(code=error.code, message=str(error), action=action, ref=ref)
        if fault is Fault.UNAVAILABLE:
            reply = Error(code="unavailable", message="try again", action=action, ref=ref)
        if fault is Fault.UNANSWERED:
            visitor.cut()
        if fault is Fault.OVERTAKEN:
            await self.publish("overtaking", str(frame["room"]))
        for _ in range(2 if fault is Fault.REPEATED else 1):
            await visitor.tell(reply)

    async def _do(self, request: requests.Request, visitor: Visitor) -> Event:
        if getattr(request, "room", None) in self.closed_rooms:
            raise NotInRoom(str(getattr(request, "room", "")))
        match request:
            case requests.OnMessage(message=text, room=room, ref=ref):
                return await self._say(visitor, text, room, ref or "")
            case requests.PrivateMessage(to=to, message=text, ref=ref):
                return await self._whisper(visitor, to, text, ref or "")
            case requests.History(room=room, after=after, before=before, limit=limit, epoch=epoch, ref=ref):
                return self._history(room, after, before, limit, epoch, ref)
            case requests.JoinRoom(room=room, ref=ref):
                visitor.rooms.append(room)
                return Joined(
                    room=room,
                    seq=self._taken[room],
                    epoch=self.epoch,
                    members=self.members if self.count is None else {},
                    count=self._count(),
                    ref=ref,
                )
            case requests.LeaveRoom(room=room, ref=ref):
                visitor.rooms.remove(room)
                return Left(room=room, ref=ref)
            case requests.TypingIndicator(room=room, ref=ref):
                return Ack(room=room, ref=ref)
            case requests.Who(room=room, limit=limit, after=after, ref=ref):
                return self._who(room, min(limit, self.page), after, ref)
            case requests.ListRooms(ref=ref):
                return RoomList(rooms=self.open_rooms, ref=ref)
            case requests.SetName(name=name, ref=ref):
                return Named(name=name, ref=ref)
            case requests.Ping(ref=ref):
                return Pong(ref=ref)
        raise NotImplementedError(request)

    async def _say(self, visitor: Visitor, text: str, room: str, ref: str) -> Ack:
        if room not in visitor.rooms:
            raise NotInRoom(room)
        first = self._acks.get((visitor.name, ref))
        if first is not None and visitor.name is not None:
            return Ack(room=room, seq=first.seq, epoch=first.epoch, id=first.id, ref=ref, duplicate=True)
        message = await self.publish(text, room, sender=visitor.name, sent_at=int(self.clock() * 1000))
        ack = Ack(room=room, seq=message.seq, epoch=message.epoch, id=message.id, ref=ref)
        self._acks[visitor.name, ref] = ack
        return ack

    async def _whisper(self, visitor: Visitor, to: str, text: str, ref: str) -> Ack:
        """Say something to all connections of a user, and to the sender's own; stored nowhere."""
        if to not in [each.name for each in self.visitors]:
            raise NotFound(to)
        private = Private(
            id=f"private {ref}", sender=visitor.name, to=to, message=text, sent_at=int(self.clock() * 1000)
        )
        for each in self.visitors:
            if each.name in (to, visitor.name):
                await each.tell(private)
        return Ack(room=f"@{to}", seq=1, epoch=self.epoch, id=private.id, ref=ref)

    def _history(
        self,
        room: str,
        after: int | None,
        before: int | None,
        limit: int,
        epoch: str | None,
        ref: str | None,
    ) -> StoredMessages:
        log, taken = self.logs[room], self._taken[room]
        same = epoch in (None, self.epoch)
        end = taken if before is None else before - 1
        start = max(0, end - self.numbers) if after is None else after if same else 0
        through = end if after is None else min(end, start + self.numbers)
        rest = [message for message in log if max(start, self.expired) < message.seq <= through]
        messages = rest[-limit:] if after is None else rest[:limit]
        if after is not None and len(rest) > limit:
            through = messages[-1].seq
        return StoredMessages(
            room=room,
            seq=taken,
            epoch=self.epoch if taken else None,
            messages=messages,
            more=len(rest) > limit or through < end or (after is None and start > self.expired),
            complete=same and (after or 0) >= self.expired,
            through=through,
            ref=ref,
        )

    def _count(self) -> int:
        return sum(self.members.values()) if self.count is None else self.count

    def _who(self, room: str, limit: int, after: str | None, ref: str | None) -> WhoIsThere:
        """A page of the connections, by name; the cursor is where the next one begins."""
        connections = [name for name in sorted(self.members) for _ in range(self.members[name])]
        start = int(after or 0)
        end = start + limit
        more = end < len(connections)
        return WhoIsThere(
            room=room,
            members=dict(Counter(connections[start:end])),
            nameless=0,
            count=self._count(),
            more=more,
            after=str(end) if more else None,
            ref=ref,
        )
