"""The client, and a bot made with it, on the deployed stack."""

import asyncio
import sys
from functools import partial

import pytest

from chalicelib.wire.events import Message
from client.chat_client import ChatClient
from tests.e2e.local_stack import LocalStack
from tests.e2e.project import ROOT
from tests.rig.asynchronous import asynchronous
from tests.rig.line import Line

BOT = ROOT / "examples" / "echo_bot.py"


async def heard(chat: ChatClient, number: int) -> list[tuple[str, str]]:
    """The next messages, each with its room."""
    messages: list[tuple[str, str]] = []
    while len(messages) < number:
        event = await anext(chat)
        if isinstance(event, Message):
            messages.append((event.room, event.message))
    return messages


def by_room(messages: list[tuple[str, str]]) -> dict[str, list[str]]:
    """What was said in each room, in order: between rooms there is none."""
    return {room: [text for where, text in messages if where == room] for room, _ in messages}


@pytest.mark.parametrize("back_after", [20, 10])
@asynchronous
async def test_a_client_that_was_cut_off_has_everything_in_order_and_once(
    stack: LocalStack, back_after: int
) -> None:
    url = stack.endpoints["websocketUrl"]
    cats, dogs = rooms = (f"cats-{back_after}", f"dogs-{back_after}")
    said = [(rooms[number % 2], f"message {number}") for number in range(20)]
    async with (
        Line(url) as line,
        ChatClient(url, name="ann", rooms=rooms) as ann,
        ChatClient(url, rooms=rooms) as nameless,
        ChatClient(line.url, name="bob", rooms=rooms) as bob,
    ):
        await ann.say("before", cats)
        assert await heard(bob, 1) == [(cats, "before")]
        line.cut()
        for number, (room, text) in enumerate(said):
            if number == back_after:
                line.mend()
            await (ann if number % 3 else nameless).say(text, room)
        line.mend()
        assert by_room(await heard(bob, 20)) == by_room(said)
        assert by_room(await heard(nameless, 21)) == by_room([(cats, "before"), *said])
        # The next is the next: nothing comes a second time.
        await bob.say("after", dogs)
        assert await heard(bob, 1) == await heard(nameless, 1) == [(dogs, "after")]


# Fifty questions are ten seconds of a client's rate; a busy machine needs as long for the handshake.
@partial(asynchronous, seconds=60)
async def test_the_rates_let_a_client_into_fifty_rooms(stack: LocalStack) -> None:
    url, rooms = stack.endpoints["websocketUrl"], [f"fifty-{number}" for number in range(50)]
    async with ChatClient(url, name="dave", rooms=rooms) as dave:
        assert (await dave.say("hi", rooms[49])).seq == 1
        assert await heard(dave, 1) == [(rooms[49], "hi")]


@asynchronous
async def test_what_is_said_while_the_line_is_cut_is_said_once(stack: LocalStack) -> None:
    url = stack.endpoints["websocketUrl"]
    async with (
        ChatClient(url, rooms=["e2e-once"]) as listener,
        Line(url) as line,
        ChatClient(line.url, name="carl", rooms=["e2e-once"]) as carl,
    ):
        saying = [asyncio.create_task(carl.say(f"message {number}", "e2e-once")) for number in range(10)]
        await saying[0]
        line.cut()
        line.mend()
        acks = await asyncio.gather(*saying)
        assert len({ack.seq for ack in acks}) == 10
        await carl.say("the end", "e2e-once")
        texts = [text for _, text in await heard(listener, 11)]
        assert sorted(texts[:-1]) == [f"message {number}" for number in range(10)]
        assert texts[-1] == "the end"


@asynchronous
async def test_the_echo_bot_answers(stack: LocalStack) -> None:
    assert len(BOT.read_text().splitlines()) < 40
    url = stack.endpoints["websocketUrl"]
    bot = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "examples.echo_bot", url, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert bot.stdout
        assert b"listening" in await bot.stdout.readline()
        async with ChatClient(url, name="dora") as dora:
            await dora.say("hello")
            await dora.say("!echo Is anybody there?")
            assert await heard(dora, 3) == [
                ("lobby", "hello"),
                ("lobby", "!echo Is anybody there?"),
                ("lobby", "Is anybody there?"),
            ]
    finally:
        bot.terminate()
        await bot.communicate()
