"""Kept-alive connections to one host, and who posts on them next."""

import asyncio
import ssl
import time
from collections import deque
from math import sqrt

from .addresses import Addresses
from .http_connection import HttpConnection, open_socket
from .pace import Pace
from .refusals import Cause, Refusals
from .sending import Sending

DELIVERED = 200
REFUSED = 429

# What a post may take, and the opening of a connection; in s.
POST_SECONDS = 2.0
OPEN_SECONDS = 2.0
# How often overdue posts are looked for.
LOOK_SECONDS = 0.2
# Idle for longer, a connection is not used again: while a Lambda was frozen the other end may have
# closed it, and its farewell may never come.
IDLE_SECONDS = 30.0
# Idle for longer, it is taken for closed if it breaks at the next post.
RESTED_SECONDS = 1.0
# Connections that are opened at the same time: those that are open get on with the work meanwhile.
OPENING = 16
# What opening a connection costs, in s: a millisecond of CPU, shared with the sends that find it open.
OPENING_COST = 0.0004
# How long a post takes where none has been answered yet, in s.
FIRST_LATENCY = 0.01
# How often in a row no connection can be opened before posts fail, and the first wait in between.
OPEN_TRIES = 3
OPEN_DELAY = 0.05

Job = tuple[Sending, str]
Connection = HttpConnection[Job]


