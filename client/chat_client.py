"""A client that stays connected: it loses no message, gives none twice, and gives them in order."""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from chalicelib.wire.events import (
    Ack,
    Authenticated,
    Error,
    Goodbye,
    Joined,
    Left,
    Message,
    Messages,
    Named,
    Occupancy,
    Pong,
    Presence,
    Private,
    RoomList,
    StoredMessages,
    Typing,
    WhoIsThere,
)
from chalicelib.wire.requests import LOBBY, LONGEST_HISTORY

from .connector import Connector, Query
from .errors import Closed, NoAnswer, RequestFailed
from .frames import GatewayError, Reply, Told, decode
from .outbox import Outbox
from .presence import PresenceOrder
from .room_log import Missed, RoomLog

# Half of API Gateway's idle time: a ping may be lost.
PING_SECONDS = 300.0
# API Gateway's own limit is 29 s.
ANSWER_SECONDS = 30.0
# What is published at the same time comes in any order: a gap is left open for so long, at most, before
# a client asks what was in it. All of a room's clients see the same gaps, so in a large room it is longer,
# and all of them together ask some so many questions a second.
GAP_SECONDS = 0.5
QUESTIONS_PER_SECOND = 500
# Those who come back from a lost connection have waited already: they ask within so long.
RESUME_SECONDS = 2.0
# What is asked of all rooms after a ping has time: so long for each.
LOOK_SECONDS = 0.5
# How many rooms' logs are asked for at the same time.
QUESTIONS_AT_ONCE = 4
# The codes of errors that say that a room is closed to this client.
CLOSED_ROOM = {"not_in_room", "forbidden"}
# What a connection is closed with for a frame that the other end does not take: its kind, its text, its size.
UNACCEPTABLE = {1003, 1007, 1009}

ChatEvent: TypeAlias = Message | Missed | Private | Presence | Occupancy | Typing | Left | Goodbye | Error

_log = logging.getLogger(__name__)


class _Over(Exception):
    """The connection has ended, and what runs for it must too."""


