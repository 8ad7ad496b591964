"""Twice the posts that the quota allows one by one: 200 rooms of 20, five messages a second in each.

Not the rooms but their number is scaled.
"""

import asyncio
import random
from typing import Any

from bench.scenarios.effort import Effort, Meter, finish, heard, lost, speak
from bench.scenarios.ledger import percentile
from bench.scenarios.stage import Stage

ROOMS = 200
MEMBERS = 20
PER_SECOND = 5.0
# Parts that the time is divided into, to see whether anything grows.
PARTS = 3


async def play(effort: Effort) -> dict[str, Any]:
    """Play it."""
    async with Stage(effort.limits) as stage:
        rooms = [f"room{number}" for number in range(effort.people(ROOMS))]
        by_room = {room: [stage.person(f"{room}-{n}", room) for n in range(MEMBERS)] for room in rooms}
        everybody = [person for people in by_room.values() for person in people]
        await stage.gather(everybody)
        chance = random.Random(1)
        seconds = effort.seconds(120, 12)
        meter = Meter(stage)
        await asyncio.gather(
            *(speak(people, PER_SECOND, seconds, chance.random() / PER_SECOND) for people in by_room.values())
        )
        figures = meter.figures()
        await finish(stage)
        figures |= heard(stage)
        there = stage.sockets.open
        latencies = sorted(stage.ledger.latencies(there))
        size = len(latencies) // PARTS
        parts = [[each for _, each in latencies[n * size : (n + 1) * size]] for n in range(PARTS)]
        p99s = [percentile(part, 0.99) for part in parts]
        medians = [
            percentile([each for _, each in stage.ledger.latencies(there, room)], 0.5) for room in rooms
        ]
        began = latencies[0][0]
        return figures | {
            "rooms": len(rooms),
            "p99_of_parts_s": [round(each, 3) for each in p99s],
            "growth": round(p99s[-1] / p99s[0], 2),
            "slowest_room_p50_s": round(max(medians), 3),
            "p99_over_time": over_time([(at - began, took) for at, took in latencies], seconds / 12),
            "lost": await lost(stage, everybody),
        }


def over_time(latencies: list[tuple[float, float]], step: float) -> list[tuple[float, float]]:
    """The 99th percentile of each step: its end, and the value, both in s."""
    by_step: dict[int, list[float]] = {}
    for at, took in latencies:
        by_step.setdefault(int(at / step), []).append(took)
    return [
        (round((number + 1) * step, 1), round(percentile(values, 0.99), 3))
        for number, values in sorted(by_step.items())
    ]
