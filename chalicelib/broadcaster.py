"""Who gets an event, in which form, and what becomes of those who are gone."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from .errors import StorageUnavailable
from .gateway.websocket_api import ManyWebsocketAPI, SendResult
from .storage.connections import Connection, Connections
from .storage.rooms import Rooms
from .wire.events import Event, Form, render


@dataclass
class Delivery:
    """How many connections were reached and missed.

    Attributes:
        delivered: Connections that API Gateway took the event for.
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

    def add(self, result: SendResult, pruned: int) -> None:
        """Count the outcome of one ``send_many``."""
        self.delivered += len(result.delivered)
        self.gone += len(result.gone)
        self.pruned += pruned
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

    def publish(self, room: str, event: Event, deadline: float, delivery: Delivery) -> None:
        """Send an event to every connection in a room. No failure of one stops the others.

        Args:
            room: The room.
            event: What to send; rendered once for each form.
            deadline: ``time.monotonic()`` by which to be done.
            delivery: Where to count what became of it.

        Raises:
            StorageUnavailable: The members could not be read. Those read before have the event.
        """
        payloads = {form: render(event, form) for form in Form}
        for page in self._rooms.pages(room):
            for form, payload in payloads.items():
                since = {member.id: member.joined_at for member in page if member.form is form}
                if since and payload is not None:
                    result = self._api.send_many(list(since), payload, deadline)
                    delivery.add(result, self._prune(result, since, room))

    def send(self, to: Connection, event: Event, deadline: float, delivery: Delivery) -> None:
        """Send an event to one connection, as ``publish`` does to many."""
        payload = render(event, to.form)
        if payload is not None:
            result = self._api.send_many([to.id], payload, deadline)
            delivery.add(result, self._prune(result, {to.id: to.connected_at}))

    def _prune(self, result: SendResult, since: dict[str, int], room: str | None = None) -> int:
        """Remove those who are gone and were there long enough (``since``, ms by id); say how many."""
        oldest = self._clock() * 1000 - self._prune_after_ms
        pruned = 0
        for connection_id in result.gone:
            if since[connection_id] > oldest:
                continue
            # Whoever meets it next tries again.
            with suppress(StorageUnavailable):
                if self._connections.remove(connection_id) is None and room is not None:
                    # A membership that has outlived its connection.
                    self._rooms.remove(room, connection_id)
                pruned += 1
        return pruned
