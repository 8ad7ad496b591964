"""2,000 of the 5,000 in a room die without a word: how soon the living have the next message."""

import asyncio
import time
from statistics import median
from typing import Any

from bench.scenarios.effort import END_SECONDS, Effort, Meter, heard, lost
from bench.scenarios.person import Person
from bench.scenarios.stage import Stage, Time

PEOPLE = 5_000
DEAD = 2_000
# Messages of the healthy room, and how often some die.
HEALTHY = 3
TIMES = 3
# So long after a message the quota has its burst again, in s.
PAUSE = 2.0
# Older than that, a connection that answers 410 is gone for good, in s.
OLD = 120.0
# Within which all rows of the dead must be gone, and how often somebody speaks meanwhile, in s.
GONE = 60.0
ONCE_IN_A_WHILE = 5.0


async def play(effort: Effort) -> dict[str, Any]:
    """Play it."""
    clock = Time()
    async with Stage(effort.limits, clock=clock) as stage:
        people = [stage.person(f"user{number}") for number in range(effort.people(PEOPLE))]
        speaker = people[-1]
        times = 1 if effort.quick else TIMES
        healthy: list[float] = []
        after: list[float] = []
        gone: list[float | None] = []
        await stage.gather(people)
        clock.skip(OLD)
        meter = Meter(stage)
        for turn in range(times):
            for number in range(HEALTHY):
                await asyncio.sleep(PAUSE)
                said = speaker.say(f"healthy {turn} {number} ")
                healthy.append(await speaker.heard_by_all(said))
            dying = people[: effort.people(DEAD)]
            ids = {person.socket.id for person in dying if person.socket is not None}
            for person in dying:
                person.cut(farewell=False)
            await asyncio.sleep(PAUSE)
            after.append(await speaker.heard_by_all(speaker.say(f"dead {turn} ")))
            gone.append(await until_gone(stage, speaker, ids))
            if turn + 1 < times:
                await stage.gather(dying)
                clock.skip(OLD)
        figures = meter.figures()
        await stage.rest(END_SECONDS)
        return (
            figures
            | heard(stage)
            | {
                "people": len(people),
                "dead": effort.people(DEAD),
                "healthy_s": round(median(healthy), 3),
                "after_s": [round(each, 3) for each in after],
                "ratio": round(median(after) / median(healthy), 2),
                "gone_s": None if None in gone else max(each for each in gone if each is not None),
                "lost": await lost(stage, people),
            }
        )


async def until_gone(stage: Stage, speaker: Person, dead: set[str]) -> float | None:
    """Wait until no row is left of the dead; how long that took in s, None where it takes too long."""
    began = time.monotonic()
    spoken = began
    while time.monotonic() - began < GONE:
        rows = {
            item["connectionid"]["S"]
            for table in ("CHAT_TABLE", "CHAT_ROOMS_TABLE")
            for item in stage.items(table)
        }
        if not rows & dead:
            return round(time.monotonic() - began, 1)
        if time.monotonic() - spoken >= ONCE_IN_A_WHILE:
            spoken = time.monotonic()
            speaker.say(f"once in a while {spoken} ")
        await asyncio.sleep(0.2)
    return None
