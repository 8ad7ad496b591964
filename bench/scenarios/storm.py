"""5,000 named clients of one room are cut at once, and come back as fast as the quota lets them."""

import asyncio
import time
from collections import Counter
from typing import Any

from bench.scenarios.effort import Effort, Meter, finish, heard, lost, messages_posted, speak
from bench.scenarios.person import Person
from bench.scenarios.stage import Stage, Time

PEOPLE = 5_000
# Until the first comes back, in s.
PAUSE = 1.0
# Older than that, a connection that answers 410 is gone for good, in s.
OLD = 120.0
# The calm after the storm, in s.
CALM = 60.0
# How long the storm may take, as a multiple of the time that the quota leaves.
PATIENCE = 12.0


async def play(effort: Effort) -> dict[str, Any]:
    """Play it."""
    clock = Time()
    async with Stage(effort.limits, clock=clock) as stage:
        people = [stage.person(f"user{number}") for number in range(effort.people(PEOPLE))]
        await stage.gather(people)
        # They have been there for a while: who is gone then is gone for good.
        clock.skip(OLD)
        rate = effort.limits.connections
        expected = PAUSE + len(people) / rate
        calm = effort.seconds(CALM, 10)
        meter = Meter(stage)
        for person in people:
            person.refused.clear()
            person.cut()
        # Whoever is first comes back at once: the others hear what it says.
        speaking = asyncio.create_task(speak(people, 1.0, expected + calm, PAUSE))
        returning = [
            asyncio.create_task(come_back(person, PAUSE + number / rate))
            for number, person in enumerate(people)
        ]
        _, waiting = await asyncio.wait(returning, timeout=PATIENCE * expected)
        back_s = round(meter.seconds, 1)
        back = len(stage.rooms["lobby"])
        for task in waiting:
            task.cancel()
        await asyncio.gather(*returning, return_exceptions=True)
        right_s = await counted_right(stage, people, calm)
        await speaking
        figures = meter.figures()
        await finish(stage)
        others = stage.sockets.posted.total() - messages_posted(stage)
        refused = Counter(status for person in people for status in person.refused)
        return (
            figures
            | heard(stage)
            | {
                "people": len(people),
                "back": back,
                "back_s": back_s,
                "posts_per_reconnect": round(others / len(people), 2),
                "handshakes_refused": dict(refused),
                "refused": sum(refused.values()) + stage.account.refused["frame"],
                "count_right_s": right_s,
                "posts_over_time": posts_over_time(stage, expected + calm),
                "lost": await lost(stage, people),
            }
        )


async def come_back(person: Person, after: float) -> None:
    """Connect again, and ask for what was missed."""
    await asyncio.sleep(after)
    await person.connect()
    await person.resume()


async def counted_right(stage: Stage, people: list[Person], seconds: float) -> float | None:
    """Wait until the chat counts as many as are open; how long that took, None where it never does.

    Whoever joins a room that it is in hears its count.
    """
    began = time.monotonic()
    right: float | None = None
    while time.monotonic() - began < seconds:
        asking = next((person for person in people if person.socket is not None), None)
        if asking is not None:
            async with asyncio.timeout(seconds):
                answer = await asking.ask("joinRoom", room=asking.room)
            is_right = answer.get("count") == len(stage.rooms[asking.room])
            if not is_right:
                right = None
            elif right is None:
                right = round(time.monotonic() - began, 1)
        await asyncio.sleep(2.0)
    return right


def posts_over_time(stage: Stage, seconds: float) -> list[tuple[float, float]]:
    """How many posts there were in each second."""
    return [
        (float(second + 1), float(stage.account.by_second[second]["post"])) for second in range(int(seconds))
    ]
