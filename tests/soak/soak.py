"""A soak: many visitors, every fault that the rig has, and the design's invariants at the end."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from aws_lambda_powertools import Logger

from tests.functional.tables import Tables
from tests.rig.clock import Clock
from tests.rig.rig import Rig
from tests.soak.ledger import Accepted, Ledger, Wire
from tests.soak.schedule import FAULTS, Action, schedule
from tests.soak.timing import TICK, Time
from tests.soak.visitor import Visitor
from tests.soak.weather import Weather

HALL = "hall"
CORNERS = ("cats", "dogs", "birds", "fish")
ROOMS = (HALL, *CORNERS)
MOST_VISITORS = 120
# Each user has several devices: that one of them comes or goes is news for nobody.
USERS = 20
# Until all are there, in ticks.
GATHERING = 100
# Of what is said, the part that is said in the hall.
IN_THE_HALL = 0.6
# How long the chat has to make up for everything once nothing fails any more: longer than its queue
# tries and its clients' pings are apart, in ticks.
HEALING = 1200
# Beyond CHAT_INLINE_RECIPIENTS, so that workers are of use.
SETTINGS = {"CHAT_INLINE_RECIPIENTS": "80", "CHAT_MAX_CONCURRENCY": "8"}


class Soak:
    """One soak.

    Args:
        tables: Empty ones.
        logger: Takes the app's log.
        seed: All that happens follows from it, but for what threads make of it.
        settings: The app's, beside the tables.
        progress: Called every second with the figures so far.
    """

    def __init__(
        self,
        tables: Tables,
        logger: Logger,
        seed: int,
        settings: Mapping[str, str] = SETTINGS,
        progress: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._tables = tables
        self._seed = seed
        self._progress = progress
        self._schedule = schedule(seed)
        self._chance = random.Random(seed + 1)
        self._ledger = Ledger()
        self._wire = Wire()
        self._visitors: list[Visitor] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0
        self._rig = Rig(tables.client, {**tables.settings(), **settings}, Clock(1_700_000_000), logger, seed)

    def run(self, minutes: float) -> dict[str, Any]:
        """Run it, and say what came of it: the figures, those that must be 0 among them."""
        with self._rig:
            self._weather = Weather(self._rig, random.Random(self._seed + 2))
            return asyncio.run(self._run(round(minutes * 60 / TICK))) | {
                "seed": self._seed,
                "minutes": minutes,
            }

    async def _run(self, ticks: int) -> dict[str, Any]:
        self._time = Time(self._rig)
        await self._pass(GATHERING, self._gather)
        await self._pass(ticks, self._act)
        self._weather.clear()
        await self._heal()
        verdict = await self._verdict()
        await asyncio.gather(*(visitor.go() for visitor in self._visitors))
        return verdict

    async def _pass(self, ticks: int, act: Callable[[], None]) -> None:
        began = time.monotonic()
        for tick in range(ticks):
            act()
            await self._time.tick()
            if tick % 20 == 0:
                await self._read_wire()
                self._progress(self._so_far(tick / ticks))
            await asyncio.sleep(max(0.0, began + (tick + 1) * TICK - time.monotonic()))

    def _gather(self) -> None:
        for _ in range(2 * MOST_VISITORS // GATHERING):
            if len(self._visitors) < MOST_VISITORS:
                self._arrive()

    def _act(self) -> None:
        self._weather.tick()
        for action in next(self._schedule):
            if action.kind in FAULTS:
                self._weather.bring(action)
            else:
                self._let(action)

    def _let(self, action: Action) -> None:
        if action.kind == "arrive":
            if len(self._visitors) < MOST_VISITORS:
                self._arrive()
            return
        ready = [visitor for visitor in self._visitors if visitor.ready]
        if not ready:
            return
        visitor = ready[int(action.who * len(ready))]
        match action.kind:
            case "say":
                rooms = sorted(visitor.stays)
                if HALL in rooms and action.what < IN_THE_HALL:
                    self._start(visitor.say(HALL))
                elif rooms:
                    self._start(visitor.say(rooms[int(action.what * len(rooms))]))
            case "join":
                room = ROOMS[int(action.what * len(ROOMS))]
                if room not in visitor.stays:
                    self._start(visitor.join(room))
            case "leave":
                room = CORNERS[int(action.what * len(CORNERS))]
                if room in visitor.stays:
                    self._start(visitor.leave(room))
            case "quit":
                self._part(visitor)
            case "die":
                self._cut(visitor, ())
                self._part(visitor)
            case "cut":
                late = 200 * action.what
                self._cut(visitor, [(), (0.0,), (0.0, 0.0), (late,), (0.0, late)][action.times(5) - 1])

    def _arrive(self) -> None:
        self._count += 1
        corner = CORNERS[self._chance.randrange(len(CORNERS))]
        rooms = [HALL, corner] if self._chance.random() < 0.9 else [corner]
        chance = random.Random(self._chance.random())
        user = f"user{self._chance.randrange(USERS)}"
        self._visitors.append(
            Visitor(self._count, user, self._rig.url, rooms, self._ledger, self._time, chance)
        )

    def _part(self, visitor: Visitor) -> None:
        self._visitors.remove(visitor)
        self._start(visitor.go())

    def _cut(self, visitor: Visitor, farewells: tuple[float, ...]) -> None:
        for socket in list(self._rig.gateway.sockets.values()):
            if socket.query.get("visitor") == [str(visitor.number)]:
                self._rig.do(self._rig.gateway.cut, socket.id, farewells)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _heal(self) -> None:
        """Let the chat and its clients make up for what went wrong; done when nothing is missing."""
        while self._tasks:
            await self._pass(1, lambda: None)
        for room in ROOMS:
            # Shows whoever has missed the last message that there is a gap.
            speaker = next(visitor for visitor in self._visitors if visitor.ready and room in visitor.stays)
            self._start(speaker.say(room))
        for _ in range(HEALING):
            await self._pass(1, lambda: None)
            if not self._tasks and self._rig.settled and self._rig.queues.idle:
                await self._read_wire()
                if not self._ledger.lost() and not self._unsent():
                    break

    async def _verdict(self) -> dict[str, Any]:
        injected = self._weather.injected
        return {
            "messages": self._ledger.messages,
            "deliveries": self._wire.deliveries,
            "redelivered": self._wire.redelivered,
            "visitors": self._count,
            "sockets": len(self._wire.messages),
            "environments": self._rig.functions.made,
            "dead_letters": len(self._rig.queues.dead_letters),
            "faults": injected.total(),
            "faults_by_kind": dict(sorted(injected.items())),
            "lost": len(self._ledger.lost()) + self._ledger.missed,
            "unsent": len(self._unsent()),
            "repeated": self._ledger.repeated,
            "disordered": self._ledger.disordered,
            "pruned_alive": len(self._pruned_alive()),
        }

    def _unsent(self) -> list[tuple[str, Accepted]]:
        """Messages that were published, and not sent to a member whose socket was open all the while.

        Its client has them from history; the chat should not have left that to it.
        """
        dead = " ".join(self._rig.queues.dead_letters)
        visitors = {str(visitor.number): visitor for visitor in self._visitors if visitor.ready}
        unsent = []
        for socket in list(self._rig.gateway.sockets.values()):
            visitor = visitors.get(socket.query["visitor"][0])
            if visitor is None or not socket.is_open or socket.id in dead:
                continue
            sent = self._wire.messages[socket.id]
            unsent += [
                (socket.id, message)
                for room, stay in visitor.stays.items()
                for message in self._ledger.accepted[room]
                if message.published
                and message.said_at > max(stay.since, socket.opened_at or 0.0)
                and (room, message.seq) not in sent
            ]
        return unsent

    def _pruned_alive(self) -> set[str]:
        """Sockets that are open, or were until the chat closed them, and have no row."""
        rows = {item["connectionid"]["S"] for item in self._tables.items(self._tables.connections)}
        return (self._rig.gateway.open - rows) | set(self._rig.callbacks.closed)

    async def _read_wire(self) -> None:
        """Take down what has gone to the sockets since the last time."""
        received = await asyncio.wrap_future(self._rig.do(self._rig.callbacks.take_received))
        read: dict[str, tuple[str, int] | None] = {}
        for connection_id, payloads in received.items():
            for payload in payloads:
                if payload not in read:
                    event = json.loads(payload)
                    read[payload] = (event["room"], event["seq"]) if event["type"] == "message" else None
                if (message := read[payload]) is not None:
                    self._wire.messages[connection_id][message] += 1

    def _so_far(self, part: float) -> str:
        return (
            f"{part:4.0%}  {self._ledger.messages:,} messages, {self._wire.deliveries:,} deliveries,"
            f" {self._weather.injected.total():,} faults, {len(self._rig.gateway.open)} sockets"
        )
