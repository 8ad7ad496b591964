"""One request under way: who asks, and what an action has at hand to serve it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..announcer import Announcer
from ..auth.door import Door
from ..broadcaster import Broadcaster, Delivery
from ..config import Settings
from ..errors import Forbidden, GatewayUnavailable, NotInRoom
from ..pruner import Pruner
from ..pump import Pump
from ..storage.bans import Bans
from ..storage.connection import Connection
from ..storage.connections import Connections
from ..storage.heads import Head
from ..storage.messages import Draft, Messages, Receipt
from ..storage.presence import Change
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
    announcer: Announcer
    pump: Pump
    pruner: Pruner


@dataclass
class Call:
    """What an action is handed beside its request.

    Attributes:
        caller: The connection that asks.
        services: The chat's parts.
        now_ms: Unix time in ms at which the frame came.
        deadline: ``time.monotonic()`` by which to be done.
        delivery: What has been sent so far, for the log.
        is_registered: Whether the caller is registered: API Gateway may hold a socket that is not any more.
        afterwards: What is to be done once the caller has its reply.
    """

    caller: Connection
    services: Services
    now_ms: int
    deadline: float
    delivery: Delivery = field(default_factory=Delivery)
    is_registered: bool = True
    afterwards: list[Callable[[], None]] = field(default_factory=list)

    def must_be_registered(self) -> None:
        """Refuse a caller who cannot be in a room or have a name.

        Raises:
            Forbidden: It is not registered any more; it is about to be told to connect again.
        """
        if not self.is_registered:
            raise Forbidden("this connection is not registered any more")

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

    def say(self, draft: Draft) -> Receipt:
        """Store a message, and see to it that everybody in its room gets it.

        Raises:
            GatewayUnavailable: API Gateway does not let this chat send.
            StorageUnavailable: It may be stored, and is sent to nobody yet. The same draft again, with its
                ``ref``, makes up for that.
        """
        pump = self.services.pump
        receipt = pump.append(draft)
        turn = pump.hand_on(receipt, self.deadline, self.delivery)
        if turn is not None:
            self.afterwards.append(lambda: pump.go_on(turn, self.deadline, self.delivery))
        self._must_not_be_forbidden()
        return receipt

    def rescue(self, room: str, head: Head) -> None:
        """Send a room what has been left behind by somebody who died, once the caller has its reply."""
        pump = self.services.pump
        self.afterwards.append(lambda: pump.rescue(room, head, self.deadline, self.delivery))

    def publish(self, room: str, event: Event, head: Head | None = None) -> None:
        """Send an event that is not stored to every connection in a room.

        Args:
            room: The room.
            event: What to send.
            head: The room, where it has been read: members of its version need not be read again.

        Raises:
            GatewayUnavailable: API Gateway does not let this chat send.
            StorageUnavailable: The members could not be read.
        """
        self.services.broadcaster.publish(room, event, self.deadline, self.delivery, head=head)
        self._must_not_be_forbidden()

    def publish_to_others(self, room: str, event: Event, head: Head | None = None) -> None:
        """Send an event to every connection in a room but the caller's; the rest as for ``publish``."""
        self.services.broadcaster.publish(
            room, event, self.deadline, self.delivery, but=self.caller.id, head=head
        )
        self._must_not_be_forbidden()

    def announce(self, changes: Iterable[Change]) -> None:
        """Tell the others in the rooms who came and went; raises as ``publish`` does."""
        self.services.announcer.tell(changes, self.deadline, self.delivery, but=self.caller.id)
        self._must_not_be_forbidden()

    def is_crowd(self, head: Head) -> bool:
        """Whether so many are in a room that it does not hear who comes and goes."""
        return head.members > self.services.settings.presence_members

    def _must_not_be_forbidden(self) -> None:
        if self.delivery.forbidden:
            raise GatewayUnavailable
