"""Who was told what, and what they should have been told."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from chalicelib.wire.events import Ack, Message


@dataclass(frozen=True)
class Accepted:
    """A message that was acknowledged.

    Attributes:
        room: Where it was said.
        seq: Its number there.
        text: What was said; no other message says it.
        said_at: When its sender began to say it, by ``time.monotonic``.
        published: Whether the handler that acknowledged it is the one that has sent it; else that one
            died, or said that it could not.
    """

    room: str
    seq: int
    text: str
    said_at: float
    published: bool


@dataclass
class Stay:
    """A visitor's time in a room, as the visitor can know it.

    Attributes:
        room: The room.
        since: From when on everything is due, by ``time.monotonic``.
        ended: Whether the visitor has gone, or has begun to: then only what came before the last that
            came is due.
        given: What it was given, by number, in order.
    """

    room: str
    since: float = float("inf")
    ended: bool = False
    given: dict[int, str] = field(default_factory=dict)


class Ledger:
    """Counts what went wrong.

    Attributes:
        accepted: By room, the messages that were acknowledged.
        repeated: Messages that a visitor was given twice, though it drops what it has.
        disordered: Messages that a visitor was given after a later one.
        missed: How often a visitor was told that something is lost for good.
        refused: How many visitors were told not to come back.
    """

    def __init__(self) -> None:
        self.accepted: defaultdict[str, list[Accepted]] = defaultdict(list)
        self.repeated = 0
        self.disordered = 0
        self.missed = 0
        self.refused = 0
        self.stays: list[Stay] = []
        self._heard: set[tuple[int, str]] = set()

    def acknowledged(self, text: str, ack: Ack, said_at: float) -> None:
        """A message was accepted."""
        assert ack.seq is not None
        self.accepted[ack.room].append(Accepted(ack.room, ack.seq, text, said_at, not ack.duplicate))

    def begin(self, room: str) -> Stay:
        """Begin a stay; ``since`` is to be set when it is certain."""
        stay = Stay(room)
        self.stays.append(stay)
        return stay

    def gave(self, visitor: int, stay: Stay, message: Message, known: set[tuple[str, int]]) -> None:
        """A visitor was given a message; ``known`` is what it has had in all its stays: room and number."""
        if message.seq in stay.given:
            self.repeated += 1
        elif stay.given and message.seq < next(reversed(stay.given)):
            self.disordered += 1
        stay.given[message.seq] = message.message
        if (message.room, message.seq) in known:
            # Of an earlier stay: dropped.
            return
        known.add((message.room, message.seq))
        if (visitor, message.message) in self._heard:
            self.repeated += 1
        self._heard.add((visitor, message.message))

    @property
    def messages(self) -> int:
        """How many were accepted."""
        return sum(map(len, self.accepted.values()))

    def lost(self) -> list[tuple[Stay, Accepted]]:
        """What was due to somebody who has not got it."""
        return [
            (stay, message)
            for stay in self.stays
            for message in self.accepted[stay.room]
            if message.said_at > stay.since
            and stay.given.get(message.seq) != message.text
            and (not stay.ended or message.seq < max(stay.given, default=0))
        ]


@dataclass
class Wire:
    """What went to each socket.

    Attributes:
        messages: By connection id, how often each (room, number) went there.
    """

    messages: defaultdict[str, Counter[tuple[str, int]]] = field(default_factory=lambda: defaultdict(Counter))

    @property
    def deliveries(self) -> int:
        """How many messages went out, repeats included."""
        return sum(counter.total() for counter in self.messages.values())

    @property
    def redelivered(self) -> int:
        """How many of them had gone to the same socket before."""
        return sum(counter.total() - len(counter) for counter in self.messages.values())
