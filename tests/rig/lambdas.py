"""Warm Lambdas that run where a test lets them, one step after another, on real tables.

What is between them is in the test's hands: a clock, the sockets, and the queue.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from chalicelib.actions.call import Services
from chalicelib.actions.table import ACTIONS
from chalicelib.announcer import Announcer
from chalicelib.auth.door import Door
from chalicelib.broadcaster import Broadcaster
from chalicelib.chat import Chat
from chalicelib.config import Settings
from chalicelib.pruner import Pruner
from chalicelib.pump import Pump
from chalicelib.storage.bans import Bans
from chalicelib.storage.bucket import Bucket
from chalicelib.storage.connections import Connections
from chalicelib.storage.heads import Heads
from chalicelib.storage.member_cache import MemberCache
from chalicelib.storage.messages import Messages
from chalicelib.storage.rooms import Rooms
from chalicelib.tasks import TaskQueue
from tests.functional.log import Log
from tests.functional.tables import Tables
from tests.rig.clock import Clock
from tests.rig.crashes import Crash, Crashes, Meanwhile
from tests.rig.sockets import Sockets
from tests.rig.worklist import Waiting, Worklist

# What an invocation has, in s, and one whose time is nearly up: a turn of its pump is over after one round.
ENOUGH = 25.0
LITTLE = 3.0
# From resources.json: when a task comes again whose worker has died.
VISIBILITY_SECONDS = 180


@dataclass(frozen=True)
class Parts:
    """The classes that a chat is made of; a test may have some of its own."""

    heads: type[Heads] = Heads
    connections: type[Connections] = Connections
    rooms: type[Rooms] = Rooms
    messages: type[Messages] = Messages
    members: type[MemberCache] = MemberCache
    broadcaster: type[Broadcaster] = Broadcaster
    announcer: type[Announcer] = Announcer
    pump: type[Pump] = Pump
    pruner: type[Pruner] = Pruner


class Lambdas:
    """Some warm Lambdas, which know nothing of each other.

    A process that dies is replaced by one that remembers nothing.

    Args:
        tables: Where they keep what they know.
        crashes: Where they die: of the tables' client.
        settings: Of the chat.
        parts: What the chat is made of.
        number: How many Lambdas there are.
        page_size: Memberships that are read at once.
        sleep: Waits that many s; by default it lets the clock go on instead.

    Attributes:
        clock: The clock of all.
        sockets: The clients' ends.
        worklist: The queue.
        chats: The Lambdas.
        log: What they have logged.
        requests: What the last run has asked of DynamoDB, and each ``post`` and ``put`` on the queue.
    """

    def __init__(
        self,
        tables: Tables,
        crashes: Crashes,
        settings: Settings | None = None,
        parts: Parts | None = None,
        number: int = 2,
        page_size: int = 1000,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.tables = tables
        self.crashes = crashes
        self.settings = settings or Settings(rate_per_second=0)
        self.clock = Clock(1_700_000_000)
        self.sockets = Sockets()
        self.sockets.before_post = partial(crashes.point, "post")
        self.worklist = Worklist(self.clock, partial(crashes.point, "put"))
        self.log = Log()
        self.requests: list[str] = []
        self._parts = parts or Parts()
        self._page_size = page_size
        self._sleep = sleep or self.clock.sleep
        self.chats = [self.warm() for _ in range(number)]

    def warm(self) -> Chat:
        """Make a Lambda that remembers nothing yet."""
        client, tables, clock, settings = self.tables.client, self.tables, self.clock, self.settings
        parts = self._parts
        heads = parts.heads(client, tables.messages, settings.history_days, clock, settings.inline_recipients)
        rate, burst = settings.rate_per_second, settings.rate_burst
        connections = parts.connections(
            client,
            tables.connections,
            tables.rooms,
            heads,
            clock,
            settings.max_connections_per_name,
            Bucket(rate, burst) if rate else None,
            seconds=settings.connection_seconds,
            presence_members=settings.presence_members,
        )
        rooms = parts.rooms(client, tables.rooms, clock, self._page_size)
        messages = parts.messages(client, tables.messages, heads, settings.history_days, clock, self._sleep)
        api: Any = self.sockets
        queue = TaskQueue(lambda: self.worklist, settings.queue)
        broadcaster = parts.broadcaster(
            api,
            parts.members(rooms, settings.members_cache_seconds, settings.inline_recipients, clock),
            connections,
            queue,
            TaskQueue(lambda: self.worklist, settings.dead_letter_queue),
            settings.inline_recipients,
            settings.prune_after_seconds,
            clock,
        )
        announcer = parts.announcer(
            broadcaster, heads, queue, settings.presence_members, settings.room_posts_per_second, clock
        )
        services = Services(
            settings=settings,
            actions=ACTIONS,
            door=Door.of(settings, clock),
            connections=connections,
            rooms=rooms,
            bans=Bans(client, tables.rooms, clock),
            messages=messages,
            broadcaster=broadcaster,
            announcer=announcer,
            pump=parts.pump(
                heads, messages, broadcaster, queue, settings.room_posts_per_second, clock, self._sleep
            ),
            pruner=parts.pruner(connections, announcer, broadcaster, queue),
        )
        return Chat(services, self.log.logger, clock, heads.remembered_members)

    def run(
        self,
        route: str,
        connection_id: str,
        *,
        on: int = 0,
        dies_after: int | None = None,
        meanwhile: Meanwhile | None = None,
        seconds: float = ENOUGH,
        **fields: Any,
    ) -> dict[str, Any] | None:
        """Run the handler of a route, and give its response; None where it has died.

        Args:
            route: ``connect``, ``message`` or ``disconnect``.
            connection_id: Whose event it is.
            on: Which of the Lambdas runs it.
            dies_after: After how many of its requests it dies.
            meanwhile: What others do between two of its requests.
            seconds: How much time it has.
            fields: What is in the event.
        """
        event = {"requestContext": {"connectionId": connection_id, "requestId": "r"}, **fields}
        handler = getattr(self.chats[on], route)
        response: dict[str, Any] | None = self._until_death(
            lambda: handler(event, seconds), on, dies_after, meanwhile
        )
        return response

    def connect(
        self, connection_id: str, rooms: list[str], name: str | None = None, **run: Any
    ) -> dict[str, Any] | None:
        """Run the handler of ``$connect``, for JSON; the rest as for ``run``."""
        query = {"room": rooms, **({"name": [name]} if name else {})}
        headers = {"Sec-WebSocket-Protocol": "chat.v1"}
        return self.run(
            "connect", connection_id, multiValueQueryStringParameters=query, headers=headers, **run
        )

    def ask(self, connection_id: str, frame: Mapping[str, Any], **run: Any) -> dict[str, Any] | None:
        """Send a frame, and give the one reply to it; None where the handler has died, told or not."""
        had = len(self.sockets.inboxes[connection_id])
        if self.run("message", connection_id, body=json.dumps(frame), **run) is None:
            return None
        new = self.sockets.inboxes[connection_id][had:]
        # Replies have a place for the reference of what they answer, and nothing else has.
        [reply] = [event for event in new if "ref" in event and event["ref"] == frame.get("ref")]
        return reply

    def work(
        self,
        task: Waiting,
        *,
        on: int = 0,
        dies_after: int | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> bool:
        """Let a worker do a task; False where it did not, and SQS gives the task again."""
        assert task in self.worklist.waiting
        task.due = self.clock() + VISIBILITY_SECONDS
        event = {"Records": [{"messageId": "m", "body": task.body}]}

        def deliver() -> bool:
            self.chats[on].deliver(event, ENOUGH)
            return True

        if not self._until_death(deliver, on, dies_after, meanwhile):
            return False
        self.worklist.waiting.remove(task)
        return True

    def work_off(self) -> None:
        """Do what is due, and what that makes due."""
        while due := self.worklist.due:
            assert self.work(due[0])

    def _until_death(
        self, work: Callable[[], Any], on: int, dies_after: int | None, meanwhile: Meanwhile | None
    ) -> Any:
        with self.crashes.process(dies_after, meanwhile) as process:
            try:
                return work()
            except Crash:
                self.chats[on] = self.warm()
                return None
            finally:
                self.requests = process.requests
