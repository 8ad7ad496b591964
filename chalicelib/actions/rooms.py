"""Rooms: being in them, and seeing who and what is there."""

from collections import Counter

from ..errors import Forbidden, NotInRoom
from ..storage.rooms import Member
from ..wire.events import Joined, Left, RoomList, WhoIsThere
from ..wire.requests import JoinRoom, LeaveRoom, ListRooms, Who
from .call import Call

# What is listed at most, so that an event stays below API Gateway's 128 KB.
MOST_ROOMS = 1000


def join_room(request: JoinRoom, call: Call) -> Joined:
    """Make the caller a member of a room, and tell the others there."""
    call.must_be_registered()
    call.must_be_allowed(request.room)
    if call.caller.name is not None:
        call.must_not_be_banned(call.caller.name, [request.room])
    # The position first: whatever gets a greater number is sent to the caller, or is in the history.
    position = call.services.messages.position(request.room)
    most = call.services.settings.max_rooms
    if request.room not in call.caller.rooms and len(call.caller.public_rooms) >= most:
        raise Forbidden(f"you are in {most} rooms, and cannot be in more")
    change = call.services.connections.join(call.caller, request.room)
    call.announce([change])
    call.rescue(request.room, position)
    head = change.head or position
    members = [] if call.is_crowd(head) else list(call.services.rooms.members(request.room))
    return Joined(
        room=request.room,
        seq=position.seq,
        epoch=position.epoch,
        members=_listed(members),
        count=head.members if call.is_crowd(head) else len(members),
        ref=request.ref,
    )


def leave_room(request: LeaveRoom, call: Call) -> Left:
    """End the caller's membership of a room, and tell the others there."""
    if request.room not in call.caller.rooms:
        raise NotInRoom(request.room)
    call.announce([call.services.connections.leave(call.caller, request.room)])
    return Left(room=request.room, ref=request.ref)


def who(request: Who, call: Call) -> WhoIsThere:
    """List the names in a room, a page at a time."""
    call.must_be_in(request.room)
    rooms, connections = call.services.rooms, call.services.connections
    head = call.services.messages.position(request.room)
    members, after = rooms.part(request.room, request.limit, request.after)
    count = head.members
    if request.after is None and (after is None or count <= len(members)):
        # All have been read, or else the number is behind.
        count = len(members) if after is None else rooms.count(request.room)
        connections.mend(request.room, count, head)
    return WhoIsThere(
        room=request.room,
        members=_listed(members),
        nameless=sum(member.name is None for member in members),
        count=count,
        more=after is not None,
        after=after,
        ref=request.ref,
    )


def list_rooms(request: ListRooms, call: Call) -> RoomList:
    """List the rooms that have members and that the caller may enter, the largest first."""
    sizes = call.services.connections.directory.rooms()
    sizes = Counter({room: size for room, size in sizes.items() if call.caller.may_enter(room)})
    return RoomList(rooms=dict(sizes.most_common(MOST_ROOMS)), ref=request.ref)


def _listed(members: list[Member]) -> dict[str, int]:
    """The names of members, in order, each with its number of connections."""
    names = Counter(member.name for member in members if member.name is not None)
    return {name: names[name] for name in sorted(names)}
