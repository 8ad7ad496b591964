"""The app on an AWS with quotas, in one process: what a scenario is played on."""

import asyncio
import importlib.util
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import fields
from typing import Any

from bench.scenarios.frames import Frames
from bench.scenarios.ledger import Ledger
from bench.scenarios.person import Person
from bench.scenarios.sockets import Sockets
from chalicelib.bootstrap import build_chat
from chalicelib.chat import Chat
from chalicelib.config import Settings
from chalicelib.gateway.sending import SendResult
from chalicelib.gateway.websocket_api import ManyWebsocketAPI
from chalicelib.logs import make_logger
from tests.rig.callbacks import Callbacks
from tests.rig.clock import Clock
from tests.rig.crashes import Crashes
from tests.rig.dynamodb import DynamoDB
from tests.rig.functions import APP, Functions
from tests.rig.limits import Account, Limits
from tests.rig.partitions import Partitions
from tests.rig.queues import Queues

ENDPOINT = "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"
# Of the settings, those that count members or posts: they are scaled as the members and the posts are.
COUNTS = (
    "inline_recipients",
    "max_concurrency",
    "max_posts_per_second",
    "presence_members",
    "room_posts_per_second",
)
# How often what is due in the queue is looked for, in s.
TICK = 0.05
# How often to look whether all is done at the present time of a clock that stands still, in s.
POLL = 0.002
# A thread that computes lets others run after so long, in s: all of AWS shares one core here.
SWITCH = 0.001
# Workers that the app has where it does not say so.
WORKERS = 5


class Time:
    """Unix time in s, which can be put on."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        """What it is."""
        return time.time() + self._ahead

    def skip(self, seconds: float) -> None:
        """Let everything be older by so much."""
        self._ahead += seconds


class Errors:
    """Takes the app's log, and keeps the lines that are errors.

    Attributes:
        lines: The first of them.
        count: How many there were.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.count = 0

    def write(self, line: str) -> int:
        """Take a line."""
        if '"level":"ERROR"' in line.replace(" ", "", 4):
            self.count += 1
            if len(self.lines) < 20:
                self.lines.append(line)
        return len(line)

    def flush(self) -> None:
        """Do nothing."""


