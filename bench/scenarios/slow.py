"""One of 1,000 sockets does not read: how soon the others have a message, beside a room without it."""

import asyncio
import time
from statistics import mean, median
from typing import Any

from bench.scenarios.effort import Effort, Meter, heard, lost
from bench.scenarios.person import Person
from bench.scenarios.stage import Stage

MEMBERS = 1_000
MESSAGES = 100
# Messages in a second: half of what the quota lets such a room have.
PER_SECOND = 2.5
# What is left for the slow one is tried for a minute, which nobody waits for here; in s.
SOON = 5.0


async def play(effort: Effort) -> dict[str, Any]:
    """Play it."""
    async with Stage(effort.limits) as stage:
        people = [stage.person(f"user{number}") for number in range(effort.people(MEMBERS))]
        slow, *others = people
        number = round(effort.seconds(MESSAGES, MESSAGES / 4))
        await stage.gather(people)
        meter = Meter(stage)
        without = await rounds(others, "without", number)
        slow.read_no_more()
        among = await rounds(others, "with", number)
        figures = meter.figures()
        await stage.rest(SOON)
        return (
            figures
            | heard(stage)
            | {
                "members": len(people),
                "without_s": round(mean(without), 4),
                "with_s": round(mean(among), 4),
                "without_p50_s": round(median(without), 4),
                "with_p50_s": round(median(among), 4),
                "ratio": round(mean(among) / mean(without), 3),
                "reconnects": slow.connects - 1,
                "slow_posts": stage.account.refused["slow"],
                "lost": await lost(stage, others),
            }
        )


async def rounds(people: list[Person], what: str, number: int) -> list[float]:
    """Say so many things, one after another; how long each took until all others had it."""
    # The environment that served the last message has time to rest.
    began = time.monotonic() + 1 / PER_SECOND
    took = []
    for turn in range(number):
        await asyncio.sleep(began + turn / PER_SECOND - time.monotonic())
        speaker = people[turn % len(people)]
        took.append(await speaker.heard_by_all(speaker.say(f"{what} {turn} ")))
    return took
