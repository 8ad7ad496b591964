"""Who gets an event, in which form, now or by the queue, and what becomes of those who are gone."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial

from .chunks import Chunk, ChunkQueue
from .errors import QueueUnavailable, StorageUnavailable
from .gateway.sending import SendResult
from .gateway.websocket_api import ManyWebsocketAPI
from .storage.connection import Connection
from .storage.connections import Connections
from .storage.member_cache import MemberCache
from .storage.presence import Crossing
from .storage.rooms import Member
from .wire.events import Event, Form, Goodbye, Presence, render

# Kept back of the deadline, or half of the time where that is little: to put on the queue what is not
# sent by then.
QUEUE_SECONDS = 2.0
# Payloads that are on their way while the next page of members is read.
MOST_UNDER_WAY = 4
# Of workers, with 1, 3, 7, 15 and 31 s before them: a minute in all.
MOST_ATTEMPTS = 5


@dataclass
class Delivery:
    """How many connections were reached and missed.

    Attributes:
        delivered: Connections that API Gateway took an event for.
        gone: Connections that answered 410.
        pruned: Those of them that were removed.
        queued: Connections that a worker is to send to.
        failed: Connections that were missed, and are not tried again. They stay.
        forbidden: Whether API Gateway refused this chat itself (403).
        given_up: Whether some were missed after the last attempt, or because the queue took nothing.
    """

    delivered: int = 0
    gone: int = 0
    pruned: int = 0
    queued: int = 0
    failed: int = 0
    forbidden: bool = False
    given_up: bool = False


@dataclass(frozen=True)
class Posting:
    """A chunk on its way.

    Attributes:
        chunk: The chunk.
        began_ms: Unix time in ms at which it began: who answers 410 was not open then, whenever the
            answers of all are known.
        result: What becomes of it.
    """

    chunk: Chunk
    began_ms: float
    result: Future[SendResult]


class Broadcaster:
    """Sends events to rooms and to single connections.

    Args:
        api: What sends.
        connections: Where those who are gone are removed.
        members: Where the members of a room are found.
        queue: Takes what is left for workers to send.
        dead_letters: Takes what their last attempt has left.
        inline_recipients: Members of a room that are sent to from here; those beyond go to the queue.
        prune_after_seconds: Age from which a connection that answers 410 is gone. One that is
            younger may have its ``$connect`` still under way.
        clock: Unix time in s.
    """

    def __init__(
        self,
        api: ManyWebsocketAPI,
        connections: Connections,
        members: MemberCache,
        queue: ChunkQueue,
        dead_letters: ChunkQueue,
        inline_recipients: int,
        prune_after_seconds: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._api = api
        self._connections = connections
        self._members = members
        self._queue = queue
        self._dead_letters = dead_letters
        self._inline_recipients = inline_recipients
        self._prune_after_ms = prune_after_seconds * 1000
        self._clock = clock

    def publish(
        self,
        room: str,
        event: Event,
        deadline: float,
        delivery: Delivery,
        *,
        but: str | None = None,
        members_version: int | None = None,
    ) -> None:
        """Send an event to every connection in a room. No failure of one stops the others.

        What is throttled, fails for a time or is not sent by the deadline goes to the queue, and so do the
        members of a large room. Where somebody turns out to be gone for good, the rooms that they were in
        are told.

        Args:
            room: The room.
            event: What to send; rendered once for each form.
            deadline: ``time.monotonic()`` by which to be done.
            delivery: Where to count what became of it.
            but: Id of a connection that does not get it.
            members_version: The version of the room's membership, where that is known.

        Raises:
            StorageUnavailable: The members could not be read. Those read before have the event.
            TooLarge: The event is more than API Gateway sends.
        """
        crossings = self._publish(room, event, deadline, delivery, but, members_version)
        self._tell_of_pruned(crossings, deadline, delivery)

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
        for chunk in self._chunks(None, event, partial(render, event), [member]):
            crossings = self._finish(self._start(chunk, deadline), delivery)
            self._tell_of_pruned(crossings, deadline, delivery)

    def dismiss(self, connection: Connection, goodbye: Goodbye, deadline: float, delivery: Delivery) -> None:
        """Say why, and close a connection."""
        self.send(connection, goodbye, deadline, delivery)
        self._api.hang_up(connection.id)

    def deliver(self, chunk: Chunk, deadline: float, delivery: Delivery) -> None:
        """Send a chunk of the queue. What is left goes back there, or after the last attempt away.

        Raises:
            QueueUnavailable: It could not be put there; what was sent may be sent again.
        """
        self._api.use(chunk.endpoint)
        now = self._clock()
        chunk = chunk.only([member for member in chunk.members if member.expires_at > now])
        posting = self._start(chunk, deadline)
        crossings = self._count(posting, delivery)
        if left := chunk.rest(posting.result.result().left):
            self._put_off([left], delivery, delay_seconds=2**left.attempt - 1)
        self._tell_of_pruned(crossings, deadline, delivery)

    def _publish(
        self,
        room: str,
        event: Event,
        deadline: float,
        delivery: Delivery,
        but: str | None,
        members_version: int | None = None,
    ) -> list[Crossing]:
        """Send, prune, and return the crossings that this brought about."""
        rendered = cache(partial(render, event))
        crossings: list[Crossing] = []
        under_way: deque[Posting] = deque()
        inline = self._inline_recipients
        try:
            for page in self._members.pages(room, members_version):
                others = [member for member in page if member.id != but]
                for chunk in self._chunks(room, event, rendered, others[:inline]):
                    under_way.append(self._start(chunk, deadline))
                for chunk in self._chunks(room, event, rendered, others[inline:]):
                    self._try_to_put_off(chunk.pieces(), delivery)
                inline = max(0, inline - len(others))
                while len(under_way) > MOST_UNDER_WAY:
                    crossings += self._finish(under_way.popleft(), delivery)
        finally:
            for posting in under_way:
                crossings += self._finish(posting, delivery)
        return crossings

    def _chunks(
        self, room: str | None, event: Event, rendered: Callable[[Form], str | None], members: list[Member]
    ) -> Iterator[Chunk]:
        """Make a chunk of those who want the event in the same form."""
        for form in Form:
            receivers = [member for member in members if member.form is form]
            payload = rendered(form) if receivers else None
            if payload is not None:
                yield Chunk(self._api.endpoint, room, payload, receivers, event.passing)

    def _start(self, chunk: Chunk, deadline: float) -> Posting:
        ids = [member.id for member in chunk.members]
        now = time.monotonic()
        until = max(deadline - QUEUE_SECONDS, (now + deadline) / 2)
        return Posting(chunk, self._clock() * 1000, self._api.start_many(ids, chunk.payload, until))

    def _finish(self, posting: Posting, delivery: Delivery) -> list[Crossing]:
        """Wait until a chunk is sent; leave what is left to the queue, and prune."""
        if left := posting.chunk.rest(posting.result.result().left):
            self._try_to_put_off([left], delivery, delay_seconds=1)
        return self._count(posting, delivery)

    def _count(self, posting: Posting, delivery: Delivery) -> list[Crossing]:
        """Wait until a chunk is sent; count what became of it, and prune."""
        chunk, result = posting.chunk, posting.result.result()
        delivery.delivered += len(result.delivered)
        delivery.gone += len(result.gone)
        delivery.failed += len(result.refused) + (len(result.left) if chunk.passing else 0)
        delivery.forbidden |= result.forbidden
        gone = set(result.gone)
        return [
            crossing
            for member in chunk.members
            if member.id in gone and member.joined_at <= posting.began_ms - self._prune_after_ms
            for crossing in self._prune(member, chunk.room, delivery)
        ]

    def _try_to_put_off(self, chunks: list[Chunk], delivery: Delivery, delay_seconds: int = 0) -> None:
        try:
            self._put_off(chunks, delivery, delay_seconds)
        except QueueUnavailable:
            # What is stored is in the room's history; the log tells of the rest.
            delivery.failed += sum(len(chunk.members) for chunk in chunks)
            delivery.given_up = True

    def _put_off(self, chunks: list[Chunk], delivery: Delivery, delay_seconds: int) -> None:
        """Leave chunks to workers, or after the last attempt to whoever looks into dead letters.

        Raises:
            QueueUnavailable: They could not be put there.
        """
        members = sum(len(chunk.members) for chunk in chunks)
        if chunks[0].attempt <= MOST_ATTEMPTS:
            self._queue.put(chunks, delay_seconds)
            delivery.queued += members
        else:
            self._dead_letters.put(chunks)
            delivery.failed += members
            delivery.given_up = True

    def _tell_of_pruned(self, crossings: list[Crossing], deadline: float, delivery: Delivery) -> None:
        # What was to be sent has been: that others cannot be told who is gone is no failure of it.
        with suppress(StorageUnavailable):
            self.announce(crossings, deadline, delivery)

    def _prune(self, member: Member, room: str | None, delivery: Delivery) -> list[Crossing]:
        """Remove one who is gone, and was there for long enough to have been open."""
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
