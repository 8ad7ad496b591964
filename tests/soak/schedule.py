"""What happens in a soak, and when: all of it follows from a seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

# How often each action begins, on average, in one tick.
PEOPLE = {
    "say": 1.6,
    "join": 0.1,
    "leave": 0.08,
    "arrive": 0.1,
    "quit": 0.03,
    "die": 0.03,
    "cut": 0.06,
}
FAULTS = {
    "throttle a client": 0.3,
    "fail a post": 0.2,
    "lose a reply": 0.3,
    "refuse a post": 0.2,
    "hang": 0.005,
    "hold openings": 0.01,
    "crash connect": 0.02,
    "crash message": 0.05,
    "crash disconnect": 0.02,
    "crash deliver": 0.03,
    "throttle a table": 0.4,
    "heat a table": 0.004,
    "conflict": 0.2,
    "lose an answer": 0.02,
    "do a part of a batch": 0.1,
    "repeat from the queue": 0.3,
    "refuse a part of a write": 0.05,
    "end idle functions": 0.005,
}


@dataclass(frozen=True)
class Action:
    """Something that is to happen.

    Attributes:
        kind: A key of ``PEOPLE`` or ``FAULTS``.
        who: Chooses whom it happens to, from 0 to 1.
        what: Chooses what else there is to choose, from 0 to 1.
    """

    kind: str
    who: float
    what: float

    def times(self, most: int) -> int:
        """A number from 1 to ``most``."""
        return 1 + int(self.what * most)


def schedule(seed: int) -> Iterator[list[Action]]:
    """Say what begins in each tick, for ever; the same for the same seed."""
    chance = random.Random(seed)
    rates = PEOPLE | FAULTS
    while True:
        actions = []
        for kind, rate in rates.items():
            draw = chance.random()
            while draw < rate:
                actions.append(Action(kind, chance.random(), chance.random()))
                draw += 1
        chance.shuffle(actions)
        yield actions
