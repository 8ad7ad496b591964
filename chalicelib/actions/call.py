"""One request under way: who asks, and what an action has at hand to serve it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..auth.door import Door
from ..broadcaster import Broadcaster, Delivery
from ..config import Settings
from ..errors import Forbidden, GatewayUnavailable, NotInRoom
from ..storage.bans import Bans
from ..storage.connection import Connection
from ..storage.connections import Connections
from ..storage.messages import Messages
from ..storage.presence import Crossing
from ..storage.rooms import Rooms
from ..wire.events import Event
from ..wire.requests import LOBBY, Request


@dataclass(frozen=True)
class Action:
    """A row of the ACTIONS table.

    Attributes:
        request: The struct that the action's fields are checked against.
        run: Serves the request. The event that it returns is the reply; a ``ChatError`` that it raises
            becomes the reply.
        cost: Tokens that it takes from its sender's bucket.
        crowd: Where it is sent to all of a room, connections in the room that cost another token.
    """

    request: type[Request]
    run: Callable[[Any, "Call"], Event]
    cost: int = 1
    crowd: int | None = None

    def price(self, fields: Mapping[str, Any], members: Callable[[str], int]) -> int:
        """Say how many tokens a frame takes.

        Args:
            fields: The frame's, as they came.
            members: Gives the number of connections in a room, 0 where that is not known.
        """
        room = fields.get("room", LOBBY)
        if self.crowd is None or not isinstance(room, str):
            return self.cost
        return self.cost + members(room) // self.crowd


@dataclass(frozen=True)
class Services:
    """What the chat is made of, for its actions to use."""

    settings: Settings
    actions: Mapping[str, Action]
    door: Door
    connections: Connections
    rooms: Rooms
    bans: Bans
    messages: Messages
    broadcaster: Broadcaster


@dataclass
class Call:
    """What an action is handed beside its request.

    Attributes:
        caller: The connection that asks.
        services: The chat's parts.
        now_ms: Unix time in ms at which the frame came.
        deadline: ``time.monotonic()`` by which to be done.
        delivery: What has been sent so far, for the log.
    """

    caller: Connection
    services: Services
    now_ms: int
    deadline: float
    delivery: Delivery = field(default_factory=Delivery)

    def must_be_in(self, room: str) -> None:
        """Refuse a caller who is not in the room, or may not be there any more.

        Raises:
            NotInRoom: The caller is not in it.
            Forbidden: The caller's token does not allow it.
        """
        if room not in self.caller.rooms:
            raise NotInRoom(room)
        self.must_be_allowed(room)

    def must_be_allowed(self, room: str) -> None:
        """Refuse a caller whose token does not allow the room.

        Raises:
            Forbidden: It does not.
        """
        if not self.caller.may_enter(room):
            raise Forbidden(f"you may not enter {room}")

    def must_not_be_banned(self, name: str, rooms: Iterable[str]) -> None:
        """Refuse a name that is banned from one of the rooms.

        Raises:
            Forbidden: It is.
            StorageUnavailable: The bans could not be read.
        """
        for room in sorted(self.services.bans.rooms(name).intersection(rooms)):
            raise Forbidden(f"{name} is banned from {room}")

    def tell_caller(self, event: Event) -> None:
        """Send an event to the caller, beside the reply."""
        self.services.broadcaster.send(self.caller, event, self.deadline, self.delivery)

    def publish(self, room: str, event: Event, members_version: int | None = None) -> None:
        """Send an event to every connection in a room.

        Args:
            room: The room.
            event: What to send.
            members_version: The version of the room's membership, where that is known: members of that
                version need not be read again.

        Raises:
            GatewayUnavailable: API Gateway does not let this chat send.
            StorageUnavailable: The members could not be read.
        """
        self.services.broadcaster.publish(
            room, event, self.deadline, self.delivery, members_version=members_version
        )
        self._must_not_be_forbidden()

    def publish_to_others(self, room: str, event: Event, members_version: int | None = None) -> None:
        """Send an event to every connection in a room but the caller's; the rest as for ``publish``."""
        self.services.broadcaster.publish(
            room,
            event,
            self.deadline,
            self.delivery,
            but=self.caller.id,
            members_version=members_version,
        )
        self._must_not_be_forbidden()

    def announce(self, crossings: Iterable[Crossing]) -> None:
        """Tell the others in the rooms who came and went; raises as ``publish`` does."""
        self.services.broadcaster.announce(crossings, self.deadline, self.delivery, but=self.caller.id)
        self._must_not_be_forbidden()

    def _must_not_be_forbidden(self) -> None:
        if self.delivery.forbidden:
            raise GatewayUnavailable
