"""A client that is light: it does what the real ones do, as far as that costs the chat something.

It sends, and sends again until it is answered; it hears messages, alone and several in a frame; where it was
cut off it comes back and asks for what it has missed. It does not put what it hears in order: that is
for the ledger to see.
"""

import asyncio
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.scenarios.frames import Frames
from bench.scenarios.ledger import Ledger, Said
from bench.scenarios.sockets import Refused, Socket, Sockets

# After which a request without an answer is made again, in s.
PATIENCE = 10.0
# Of an error that passes, the longest wait before the request is made again, in s.
AGAIN = 1.0
# The first wait before connecting again is up to so long, in s, and twice that after each failure.
BACKOFF, LONGEST_BACKOFF = 0.5, 30.0
# How many of a room ask for its history in a second, and the longest time that they share; as clients do.
QUESTIONS_PER_SECOND = 500
RESUME_SECONDS = 2.0
PAGE = 100
# What it says is padded to so many characters.
TEXT = 80
# How often what is waited for is looked at, in s; what is measured are the times of what has come.
POLL = 0.005
PASSING = {"rate_limited", "unavailable", "internal"}


@dataclass
class Request:
    """A request without an answer.

    Attributes:
        frame: What is sent.
        answered: What is called with the answer.
        timer: When it is made again.
        put_off: Whether it is to be sent then, and not under way.
        sent_at: When it was last sent, by ``time.monotonic``.
        refusals: How often API Gateway has refused it.
    """

    frame: str
    answered: Callable[[dict[str, Any]], None]
    timer: asyncio.TimerHandle | None = None
    put_off: bool = False
    sent_at: float = 0.0
    refusals: int = 0