class ChatClient:
    """A connection to the chat that outlives its sockets; an async context manager and iterator.

    Entering waits for the first connection, as long as it takes, and for the position in each room.
    What is published in a room from then on, or after ``join`` has returned, is given by ``async for``:
    every message once, and in order. Other events come as the server sends them, but for a ``Presence`` that
    a later one has outdated. Iteration ends after a ``Goodbye`` that says not to come back.

    Requests may be made by any task. Each is sent again over a new connection until it is answered. When the
    server finds one too fast, it and all others wait for as long as the server asks. All of them raise
    ``RequestFailed`` for the server's ``error``, ``NoAnswer`` when no reply came in time, ``Unsendable`` for
    what no frame takes, and ``Closed`` when the client is not open. A request that is cancelled is not sent
    any more.

    Args:
        url: The chat's ``ws://`` or ``wss://`` URL.
        name: The user; None for a nameless client.
        rooms: Names of rooms to be in from the start.
        history: How many old messages of each room to begin with, 100 at most.
        headers: Sent with each handshake.
        token: For a chat that wants one; the name is the token's then.
        ping_seconds: Time between pings; below API Gateway's ten idle minutes.
        answer_seconds: Time within which a request must be answered; it passes while there is a connection. A
            ping that is not answered means that the connection is dead.
        proxy: The URL of a proxy, ``http://``, ``https://`` or ``socks5h://``; True for the one that the
            environment names (``https_proxy``, ``all_proxy``, but for ``no_proxy``), None for none.
        random: From 0 to 1, for the jitter.
        clock: Monotonic, in s.
        sleep: Waits that many s.

    Raises:
        TypeError: An argument is of another type, such as a string for ``rooms``.
        ValueError: One has a value that cannot be: ``history`` is from 0 to 100, times are above 0, the URL
            begins with ``ws://`` or ``wss://``.

    Attributes:
        name: The user, as the last ``set_name`` left it.
        token: The token of the next connection.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str | None = None,
        rooms: Iterable[str] = (LOBBY,),
        history: int = 0,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
        ping_seconds: float = PING_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
        proxy: str | Literal[True] | None = True,
        random: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        rooms = _checked_rooms(rooms)
        _check(url, name, token, history, ping_seconds=ping_seconds, answer_seconds=answer_seconds)
        self.name = name
        self.token = token
        self._old_messages = history
        self._ping_seconds = ping_seconds
        self._sleep = sleep
        self._random = random
        self._connector = Connector(url, headers or {}, lambda: self.token, proxy, random, clock, sleep)
        self._outbox = Outbox(answer_seconds, random, sleep)
        self._events: asyncio.Queue[ChatEvent | None] = asyncio.Queue()
        self._logs = {room: RoomLog(room, history) for room in rooms}
        # Apart: the server may refuse them, and must not meet them in the URL before it has not.
        self._joining: dict[str, RoomLog] = {}
        self._asking: dict[RoomLog, asyncio.Task[None]] = {}
        self._questions = asyncio.Semaphore(QUESTIONS_AT_ONCE)
        self._counts: dict[str, int] = {}
        self._presence = PresenceOrder()
        self._tasks: asyncio.TaskGroup | None = None
        self._life: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None]

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            Refused: The server does not let this client in.
            ProxyFailed: The proxy does not.
        """
        self._ready = asyncio.get_running_loop().create_future()
        self._life = asyncio.create_task(self._connector.run(self._query, self._talk))
        self._life.add_done_callback(self._end)
        try:
            await self._ready
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Close, and raise what has ended the client before unless something is raised already."""
        await self.close()
        failure = self._failure()
        if failure is not None and error is None:
            raise failure

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChatEvent:
        """Wait for the next event.

        Raises:
            Refused: The server did not let this client in again.
        """
        event = await self._events.get()
        if event is None:
            # For whoever asks next.
            self._events.put_nowait(None)
            raise self._failure() or StopAsyncIteration
        return event

    async def close(self) -> None:
        """Close the connection, and end all that runs for it. May be called again."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])

    async def say(self, text: str, room: str = LOBBY, *, ref: str | None = None) -> Ack:
        """Say something in a room, exactly once however often the connection is lost.

        Args:
            text: 1-4,096 characters.
            room: A room that this client is in.
            ref: 1-64 characters, to say it again after an error without its being said twice.

        Raises:
            Unconfirmed: This client is nameless, and the connection was lost before the answer.
        """
        fields = {"room": room, "message": text}
        ack: Ack = await self._request("onMessage", fields, ref=ref, once=True)
        return ack

    async def private(self, to: str, text: str, *, ref: str | None = None) -> Ack:
        """Say something to a user who is connected, as ``say`` does in a room."""
        fields = {"to": to, "message": text}
        ack: Ack = await self._request("privateMessage", fields, ref=ref, once=True)
        return ack

    async def join(self, room: str) -> Joined:
        """Join a room, over all connections from now on."""
        log = self._logs.get(room) or self._joining.setdefault(room, RoomLog(room, self._old_messages))
        try:
            joined: Joined = await self._request("joinRoom", {"room": room})
        finally:
            self._joining.pop(room, None)
        if not log.begun:
            log.joined(joined.seq)
        self._counts[room] = joined.count
        self._logs.setdefault(room, log)
        self._catch_up(self._logs[room])
        return joined

    async def leave(self, room: str) -> Left:
        """Leave a room. Of its messages, only those are given that have come by then."""
        left: Left = await self._request("leaveRoom", {"room": room})
        self._forget(room)
        return left

    async def who(
        self, room: str = LOBBY, *, limit: int | None = None, after: str | None = None
    ) -> WhoIsThere:
        """Ask who is in a room that this client is in.

        Args:
            room: The room.
            limit: How many connections to ask for, 500 at most.
            after: Where to go on: the ``after`` of another answer.

        Returns:
            Everybody, in one answer; or one page of them where ``limit`` or ``after`` was given.
        """
        there = await self._who(room, limit, after)
        if limit is not None or after is not None:
            return there
        members, nameless = Counter(there.members), there.nameless
        while there.more:
            there = await self._who(room, None, there.after)
            members.update(there.members)
            nameless += there.nameless
        return msgspec.structs.replace(there, members=dict(members), nameless=nameless)

    def count(self, room: str = LOBBY) -> int | None:
        """The number of connections in a room, as the server has said it last; None where it has not."""
        return self._counts.get(room)

    async def rooms(self) -> RoomList:
        """Ask which rooms have members."""
        rooms: RoomList = await self._request("listRooms", {})
        return rooms

    async def history(
        self,
        room: str = LOBBY,
        *,
        after: int | None = None,
        before: int | None = None,
        epoch: str | None = None,
        limit: int = LONGEST_HISTORY,
    ) -> StoredMessages:
        """Ask for stored messages, the newest or those after or before a ``seq``, beside the events."""
        fields = {"room": room, "after": after, "before": before, "epoch": epoch, "limit": limit}
        stored: StoredMessages = await self._request("history", fields)
        return stored

    async def set_name(self, name: str) -> Named:
        """Take a name, over all connections from now on."""
        named: Named = await self._request("setName", {"name": name})
        self.name = named.name
        return named

    async def authenticate(self, token: str) -> Authenticated:
        """Go on with a newer token of the same name, on this connection and all later ones."""
        authenticated: Authenticated = await self._request("authenticate", {"token": token})
        self.token = token
        return authenticated

    async def typing(self, room: str = LOBBY, typing: bool = True) -> Ack:
        """Show the others in a room that this client is about to say something, or not any more.

        It is not made again where it was too fast: ``RequestFailed`` is raised then.
        """
        fields = {"room": room, "typing": typing}
        ack: Ack = await self._request("typingIndicator", fields, passing=True)
        return ack

    async def ping(self) -> Pong:
        """Ask for a pong; it need not be done to stay connected."""
        pong: Pong = await self._request("ping", {})
        return pong

    async def _who(self, room: str, limit: int | None, after: str | None) -> WhoIsThere:
        there: WhoIsThere = await self._request("who", {"room": room, "limit": limit, "after": after})
        self._heard_count(room, there.count)
        return there

    async def _request(
        self,
        action: str,
        fields: Mapping[str, object],
        *,
        ref: str | None = None,
        once: bool = False,
        urgent: bool = False,
        passing: bool = False,
    ) -> Any:
        if self._life is None or self._life.done():
            raise Closed("the client is not open") from self._failure()
        return await self._outbox.request(action, fields, ref=ref, once=once, urgent=urgent, passing=passing)

    def _query(self) -> Query:
        name = [] if self.name is None else [("name", self.name)]
        return name + [("room", room) for room in self._logs]

    async def _talk(self, socket: ClientConnection) -> Goodbye | None:
        """Use one connection until it ends."""
        goodbye = None
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                tasks.create_task(self._outbox.send_by(socket))
                tasks.create_task(self._or_reconnect(self._keep_alive))
                self._resume()
                goodbye = await self._listen(socket)
                raise _Over
        except* _Over:
            pass
        finally:
            self._tasks = None
            self._outbox.lost(self._may_resend, unacceptable=socket.close_code in UNACCEPTABLE)
        return goodbye

    async def _listen(self, socket: ClientConnection) -> Goodbye | None:
        with suppress(ConnectionClosed):
            async for frame in socket:
                event = decode(frame)
                if isinstance(event, GatewayError):
                    _log.warning("API Gateway: %s (request %s)", event.message, event.request_id)
                    self._outbox.refused(self._may_resend)
                    continue
                if isinstance(event, Goodbye):
                    self._events.put_nowait(event)
                    return event
                if event is not None:
                    self._take(event)
        return None

    @property
    def _may_resend(self) -> bool:
        """Whether what must not be done twice can be sent twice: a nameless client's refs are not kept."""
        return self.name is not None or self.token is not None

    async def _or_reconnect(self, work: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Do what a connection is no good without."""
        try:
            await work(*arguments)
        except (RequestFailed, NoAnswer) as error:
            _log.warning("the connection is given up: %s", error)
            raise _Over from error

    async def _keep_alive(self) -> None:
        while True:
            await self._sleep(self._ping_seconds)
            await self._request("ping", {}, urgent=True)
            # The last message of a room leaves no gap where it is lost on the way.
            self._resume((len(self._logs) - 1) * LOOK_SECONDS)

    def _resume(self, seconds: float = 0.0) -> None:
        """Ask each room for what has passed unseen, within so many s."""
        for log in self._logs.values():
            log.resume()
            self._catch_up(log, max(seconds, min(self._spread(log), RESUME_SECONDS)))
        self._say_when_ready()

    def _spread(self, log: RoomLog) -> float:
        """The time in s over which the clients in a room spread the same question."""
        return self._counts.get(log.room, 0) / QUESTIONS_PER_SECOND

    def _take(self, event: Reply | Told) -> None:
        if isinstance(event, Message | Messages):
            log = self._logs.get(event.room) or self._joining.get(event.room)
            if log is not None:
                for message in event.messages if isinstance(event, Messages) else [event]:
                    self._give(log.live(message))
                self._catch_up(log)
        elif isinstance(event, Presence):
            current = self._presence.current(event)
            self._give([current] if current else [])
        elif isinstance(event, Occupancy):
            self._heard_count(event.room, event.count)
            self._give([event])
        elif isinstance(event, Private | Typing | Goodbye):
            self._give([event])
        elif isinstance(event, Left) and event.ref is None:
            self._lose(event.room)
        elif not self._outbox.answered(event) and isinstance(event, Error):
            # It names no request, or one that is not waited for any more.
            self._give([event])

    def _heard_count(self, room: str, count: int) -> None:
        if room in self._logs:
            self._counts[room] = count

    def _catch_up(self, log: RoomLog, seconds: float = 0.0) -> None:
        """See to it that a log's questions are asked, one at a time, the first within so many s."""
        asking = self._asking.get(log)
        if self._tasks is None or (asking is not None and not asking.done()):
            return
        if self._logs.get(log.room) is log and log.question() is not None:
            self._asking[log] = self._tasks.create_task(self._or_reconnect(self._ask, log, seconds))

    async def _ask(self, log: RoomLog, seconds: float) -> None:
        # Whoever waits for a log to begin is not kept waiting.
        if log.begun and seconds:
            await self._sleep(self._random() * seconds)
        while log.question() is not None:
            if log.may_close:
                await self._sleep(self._random() * max(GAP_SECONDS, self._spread(log)))
            async with self._questions:
                question = log.question()
                if question is None:
                    break
                try:
                    answer = await self.history(
                        log.room, after=question.after, epoch=question.epoch, limit=question.limit
                    )
                except RequestFailed as error:
                    if error.code not in CLOSED_ROOM:
                        raise
                    self._lose(log.room)
                    return
            self._give(log.answered(question, answer))
            self._say_when_ready()

    def _lose(self, room: str) -> None:
        """The server does not let this client be in a room: that is told once."""
        if room in self._logs:
            self._forget(room)
            self._give([Left(room=room)])

    def _forget(self, room: str) -> None:
        log = self._logs.pop(room, None)
        self._counts.pop(room, None)
        self._presence.forget(room)
        if log is not None and log in self._asking:
            self._asking.pop(log).cancel()
        self._say_when_ready()

    def _give(self, events: Iterable[ChatEvent]) -> None:
        for event in events:
            self._events.put_nowait(event)

    def _say_when_ready(self) -> None:
        if not self._ready.done() and all(log.begun for log in self._logs.values()):
            self._ready.set_result(None)

    def _end(self, life: asyncio.Task[None]) -> None:
        closed = Closed("the client is closed")
        closed.__cause__ = failure = self._failure()
        self._outbox.end(closed)
        if not self._ready.done():
            self._ready.set_exception(failure or closed)
        self._events.put_nowait(None)

    def _failure(self) -> BaseException | None:
        """What has ended the client; None where it lives, was closed, or has been told to go."""
        if self._life is None or not self._life.done() or self._life.cancelled():
            return None
        return self._life.exception()


def _checked_rooms(rooms: Iterable[str]) -> list[str]:
    if isinstance(rooms, str | bytes):
        raise TypeError(f"rooms must be a list of names, such as [{rooms!r}]")
    names = list(dict.fromkeys(rooms))
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"the name of a room must be a str, not {name!r}")
    return names


def _check(url: str, name: str | None, token: str | None, history: int, **seconds: float) -> None:
    for what, value in (("url", url), ("name", name), ("token", token)):
        if not isinstance(value, str) and (value is not None or what == "url"):
            raise TypeError(f"{what} must be a str, not {value!r}")
    if urlsplit(url).scheme not in ("ws", "wss") or not urlsplit(url).hostname:
        raise ValueError("url must be that of a WebSocket, such as wss://example.com/chat")
    if urlsplit(url).fragment:
        raise ValueError("url must not have a fragment, #...")
    if not 0 <= history <= LONGEST_HISTORY:
        raise ValueError(f"history must be from 0 to {LONGEST_HISTORY}, not {history}")
    for what, number in seconds.items():
        if not number > 0:
            raise ValueError(f"{what} must be above 0, not {number}")
