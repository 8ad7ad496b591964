"""What was said, when, and who has heard it."""

import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field


@dataclass
class Said:
    """A message.

    Attributes:
        room: Where it was said.
        text: What was said; no other message says it.
        at: When its speaker began to say it, by ``time.monotonic``.
        due: The sockets that were open then in the room, by id.
        seq: Its number, once it is known.
        last: When the last of those heard it.
        heard: Which of those heard it, live.
        accepted: Whether it was acknowledged, or somebody has heard it.
    """

    room: str
    text: str
    at: float
    due: Collection[str]
    seq: int = 0
    last: float = 0.0
    heard: set[str] = field(default_factory=set)
    accepted: bool = False

    def missed_by(self, there: Collection[str]) -> bool:
        """Whether one of these sockets was to hear it, and has not."""
        return any(each in there and each not in self.heard for each in self.due)


class Ledger:
    """Keeps what was said.

    Attributes:
        said: By its text.
        disordered: How often a socket was sent a message after a later one.
        repeated: How often one was sent a message again.
    """

    def __init__(self) -> None:
        self.said: dict[str, Said] = {}
        self.disordered = 0
        self.repeated = 0
        self._by_room: defaultdict[str, list[Said]] = defaultdict(list)

    def say(self, room: str, text: str, due: Collection[str]) -> Said:
        """Note that something is about to be said, and which sockets are there to hear it."""
        said = Said(room, text, time.monotonic(), due)
        self.said[text] = said
        self._by_room[room].append(said)
        return said

    def heard(self, socket: str, text: str, seq: int) -> None:
        """A socket was sent a message."""
        said = self.said.get(text)
        if said is not None:
            said.seq = seq
            said.accepted = True
            if socket in said.due and socket not in said.heard:
                said.heard.add(socket)
                said.last = time.monotonic()

    def of(self, room: str) -> list[Said]:
        """What was said in a room."""
        return self._by_room[room]

    def latencies(self, there: Collection[str], room: str | None = None) -> list[tuple[float, float]]:
        """When each message was said, and how long it took until the last socket heard it.

        What has not come until now counts as long as it was waited for.

        Args:
            there: The sockets that are open yet: nothing is due to the others.
            room: Only messages of this room.
        """
        now = time.monotonic()
        messages = self.said.values() if room is None else self.of(room)
        return [
            (said.at, (now if said.missed_by(there) or not said.last else said.last) - said.at)
            for said in messages
            if said.due
        ]


def percentile(values: Sequence[float], part: float) -> float:
    """The value that so much of them is not above; 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0
