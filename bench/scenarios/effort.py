"""How large a scenario is played, and what is measured in each of them."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bench.scenarios.ledger import Said, percentile
from bench.scenarios.person import Person
from bench.scenarios.stage import Stage
from tests.rig.limits import Limits

# How long API Gateway takes for a post and DynamoDB for a request, in s: assumptions, no measurements.
POST_SECONDS = 0.008
STORAGE_SECONDS = 0.004
# How long what is under way at the end of a scenario may take to come, and how long clients go on making
# requests that have not been answered, in s.
END_SECONDS = 30.0
ASKING_SECONDS = 60.0
POLL = 0.05
# How long a log may take to read at the end, in s.
READ_SECONDS = 120.0


@dataclass(frozen=True)
class Effort:
    """How large and how long.

    Attributes:
        factor: What clients, members and quotas are divided by.
        quick: Whether it is to be over soon.
    """

    factor: float
    quick: bool

    @property
    def limits(self) -> Limits:
        """The account's quotas for this machine."""
        return Limits(post_seconds=POST_SECONDS, storage_seconds=STORAGE_SECONDS).scaled(self.factor)

    def people(self, number: int) -> int:
        """So many people, scaled."""
        return max(1, round(number / self.factor))

    def seconds(self, full: float, quick: float) -> float:
        """How long something goes on, in s."""
        return quick if self.quick else full


class Meter:
    """Measures from when it is made on."""

    def __init__(self, stage: Stage) -> None:
        stage.reset()
        self._stage = stage
        self._began = time.monotonic()
        self._cpu = time.process_time()

    @property
    def seconds(self) -> float:
        """How long that is."""
        return time.monotonic() - self._began

    @property
    def cpu(self) -> float:
        """The part of a core that this process took: near 1, it is this machine that is measured."""
        return round((time.process_time() - self._cpu) / self.seconds, 2)

    def figures(self) -> dict[str, Any]:
        """What API Gateway, Lambda and DynamoDB have done and refused."""
        account, seconds = self._stage.account, self.seconds
        return {
            "seconds": round(seconds, 1),
            "requests_per_s": round(account.taken.total() / seconds, 1),
            "quota_share": round(account.taken.total() / seconds / self._stage.limits.requests, 3),
            "requests": dict(account.taken),
            "refusals": dict(account.refused),
            "posted": dict(self._stage.sockets.posted),
            "throttled_keys": sum(self._stage.partitions.throttled.values()),
            "most_invocations": account.most_running,
            "dead_letters": len(self._stage.queues.dead_letters),
            "errors_logged": self._stage.errors.count,
            "cpu_share": self.cpu,
        }


async def speak(people: Sequence[Person], per_second: float, seconds: float, first: float = 0.0) -> None:
    """Let people of a room speak in turns, whoever of them is connected, so often a second."""
    began = time.monotonic() + first
    for number in range(round(per_second * seconds)):
        await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
        there = [person for person in people if person.socket is not None]
        if there:
            speaker = there[number % len(there)]
            speaker.say(f"{speaker.room} {number} ")


async def finish(stage: Stage) -> None:
    """Wait until all that was said is accepted, and then until nothing is under way."""
    deadline = time.monotonic() + ASKING_SECONDS
    while time.monotonic() < deadline and not all(said.accepted for said in stage.ledger.said.values()):
        await asyncio.sleep(POLL)
    await stage.rest(END_SECONDS)


async def lost(stage: Stage, people: Sequence[Person]) -> int:
    """Count what somebody who has stayed was to hear, and has not; nor is it in the history for them.

    The history is read when all is over: no quota holds that up.
    """
    stage.keep_limits(False)
    count = 0
    for room in stage.rooms:
        staying = [person for person in people if person.room == room and person.socket is not None]
        due = [(person, said) for person in staying for said in missing(stage.ledger.of(room), person)]
        if due:
            reader = due[0][0]
            after = min(person.settled for person, _ in due)
            log: set[str] = set()
            with suppress(TimeoutError):
                async with asyncio.timeout(READ_SECONDS):
                    log = {message["message"] for message in await reader.history(after)}
            count += sum(said.text not in log for _, said in due)
    return count


def missing(messages: Sequence[Said], person: Person) -> list[Said]:
    """What was said since somebody came, and has not come to them."""
    return [
        said for said in messages if said.accepted and said.at > person.since and said.text not in person.has
    ]


def heard(stage: Stage) -> dict[str, Any]:
    """How messages came, and how fast: from ``onMessage`` to the last socket that was to hear it."""
    latencies = [seconds for _, seconds in stage.ledger.latencies(stage.sockets.open)]
    parts = {"p50_s": 0.5, "p99_s": 0.99, "longest_s": 1.0}
    return {
        "messages": len(stage.ledger.said),
        "unanswered": sum(not said.accepted for said in stage.ledger.said.values()),
        "disordered": stage.ledger.disordered,
        "repeated": stage.ledger.repeated,
        **{
            name: round(percentile(latencies, part), 3) if latencies else None for name, part in parts.items()
        },
    }


def reached(stage: Stage) -> int:
    """How often a message has reached somebody live, and once."""
    return sum(len(said.heard) for said in stage.ledger.said.values())


def messages_posted(stage: Stage) -> int:
    """How many posts carried messages, one or several."""
    return stage.sockets.posted["message"] + stage.sockets.posted["messages"]
