"""Telling rooms who comes and goes: a small room each name, a crowd now and then how many it is."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from .broadcaster import Broadcaster, Delivery
from .errors import QueueUnavailable, StorageUnavailable
from .storage.connection import Connection
from .storage.heads import Heads
from .storage.presence import Change, Crossing
from .tasks import Task, TaskQueue, TellOccupancy, TellPresence
from .wire.events import Event, Left, Occupancy, Presence

# A crowd hears its size once in this time at most, in s. A larger crowd hears it less often: it takes only a
# small share of the posts that the room's messages may take.
OCCUPANCY_SECONDS = 5
LONGEST_OCCUPANCY_SECONDS = 30
OCCUPANCY_SHARE = 0.05
# How long a socket has to open after ``$connect``, in s.
OPENING_SECONDS = 2


class Announcer:
    """Tells rooms who came and went.

    Args:
        broadcaster: What sends.
        heads: Where a crowd's next event is planned.
        queue: Where workers are told to.
        presence_members: Members of a room up to which it hears who comes and goes.
        posts_per_second: Posts that the messages of a room make in a second, at most.
        clock: Unix time in s.
    """

    def __init__(
        self,
        broadcaster: Broadcaster,
        heads: Heads,
        queue: TaskQueue,
        presence_members: int,
        posts_per_second: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._broadcaster = broadcaster
        self._heads = heads
        self._queue = queue
        self._presence_members = presence_members
        self._posts_per_second = posts_per_second
        self._clock = clock

    def tell(
        self, changes: Iterable[Change], deadline: float, delivery: Delivery, *, but: str | None = None
    ) -> None:
        """Tell the rooms of changes now, but for crowds, which are told later.

        Args:
            changes: What has changed.
            deadline: ``time.monotonic()`` by which to be done.
            delivery: Where to count what became of it.
            but: Id of a connection that is not told.

        Raises:
            StorageUnavailable: The members of a room could not be read. The rooms before have been told.
        """
        for change in changes:
            if self._is_crowd(change):
                self._plan_occupancy(change)
            elif _has_others(change, but):
                for event in _events(change.room, change.crossings):
                    self._broadcaster.publish(
                        change.room, event, deadline, delivery, but=but, head=change.head
                    )

    def tell_later(self, changes: Iterable[Change], *, but: str | None = None) -> None:
        """Let workers tell the rooms of changes, for whom nobody is to wait. It does not fail."""
        tasks: list[Task] = []
        for change in changes:
            if self._is_crowd(change):
                self._plan_occupancy(change)
            elif change.crossings and _has_others(change, but):
                tasks.append(
                    TellPresence(
                        endpoint=self._broadcaster.endpoint,
                        room=change.room,
                        crossings=change.crossings,
                        but=but,
                    )
                )
        if tasks:
            with suppress(QueueUnavailable):
                self._queue.put(tasks)

    def tell_left_out(self, connection: Connection, rooms: Iterable[str]) -> None:
        """Let a worker tell a new connection which of its rooms are not open to it. It does not fail."""
        for room in sorted(rooms):
            # Nothing can be sent to it before its socket has opened.
            with suppress(QueueUnavailable):
                self._broadcaster.send_later(connection, Left(room=room), OPENING_SECONDS)

    def tell_presence(self, task: TellPresence, deadline: float, delivery: Delivery) -> None:
        """Tell a room what ``tell_later`` has left, unless it is a crowd by now; raises as ``tell`` does."""
        if self._heads.remembered_members(task.room) > self._presence_members:
            return
        for event in _events(task.room, task.crossings):
            self._broadcaster.publish(task.room, event, deadline, delivery, but=task.but)

    def tell_occupancy(self, task: TellOccupancy, deadline: float, delivery: Delivery) -> None:
        """Tell a crowd how many it is now.

        Raises:
            StorageUnavailable: Its members could not be read.
        """
        head = self._heads.occupancy_told(task.room)
        event = Occupancy(room=task.room, count=head.members)
        self._broadcaster.publish(task.room, event, deadline, delivery, head=head)

    def _is_crowd(self, change: Change) -> bool:
        members = change.head.members if change.head else self._heads.remembered_members(change.room)
        return members > self._presence_members and not change.room.startswith("@")

    def _plan_occupancy(self, change: Change) -> None:
        """See to it that a crowd is told soon, and only once."""
        if change.head is None or not change.joined:
            # It is not another number; or one of the next changes is counted, and plans.
            return
        now_ms = int(self._clock() * 1000)
        seconds = self._occupancy_seconds(change.head.members)
        stale_ms = now_ms - 2 * seconds * 1000
        if change.head.occupancy_due >= stale_ms:
            return
        with suppress(StorageUnavailable, QueueUnavailable):
            if self._heads.plan_occupancy(change.room, now_ms + seconds * 1000, stale_ms):
                self._queue.put(
                    [TellOccupancy(endpoint=self._broadcaster.endpoint, room=change.room)], seconds
                )

    def _occupancy_seconds(self, members: int) -> int:
        share = int(members / (OCCUPANCY_SHARE * self._posts_per_second))
        return max(OCCUPANCY_SECONDS, min(LONGEST_OCCUPANCY_SECONDS, share))


def _has_others(change: Change, but: str | None) -> bool:
    """Whether somebody is there to be told, beside the connection that is not, as far as the head knows."""
    return change.head is None or change.head.members > (but is not None and change.joined >= 0)


def _events(room: str, crossings: Iterable[Crossing]) -> list[Event]:
    """What a room is told: each coming, and all goings at once."""
    joined = [crossing for crossing in crossings if crossing.event == "join"]
    left = [crossing for crossing in crossings if crossing.event == "leave"]
    events: list[Event] = [Presence(room=room, name=each.name, event="join", at=each.at) for each in joined]
    if left:
        names = [each.name for each in left]
        events.insert(
            0,
            Presence(
                room=room,
                name=names[0],
                names=names if len(names) > 1 else None,
                event="leave",
                at=min(each.at for each in left),
            ),
        )
    return events
