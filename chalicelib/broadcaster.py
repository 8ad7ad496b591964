"""Who gets an event, in which form, and what becomes of those who are gone."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial

from .errors import StorageUnavailable
from .gateway.sending import SendResult
from .gateway.websocket_api import ManyWebsocketAPI
from .storage.connections import Connection, Connections
from .storage.presence import Crossing
from .storage.rooms import Member, Rooms
from .wire.events import Event, Form, Goodbye, Presence, render


@dataclass
class Delivery:
    """How many connections were reached and missed.

    Attributes:
        delivered: Connections that API Gateway took an event for.
        gone: Connections that answered 410.
        pruned: Those of them that were removed.
        failed: Connections that were throttled, in error or out of time. They stay.
        forbidden: Whether API Gateway refused this chat itself (403).
    """

    delivered: int = 0
    gone: int = 0
    pruned: int = 0
    failed: int = 0
    forbidden: bool = False

    def add(self, result: SendResult) -> None:
        """Count the outcome of one ``send_many``."""
        self.delivered += len(result.delivered)
        self.gone += len(result.gone)
        self.failed += len(result.throttled) + len(result.failed)
        self.forbidden |= result.forbidden


class Broadcaster:
    """Sends events to rooms and to single connections.

    Args:
        api: What sends.
        connections: Where those who are gone are removed.
        rooms: Where the members of a room are read.
        prune_after_seconds: Age from which a connection that answers 410 is gone. One that is
            younger may have its ``$connect`` still under way.
        clock: Unix time in s.
    """

    def __init__(
        self,
        api: ManyWebsocketAPI,
        connections: Connections,
        rooms: Rooms,
        prune_after_seconds: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._api = api
        self._connections = connections
        self._rooms = rooms
        self._prune_after_ms = prune_after_seconds * 1000
        self._clock = clock

    def publish(
        self, room: str, event: Event, deadline: float, delivery: Delivery, *, but: str | None = None
    ) -> None:
        """Send an event to every connection in a room. No failure of one stops the others.

        Where somebody turns out to be gone for good, the rooms that they were in are told.

        Args:
            room: The room.
            event: What to send; rendered once for each form.
            deadline: ``time.monotonic()`` by which to be done.
            delivery: Where to count what became of it.
            but: Id of a connection that does not get it.

        Raises:
            StorageUnavailable: The members could not be read. Those read before have the event.
            TooLarge: The event is more than API Gateway sends.
        """
        self._tell_of_pruned(self._publish(room, event, deadline, delivery, but), deadline, delivery)

    def announce(
        self, crossings: Iterable[Crossing], deadline: float, delivery: Delivery, *, but: str | None = None
    ) -> None:
        """Tell rooms who came and went; ``but`` and the rest as for ``publish``."""
        waiting = list(crossings)
        while waiting:
            crossing = waiting.pop()
            event = Presence(room=crossing.room, name=crossing.name, event=crossing.event)
            waiting += self._publish(crossing.room, event, deadline, delivery, but)

    def send(self, to: Connection, event: Event, deadline: float, delivery: Delivery) -> None:
        """Send an event to one connection, as ``publish`` does to many.

        Raises:
            TooLarge: The event is more than API Gateway sends.
        """
        member = Member(to.id, to.name, to.form, to.connected_at, to.expires_at)
        rendered = partial(render, event)
        crossings = self._send_many([member], rendered, deadline, delivery, room=None)
        self._tell_of_pruned(crossings, deadline, delivery)

    def dismiss(self, connection: Connection, goodbye: Goodbye, deadline: float, delivery: Delivery) -> None:
        """Say why, and close a connection."""
        self.send(connection, goodbye, deadline, delivery)
        self._api.hang_up(connection.id)

    def _tell_of_pruned(self, crossings: list[Crossing], deadline: float, delivery: Delivery) -> None:
        # What was to be sent has been: that others cannot be told who is gone is no failure of it.
        with suppress(StorageUnavailable):
            self.announce(crossings, deadline, delivery)

    def _publish(
        self, room: str, event: Event, deadline: float, delivery: Delivery, but: str | None
    ) -> list[Crossing]:
        """Send, prune, and return the crossings that this brought about."""
        rendered = cache(partial(render, event))
        return [
            crossing
            for page in self._rooms.pages(room)
            for crossing in self._send_many(
                [member for member in page if member.id != but], rendered, deadline, delivery, room
            )
        ]

    def _send_many(
        self,
        members: list[Member],
        rendered: Callable[[Form], str | None],
        deadline: float,
        delivery: Delivery,
        room: str | None,
    ) -> list[Crossing]:
        crossings: list[Crossing] = []
        for form in Form:
            receivers = {member.id: member for member in members if member.form is form}
            payload = rendered(form) if receivers else None
            if payload is None:
                continue
            result = self._api.send_many(list(receivers), payload, deadline)
            delivery.add(result)
            for connection_id in result.gone:
                crossings += self._prune(receivers[connection_id], room, delivery)
        return crossings

    def _prune(self, member: Member, room: str | None, delivery: Delivery) -> list[Crossing]:
        """Remove one who is gone, if there long enough to have been there at all."""
        if member.joined_at > self._clock() * 1000 - self._prune_after_ms:
            return []
        try:
            crossings = self._connections.remove(member.id)
            if crossings is None:
                # The connection is removed already, but this membership of it was left over.
                crossings = self._connections.remove_membership(member, room) if room else []
        except StorageUnavailable:
            # Whoever meets it next tries again; the others are served now.
            return []
        delivery.pruned += 1
        return crossings
