"""The members of rooms, kept in a warm Lambda as long as nobody comes or goes."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .rooms import Member, Rooms

# Members that are kept, of all rooms together: some 6 MB.
MOST_MEMBERS = 20_000


@dataclass(frozen=True)
class _Kept:
    version: int
    until: float
    members: list[Member]


class MemberCache:
    """Gives the members of a room, read again only if its membership has another version.

    Args:
        rooms: Where they are read.
        seconds: For how long members are kept at most: the version may lag behind a change for ever if
            who made the change died; 0 to keep none.
        most_in_room: Rooms with more members are not kept.
        clock: Unix time in s.
    """

    def __init__(
        self,
        rooms: Rooms,
        seconds: int,
        most_in_room: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._rooms = rooms
        self._seconds = seconds
        self._most_in_room = most_in_room
        self._clock = clock
        # The room that was used last is the last.
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._count = 0

    def pages(
        self, room: str, version: int | None = None, after: str | None = None
    ) -> Iterator[list[Member]]:
        """Give the members that have not expired, a page at a time.

        Args:
            room: The room.
            version: Its membership's, read before this call; 0 or None where that is not known, and the
                members are read.
            after: Members that come after this connection alone, which are read; None for all.

        Raises:
            StorageUnavailable: They could not be read.
        """
        if after is not None:
            yield from self._rooms.pages(room, after)
            return
        kept = self._kept.get(room)
        now = self._clock()
        if kept is not None and kept.version == version and now < kept.until:
            self._kept.move_to_end(room)
            yield [member for member in kept.members if member.expires_at > now]
            return
        keep = bool(version and self._seconds)
        members: list[Member] = []
        for page in self._rooms.pages(room):
            yield page
            keep = keep and len(members) + len(page) <= self._most_in_room
            if keep:
                members += page
            else:
                members.clear()
        if version and keep:
            self._keep(room, _Kept(version, now + self._seconds, members))

    def _keep(self, room: str, kept: _Kept) -> None:
        self._forget(room)
        self._kept[room] = kept
        self._count += len(kept.members)
        while self._count > MOST_MEMBERS:
            self._forget(next(iter(self._kept)))

    def _forget(self, room: str) -> None:
        if room in self._kept:
            self._count -= len(self._kept.pop(room).members)
