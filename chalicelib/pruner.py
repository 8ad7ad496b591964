"""Removing connections that are gone, once those that live have been served."""

import time
from collections import defaultdict
from collections.abc import Iterator

from .announcer import Announcer
from .broadcaster import Broadcaster, Delivery
from .errors import QueueUnavailable, StorageUnavailable
from .storage.connections import Connections
from .storage.rooms import Member
from .tasks import Prune, Task, TaskQueue

# So many are removed by whoever has met them. More are left to workers, so many a task: a second's work.
MOST_INLINE = 10
MOST_IN_TASK = 100
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
        self._broadcaster.finish_late(delivery)
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
        """Remove those of a task."""
        if _is_time(len(task.members), deadline):
            self._prune(task.members, task.room, deadline, delivery)
        else:
            self._leave([(member, task.room) for member in task.members])

    def _prune(self, members: list[Member], room: str | None, deadline: float, delivery: Delivery) -> None:
        try:
            changes = self._connections.remove_gone(members, room)
            delivery.pruned += len(members)
            self._announcer.tell(changes, deadline, delivery)
        except StorageUnavailable:
            # Whoever meets them next tries again.
            return

    def _leave(self, dead: list[tuple[Member, str | None]]) -> None:
        tasks: list[Task] = [
            Prune(endpoint=self._broadcaster.endpoint, room=room, members=part)
            for room, members in _by_room(dead).items()
            for part in _parts(members)
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


def _parts(members: list[Member]) -> Iterator[list[Member]]:
    for start in range(0, len(members), MOST_IN_TASK):
        yield members[start : start + MOST_IN_TASK]
