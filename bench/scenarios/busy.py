"""A large room in which much is said: 1,000 members, 50 messages a second, for a minute."""

from typing import Any

from bench.scenarios.effort import Effort, Meter, finish, heard, lost, messages_posted, reached, speak
from bench.scenarios.stage import Stage

MEMBERS = 1_000
PER_SECOND = 50.0


async def play(effort: Effort) -> dict[str, Any]:
    """Play it."""
    async with Stage(effort.limits) as stage:
        people = [stage.person(f"user{number}") for number in range(effort.people(MEMBERS))]
        await stage.gather(people)
        meter = Meter(stage)
        await speak(people, PER_SECOND, effort.seconds(60, 8))
        figures = meter.figures()
        await finish(stage)
        figures |= heard(stage)
        pairs = max(1, reached(stage))
        units = stage.sockets.units["message"] + stage.sockets.units["messages"]
        figures["members"] = len(people)
        figures["posts_per_recipient"] = round(messages_posted(stage) / pairs, 3)
        figures["units_per_recipient"] = round(units / pairs, 3)
        figures["lost"] = await lost(stage, people)
        return figures
