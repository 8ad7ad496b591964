"""When requests are sent, on a socket that only keeps what it is given."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from websockets.asyncio.client import ClientConnection

from chalicelib.wire.events import Error, Pong
from client.errors import NoAnswer, RequestFailed
from client.outbox import WINDOW, Outbox
from tests.rig.asynchronous import asynchronous


class Socket:
    """Keeps the refs of what is sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, frame: str) -> None:
        self.sent.append(json.loads(frame)["ref"])


class Held:
    """Stands for sleeping: it lasts until the test ends it."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._over = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self._over.clear()
        await self._over.wait()

    def end(self) -> None:
        self._over.set()


class Line:
    """An outbox on a socket, and what is asked and answered."""

    def __init__(self, answer_seconds: float) -> None:
        self.held = Held()
        self.outbox = Outbox(answer_seconds, lambda: 0.5, self.held)
        self.connect()

    def connect(self) -> None:
        self.socket = Socket()
        self.sending = asyncio.create_task(self.outbox.send_by(cast(ClientConnection, self.socket)))

    async def ask(self, *refs: str, **how: Any) -> list[asyncio.Task[Any]]:
        asked = [asyncio.create_task(self.outbox.request("ping", {}, ref=ref, **how)) for ref in refs]
        await settled()
        return asked

    async def answer(self, *refs: str) -> None:
        for ref in refs:
            assert self.outbox.answered(Pong(ref=ref))
        await settled()

    async def refuse(self, *refs: str, seconds: int = 1) -> None:
        for ref in refs:
            error = Error(code="rate_limited", message="too fast", retry_after=seconds, ref=ref)
            assert self.outbox.answered(error)
        await settled()

    async def wait_out(self) -> None:
        self.held.end()
        await settled()


async def settled() -> None:
    """Let all that can be done without waiting be done."""
    for _ in range(20):
        await asyncio.sleep(0)


@asynccontextmanager
async def line(answer_seconds: float = 10.0) -> AsyncIterator[Line]:
    line = Line(answer_seconds)
    yield line
    line.sending.cancel()
    await settled()


@asynchronous
async def test_after_a_refusal_nothing_is_sent_until_its_time_has_passed() -> None:
    async with line() as chat:
        await chat.ask("a", "b")
        await chat.refuse("b", seconds=3)
        await chat.ask("c")
        await chat.ask("d", urgent=True)
        await chat.answer("a")
        assert chat.socket.sent == ["a", "b"]
        assert chat.held.seconds == [3.5]
        await chat.wait_out()
        assert chat.socket.sent == ["a", "b", "d"]
        await chat.answer("d")
        await chat.answer("b")
        await chat.answer("c")


@asynchronous
async def test_what_has_queued_up_is_sent_one_by_one() -> None:
    async with line() as chat:
        await chat.ask("a", "b", "c")
        await chat.refuse("a", "b", "c")
        assert chat.held.seconds == [1.5]
        await chat.wait_out()
        del chat.socket.sent[:3]
        for sent in (["a"], ["a", "b"], ["a", "b", "c"]):
            assert chat.socket.sent == sent
            await chat.answer(sent[-1])
        # The queue is empty, and the next may go together again.
        await chat.ask("d", "e")
        assert chat.socket.sent[3:] == ["d", "e"]
        await chat.answer("d", "e")


@asynchronous
async def test_what_is_refused_again_waits_again() -> None:
    async with line() as chat:
        await chat.ask("a", "b")
        await chat.refuse("a", "b")
        await chat.wait_out()
        await chat.refuse("a", seconds=2)
        assert chat.socket.sent == ["a", "b", "a"]
        assert chat.held.seconds == [1.5, 2.5]
        await chat.wait_out()
        await chat.answer("a")
        await chat.answer("b")


@asynchronous
async def test_a_longer_time_that_is_asked_for_meanwhile_counts() -> None:
    async with line() as chat:
        await chat.ask("a", "b", "c")
        await chat.refuse("a", seconds=2)
        await chat.refuse("b", seconds=1)
        await chat.refuse("c", seconds=5)
        assert chat.held.seconds == [2.5]
        await chat.wait_out()
        assert chat.held.seconds == [2.5, 3.0]
        assert chat.socket.sent == ["a", "b", "c"]
        await chat.wait_out()
        assert chat.socket.sent == ["a", "b", "c", "a"]
        for ref in "abc":
            await chat.answer(ref)


@asynchronous
async def test_one_whose_reply_is_lost_does_not_keep_back_the_others() -> None:
    async with line(answer_seconds=3.0) as chat:
        [lost, _] = await chat.ask("lost", "b")
        await chat.refuse("lost", "b")
        await chat.wait_out()
        while chat.socket.sent[2:] != ["lost", "b"]:
            await asyncio.sleep(0.01)
        await chat.answer("b")
        assert not lost.done()
        await chat.answer("lost")


@asynchronous
async def test_what_is_of_no_use_later_is_not_kept_waiting() -> None:
    async with line() as chat:
        [first] = await chat.ask("a", passing=True)
        await chat.refuse("a")
        assert isinstance(first.exception(), RequestFailed)
        # Nothing has queued up, but nothing may be sent.
        await chat.ask("b")
        [second] = await chat.ask("c", passing=True)
        assert isinstance(second.exception(), RequestFailed)
        await chat.wait_out()
        assert chat.socket.sent == ["a", "b"]
        await chat.answer("b")
        await chat.ask("d", passing=True)
        assert chat.socket.sent == ["a", "b", "d"]
        await chat.answer("d")


@asynchronous
async def test_no_more_are_under_way_at_once_than_the_window() -> None:
    refs = [str(number) for number in range(WINDOW + 2)]
    async with line() as chat:
        await chat.ask(*refs)
        assert chat.socket.sent == refs[:WINDOW]
        await chat.ask("urgent", urgent=True)
        assert chat.socket.sent[WINDOW:] == ["urgent"]
        await chat.answer("urgent", refs[0])
        assert chat.socket.sent[WINDOW + 1 :] == [refs[WINDOW]]
        await chat.answer(*refs[1:])


@asynchronous
async def test_what_has_not_been_answered_in_time_gives_its_place_in_the_window_up() -> None:
    async with line(answer_seconds=0.1) as chat:
        given_up = await chat.ask(*(str(number) for number in range(WINDOW)))
        await asyncio.wait(given_up)
        assert all(isinstance(request.exception(), NoAnswer) for request in given_up)
        await chat.ask("next")
        assert chat.socket.sent[WINDOW:] == ["next"]
        await chat.answer("next")


@asynchronous
async def test_what_a_lost_connection_was_too_fast_for_goes_out_by_the_next() -> None:
    async with line() as chat:
        await chat.ask("a", "b")
        await chat.refuse("b")
        chat.sending.cancel()
        chat.outbox.lost(resend=True)
        chat.connect()
        await settled()
        # At once, for coming back has taken its time; but one by one.
        assert chat.socket.sent == ["a"]
        await chat.answer("a")
        assert chat.socket.sent == ["a", "b"]
        await chat.answer("b")
