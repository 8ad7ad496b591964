"""A small room in which somebody speaks each second: what a message costs, and how soon it is heard.

It is played in steps that are asked for on stdin, a line each, so that two versions of the app can take
turns in the same run.
"""

import asyncio
import json
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

from bench.scenarios.effort import Effort
from bench.scenarios.person import Person
from bench.scenarios.stage import Stage
from tests.rig.faults import counted
from tests.rig.partitions import READS

MEMBERS = 20
# Messages before it is measured: the Lambda is warm, and knows the members.
WARM_UP = 5
# A message that has not come after so long does not, in s.
LONGEST = 10.0


async def play(effort: Effort) -> dict[str, Any]:
    """Say something for each line that comes, ``plain`` or ``ref``, and print what it took, as JSON."""
    # As many as there are on AWS: nothing is too much here.
    async with Stage(replace(effort, factor=1.0).limits) as stage:
        people = [stage.person(f"user{number}") for number in range(MEMBERS)]
        await stage.gather(people)
        for number in range(WARM_UP):
            await one(stage, people[number], f"warm {number} ", ref=True)
        print("ready", flush=True)
        loop = asyncio.get_running_loop()
        number = 0
        while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
            number += 1
            figures = await one(stage, people[number % MEMBERS], f"{line} {number} ", ref=line == "ref")
            print(json.dumps(figures), flush=True)
        return {}


async def one(stage: Stage, speaker: Person, text: str, ref: bool) -> dict[str, float]:
    """Say something, and wait until nothing is left of it to do."""
    before = dict(stage.dynamodb.units)
    with counted(stage.dynamodb) as requests:
        said = speaker.say(text, ref)
        latency = await speaker.heard_by_all(said, LONGEST)
        if said.missed_by(stage.rooms[said.room]):
            raise RuntimeError("\n".join(["a message was not heard by all", *stage.errors.lines]))
        await stage.rest()
    return {"latency_s": latency, **costs(requests)} | {
        f"{kind}_units": stage.dynamodb.units[kind] - before[kind] for kind in before
    }


def costs(requests: Counter[str]) -> dict[str, int]:
    """How many requests read and how many write; a transaction is as many as it has items."""
    reads = sum(number for operation, number in requests.items() if operation in READS)
    return {"reads": reads, "writes": requests.total() - reads}