class Person:
    """A client in one room; everything here happens in one event loop.

    Args:
        name: Its name.
        room: Where it is.
        sockets: Where it connects.
        frames: What reads.
        ledger: Where it says what it says and hears.
        crowd: By socket, who is open in its room.
        clients: How many clients it stands for.

    Attributes:
        name: Its name.
        room: Where it is.
        socket: Its connection, while it is open.
        since: From when on everything is due to it; see ``Ledger``.
        has: The texts that it has, live or from history.
        seqs: The numbers that it has.
        settled: Up to here it has all that there is or ever will be.
        count: How many there are in the room, as it was last told.
        errors: What it was told, if it was an error, with how often.
        connects: How often it has connected.
        refused: The statuses of handshakes that were refused.
        slow: Whether it does not read: its sockets are refused posts.
    """

    def __init__(
        self,
        name: str,
        room: str,
        sockets: Sockets,
        frames: Frames,
        ledger: Ledger,
        crowd: dict[str, "Person"],
        clients: float,
    ) -> None:
        self.name = name
        self.room = room
        self.socket: Socket | None = None
        self.since = float("inf")
        self.has: set[str] = set()
        self.seqs: set[int] = set()
        self.settled = 0
        self.count: int | None = None
        self.errors: dict[str, int] = {}
        self.connects = 0
        self.refused: list[int] = []
        self.slow = False
        self._highest = 0
        self._epoch: str | None = None
        self._waiting: dict[str, Request] = {}
        self._number = 0
        self._sockets = sockets
        self._frames = frames
        self._ledger = ledger
        self._crowd = crowd
        self._clients = clients
        self._chance = random.Random(name)
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    async def connect(self) -> None:
        """Connect, again until it is let in."""
        wait = BACKOFF
        while self.socket is None:
            try:
                opened = await self._sockets.connect(
                    [("name", self.name), ("room", self.room)], self._receive, self._closed
                )
            except Refused as refused:
                self.refused.append(refused.status)
                await asyncio.sleep(self._chance.random() * wait)
                wait = min(2 * wait, LONGEST_BACKOFF)
            else:
                self.socket = opened
                self.connects += 1
                self._crowd[opened.id] = self
                self.since = min(self.since, time.monotonic())
                if self.slow:
                    self._sockets.stop_reading(opened)
        for request in list(self._waiting.values()):
            self._send(request)

    async def resume(self) -> None:
        """Ask for what was missed, as one who has come back: not at the moment in which all others do."""
        members = len(self._crowd) * self._clients
        await asyncio.sleep(self._chance.random() * min(RESUME_SECONDS, members / QUESTIONS_PER_SECOND))
        await self.catch_up()

    async def catch_up(self) -> None:
        """Ask for all that comes after what it has without a gap, and take it."""
        for message in await self.history(self.settled):
            self.has.add(message["message"])
            self.seqs.add(message["seq"])

    async def history(self, after: int) -> list[dict[str, Any]]:
        """Ask for all that comes after a number, page by page."""
        messages: list[dict[str, Any]] = []
        while True:
            answer = await self.ask("history", room=self.room, after=after, epoch=self._epoch, limit=PAGE)
            if answer["type"] != "history":
                return messages
            messages += answer["messages"]
            last = answer["messages"][-1]["seq"] if answer["messages"] else after
            self._epoch = answer["epoch"]
            after = answer.get("through", last)
            self.settled = max(self.settled, after)
            if not answer["more"]:
                return messages

    def say(self, text: str, ref: bool = True) -> Said:
        """Say something, with a ref again until it is acknowledged."""
        due = frozenset(socket for socket, person in self._crowd.items() if not person.slow)
        said = self._ledger.say(self.room, text.ljust(TEXT, "."), due)
        if ref:
            self._ask(partial(_accepted, said), "onMessage", room=self.room, message=said.text)
        else:
            self.request("onMessage", room=self.room, message=said.text)
        return said

    async def heard_by_all(self, said: Said, seconds: float = 60.0) -> float:
        """Wait until all who are there have heard a message; how long after it was said, in s."""
        deadline = said.at + seconds
        while said.missed_by(self._crowd) and time.monotonic() < deadline:
            await asyncio.sleep(POLL)
        return (time.monotonic() if said.missed_by(self._crowd) else said.last) - said.at

    def request(self, action: str, **fields: Any) -> None:
        """Make a request whose answer does not matter, once."""
        if self.socket is not None:
            self._sockets.send(self.socket, json.dumps({"action": action, **fields}))

    async def ask(self, action: str, **fields: Any) -> dict[str, Any]:
        """Make a request, and wait for its answer."""
        answer: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._ask(partial(_answer, answer), action, **fields)
        return await answer

    def read_no_more(self) -> None:
        """Let the buffer of its socket fill, and of all that it opens."""
        self.slow = True
        if self.socket is not None:
            self._sockets.stop_reading(self.socket)

    def cut(self, farewell: bool = True) -> None:
        """Lose the connection; without a farewell ``$disconnect`` is never run."""
        if self.socket is not None:
            del self._crowd[self.socket.id]
            self._sockets.leave(self.socket, farewell)
            self.socket = None

    def stop(self) -> None:
        """Make no request again."""
        for request in self._waiting.values():
            if request.timer is not None:
                request.timer.cancel()
        self._waiting.clear()
        for task in self._tasks:
            task.cancel()

    def _ask(self, answered: Callable[[dict[str, Any]], None], action: str, **fields: Any) -> None:
        self._number += 1
        ref = f"{self.name}-{self._number}"
        given = {name: value for name, value in fields.items() if value is not None}
        request = Request(json.dumps({"action": action, "ref": ref, **given}), answered)
        self._waiting[ref] = request
        self._send(request)

    def _send(self, request: Request, after: float = 0.0) -> None:
        if request.timer is not None:
            request.timer.cancel()
        request.put_off = bool(after)
        if after:
            request.timer = self._loop.call_later(after, self._send, request)
            return
        request.sent_at = time.monotonic()
        request.timer = self._loop.call_later(PATIENCE, self._send, request)
        if self.socket is not None:
            self._sockets.send(self.socket, request.frame)

    def _receive(self, payload: str) -> None:
        frame = self._frames.read(payload)
        event = frame.event
        match frame.type:
            case "message":
                self._hear(event)
            case "messages":
                for message in event["messages"]:
                    self._hear(message)
            case "error":
                self._fail(event)
            case "goodbye":
                self.cut()
                if event["retryAfter"] is not None:
                    self._start(self._come_back(event["retryAfter"]))
            case "":
                self._refused()
            case "occupancy":
                self.count = event["count"]
            case _:
                if event.get("count") is not None:
                    self.count = event["count"]
                request = self._waiting.pop(event.get("ref") or "", None)
                if request is not None:
                    self._answered(request, event)

    def _hear(self, message: dict[str, Any]) -> None:
        seq: int = message["seq"]
        text: str = message["message"]
        if seq in self.seqs:
            self._ledger.repeated += 1
        elif seq < self._highest:
            self._ledger.disordered += 1
        self._epoch = message["epoch"]
        self._highest = max(seq, self._highest)
        self.has.add(text)
        self.seqs.add(seq)
        while self.settled + 1 in self.seqs:
            self.settled += 1
        if self.socket is not None:
            self._ledger.heard(self.socket.id, text, seq)

    def _refused(self) -> None:
        """API Gateway has refused a frame, and does not say which: the last one, in all likelihood."""
        sent = [request for request in self._waiting.values() if not request.put_off]
        if sent:
            last = max(sent, key=lambda request: request.sent_at)
            longest = min(PATIENCE, AGAIN * 2**last.refusals)
            last.refusals += 1
            self._send(last, self._chance.random() * longest)

    def _fail(self, error: dict[str, Any]) -> None:
        code: str = error["code"]
        self.errors[code] = self.errors.get(code, 0) + 1
        request = self._waiting.get(error.get("ref") or "")
        if request is None:
            return
        if code in PASSING:
            self._send(request, (error.get("retryAfter") or 0) + self._chance.random() * AGAIN)
        else:
            del self._waiting[error["ref"]]
            self._answered(request, error)

    def _answered(self, request: Request, answer: dict[str, Any]) -> None:
        if request.timer is not None:
            request.timer.cancel()
        request.answered(answer)

    def _closed(self) -> None:
        """The chat has closed the socket; a farewell says when to come back, or nothing does."""
        if self.socket is not None:
            self._crowd.pop(self.socket.id, None)
            self.socket = None
            self._start(self._come_back(0))

    async def _come_back(self, seconds: float) -> None:
        await asyncio.sleep(seconds + self._chance.random() * BACKOFF)
        await self.connect()
        await self.resume()

    def _start(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _answer(future: "asyncio.Future[dict[str, Any]]", answer: dict[str, Any]) -> None:
    if not future.done():
        future.set_result(answer)


def _accepted(said: Said, answer: dict[str, Any]) -> None:
    said.accepted = answer["type"] == "ack"
