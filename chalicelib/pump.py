"""Sending what is stored: one pump for each room at a time, in rounds.

Whoever takes a number of a room without a pump becomes its pump, by a lease on the room's head. The others
store their messages and are done. The pump sends what is stored after ``sent``, in one event for all that
have come meanwhile, notes how far that is, and goes on until there is nothing more. So a busy room costs
rounds and not messages, and what is stored is sent whoever dies: whoever meets an expired lease takes over.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from .broadcaster import QUEUE_SECONDS, Broadcaster, Delivery
from .errors import ChatError, GatewayUnavailable, QueueUnavailable, StorageUnavailable
from .storage.heads import Head, Heads, Sent
from .storage.messages import Draft, Messages, Receipt, Stored, Unsent
from .tasks import PumpRoom, TaskQueue
from .told import first_event

# How long one invocation sends for a room before it leaves the room to another: who has spoken, a worker.
TURN_SECONDS = 1.0
WORKER_SECONDS = 10.0
# A round has to be over before the lease is.
ROUND_SECONDS = 4.0
# How long a number that has no message is waited for before it is sealed, and how often it is looked.
HOLE_SECONDS = 0.3
LOOK_SECONDS = 0.05
# Not worth a pause, in s; and a pause after which it is worth a look what has come meanwhile.
SHORTEST_PAUSE = 0.005
LONG_PAUSE = 0.05
# While the account is throttled, a room rests as long as its round took, so that others have their turn. A
# round is throttled that has been refused more often than this, as a share of its posts. In s.
LONGEST_BETWEEN = 2.0
TOLERATED = 0.1
# Tries of workers, with 1, 3, 7, 15 and 31 s before them.
MOST_ATTEMPTS = 5
# What is left of an invocation at the end of a turn, in s.
RESERVE_SECONDS = 2.0


@dataclass
class Turn:
    """A pump's turn at a room.

    Attributes:
        room: The room.
        lease: The lease that is held; empty once it is not any more.
        head: The room as it was last seen. All up to its ``seq`` can be sent to the members of its version.
        sent: Everything up to this number has been handed on.
        round_ms: Unix time in ms of the last round.
        between: Time in s from one round to the next that the account's rate leaves.
        own: A message that need not be read.
    """

    room: str
    lease: str
    head: Head
    sent: int
    round_ms: int
    between: float
    own: Stored | None = None

    @classmethod
    def begin(cls, room: str, lease: str, head: Head, own: Stored | None = None) -> "Turn":
        """Begin a turn where the last one has ended."""
        return cls(room, lease, head, head.sent, head.sent_at, head.between_ms / 1000, own)

    @property
    def progress(self) -> Sent:
        """What to note on the head."""
        return Sent(self.sent, self.round_ms, int(self.between * 1000))

    @property
    def has_more(self) -> bool:
        """Whether there is more to send, as far as is known."""
        return self.sent < self.head.seq


class Pump:
    """Sends rooms what they have not been sent.

    Args:
        heads: Where the leases are.
        messages: Where the messages are.
        broadcaster: What sends.
        queue: Where a room is left to a worker.
        posts_per_second: Posts that a room's rounds make in a second, at most.
        clock: Unix time in s.
        sleep: Waits that many s.
    """

    def __init__(
        self,
        heads: Heads,
        messages: Messages,
        broadcaster: Broadcaster,
        queue: TaskQueue,
        posts_per_second: int,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._heads = heads
        self._messages = messages
        self._broadcaster = broadcaster
        self._queue = queue
        self._posts_per_second = posts_per_second
        self._clock = clock
        self._sleep = sleep

    def append(self, draft: Draft) -> Receipt:
        """Store a message, and become the pump of its room where that has none: ``hand_on`` is to follow.

        Raises:
            StorageUnavailable: It may be stored. The same draft, with its ``ref``, can be given again.
        """
        lease = self._heads.new_lease()
        try:
            return self._messages.append(draft, lease)
        except StorageUnavailable:
            # Others may have relied on this one to send what they have stored.
            with suppress(QueueUnavailable):
                self._queue.put([self._task(draft.room, left=lease)], 1)
            raise

    def hand_on(self, receipt: Receipt, deadline: float, delivery: Delivery) -> Turn | None:
        """See to it that a message that is stored is sent.

        Where nobody else sends for its room, this sends up to the message. What has come meanwhile is for
        ``go_on``.

        Args:
            receipt: The message.
            deadline: ``time.monotonic()`` by which to be done.
            delivery: Where to count what became of it.

        Returns:
            The turn, where there is more to send; None where there is not, or somebody else sends.

        Raises:
            StorageUnavailable: It is not sent, and no worker could be told to send it. The message may be
                handed on again.
            QueueUnavailable: Likewise, for there was no time.
            GatewayUnavailable: API Gateway lets this chat send to nobody. Likewise.
        """
        room, head = receipt.stored.room, receipt.head
        if receipt.lease is not None:
            own = None if receipt.duplicate else receipt.stored
            turn = Turn.begin(room, receipt.lease, head, own)
        elif head.is_left(self._clock()) and (left := self._take_over(room)) is not None:
            turn = left
        else:
            return None
        last = deadline - RESERVE_SECONDS
        self._send(
            turn,
            deadline,
            delivery,
            attempt=0,
            is_over=lambda: turn.sent >= receipt.stored.seq or time.monotonic() >= last,
        )
        if turn.lease and turn.sent < receipt.stored.seq:
            # Others have left so much that there was no time to send all of it.
            self._leave(turn)
        return turn if turn.lease else None

    def go_on(self, turn: Turn, deadline: float, delivery: Delivery) -> None:
        """Send what has come meanwhile; after a while leave the room to a worker, or to the next who speaks.

        Raises:
            StorageUnavailable: As for ``hand_on``.
        """
        self._send_for(TURN_SECONDS, turn, deadline, delivery, attempt=0)

    def rescue(self, room: str, head: Head, deadline: float, delivery: Delivery) -> None:
        """Send what a pump that has died has left, if it has.

        Raises:
            StorageUnavailable: As for ``hand_on``.
        """
        if head.is_left(self._clock()):
            self.work(self._task(room, attempt=0), deadline, delivery)

    def work(self, task: PumpRoom, deadline: float, delivery: Delivery) -> None:
        """Send what a room has not been sent, unless somebody else does.

        Raises:
            StorageUnavailable: As for ``hand_on``.
        """
        turn = self._take_over(task.room, task.left)
        if turn is not None:
            self._send_for(WORKER_SECONDS, turn, deadline, delivery, task.attempt)

    def _take_over(self, room: str, left: str | None = None) -> Turn | None:
        lease = self._heads.new_lease()
        head = self._heads.take_over(room, lease, left)
        return Turn.begin(room, lease, head) if head is not None else None

    def _send_for(
        self, seconds: float, turn: Turn, deadline: float, delivery: Delivery, attempt: int
    ) -> None:
        last = deadline - RESERVE_SECONDS
        until = min(time.monotonic() + seconds, last)
        self._send(turn, deadline, delivery, attempt, lambda: time.monotonic() >= until)
        if turn.lease:
            try:
                self._leave(turn)
            except QueueUnavailable:
                # Nobody else can be told to: go on as long as there is time.
                again = self._take_over(turn.room)
                if again is not None:
                    self._send(again, deadline, delivery, attempt, lambda: time.monotonic() >= last)
                    self._release(again)

    def _send(
        self,
        turn: Turn,
        deadline: float,
        delivery: Delivery,
        attempt: int,
        is_over: Callable[[], bool],
    ) -> None:
        """Send rounds until there is nothing more, the lease is lost, or the turn is over."""
        try:
            while turn.lease:
                if self._keep_pace(turn, deadline) or turn.sent > turn.head.sent:
                    self._renew(turn)
                if turn.lease:
                    self._round(turn, deadline, delivery)
                if turn.lease and not turn.has_more:
                    self._finish(turn)
                if is_over():
                    return
        except ChatError as error:
            self._fail(turn, error, attempt + 1)

    def _round(self, turn: Turn, deadline: float, delivery: Delivery) -> None:
        """Send what is next, as much of it as one frame takes."""
        unsent = self._next(turn)
        turn.round_ms = int(self._clock() * 1000)
        if not unsent.messages:
            turn.sent = unsent.through
            return
        event, number = first_event(unsent.messages)
        until = min(deadline, time.monotonic() + ROUND_SECONDS + QUEUE_SECONDS)
        delivered, throttles, began = delivery.delivered, delivery.throttles, time.monotonic()
        self._broadcaster.publish(turn.room, event, until, delivery, head=turn.head)
        delivered, throttles = delivery.delivered - delivered, delivery.throttles - throttles
        is_throttled = throttles > TOLERATED * delivered
        turn.between = min(LONGEST_BETWEEN, 2 * (time.monotonic() - began)) if is_throttled else 0.0
        if delivery.forbidden and not delivered:
            # This chat may not send at all. What it was to send is sent once it may.
            raise GatewayUnavailable
        delivery.rounds += 1
        delivery.messages += number
        is_all = number == len(unsent.messages)
        turn.sent = unsent.through if is_all else unsent.messages[number - 1].seq

    def _next(self, turn: Turn) -> Unsent:
        """Read what is next, once there is a message for the number that is."""
        own, turn.own = turn.own, None
        if own is not None and own.seq == turn.head.seq == turn.sent + 1:
            return Unsent([own], own.seq, None)
        waited = 0.0
        while True:
            head = replace(turn.head, sent=turn.sent)
            unsent = self._messages.unsent(turn.room, head)
            if unsent.through > turn.sent or unsent.hole is None:
                return unsent
            if waited >= HOLE_SECONDS:
                break
            self._sleep(LOOK_SECONDS)
            waited += LOOK_SECONDS
        # All of them have been waited for.
        return self._messages.sealed(turn.room, head)

    def _keep_pace(self, turn: Turn, deadline: float) -> bool:
        """Wait until the room can have another round; whether that took so long that more may have come."""
        between = min(ROUND_SECONDS, max(turn.between, turn.head.members / self._posts_per_second))
        left = deadline - RESERVE_SECONDS - time.monotonic()
        pause = min(between, turn.round_ms / 1000 + between - self._clock(), left)
        if pause > SHORTEST_PAUSE:
            self._sleep(pause)
        return pause > LONG_PAUSE

    def _finish(self, turn: Turn) -> None:
        """End the turn, unless there is more to send."""
        head = self._heads.finish(turn.room, turn.lease, turn.progress)
        if head is None:
            turn.lease = ""
        else:
            turn.head = head

    def _renew(self, turn: Turn) -> None:
        """Note how far it is, and see what has come meanwhile."""
        lease = self._heads.new_lease()
        head = self._heads.renew(turn.room, turn.lease, turn.progress, lease)
        if head is None:
            turn.lease = ""
        else:
            turn.lease, turn.head = lease, head

    def _release(self, turn: Turn) -> None:
        lease, turn.lease = turn.lease, ""
        if lease:
            # Otherwise it expires.
            with suppress(StorageUnavailable):
                self._heads.release(turn.room, lease, turn.progress)

    def _fail(self, turn: Turn, error: ChatError, attempt: int) -> None:
        """Let a worker try again later what could not be sent now: it is stored, and not forgotten."""
        if attempt > MOST_ATTEMPTS or isinstance(error, GatewayUnavailable):
            # Whoever comes next tries again. A worker may not send either, where this chat may not.
            self._release(turn)
            raise error
        try:
            self._leave(turn, attempt, 2**attempt - 1)
        except QueueUnavailable:
            raise error from None

    def _leave(self, turn: Turn, attempt: int = 1, delay_seconds: int = 0) -> None:
        """Leave a room to a worker.

        Raises:
            QueueUnavailable: It could not be told.
        """
        lease = turn.lease
        # First: a worker that comes before would find the room taken.
        self._release(turn)
        self._queue.put([self._task(turn.room, attempt, lease)], delay_seconds)

    def _task(self, room: str, attempt: int = 1, left: str | None = None) -> PumpRoom:
        return PumpRoom(endpoint=self._broadcaster.endpoint, room=room, attempt=attempt, left=left)