class Pool:
    """Posts payloads to one host, over as many connections as are of use.

    It lives in one event loop: every method is called there.

    Args:
        addresses: The host.
        tls: How to speak TLS; None for plain HTTP.
        pace: How much may be under way at once.
    """

    def __init__(self, addresses: Addresses, tls: ssl.SSLContext | None, pace: Pace) -> None:
        self._addresses = addresses
        self._tls = tls
        self._pace = pace
        self._refusals = Refusals()
        self._loop = asyncio.get_running_loop()
        # What to add to the loop's clock to get Unix time: it may stand still while a Lambda is frozen.
        self._epoch = 0.0
        # Those that have a post to begin. A post that waits to be tried again is in no queue.
        self._ready: deque[Sending] = deque()
        self._connections: set[Connection] = set()
        self._idle: list[Connection] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._failures = 0
        # How long a post takes, in s: the shortest of late, so that what we are slow with does not count.
        self._latency = FIRST_LATENCY
        self._wake: asyncio.TimerHandle | None = None
        self._look: asyncio.TimerHandle | None = None

    def start(self, sending: Sending) -> None:
        """Begin to send; the rest happens as the loop runs."""
        now = self._loop.time()
        self._epoch = time.time() - now
        self._pace.recover(now + self._epoch)
        if sending.deadline <= now:
            sending.expire()
        elif not sending.done:
            expiry = self._loop.call_at(sending.deadline, self._expire, sending)
            sending.future.add_done_callback(lambda _: expiry.cancel())
            self._ready.append(sending)
            self._latency = FIRST_LATENCY
            self._pump()

    async def close(self) -> None:
        """Close all connections."""
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        for connection in list(self._connections):
            connection.close()
        for timer in (self._wake, self._look):
            if timer:
                timer.cancel()

    @property
    def _busy(self) -> int:
        return len(self._connections) - len(self._idle)

    def _pump(self) -> None:
        """Begin what can begin."""
        while (sending := self._next()) and self._busy < self._pace.concurrency:
            connection = self._take_idle()
            if connection is None:
                self._open_more(sum(len(each.waiting) for each in self._ready))
                return
            if not self._begin(connection, sending):
                self._idle.append(connection)
                return

    def _next(self) -> Sending | None:
        while self._ready and not self._ready[0].waiting:
            self._ready.popleft()
        return self._ready[0] if self._ready else None

    def _begin(self, connection: Connection, sending: Sending) -> bool:
        """Begin a sending's next post; False where the pace does not allow it yet."""
        now = self._loop.time()
        if wait := self._pace.begin(now):
            if self._wake is None:
                self._wake = self._loop.call_later(wait, self._wake_up)
            return False
        connection_id = sending.waiting.popleft()
        connection.send(sending.post.to(connection_id), (sending, connection_id), now)
        if self._look is None:
            self._look = self._loop.call_later(LOOK_SECONDS, self._look_for_overdue)
        return True

    def _wake_up(self) -> None:
        self._wake = None
        self._pump()

    def _answered(self, connection: Connection, status: int) -> None:
        sending, connection_id = connection.take_job()
        now = self._loop.time()
        self._latency = min(self._latency, now - connection.posted_at)
        if status == REFUSED:
            self._refused(sending, connection_id, now + self._epoch)
        else:
            if status == DELIVERED:
                self._pace.delivered()
                self._refusals.delivered(connection_id, now + self._epoch)
            self._settle(sending, connection_id, sending.answered(connection_id, status))
        if not connection.is_open:
            self._connections.discard(connection)
            self._pump()
            return
        connection.rested = False
        following = self._next()
        if following is None or self._busy > self._pace.concurrency or not self._begin(connection, following):
            self._rest(connection)

    def _refused(self, sending: Sending, connection_id: str, now: float) -> None:
        cause = self._refusals.refused(connection_id, now)
        if cause is Cause.ACCOUNT:
            self._pace.throttled(self._refusals.throttled_at)
        delay = sending.refused(connection_id, cause)
        if delay is not None:
            self._loop.call_later(delay, self._reconsider, sending, connection_id)

    def _reconsider(self, sending: Sending, connection_id: str) -> None:
        """Try a refused post again, unless what was answered meanwhile shows that the socket is slow."""
        if sending.done:
            return
        if self._refusals.cause(connection_id, self._loop.time() + self._epoch) is Cause.SOCKET:
            sending.leave_out(connection_id)
        else:
            sending.try_again(connection_id)
            self._again(sending, connection_id)

    def _lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if connection.job is None:
            return
        sending, connection_id = connection.take_job()
        if connection.rested:
            # It was closed while it was idle, and so were the others: that says nothing of the post.
            self._close_idle()
            self._again(sending, connection_id)
        else:
            self._settle(sending, connection_id, sending.unanswered(connection_id))
            self._pump()

    def _look_for_overdue(self) -> None:
        self._look = None
        now = self._loop.time()
        busy = [connection for connection in self._connections if connection.job]
        for connection in busy:
            # Where many are slow, more connections are of use.
            self._latency = max(self._latency, now - connection.posted_at)
            if now - connection.posted_at >= POST_SECONDS:
                sending, connection_id = self._drop(connection)
                sending.give_up(connection_id, "timeout")
        self._pace.recover(now + self._epoch)
        if busy:
            self._look = self._loop.call_later(LOOK_SECONDS, self._look_for_overdue)
            self._pump()

    def _expire(self, sending: Sending) -> None:
        """Give up what a sending has not done by its deadline."""
        late = [each for each in self._connections if each.job and each.job[0] is sending]
        sending.expire({self._drop(connection)[1] for connection in late})
        self._pump()

    def _drop(self, connection: Connection) -> Job:
        """Close a connection whose response is not waited for any longer."""
        self._connections.discard(connection)
        connection.close()
        return connection.take_job()

    def _settle(self, sending: Sending, connection_id: str, delay: float | None) -> None:
        if delay is not None:
            self._loop.call_later(delay, self._again, sending, connection_id)

    def _again(self, sending: Sending, connection_id: str) -> None:
        if sending.done:
            return
        if not sending.waiting:
            self._ready.append(sending)
        sending.waiting.append(connection_id)
        self._pump()

    def _rest(self, connection: Connection) -> None:
        connection.idle_since = time.time()
        self._idle.append(connection)

    def _take_idle(self) -> Connection | None:
        now = time.time()
        while self._idle:
            connection = self._idle.pop()
            idle = now - connection.idle_since
            if connection.is_open and idle < IDLE_SECONDS:
                connection.rested = idle > RESTED_SECONDS
                return connection
            self._connections.discard(connection)
            connection.close()
        return None

    def _close_idle(self) -> None:
        for connection in self._idle:
            self._connections.discard(connection)
            connection.close()
        self._idle.clear()

    def _open_more(self, waiting: int) -> None:
        # n posts over c connections take c openings and n / c posts one after another: least for this c.
        useful = sqrt(waiting * self._latency / OPENING_COST)
        opening = len(self._opening)
        more = int(min(useful + 1, self._pace.concurrency)) - len(self._connections) - opening
        for _ in range(min(more, OPENING - opening, waiting - opening)):
            task = self._loop.create_task(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        # After one that failed, the last of those that were opened with it sees to it what comes next.
        if not task.cancelled() and (self._idle or not self._opening):
            self._pump()

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                connection = await self._connect()
        except OSError:
            if not self._connections and len(self._opening) == 1:
                # Nobody else is left who could serve those that wait.
                self._failures += 1
                if self._failures < OPEN_TRIES:
                    await asyncio.sleep(OPEN_DELAY * 2 ** (self._failures - 1))
                else:
                    self._give_up()
        else:
            self._failures = 0
            self._connections.add(connection)
            self._rest(connection)

    async def _connect(self) -> Connection:
        address = await self._addresses.next()
        try:
            sock = await open_socket(address, self._addresses.port, self._tls, self._addresses.host)
        except OSError:
            self._addresses.drop(address)
            raise
        return Connection(sock, self._answered, self._lost)

    def _give_up(self) -> None:
        self._failures = 0
        while sending := self._next():
            for connection_id in list(sending.waiting):
                sending.give_up(connection_id, "unreachable")
            sending.waiting.clear()
