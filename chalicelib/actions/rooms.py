"""Rooms: being in them, and seeing who and what is there."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice

from ..errors import Forbidden, NotInRoom
from ..storage.rooms import Member
from ..wire.events import Joined, Left, RoomList, WhoIsThere
from ..wire.requests import JoinRoom, LeaveRoom, ListRooms, Who
from .call import Call

# What is listed at most, so that an event stays below API Gateway's 128 KB.
MOST_NAMES = 500
MOST_ROOMS = 1000


def join_room(request: JoinRoom, call: Call) -> Joined:
    """Make the caller a member of a room, and tell the others there."""
    call.must_be_allowed(request.room)
    if call.caller.name is not None:
        call.must_not_be_banned(call.caller.name, [request.room])
    # The position first: whatever gets a greater number is sent to the caller, or is in the history.
    position = call.services.messages.position(request.room)
    most = call.services.settings.max_rooms
    if request.room not in call.caller.rooms and len(call.caller.public_rooms) >= most:
        raise Forbidden(f"you are in {most} rooms, and cannot be in more")
    call.announce(call.services.connections.join(call.caller, request.room))
    names = _count(call.services.rooms.members(request.room))
    return Joined(
        room=request.room,
        seq=position.seq,
        epoch=position.epoch,
        members=_listed(names),
        count=names.total(),
        ref=request.ref,
    )


def leave_room(request: LeaveRoom, call: Call) -> Left:
    """End the caller's membership of a room, and tell the others there."""
    if request.room not in call.caller.rooms:
        raise NotInRoom(request.room)
    call.announce(call.services.connections.leave(call.caller, request.room))
    return Left(room=request.room, ref=request.ref)


def who(request: Who, call: Call) -> WhoIsThere:
    """List the names in a room."""
    call.must_be_in(request.room)
    names = _count(call.services.rooms.members(request.room))
    return WhoIsThere(
        room=request.room,
        members=_listed(names),
        nameless=names[None],
        count=names.total(),
        ref=request.ref,
    )


def list_rooms(request: ListRooms, call: Call) -> RoomList:
    """List the rooms that have members and that the caller may enter, the largest first."""
    sizes = call.services.rooms.sizes()
    sizes = Counter({room: size for room, size in sizes.items() if call.caller.may_enter(room)})
    return RoomList(rooms=dict(sizes.most_common(MOST_ROOMS)), ref=request.ref)


def _count(members: Iterable[Member]) -> Counter[str | None]:
    return Counter(member.name for member in members)


def _listed(names: Counter[str | None]) -> dict[str, int]:
    named = ((name, names[name]) for name in sorted(name for name in names if name is not None))
    return dict(islice(named, MOST_NAMES))