class Stage:
    """The app, and all that it stands on; an async context manager.

    Args:
        limits: The account's quotas, scaled.
        settings: The app's, beside the tables and those that are scaled.
        clock: Unix time in s; the machine's where it is None.

    Attributes:
        account: What API Gateway and Lambda do.
        callbacks: ``@connections``.
        clock: The time.
        dynamodb: The tables.
        errors: What the app has logged as an error.
        functions: Lambda.
        ledger: What was said and heard.
        limits: The quotas.
        partitions: DynamoDB's limits.
        queues: SQS.
        rooms: By room, who is open in it, by socket.
        sockets: API Gateway's.
        tables: The names of the tables, by the setting.
    """

    def __init__(
        self,
        limits: Limits,
        settings: Mapping[str, str] | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.limits = limits
        self.clock = clock or Time()
        self.account = Account(limits)
        self.partitions = Partitions(limits)
        self.dynamodb = DynamoDB(self.partitions, limits.storage_seconds)
        self.errors = Errors()
        self.frames = Frames()
        self.ledger = Ledger()
        self.rooms: defaultdict[str, dict[str, Person]] = defaultdict(dict)
        self._silent = False
        self._stands_still = isinstance(clock, Clock)
        template = json.loads((APP.parent / "resources.json").read_text())
        self.tables = self._make_tables(template["Resources"])
        self._queue = template["Resources"]["FanOut"]["Properties"]
        self._env = {**self.tables, **scaled_settings(limits.factor), **(settings or {})}
        self._logger = make_logger("bench", self.errors)  # type: ignore[arg-type]

    async def __aenter__(self) -> "Stage":
        sys.setswitchinterval(SWITCH)
        loop = asyncio.get_running_loop()
        self.callbacks = Callbacks(loop)
        self.callbacks.account = self.account
        await self.callbacks.start()
        os.environ[ENDPOINT] = self.callbacks.url
        crashes = Crashes(self.dynamodb)
        self.functions = Functions(self._build, crashes, round(self.limits.invocations))
        self.functions.account = self.account
        self.functions.begins = self.partitions.weigh_event
        self.queues = Queues(
            loop,
            self.functions,
            self.clock,
            visibility_seconds=self._queue["VisibilityTimeout"],
            most_receives=self._queue["RedrivePolicy"]["maxReceiveCount"],
            point=crashes.point,
            most_workers=max(2, round(most_workers() / self.limits.factor)),
        )
        self.sockets = Sockets(self.functions, self.callbacks, self.clock, self.account, self.frames)
        self._ticking = loop.create_task(self._tick())
        return self

    async def __aexit__(self, *failure: object) -> None:
        self._ticking.cancel()
        with suppress(asyncio.CancelledError):
            await self._ticking
        for people in self.rooms.values():
            for person in people.values():
                person.stop()
        self.queues.hold()
        self.callbacks.release()
        # Handlers that run yet wait for answers to their posts.
        await asyncio.get_running_loop().run_in_executor(None, self.functions.close)
        await self.callbacks.stop()

    def person(self, name: str, room: str = "lobby") -> Person:
        """Make a client, which is not connected yet."""
        return Person(
            name, room, self.sockets, self.frames, self.ledger, self.rooms[room], self.limits.factor
        )

    async def gather(self, people: list[Person], at_once: int = 20) -> None:
        """Connect people as if there were no quotas, and nobody told of it, and wait for the chat to rest."""
        self.keep_limits(False)
        self._silent = True
        gate = asyncio.Semaphore(at_once)

        async def connect(person: Person) -> None:
            async with gate:
                await person.connect()

        await asyncio.gather(*map(connect, people))
        await self.rest(120)
        self._silent = False
        self.keep_limits(True)
        self.reset()

    def keep_limits(self, kept: bool) -> None:
        """Hold the app to the quotas from now on, or let it do what it likes."""
        self.callbacks.account = self.account if kept else None
        self.sockets.limited = self.partitions.kept = kept

    async def rest(self, seconds: float = 30) -> bool:
        """Wait until nothing runs and nothing is queued; false where that takes longer.

        What is due later does not count where the clock stands still: there it never comes by itself.
        """
        deadline = time.monotonic() + seconds
        pause = POLL if self._stands_still else TICK
        calm = 0
        while calm < 3:
            calm = calm + 1 if self._is_idle() else 0
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(pause)
        return True

    def _is_idle(self) -> bool:
        if self.functions.running:
            return False
        return self.queues.settled if self._stands_still else self.queues.idle

    def reset(self) -> None:
        """Count anew: requests, posts, units."""
        self.account.reset()
        self.sockets.posted.clear()
        self.sockets.units.clear()
        self.partitions.throttled.clear()

    def items(self, table: str) -> list[dict[str, Any]]:
        """All items of a table, by its setting, such as ``CHAT_TABLE``; it costs nothing."""
        return self.dynamodb.everything(self.tables[table])

    def _build(self, api: ManyWebsocketAPI) -> Chat:
        send = api.start_many

        def start_many(connection_ids: Sequence[str], *given: Any, **named: Any) -> Future[SendResult]:
            if not self._silent:
                return send(connection_ids, *given, **named)
            sent: Future[SendResult] = Future()
            sent.set_result(SendResult(delivered=list(connection_ids)))
            return sent

        api.start_many = start_many  # type: ignore[method-assign]
        return build_chat(
            self._env, api, dynamodb=self.dynamodb, sqs=self.queues, clock=self.clock, logger=self._logger
        )

    def _make_tables(self, resources: Mapping[str, Any]) -> dict[str, str]:
        names = {}
        for name, resource in resources.items():
            if resource["Type"] == "AWS::DynamoDB::Table":
                setting = "CHAT_" + f"{name.removeprefix('Chat').upper()}_TABLE".lstrip("_")
                names[setting] = name
                self.dynamodb.create_table(TableName=name, KeySchema=resource["Properties"]["KeySchema"])
        self.partitions.crowded.add(names["CHAT_ROOMS_TABLE"])
        return names

    async def _tick(self) -> None:
        while True:
            self.queues.pump()
            await asyncio.sleep(TICK)


def scaled_settings(factor: float) -> dict[str, str]:
    """The settings that count members or posts, for a factor's part of them, as far as the app has them."""
    known = {field.name: field.default for field in fields(Settings)}
    return {
        f"CHAT_{name.upper()}": str(max(1, round(int(str(known[name])) / factor)))
        for name in COUNTS
        if known.get(name)
    }


def most_workers() -> int:
    """How many workers the app has at once."""
    spec = importlib.util.spec_from_file_location("app_of_the_bench", APP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return int(getattr(module, "MOST_WORKERS", WORKERS))
