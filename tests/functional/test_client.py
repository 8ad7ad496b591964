"""The client on real sockets, with a server that does what a network does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import connect

from chalicelib.wire.events import Error, Event, Goodbye, Left, Message, Occupancy, Pong, Presence
from client.chat_client import QUESTIONS_AT_ONCE, ChatClient, ChatEvent
from client.connector import SUBPROTOCOL
from client.errors import (
    Closed,
    NoAnswer,
    ProxyFailed,
    Refused,
    RequestFailed,
    Unconfirmed,
    Unsendable,
)
from client.frames import decode
from client.outbox import Outbox
from client.room_log import Missed
from tests.rig.asynchronous import asynchronous
from tests.rig.chat_server import ChatServer, Fault
from tests.rig.clock import Clock
from tests.rig.sleeps import INTERVAL, Sleeps
from tests.tools import free_port


def half() -> float:
    return 0.5


def client(
    server: ChatServer,
    *,
    name: str | None = "bob",
    rooms: tuple[str, ...] = ("lobby",),
    history: int = 0,
    headers: dict[str, str] | None = None,
    answer_seconds: float = 10.0,
    random: Callable[[], float] = half,
    clock: Clock | None = None,
    sleep: Callable[[float], Awaitable[None]] | None = None,
) -> ChatClient:
    return ChatClient(
        server.url,
        name=name,
        rooms=rooms,
        history=history,
        headers=headers,
        ping_seconds=INTERVAL,
        answer_seconds=answer_seconds,
        random=random,
        clock=clock or Clock(0),
        sleep=sleep or Sleeps(),
    )


async def take(chat: ChatClient, number: int) -> list[str]:
    """The next events, as short as that."""
    return [short(await anext(chat)) for _ in range(number)]


def short(event: ChatEvent) -> str:
    match event:
        case Message(message=text):
            return text
        case Missed(after=after):
            return f"missed after {after}"
        case Goodbye(code=code):
            return f"goodbye {code}"
        case Occupancy(room=room, count=count):
            return f"{count} in {room}"
    return repr(event)


@asynchronous
async def test_it_says_who_it_is_and_where_it_wants_to_be() -> None:
    async with ChatServer() as server:
        async with client(server, name="Bob & co", rooms=("cats", "dogs"), headers={"X-Token": "t"}):
            [visitor] = server.visitors
        assert visitor.name == "Bob & co"
        assert visitor.rooms == ["cats", "dogs"]
        assert visitor.headers["X-Token"] == "t"
        assert visitor.socket.subprotocol == "chat.v1"
        assert visitor.socket.close_code == 1000


@pytest.mark.parametrize(("history", "shown"), [(0, ["new"]), (2, ["two", "three", "new"])])
@asynchronous
async def test_it_begins_with_as_many_old_messages_as_are_wanted(history: int, shown: list[str]) -> None:
    async with ChatServer() as server:
        for text in ("one", "two", "three"):
            await server.publish(text)
        async with client(server, history=history) as chat:
            await server.publish("new")
            assert await take(chat, len(shown)) == shown


@asynchronous
async def test_repeats_and_gaps_do_not_show() -> None:
    async with ChatServer() as server, client(server) as chat:
        first = await server.publish("one")
        await server.publish("two", lost=True)
        await server.visitors[0].tell(first)
        await server.publish("three")
        await server.publish("four")
        assert await take(chat, 4) == ["one", "two", "three", "four"]


@asynchronous
async def test_messages_of_one_frame_are_given_like_others() -> None:
    async with ChatServer() as server, client(server) as chat:
        first = await server.publish_round("one", "two", "three")
        assert await take(chat, 3) == ["one", "two", "three"]
        await chat.ping()
        assert len(server.visitors[0].asked("history")) == 1, "it asked for what it had been sent"
        await server.visitors[0].tell(first)
        await server.visitors[0].tell(first.messages[1])
        await server.publish_round("four", "five", lost=True)
        await server.publish_round("six", "seven")
        assert await take(chat, 4) == ["four", "five", "six", "seven"]
        await server.publish("eight")
        assert await take(chat, 1) == ["eight"]


@asynchronous
async def test_a_frame_of_several_messages_can_be_the_first_of_a_room() -> None:
    async with ChatServer() as server, client(server) as chat:
        joining = asyncio.create_task(chat.join("cats"))
        server.faults["history"] = [Fault.UNANSWERED]
        await server.until(1, "joinRoom")
        await server.publish_round("one", "two", room="cats")
        await joining
        assert await take(chat, 2) == ["one", "two"]


@asynchronous
async def test_numbers_that_were_never_used_are_asked_about_once() -> None:
    sleep = Sleeps()
    async with ChatServer() as server, client(server, sleep=sleep) as chat:
        server.numbers = 100
        await server.publish("one")
        server.skip(250)
        server.visitors[0].cut()
        # Three answers without a message, one where each ends.
        again = await server.until(2, "history", times=3)
        assert [question["after"] for question in again.asked("history")] == [1, 101, 201]
        await server.publish("two")
        assert await take(chat, 2) == ["one", "two"]
        await chat.ping()
        assert len(again.asked("history")) == 3


@asynchronous
async def test_it_comes_back_and_has_what_it_missed() -> None:
    async with ChatServer() as server, client(server, rooms=("lobby", "cats")) as chat:
        await chat.join("dogs")
        rooms = ["lobby", "cats", "dogs"]
        for room in rooms:
            await server.publish(f"{room} 1", room)
        assert await take(chat, 3) == [f"{room} 1" for room in rooms]
        server.visitors[0].cut()
        for number in range(2, 252):
            for room in rooms:
                await server.publish(f"{room} {number}", room, lost=True)
        again = await server.until(2, "history", times=3)
        assert again.rooms == rooms
        assert again.asked("history")[:3] == [
            {"room": room, "after": 1, "epoch": "e", "limit": 100} for room in rooms
        ]
        for room in rooms:
            await server.publish(f"{room} live", room)
        events = await take(chat, 3 * 251)
        for room in rooms:
            texts = [f"{room} {number}" for number in range(2, 252)] + [f"{room} live"]
            assert [text for text in events if text.startswith(room)] == texts


@asynchronous
async def test_a_room_that_was_left_is_not_joined_again() -> None:
    async with ChatServer() as server, client(server, rooms=("lobby", "cats")) as chat:
        await chat.leave("cats")
        server.visitors[0].cut()
        assert (await server.visitor(2)).rooms == ["lobby"]


@asynchronous
async def test_a_room_that_was_refused_is_not_joined_again() -> None:
    async with ChatServer() as server, client(server) as chat:
        with pytest.raises(RequestFailed) as failed:
            await chat.join("no blanks")
        assert failed.value.code == "bad_request"
        server.visitors[0].cut()
        assert (await server.visitor(2)).rooms == ["lobby"]


@asynchronous
async def test_what_is_said_between_joining_and_the_answer_is_shown() -> None:
    async with ChatServer() as server, client(server) as chat:
        # Its number is not the room's when the room is joined, but is by the time its log begins.
        server.faults["history"] = [Fault.UNANSWERED]
        await chat.join("cats")
        await server.publish("one", "cats", lost=True)
        await server.publish("two", "cats", lost=True)
        assert await take(chat, 2) == ["one", "two"]


@asynchronous
async def test_what_overtakes_the_answer_to_joining_is_shown() -> None:
    async with ChatServer() as server, client(server) as chat:
        # Where no history is kept, it comes live or never.
        server.expired = 1
        server.faults["joinRoom"] = [Fault.OVERTAKEN]
        await chat.join("cats")
        assert await take(chat, 1) == ["overtaking"]


@asynchronous
async def test_what_cannot_be_had_any_more_is_said_to_be_missed() -> None:
    async with ChatServer() as server, client(server) as chat:
        await server.publish("one")
        assert await take(chat, 1) == ["one"]
        server.visitors[0].cut()
        for text in ("two", "three", "four"):
            await server.publish(text, lost=True)
        server.expired = 2
        assert await take(chat, 3) == ["missed after 1", "three", "four"]


@asynchronous
async def test_the_last_message_is_found_where_it_is_lost_on_the_way() -> None:
    async with ChatServer() as server:
        sleep = Sleeps()
        async with client(server, sleep=sleep) as chat:
            await server.publish("one", lost=True)
            sleep.end_interval()
            assert await take(chat, 1) == ["one"]
            assert server.visitors[0].asked("ping") == [{}]


@asynchronous
async def test_a_history_that_is_not_there_is_asked_for_by_a_new_connection() -> None:
    async with ChatServer() as server:
        server.faults["history"] = [Fault.UNAVAILABLE]
        async with client(server) as chat:
            assert len(server.visitors) == 2
            await server.publish("one")
            assert await take(chat, 1) == ["one"]


@asynchronous
async def test_who_is_put_out_of_a_room_is_told_and_does_not_come_back_into_it() -> None:
    async with ChatServer() as server, client(server, rooms=("lobby", "cats")) as chat:
        await server.visitors[0].tell(Left(room="cats"))
        assert await anext(chat) == Left(room="cats")
        server.visitors[0].cut()
        assert (await server.visitor(2)).rooms == ["lobby"]


@asynchronous
async def test_what_comes_too_fast_is_sent_again_in_time() -> None:
    sleep = Sleeps()
    async with ChatServer() as server:
        server.faults["history"] = [Fault.TOO_FAST]
        server.faults["onMessage"] = [Fault.TOO_FAST] * 2
        async with client(server, sleep=sleep) as chat:
            assert (await chat.say("hi")).seq == 1
            # When the server said, and a part of a second.
            assert sleep.short == [1.5] * 3
            [visitor] = server.visitors
            assert len(visitor.asked("history")) == 2
            assert len(visitor.asked("onMessage")) == 3


@asynchronous
async def test_what_came_too_fast_has_not_been_said() -> None:
    async with ChatServer() as server:

        async def lost_meanwhile(seconds: float) -> None:
            if seconds == 1.5:
                server.visitors[0].cut()
            if seconds >= 1.5:
                await asyncio.Event().wait()

        async with client(server, name=None, sleep=lost_meanwhile) as chat:
            server.faults["onMessage"] = [Fault.TOO_FAST]
            assert (await chat.say("hi")).seq == 1
            assert len(server.visitors) == 2


@asynchronous
async def test_it_backs_off_with_jitter() -> None:
    draws = iter([1.0, 0.25, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0])
    sleep = Sleeps()
    async with ChatServer() as server:
        server.statuses = [503, 429, 500, 502, 504, 503, 503, 503]
        async with client(server, random=lambda: next(draws), sleep=sleep):
            assert sleep.short == [0.5, 0.25, 2.0, 4.0, 8.0, 16.0, 30.0, 0.0]


@asynchronous
async def test_it_waits_for_a_server_that_is_not_there() -> None:
    async with ChatServer() as server:
        url = server.url
    sleep = Sleeps()
    chat = ChatClient(url, random=half, sleep=sleep)
    entering = asyncio.create_task(chat.__aenter__())
    await sleep.slept(3)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering


@pytest.mark.parametrize(("count", "wait"), [(None, 0.25), (20, 0.25), (1000, 1.0), (10_000, 10.0)])
@asynchronous
async def test_a_gap_is_asked_about_the_later_the_larger_the_room(count: int | None, wait: float) -> None:
    sleep = Sleeps()
    async with ChatServer() as server, client(server, sleep=sleep) as chat:
        if count is not None:
            await server.occupy(count)
            assert await take(chat, 1) == [f"{count} in lobby"]
        assert chat.count() == count
        await server.publish("one", lost=True)
        await server.publish("two")
        assert await take(chat, 2) == ["one", "two"]
        # Half of the time over which the room's clients spread their questions.
        assert sleep.short == [wait]


@pytest.mark.parametrize(("count", "wait"), [(20, 0.02), (500, 0.5), (10_000, 1.0)])
@asynchronous
async def test_who_comes_back_into_a_large_room_asks_a_little_later(count: int, wait: float) -> None:
    sleep = Sleeps()
    async with ChatServer() as server, client(server, sleep=sleep) as chat:
        await server.occupy(count)
        await take(chat, 1)
        server.visitors[0].cut()
        await server.visitor(2)
        assert sleep.short == [0.25, wait]


@asynchronous
async def test_after_a_ping_the_rooms_are_not_all_asked_for_at_once() -> None:
    sleep = Sleeps()
    rooms = tuple(f"room{number}" for number in range(9))
    async with ChatServer() as server, client(server, rooms=rooms, sleep=sleep):
        sleep.end_interval()
        await server.until(1, "history", times=18)
        assert sleep.short == [2.0] * 9


@asynchronous
async def test_only_some_rooms_are_asked_for_at_the_same_time() -> None:
    rooms = tuple(f"room{number}" for number in range(9))
    async with ChatServer() as server, client(server, rooms=rooms) as chat:
        server.faults["history"] = [Fault.IGNORED] * QUESTIONS_AT_ONCE
        server.visitors[0].cut()
        again = await server.until(2, "history", times=QUESTIONS_AT_ONCE)
        # It is served after whatever was sent before it.
        await chat.ping()
        assert len(again.asked("history")) == QUESTIONS_AT_ONCE


@asynchronous
async def test_the_number_of_connections_is_what_was_heard_last() -> None:
    async with ChatServer() as server, client(server) as chat:
        assert chat.count() is None
        server.members = {"ann": 2, "bob": 1}
        await chat.who()
        assert chat.count() == 3
        await server.occupy(1234)
        assert await take(chat, 1) == ["1234 in lobby"]
        assert chat.count() == 1234
        await chat.join("cats")
        assert chat.count("cats") == 1234
        await chat.leave("cats")
        assert chat.count("cats") is None
        server.count = 99
        await chat.who(limit=1)
        assert chat.count() == 99


@asynchronous
async def test_who_gives_all_pages_or_one() -> None:
    async with ChatServer() as server, client(server) as chat:
        server.members = {"ann": 2, "bob": 3, "carol": 1, "dave": 4}
        # Pages of three connections: two of them have some of bob's, and two some of dave's.
        server.page = 3
        there = await chat.who()
        assert (there.members, there.count) == (server.members, 10)
        assert (there.more, there.after) == (False, None)
        assert [question.get("after") for question in server.visitors[0].asked("who")] == [
            None,
            "3",
            "6",
            "9",
        ]
        first = await chat.who(limit=2)
        assert (first.members, first.more, first.after) == ({"ann": 2}, True, "2")
        second = await chat.who(after=first.after)
        assert (second.members, second.more, second.after) == ({"bob": 3}, True, "5")


@pytest.mark.parametrize(("lasted", "next_wait"), [(29.9, 0.5), (30.0, 0.25)])
@asynchronous
async def test_only_a_connection_that_lasted_ends_the_backing_off(lasted: float, next_wait: float) -> None:
    sleep, clock = Sleeps(), Clock(0)
    async with ChatServer() as server:
        server.statuses = [503]
        async with client(server, clock=clock, sleep=sleep):
            clock.now += lasted
            server.visitors[0].cut()
            await server.visitor(2)
            assert sleep.short == [0.25, next_wait]


@asynchronous
async def test_a_client_that_is_refused_does_not_come_again() -> None:
    async with ChatServer() as server:
        server.statuses = [403]
        with pytest.raises(Refused) as refused:
            await client(server).__aenter__()
        assert refused.value.status == 403


@asynchronous
async def test_a_name_that_is_taken_meanwhile_may_be_free_again() -> None:
    async with ChatServer() as server:
        server.statuses = [409]
        with pytest.raises(Refused, match="409"):
            await client(server).__aenter__()
        async with client(server) as chat:
            server.statuses = [409, 409]
            server.visitors[0].cut()
            await chat.say("hi")
            assert len(server.visitors) == 2


@asynchronous
async def test_a_room_that_is_closed_to_it_does_not_close_the_others() -> None:
    async with ChatServer() as server:
        server.closed_rooms = {"cats"}
        async with client(server, rooms=("cats", "lobby")) as chat:
            left = await anext(chat)
            assert (isinstance(left, Left), left.room) == (True, "cats")  # type: ignore[union-attr]
            # What the server tells too is told once.
            await server.visitors[0].tell(Left(room="cats"))
            await server.publish("hi")
            assert await take(chat, 1) == ["hi"]
            server.visitors[0].cut()
            again = await server.visitor(2)
            assert again.rooms == ["lobby"]


@asynchronous
async def test_a_client_that_is_refused_later_tells_all_who_wait() -> None:
    async with ChatServer() as server:
        chat = await client(server).__aenter__()
        server.statuses = [401]
        server.faults["onMessage"] = [Fault.UNSEEN]
        for _ in range(2):
            with pytest.raises(Closed) as closed:
                await chat.say("hi")
            assert isinstance(closed.value.__cause__, Refused)
        for _ in range(2):
            with pytest.raises(Refused):
                await anext(chat)
        with pytest.raises(Refused):
            await chat.__aexit__(None, None, None)


@pytest.mark.parametrize("fault", [Fault.UNSEEN, Fault.UNANSWERED])
@asynchronous
async def test_what_is_said_is_said_once(fault: Fault) -> None:
    async with ChatServer() as server, client(server) as chat:
        server.faults["onMessage"] = [fault, fault]
        ack = await chat.say("hi")
        assert ack.seq == 1
        assert ack.duplicate is (fault is Fault.UNANSWERED)
        assert len(server.visitors) == 3
        assert await take(chat, 1) == ["hi"]
        assert [message.message for message in server.logs["lobby"]] == ["hi"]


@asynchronous
async def test_what_is_said_between_two_connections_is_said_by_the_next() -> None:
    sleep = Sleeps()
    async with ChatServer() as server, client(server, name=None, sleep=sleep) as chat:
        server.statuses = [503] * 3
        server.visitors[0].cut()
        await sleep.slept(1)
        assert (await chat.say("hi")).seq == 1


@asynchronous
async def test_without_a_name_nothing_is_said_twice() -> None:
    async with ChatServer() as server, client(server, name=None) as chat:
        server.faults["onMessage"] = [Fault.UNANSWERED]
        with pytest.raises(Unconfirmed):
            await chat.say("hi")
        assert await take(chat, 1) == ["hi"]
        assert len(server.logs["lobby"]) == 1


@asynchronous
async def test_an_error_tells_its_code() -> None:
    async with ChatServer() as server, client(server) as chat:
        with pytest.raises(RequestFailed, match="onMessage: you are not in cats") as failed:
            await chat.say("hi", "cats", ref="r1")
        assert (failed.value.code, failed.value.action, failed.value.ref) == (
            "not_in_room",
            "onMessage",
            "r1",
        )


@asynchronous
async def test_a_request_that_had_no_answer_can_be_made_again_under_its_ref() -> None:
    async with ChatServer() as server, client(server, answer_seconds=0.2) as chat:
        server.faults["onMessage"] = [Fault.IGNORED]
        with pytest.raises(NoAnswer) as none:
            await chat.say("hi")
        await chat.say("hi", ref=none.value.ref)
        refs = [frame["ref"] for frame in server.visitors[0].frames if frame["action"] == "onMessage"]
        assert refs == [none.value.ref] * 2


@asynchronous
async def test_an_answer_that_comes_twice_does_no_harm() -> None:
    async with ChatServer() as server, client(server) as chat:
        server.faults["onMessage"] = [Fault.REPEATED]
        await chat.say("one")
        await chat.say("two")
        assert await take(chat, 2) == ["one", "two"]


@asynchronous
async def test_a_request_on_a_connection_that_has_just_ended_is_made_on_the_next() -> None:
    outbox = Outbox(10, half, Sleeps())
    async with ChatServer() as server:
        async with connect(server.url, subprotocols=[SUBPROTOCOL]) as ended:
            pass
        asking = asyncio.create_task(outbox.request("ping", {}))
        first = asyncio.create_task(outbox.send_by(ended))
        async with connect(server.url, subprotocols=[SUBPROTOCOL]) as next_one:
            first.cancel()
            outbox.lost(resend=True)
            second = asyncio.create_task(outbox.send_by(next_one))
            pong = decode(await next_one.recv())
            assert isinstance(pong, Pong)
            outbox.answered(pong)
            assert await asking == pong
            second.cancel()


@asynchronous
async def test_a_ref_is_used_for_one_request_at_a_time() -> None:
    async with ChatServer() as server, client(server, answer_seconds=0.2) as chat:
        server.faults["onMessage"] = [Fault.IGNORED]
        first = asyncio.create_task(chat.say("hi", ref="r1"))
        await server.until(1, "onMessage")
        with pytest.raises(ValueError, match="'r1' is under way"):
            await chat.say("hello", ref="r1")
        with pytest.raises(NoAnswer):
            await first


@asynchronous
async def test_each_request_has_its_answer() -> None:
    async with ChatServer() as server, client(server, name=None) as chat:
        await server.publish("one")
        named, there, rooms, stored, typing, pong, joined = await asyncio.gather(
            chat.set_name("carl"),
            chat.who(),
            chat.rooms(),
            chat.history(after=0, limit=1),
            chat.typing(typing=False),
            chat.ping(),
            chat.join("cats"),
        )
        assert (named.name, chat.name) == ("carl", "carl")
        assert there.members == {"ann": 1}
        assert rooms.rooms == {"lobby": 1}
        assert [message.message for message in stored.messages] == ["one"]
        assert (typing.room, joined.room, (await chat.leave("cats")).room) == ("lobby", "cats", "cats")
        assert pong.ref
        assert server.visitors[0].asked("typingIndicator") == [{"room": "lobby", "typing": False}]
        server.visitors[0].cut()
        assert (await server.visitor(2)).name == "carl"


@asynchronous
async def test_a_peer_that_has_died_is_noticed() -> None:
    sleep = Sleeps()
    async with ChatServer() as server, client(server, answer_seconds=0.2, sleep=sleep) as chat:
        [first] = server.visitors
        first.socket.transport.pause_reading()
        sleep.end_interval()
        second = await server.visitor(2)
        await server.publish("one")
        assert await take(chat, 1) == ["one"]
        assert second.asked("ping") == []
        # The server can only now notice that its peer has left.
        first.socket.transport.resume_reading()


@pytest.mark.parametrize(("code", "seconds"), [("restart", 7), ("slow_reader", 1), ("rate_limited", 60)])
@asynchronous
async def test_a_goodbye_says_when_to_come_again(code: str, seconds: int) -> None:
    sleep = Sleeps()
    async with ChatServer() as server, client(server, sleep=sleep) as chat:
        await server.visitors[0].tell(Goodbye(code=code, reason="Back soon", retry_after=seconds))
        # Whoever did not read has missed something.
        await server.publish("one", lost=True)
        await server.visitor(2)
        assert sleep.short == [seconds + 0.25]
        await server.publish("two")
        assert await take(chat, 3) == [f"goodbye {code}", "one", "two"]


@asynchronous
async def test_a_final_goodbye_ends_it() -> None:
    async with ChatServer() as server, client(server) as chat:
        await server.visitors[0].tell(Goodbye(code="token_expired", reason="Bye", retry_after=None))
        assert [short(event) async for event in chat] == ["goodbye token_expired"]
        assert [event async for event in chat] == []
        with pytest.raises(Closed):
            await chat.say("hi")
        assert len(server.visitors) == 1


@asynchronous
async def test_a_final_goodbye_before_the_beginning_ends_the_entering() -> None:
    async with ChatServer() as server:
        server.faults["history"] = [Fault.IGNORED]
        entering = asyncio.create_task(client(server).__aenter__())
        visitor = await server.visitor(1)
        await visitor.tell(Goodbye(code="token_expired", reason="Bye", retry_after=None))
        with pytest.raises(Closed):
            await entering


@asynchronous
async def test_other_events_come_as_they_are() -> None:
    events: list[Event] = [
        Presence(room="lobby", name="ann", event="join", at=1),
        Error(code="unavailable", message="try again"),
    ]
    async with ChatServer() as server, client(server) as chat:
        for event in events:
            await server.visitors[0].tell(event)
        assert [await anext(chat), await anext(chat)] == events


@asynchronous
async def test_a_presence_event_that_is_outdated_is_not_given() -> None:
    async with ChatServer() as server, client(server) as chat:
        [visitor] = server.visitors
        left = Presence(room="lobby", name="ann", event="leave", at=6)
        await visitor.tell(left)
        await visitor.tell(Presence(room="lobby", name="ann", event="join", at=5))
        await visitor.tell(Presence(room="lobby", name="ann", event="leave", at=4, names=["ann", "carol"]))
        assert await anext(chat) == left
        assert await anext(chat) == Presence(room="lobby", name="carol", event="leave", at=4)


@asynchronous
async def test_events_of_later_servers_are_ignored() -> None:
    async with ChatServer() as server, client(server) as chat:
        for frame in ('{"type": "later", "seq": 1}', '{"message": "hi"}', '{"type": "pong", "new": 1}'):
            await server.visitors[0].socket.send(frame)
        await server.publish("one")
        assert await take(chat, 1) == ["one"]


NO_EVENTS: dict[str, str | bytes] = {
    "no JSON": "Worker process died",
    "nothing": "",
    "a list": "[1]",
    "a number": "7",
    "a known type with too little": '{"type": "message"}',
    "a known type with a wrong field": '{"type": "pong", "ref": 7}',
    "a type that is no text": '{"type": 7}',
    "no UTF-8": b'{"type": "pong", "ref": "\xff"}',
    "many levels": "[" * 100_000,
    "an answer that nobody waits for": '{"type": "pong", "ref": "nobody"}',
    "API Gateway's, with a wrong field": '{"message": 7, "requestId": "r"}',
}


@pytest.mark.parametrize("frame", NO_EVENTS.values(), ids=NO_EVENTS)
@asynchronous
async def test_a_frame_that_is_no_event_changes_nothing(frame: str | bytes) -> None:
    async with ChatServer() as server, client(server) as chat:
        await server.visitors[0].socket.send(frame)
        await server.publish("one")
        assert await take(chat, 1) == ["one"]
        await chat.ping()
        assert len(server.visitors) == 1


@asynchronous
async def test_what_such_a_frame_says_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with ChatServer() as server, client(server) as chat:
        await server.visitors[0].socket.send('{"type": "pong", "ref": ["secret"]}')
        await chat.ping()
    assert "a frame of 35 bytes is ignored: ValidationError" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("action", ["onMessage", "ping", "history"])
@asynchronous
async def test_what_api_gateway_has_refused_is_asked_again(action: str) -> None:
    sleep = Sleeps()
    async with ChatServer() as server, client(server, sleep=sleep) as chat:
        server.faults[action] = [Fault.GATEWAY] * 3
        await {"onMessage": lambda: chat.say("hi"), "ping": chat.ping, "history": chat.history}[action]()
        # Later and later, with up to a second at random.
        assert sleep.short[-3:] == [1.5, 2.5, 4.5]
        assert len(server.visitors) == 1
        if action == "onMessage":
            assert [message.message for message in server.logs["lobby"]] == ["hi"]


@asynchronous
async def test_a_nameless_client_does_not_say_it_again() -> None:
    async with ChatServer() as server, client(server, name=None, answer_seconds=0.3) as chat:
        server.faults["onMessage"] = [Fault.GATEWAY]
        with pytest.raises(NoAnswer):
            await chat.say("hi")
        assert len(server.visitors[0].asked("onMessage")) == 1


UNSENDABLE = {
    "too large": "x" * 40_000,
    "too large in UTF-8": "\N{GRINNING FACE}" * 9_000,
    "no text": "\ud83d",
}


@pytest.mark.parametrize("text", UNSENDABLE.values(), ids=UNSENDABLE)
@asynchronous
async def test_what_no_frame_takes_is_not_sent(text: str) -> None:
    async with ChatServer() as server, client(server) as chat:
        with pytest.raises(Unsendable, match=r"^onMessage: the (frame|text) has"):
            await chat.say(text)
        await chat.say("hi")
        assert [frame["message"] for frame in server.visitors[0].asked("onMessage")] == ["hi"]
        assert len(server.visitors) == 1


@asynchronous
async def test_what_the_other_end_does_not_take_fails_alone() -> None:
    async with ChatServer() as server, client(server) as chat:
        server.faults["ping"] = [Fault.IGNORED] * 5
        pinging = asyncio.create_task(chat.ping())
        await server.until(1, "ping")
        server.faults["onMessage"] = [Fault.UNACCEPTABLE] * 3
        with pytest.raises(Unsendable):
            await chat.say("hi")
        server.faults["ping"].clear()
        server.faults["onMessage"].clear()
        await chat.say("hello")
        assert [message.message for message in server.logs["lobby"]] == ["hello"]
        pinging.cancel()


@asynchronous
async def test_without_a_connection_no_clock_runs() -> None:
    async with ChatServer() as server, client(server, answer_seconds=0.3) as chat:
        server.greeting_seconds = 0.6
        server.visitors[0].cut()
        assert (await chat.say("hi")).seq == 1


@asynchronous
async def test_the_clock_stands_and_goes_on() -> None:
    async with ChatServer() as server, client(server, answer_seconds=0.5) as chat:
        server.faults["onMessage"] = [Fault.IGNORED] * 2
        saying = asyncio.create_task(chat.say("hi"))
        await server.until(1, "onMessage")
        server.greeting_seconds = 0.6
        server.visitors[0].cut()
        await server.until(2, "onMessage")
        with pytest.raises(NoAnswer):
            await saying


@asynchronous
async def test_what_is_said_without_a_connection_comes_in_order_and_first() -> None:
    async with ChatServer() as server, client(server) as chat:
        server.greeting_seconds = 0.1
        # Whoever does not wait for an answer before the next one is overtaken.
        server.faults["onMessage"] = [Fault.SLOW]
        server.visitors[0].cut()
        texts = [f"m{number}" for number in range(5)]
        saying = [asyncio.create_task(chat.say(text)) for text in texts]
        await server.until(2, "onMessage")
        await chat.say("later")
        await asyncio.gather(*saying)
        assert [message.message for message in server.logs["lobby"]] == [*texts, "later"]


@asynchronous
async def test_what_is_given_up_without_a_connection_is_never_sent() -> None:
    async with ChatServer() as server, client(server) as chat:
        server.greeting_seconds = 0.1
        server.visitors[0].cut()
        saying = asyncio.create_task(chat.say("no"))
        await asyncio.sleep(0)
        saying.cancel()
        await chat.say("yes")
        assert [message.message for message in server.logs["lobby"]] == ["yes"]


WRONG: dict[str, tuple[type[Exception], dict[str, Any]]] = {
    "rooms must be a list of names": (TypeError, {"rooms": "lobby"}),
    "the name of a room must be a str": (TypeError, {"rooms": ["lobby", 7]}),
    "name must be a str": (TypeError, {"name": 7}),
    "token must be a str": (TypeError, {"token": b"x.y.z"}),
    "url must be a str": (TypeError, {"url": None}),
    "url must be that of a WebSocket": (ValueError, {"url": "https://example.com"}),
    "such as wss://": (ValueError, {"url": "example.com/chat"}),
    "url must not have a fragment": (ValueError, {"url": "ws://example.com/#lobby"}),
    "history must be from 0 to 100, not 101": (ValueError, {"history": 101}),
    "history must be from 0 to 100, not -1": (ValueError, {"history": -1}),
    "ping_seconds must be above 0": (ValueError, {"ping_seconds": 0}),
    "answer_seconds must be above 0": (ValueError, {"answer_seconds": -1}),
}


@pytest.mark.parametrize(("says", "wrong"), WRONG.items(), ids=WRONG)
def test_arguments_that_are_wrong_are_told(says: str, wrong: tuple[type[Exception], dict[str, Any]]) -> None:
    with pytest.raises(wrong[0], match=says):
        ChatClient(**{"url": "ws://127.0.0.1", **wrong[1]})


@asynchronous
async def test_a_room_that_is_named_twice_is_joined_once() -> None:
    async with ChatServer() as server, client(server, rooms=("cats", "dogs", "cats")):
        assert server.visitors[0].rooms == ["cats", "dogs"]


class TestAProxy:
    """Its URL is told, without the password, and how to do without it."""

    @asynchronous
    async def test_that_refuses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with proxy(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n") as url:
            monkeypatch.setenv("all_proxy", url.replace("://", "://ann:secret@"))
            with pytest.raises(
                ProxyFailed, match=r"407 Proxy Authentication Required\..*proxy=None"
            ) as failed:
                await ChatClient("ws://chat.example").__aenter__()
        assert failed.value.proxy == url
        assert "secret" not in str(failed.value)

    @asynchronous
    async def test_that_is_of_another_kind(self) -> None:
        for kind in ("socks5h", "ftp"):
            chat = ChatClient("ws://chat.example", proxy=f"{kind}://ann:secret@127.0.0.1:9")
            with pytest.raises(ProxyFailed, match=f"{kind}://127.0.0.1:9 cannot be used") as failed:
                await chat.__aenter__()
            assert "secret" not in str(failed.value)

    @asynchronous
    async def test_that_is_not_there(self, caplog: pytest.LogCaptureFixture) -> None:
        dead = f"http://ann:secret@127.0.0.1:{free_port()}"
        sleep = Sleeps()
        chat = ChatClient("ws://chat.example", proxy=dead, random=half, sleep=sleep)
        entering = asyncio.create_task(chat.__aenter__())
        await sleep.slept(2)
        entering.cancel()
        await asyncio.wait([entering])
        assert f"the proxy {dead.replace('ann:secret@', '')} cannot be reached" in caplog.text
        assert "secret" not in caplog.text

    @asynchronous
    async def test_that_is_not_wanted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with ChatServer() as server:
            monkeypatch.setenv("all_proxy", f"http://127.0.0.1:{free_port()}")
            async with ChatClient(server.url, proxy=None) as chat:
                await chat.ping()
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            async with ChatClient(server.url) as chat:
                await chat.ping()


@asynccontextmanager
async def proxy(answer: bytes) -> AsyncIterator[str]:
    """An HTTP proxy that has one answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynchronous
async def test_requests_need_an_open_client() -> None:
    async with ChatServer() as server:
        chat = client(server)
        with pytest.raises(Closed):
            await chat.ping()
        async with chat:
            await chat.ping()
        with pytest.raises(Closed):
            await chat.ping()
        assert [event async for event in chat] == []


@asynchronous
async def test_closing_ends_requests_and_iteration() -> None:
    async with ChatServer() as server, client(server) as chat:
        server.faults["onMessage"] = [Fault.IGNORED]
        saying = asyncio.create_task(chat.say("hi"))
        await server.until(1, "onMessage")
        await chat.close()
        with pytest.raises(Closed):
            await saying
        assert [event async for event in chat] == []
