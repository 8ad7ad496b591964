"""Who gets an event, in which form, now or by the queue, and what becomes of those who do not."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache, partial

import msgspec

from .errors import QueueUnavailable
from .gateway.sending import SendResult
from .gateway.websocket_api import ManyWebsocketAPI
from .storage.connection import Connection
from .storage.connections import Connections
from .storage.heads import Head
from .storage.member_cache import MemberCache
from .storage.rooms import Member
from .tasks import Chunk, RestOfRoom, Task, TaskQueue
from .wire.events import Event, Form, Goodbye, render

# Kept back of the deadline, or half of the time where that is little: to put on the queue what is not
# sent by then.
QUEUE_SECONDS = 2.0
# Payloads that are on their way while the next page of members is read.
MOST_UNDER_WAY = 4
# Of workers, with 1, 3, 7, 15 and 31 s before them: a minute in all.
MOST_ATTEMPTS = 5
# How long a worker tries what was refused, in s.
PATIENT_SECONDS = 0.3
# Payloads in a row that a client has not read, after which its connection is closed.
MOST_UNREAD = 10

SLOW = Goodbye(
    code="slow_reader", reason="You read too slowly, connect again and ask for what you missed", retry_after=1
)


@dataclass(frozen=True)
class Posting:
    """A chunk on its way.

    Attributes:
        chunk: The chunk.
        began_ms: Unix time in ms at which it began: who answers 410 was not open then, whenever the
            answers of all are known.
        until: ``time.monotonic()`` by which it is over.
        result: What becomes of it.
    """

    chunk: Chunk
    began_ms: float
    until: float
    result: Future[SendResult]


@dataclass
class Delivery:
    """How many connections were reached and missed.

    Attributes:
        delivered: Connections that API Gateway took an event for.
        gone: Connections that answered 410.
        pruned: Those of them that were removed.
        queued: Connections that a worker is to send to.
        throttles: Posts that were refused for the account's rate, most of them to be taken later.
        slow: Connections that do not read fast enough, and were left out.
        closed: Those of them that were closed.
        failed: Connections that were missed, and are not tried again. They stay.
        forbidden: Whether API Gateway refused this chat itself (403).
        given_up: Whether some were missed after the last attempt, or because the queue took nothing.
        rounds: How often messages were sent to a room.
        messages: How many messages that were.
        dead: Connections that are to be removed, by id, each with the room that it was in.
        stuck: Connections that are to be closed, for they do not read.
    """

    delivered: int = 0
    gone: int = 0
    pruned: int = 0
    queued: int = 0
    throttles: int = 0
    slow: int = 0
    closed: int = 0
    failed: int = 0
    forbidden: bool = False
    given_up: bool = False
    rounds: int = 0
    messages: int = 0
    dead: dict[str, tuple[Member, str | None]] = field(default_factory=dict, repr=False)
    stuck: dict[str, Member] = field(default_factory=dict, repr=False)


class Broadcaster:
    """Sends events to rooms and to single connections.

    Args:
        api: What sends.
        members: Where the members of a room are found.
        connections: Where the number of members is put right.
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
        members: MemberCache,
        connections: Connections,
        queue: TaskQueue,
        dead_letters: TaskQueue,
        inline_recipients: int,
        prune_after_seconds: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._api = api
        self._members = members
        self._connections = connections
        self._queue = queue
        self._dead_letters = dead_letters
        self._inline_recipients = inline_recipients
        self._prune_after_ms = prune_after_seconds * 1000
        self._clock = clock
        # Payloads in a row that connections have not read, as far as this Lambda knows.
        self._unread: Counter[str] = Counter()

    @property
    def endpoint(self) -> str:
        """The API's callback URL, for tasks."""
        return self._api.endpoint

    def use(self, endpoint: str) -> None:
        """Send to the API of a task, where no event has told which it is."""
        self._api.use(endpoint)

    def publish(
        self,
        room: str,
        event: Event,
        deadline: float,
        delivery: Delivery,
        *,
        but: str | None = None,
        head: Head | None = None,
    ) -> None:
        """Send an event to every connection in a room. No failure of one stops the others.

        What is throttled, fails for a time or is not sent by the deadline goes to the queue, and so do the
        members of a large room.

        Args:
            room: The room.
            event: What to send; rendered once for each form.
            deadline: ``time.monotonic()`` by which to be done.
            delivery: Where to count what became of it, and to note who is gone or does not read.
            but: Id of a connection that does not get it.
            head: The room, where it has been read: members of its version need not be read again.

        Raises:
            StorageUnavailable: The members could not be read. Those read before have the event.
            TooLarge: The event is more than API Gateway sends.
        """
        rendered = cache(partial(render, event))
        pages = self._members.pages(room, head.members_version if head else None)
        count = self._send_pages(room, pages, rendered, event.passing, deadline, delivery, but)
        if head is not None and count is not None:
            self._connections.mend(room, count, head)

    def send(self, to: Connection, event: Event, deadline: float, delivery: Delivery) -> None:
        """Send an event to one connection, as ``publish`` does to many.

        Raises:
            TooLarge: The event is more than API Gateway sends.
        """
        member = Member(to.id, to.name, to.form, to.connected_at, to.expires_at)
        for chunk in self._chunks(None, partial(render, event), event.passing, [member]):
            self._finish(self._start(chunk, self._until(deadline)), delivery)

    def send_later(self, to: Connection, event: Event, seconds: int) -> None:
        """Let a worker send an event to one connection, so many s from now.

        Raises:
            QueueUnavailable: It could not be told.
        """
        member = Member(to.id, to.name, to.form, to.connected_at, to.expires_at)
        self._queue.put(list(self._chunks(None, partial(render, event), event.passing, [member])), seconds)

    def dismiss(self, connection: Connection, goodbye: Goodbye, deadline: float, delivery: Delivery) -> None:
        """Say why, and close a connection."""
        self.send(connection, goodbye, deadline, delivery)
        self._api.hang_up(connection.id)

    def close_stuck(self, deadline: float, delivery: Delivery) -> None:
        """Close the connections that do not read: their clients come again, and catch up."""
        stuck, delivery.stuck = delivery.stuck, {}
        for form in Form:
            members = [member for member in stuck.values() if member.form is form]
            payload = render(SLOW, form)
            if members and payload is not None:
                # A last word for those who have room for it by now.
                ids = [member.id for member in members]
                self._api.start_many(ids, payload, self._until(deadline)).result()
        for connection_id in stuck:
            self._api.hang_up(connection_id)
            delivery.closed += 1

    def deliver(self, chunk: Chunk, deadline: float, delivery: Delivery) -> None:
        """Send a chunk of the queue. What is left goes back there, or after the last attempt away.

        Raises:
            QueueUnavailable: It could not be put there; what was sent may be sent again.
        """
        now = self._clock()
        chunk = chunk.only([member for member in chunk.members if member.expires_at > now])
        posting = self._start(
            chunk, min(self._until(deadline), time.monotonic() + PATIENT_SECONDS), patient=True
        )
        self._count(posting, delivery)
        for rest in _rests(posting, delivery):
            if rest.slow and rest.attempt > MOST_ATTEMPTS:
                delivery.stuck |= {member.id: member for member in rest.members}
            else:
                self._put_off([rest], delivery, delay_seconds=2**rest.attempt - 1)

    def deliver_rest(self, rest: RestOfRoom, deadline: float, delivery: Delivery) -> None:
        """Send to the members of a room that nobody had the time to read; the rest as for ``publish``."""
        pages = self._members.pages(rest.room, after=rest.after)
        self._send_pages(rest.room, pages, rest.payloads.get, False, deadline, delivery, rest.but)

    def _send_pages(
        self,
        room: str,
        pages: Iterable[list[Member]],
        rendered: Callable[[Form], str | None],
        passing: bool,
        deadline: float,
        delivery: Delivery,
        but: str | None,
    ) -> int | None:
        """Send to pages of members as they are read; how many they are, None where not all were read."""
        under_way: deque[Posting] = deque()
        inline = self._inline_recipients
        until = self._until(deadline)
        count = 0
        try:
            for page in pages:
                count += len(page)
                others = [each for each in page if each.id != but and each.id not in delivery.dead]
                for chunk in self._chunks(room, rendered, passing, others[:inline]):
                    under_way.append(self._start(chunk, until))
                for chunk in self._chunks(room, rendered, passing, others[inline:]):
                    self._try_to_put_off(chunk.pieces(), delivery)
                inline = max(0, inline - len(others))
                if page and time.monotonic() > until:
                    self._leave_rest(room, rendered, passing, page[-1].id, delivery, but)
                    return None
                while len(under_way) > MOST_UNDER_WAY:
                    self._finish(under_way.popleft(), delivery)
        finally:
            for posting in under_way:
                self._finish(posting, delivery)
        return count

    def _leave_rest(
        self,
        room: str,
        rendered: Callable[[Form], str | None],
        passing: bool,
        after: str,
        delivery: Delivery,
        but: str | None,
    ) -> None:
        """Leave those to a worker who there is no time to read."""
        if passing:
            return
        payloads = {form: payload for form in Form if (payload := rendered(form)) is not None}
        rest = RestOfRoom(endpoint=self.endpoint, room=room, payloads=payloads, after=after, but=but)
        try:
            self._queue.put([rest])
        except QueueUnavailable:
            delivery.given_up = True

    def _chunks(
        self,
        room: str | None,
        rendered: Callable[[Form], str | None],
        passing: bool,
        members: list[Member],
    ) -> Iterator[Chunk]:
        """Make a chunk of those who want the event in the same form."""
        for form in Form:
            receivers = [member for member in members if member.form is form]
            payload = rendered(form) if receivers else None
            if payload is not None:
                yield Chunk(
                    endpoint=self.endpoint,
                    born_ms=int(self._clock() * 1000),
                    room=room,
                    payload=payload,
                    members=receivers,
                    passing=passing,
                )

    def _start(self, chunk: Chunk, until: float, patient: bool = False) -> Posting:
        ids = [member.id for member in chunk.members]
        sending = self._api.start_many(ids, chunk.payload, until, patient)
        return Posting(chunk, self._clock() * 1000, until, sending)

    def _until(self, deadline: float) -> float:
        """When to stop sending, so that the queue can be told in time."""
        return max(deadline - QUEUE_SECONDS, (time.monotonic() + deadline) / 2)

    def _finish(self, posting: Posting, delivery: Delivery) -> None:
        """Wait until a chunk is sent; leave to workers those that were missed or left out.

        Nothing may follow that would show them the gap. Once this has returned, nobody is forgotten, even if
        this Lambda dies.
        """
        self._count(posting, delivery)
        self._note_unread(posting, delivery)
        if unsure := posting.chunk.rest(posting.result.result().unsure):
            # Nobody waits for it here, and a moment may be enough.
            self._try_to_put_off([unsure], delivery)
        for rest in _rests(posting, delivery):
            self._try_to_put_off([rest], delivery, delay_seconds=1)

    def _count(self, posting: Posting, delivery: Delivery) -> None:
        """Wait until a chunk is sent, and count what became of it."""
        chunk, result = posting.chunk, posting.result.result()
        delivery.delivered += len(result.delivered)
        delivery.gone += len(result.gone)
        delivery.throttles += result.throttles
        delivery.slow += len(result.slow)
        delivery.failed += len(result.refused) + (
            len(result.left) + len(result.unsure) if chunk.passing else 0
        )
        delivery.forbidden |= result.forbidden
        gone = set(result.gone)
        for member in chunk.members if gone else ():
            if member.id in gone and member.joined_at <= posting.began_ms - self._prune_after_ms:
                delivery.dead[member.id] = member, chunk.room
        if self._unread:
            for connection_id in (*result.delivered, *result.gone):
                self._unread.pop(connection_id, None)

    def _note_unread(self, posting: Posting, delivery: Delivery) -> None:
        """Note who has not read a payload, and who has not so often that it is to be closed."""
        slow = posting.result.result().slow
        self._unread.update(slow)
        stuck = {each for each in slow if self._unread[each] >= MOST_UNREAD}
        for member in posting.chunk.members if stuck else ():
            if member.id in stuck:
                delivery.stuck[member.id] = member
                del self._unread[member.id]

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
        if not chunks:
            return
        members = sum(len(chunk.members) for chunk in chunks)
        tasks: list[Task] = list(chunks)
        if chunks[0].attempt <= MOST_ATTEMPTS:
            self._queue.put(tasks, delay_seconds)
            delivery.queued += members
        else:
            self._dead_letters.put(tasks)
            delivery.failed += members
            delivery.given_up = True


def _rests(posting: Posting, delivery: Delivery) -> list[Chunk]:
    """What is worth another attempt: for those that were missed, and for those that do not read.

    Those that are about to be closed get it when they come again.
    """
    chunk, result = posting.chunk, posting.result.result()
    slow = chunk.rest([each for each in result.slow if each not in delivery.stuck])
    rests = [chunk.rest(result.left), slow and msgspec.structs.replace(slow, slow=True)]
    return [rest for rest in rests if rest is not None]
