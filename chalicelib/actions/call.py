"""One request under way: who asks, and what an action has at hand to serve it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..broadcaster import Broadcaster, Delivery
from ..errors import GatewayUnavailable, NotInRoom
from ..storage.connections import Connection
from ..wire.events import Event
from ..wire.requests import Request


@dataclass(frozen=True)
class Action:
    """A row of the ACTIONS table.

    Attributes:
        request: The struct that the action's fields are checked against.
        run: Serves the request. What it returns is the reply, None where the asker sees the
            outcome anyway; a ``ChatError`` that it raises becomes the reply.
    """

    request: type[Request]
    run: Callable[[Any, "Call"], Event | None]


@dataclass
class Call:
    """What an action is handed beside its request.

    Attributes:
        caller: The connection that asks. One that is not registered is in no room.
        actions: All actions by name.
        broadcaster: Sends events.
        now_ms: Unix time in ms at which the frame came.
        deadline: ``time.monotonic()`` by which to be done.
        delivery: What the action has sent so far, for the log.
    """

    caller: Connection
    actions: Mapping[str, Action]
    broadcaster: Broadcaster
    now_ms: int
    deadline: float
    delivery: Delivery = field(default_factory=Delivery)

    def must_be_in(self, room: str) -> None:
        """Refuse a caller who is not in the room.

        Raises:
            NotInRoom: The caller is not.
        """
        if room not in self.caller.rooms:
            raise NotInRoom(room)

    def publish(self, room: str, event: Event) -> None:
        """Send an event to everyone in a room.

        Raises:
            GatewayUnavailable: API Gateway does not let this chat send.
            StorageUnavailable: The members could not be read.
        """
        self.broadcaster.publish(room, event, self.deadline, self.delivery)
        if self.delivery.forbidden:
            raise GatewayUnavailable
