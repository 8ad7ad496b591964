"""What a client has seen of a room, and what it has to ask for: no I/O, no clock.

The server numbers the messages of a room. They come live, which may lose, repeat and reorder them, and
by ``history``, which does not. A log takes both and gives every message once, in order. It rests on three
things that the server keeps:

- A message is sent after it and all with a smaller number have been stored, or given up. So what has come
  live is in a history that is asked for after, and so is all that there will ever be before it.
- An answer of the history says how far it reaches (``through``). A number up to there that it leaves out is
  not coming: it was never used, or its message has expired.
- A member of the room is sent every message that is stored while it is one. So what is not in a history
  that a member has asked for comes live, or shows as a gap before the next one that does.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from chalicelib.wire.events import Message, StoredMessages
from chalicelib.wire.requests import LONGEST_HISTORY


@dataclass(frozen=True)
class Missed:
    """Messages of a room may have been lost for good: they have expired, or its numbering has begun anew.

    Attributes:
        room: The room.
        after: ``seq`` of the last message before what is missing; 0 for none. What is given next comes
            after it.
    """

    room: str
    after: int


@dataclass(frozen=True)
class Question:
    """What to ask ``history`` for.

    Attributes:
        after: Messages after this ``seq``; None for the newest.
        epoch: The numbering that ``after`` is of.
        limit: How many at most.
        held: The highest ``seq`` that has come live already; the answer has all there is up to it.
    """

    after: int | None
    epoch: str | None
    limit: int
    held: int


class RoomLog:
    """The log of one room, over all connections of a client.

    A log begins with the newest page of the room's history. It is where that page reaches to, and not at
    the ``seq`` that the room has got to: that may belong to a message that is still being stored, and
    comes. Whatever is published once the log has begun has a greater number, and is given.

    Before it begins, what comes live is kept, for it was published while the client was in the room
    already: the log begins before the first of these, should that be earlier. So it does with one that comes
    live later, as long as nothing after it has been given.

    Args:
        room: The room.
        history: How many old messages to begin with.

    Attributes:
        room: The room.
        begun: Whether it is known where the log begins.
    """

    def __init__(self, room: str, history: int = 0) -> None:
        self.room = room
        self.begun = False
        self._history = history
        self._epoch: str | None = None
        self._former: set[str | None] = set()
        # Up to here, everything has been given or was not to be.
        self._position = 0
        # The last that was given. Below the position where the log has begun without giving any.
        self._given = 0
        # Whether it has been said since then that messages are missing.
        self._said_missed = False
        # What has come from beyond the position, or before the beginning.
        self._held: dict[int, Message] = {}
        self._joined_at: int | None = None
        self._behind = True

    def joined(self, seq: int) -> None:
        """Begin at ``seq`` at the latest: the room was there before anyone saw the client join it."""
        self._joined_at = seq

    def resume(self) -> None:
        """Ask at the next opportunity: messages may have passed unseen."""
        self._behind = True

    def question(self) -> Question | None:
        """What has to be asked now, one question at a time; None while nothing is missing."""
        if not self._behind and not self._held:
            return None
        if not self.begun:
            return Question(None, None, max(self._history, 1), 0)
        return Question(self._position, self._epoch, LONGEST_HISTORY, max(self._held, default=0))

    @property
    def may_close(self) -> bool:
        """Whether nothing is missing but a gap, which what is on its way may close."""
        return self.begun and not self._behind

    def live(self, message: Message) -> list[Message | Missed]:
        """Take a message that has come live; give what is next in order."""
        if not self.begun:
            self._held[message.seq] = message
            return []
        return list(self._take(message))

    def answered(self, question: Question, answer: StoredMessages) -> list[Message | Missed]:
        """Take the answer to a question; give what is next in order."""
        if question.after is None:
            return list(self._begin(answer))
        if question.epoch != self._epoch or question.after > self._position:
            # The log has turned, or begins earlier, since: the next question is another one.
            return []
        return list(self._continue(question.held, question.after, answer))

    def _begin(self, answer: StoredMessages) -> Iterator[Message | Missed]:
        wanted = answer.messages if self._history else []
        position = wanted[0].seq - 1 if wanted else answer.through
        self._position = position if self._joined_at is None else min(position, self._joined_at)
        self._behind = self._position < position
        self._epoch = answer.epoch
        self.begun = True
        early, self._held = self._held, {}
        for message in sorted([*wanted, *early.values()], key=lambda message: message.seq):
            yield from self._take(message)
        if not self._behind and self._epoch == answer.epoch:
            yield from self._settle(answer.through)

    def _take(self, message: Message) -> Iterator[Message | Missed]:
        if message.epoch in self._former:
            return
        if message.epoch != self._epoch:
            yield from self._turn(message.epoch)
        if message.seq <= self._given:
            return
        if message.seq <= self._position:
            # It was on its way when the log began; what came after it was published later still.
            self._behind |= message.seq < self._position
            self._position = message.seq - 1
        self._held[message.seq] = message
        yield from self._give_next()

    def _continue(self, held: int, after: int, answer: StoredMessages) -> Iterator[Message | Missed]:
        lossy = not answer.complete
        if answer.epoch != self._epoch or answer.seq < after:
            # Another numbering, or this one cut back: the table has been restored from a backup.
            yield from self._turn(answer.epoch, 0 if answer.epoch != self._epoch else answer.seq)
            lossy = False
        for message in answer.messages:
            if message.seq > self._position:
                self._held[message.seq] = message
        # From its first message on, nothing is missing from an answer.
        first = answer.messages[0].seq if answer.messages else answer.through
        self._behind = answer.more and answer.through > after
        # What has come live before the question is in the answer too, unless that ends before.
        settled = answer.through if answer.more else max(answer.through, held)
        for seq in [seq for seq in sorted(self._held) if seq <= settled]:
            if lossy and seq > self._position + 1 and not first < seq <= answer.through:
                yield from self._miss()
            yield self._give(seq)
        if lossy and not answer.messages and self._position < answer.through:
            yield from self._miss()
        yield from self._settle(answer.through)

    def _turn(self, epoch: str | None, seq: int = 0) -> Iterator[Message | Missed]:
        """Go on in another numbering; what is held of this one is all that there will be of it."""
        if self._epoch is not None:
            yield from self._miss()
            for each in sorted(self._held):
                yield self._give(each)
            self._former.add(self._epoch)
        # None but an answer goes back to one: live, it is late.
        self._former.discard(epoch)
        self._epoch = epoch
        self._position = self._given = seq

    def _settle(self, seq: int) -> Iterator[Message]:
        """Give what there is up to ``seq``, as nothing else is coming, and what is next in order after it."""
        for each in sorted(self._held):
            if each <= seq:
                yield self._give(each)
        # What comes nevertheless is given like at the beginning.
        self._position = max(self._position, seq)
        yield from self._give_next()

    def _give_next(self) -> Iterator[Message]:
        while self._position + 1 in self._held:
            yield self._give(self._position + 1)

    def _give(self, seq: int) -> Message:
        self._position = self._given = seq
        self._said_missed = False
        return self._held.pop(seq)

    def _miss(self) -> Iterator[Missed]:
        """Say, once, that messages are missing here."""
        if not self._said_missed:
            self._said_missed = True
            yield Missed(self.room, self._position)
