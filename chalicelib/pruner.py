"""Removing connections that are gone, once those that live have been served."""

import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import suppress

from .announcer import Announcer
from .broadcaster import Broadcaster, Delivery
from .errors import QueueUnavailable, StorageUnavailable
from .storage.connections import Connections
from .storage.presence import Change
from .storage.rooms import Member
from .tasks import Prune, Task, TaskQueue

# So many are removed by whoever has met them. More are left to workers, so many a task: a second's work.
MOST_INLINE = 10
MOST_IN_TASK = 100
# So many are removed before a worker looks at its time.
MOST_AT_ONCE = 25
# What removing one can take, in s: where there is less time left, it is not begun.
PRUNE_SECONDS = 0.05

# By the room that they were met in; None for those that were replied to.
ByRoom = dict[str | None, list[Member]]


class Pruner:
    """Removes the dead, and closes the connections that do not read.

    Args:
        connections: Where they are removed.
        announcer: Tells their rooms.
        broadcaster: Closes.
        queue: Takes those that are left to workers.
    """

    def __init__(
        self, connections: Connections, announcer: Announcer, broadcaster: Broadcaster, queue: TaskQueue
    ) -> None:
        self._connections = connections
        self._announcer = announcer
        self._broadcaster = broadcaster
        self._queue = queue

    def sweep(self, deadline: float, delivery: Delivery) -> None:
        """Do what sending has left to do: the last thing in an invocation. It does not fail."""
        self._broadcaster.close_stuck(deadline, delivery)
        while delivery.dead:
            dead, delivery.dead = list(delivery.dead.values()), {}
            if len(dead) > MOST_INLINE or not _is_time(len(dead), deadline):
                # All of them: their leaving is one event for each room.
                self._leave(dead)
                return
            for room, members in _by_room(dead).items():
                self._prune(members, room, deadline, delivery)

    def prune(self, task: Prune, deadline: float, delivery: Delivery) -> None:
        """Remove those of a task; those that there is no time for are left for ``sweep``."""
        self._prune(task.members, task.room, deadline, delivery)

    def _prune(self, members: list[Member], room: str | None, deadline: float, delivery: Delivery) -> None:
        changes: list[Change] = []
        left = deque(_parts(members, MOST_AT_ONCE))
        # Whoever meets those next whom this does not remove tries again.
        with suppress(StorageUnavailable):
            while left and _is_time(len(left[0]), deadline):
                part = left.popleft()
                changes += self._connections.remove_gone(part, room)
                delivery.pruned += len(part)
        # They are not told.
        delivery.dead |= {member.id: (member, room) for part in left for member in part}
        with suppress(StorageUnavailable):
            self._announcer.tell(_merged(changes), deadline, delivery)

    def _leave(self, dead: list[tuple[Member, str | None]]) -> None:
        tasks: list[Task] = [
            Prune(endpoint=self._broadcaster.endpoint, room=room, members=part)
            for room, members in _by_room(dead).items()
            for part in _parts(members, MOST_IN_TASK)
        ]
        try:
            self._queue.put(tasks)
        except QueueUnavailable:
            # Likewise.
            return


def _is_time(members: int, deadline: float) -> bool:
    return time.monotonic() + members * PRUNE_SECONDS <= deadline


def _by_room(dead: list[tuple[Member, str | None]]) -> ByRoom:
    rooms: ByRoom = defaultdict(list)
    for member, room in dead:
        rooms[room].append(member)
    return rooms


def _parts(members: list[Member], most: int) -> Iterator[list[Member]]:
    for start in range(0, len(members), most):
        yield members[start : start + most]


def _merged(changes: list[Change]) -> Iterator[Change]:
    """Make one change of those of a room, so that it is told once."""
    rooms: dict[str, Change] = {}
    for change in changes:
        before = rooms.get(change.room)
        rooms[change.room] = (
            change
            if before is None
            else Change(
                change.room,
                before.crossings + change.crossings,
                change.head or before.head,
                before.joined + change.joined,
            )
        )
    yield from rooms.values()
