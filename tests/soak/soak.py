"""A soak: many visitors, every fault that the rig has, and the design's invariants at the end."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any

from aws_lambda_powertools import Logger

from tests.functional.tables import Tables
from tests.rig.clock import Clock
from tests.rig.limits import Limits
from tests.rig.rig import Rig
from tests.soak.ledger import Accepted, Ledger, Wire
from tests.soak.schedule import FAULTS, Action, schedule
from tests.soak.timing import TICK, Time
from tests.soak.visitor import Visitor
from tests.soak.weather import Weather

HALLS = ("hall1", "hall2", "hall3", "hall4", "hall5")
CORNERS = ("cats", "dogs", "birds", "fish", "mice", "bees")
ROOMS = (*HALLS, *CORNERS)
# Each user has several devices: that one of them comes or goes is news for nobody.
DEVICES = 10
# How many visitors come in a tick before it begins.
ARRIVING = 4
# Of what is said, the part that is said in a hall.
IN_HALLS = 0.8
# Of what is said there, the part that does not wait for its turn; and a turn, in s.
INTERRUPTING = 0.02
TURN = 0.2
# How long the chat has to make up for everything once nothing fails any more, in ticks: longer than a
# message can stay in its queue, shorter than a socket may be idle.
HEALING = 590
# How much faster time passes meanwhile, while all wait for nothing else.
HURRY = 10
# What must be 0.
WRONG = ("lost", "unsent", "repeated", "disordered", "refused", "pruned_alive")
ENVIRONMENTS = 16
# Events under way, those included that wait for an environment, at which nothing new begins.
MOST_WAITING = 2 * ENVIRONMENTS
# The quotas of an account, so small that busy rooms and returning crowds meet them. The clock goes in steps
# of a second, so what comes in during a step can be used at once.
SCALED = Limits().scaled(35)
LIMITS = replace(SCALED, request_burst=SCALED.requests)
# The largest hall has more members than are sent to inline and kept, the others have fewer.
SETTINGS = {"CHAT_INLINE_RECIPIENTS": "165", "CHAT_MAX_CONCURRENCY": "8"}


class Soak:
    """One soak.

    Args:
        tables: Empty ones.
        logger: Takes the app's log.
        seed: All that happens follows from it, but for what threads make of it.
        visitors: Most who are there at the same time.
        settings: The app's, beside the tables.
        limits: The account's quotas.
        healing: See ``HEALING``.
        patience: After how long visitors make a request again, in s.
        progress: Called every second with the figures so far.
    """

    def __init__(
        self,
        tables: Tables,
        logger: Logger,
        seed: int,
        visitors: int = 300,
        settings: Mapping[str, str] = SETTINGS,
        limits: Limits = LIMITS,
        healing: int = HEALING,
        patience: float = 20.0,
        progress: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._tables = tables
        self._seed = seed
        self._progress = progress
        self._most = visitors
        self._healing = healing
        self._patience = patience
        self._schedule = schedule(seed)
        self._chance = random.Random(seed + 1)
        self._ledger = Ledger()
        self._wire = Wire()
        self._visitors: list[Visitor] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0
        self._pruned: set[str] = set()
        tables.client.meta.events.register("before-call.dynamodb.DeleteItem", self._row_deleted)
        self._free_at = dict.fromkeys(ROOMS, 0.0)
        env = {**tables.settings(), **settings}
        self._rig = Rig(tables.client, env, Clock(1_700_000_000), logger, seed, ENVIRONMENTS, limits)

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
        await self._pass(2 * self._most // ARRIVING, self._gather)
        before = self._weather.injected
        await self._pass(ticks, self._act)
        self._weather.clear()
        await self._heal()
        verdict = await self._verdict(before)
        await asyncio.gather(*(visitor.go() for visitor in self._visitors))
        return verdict

    async def _pass(self, ticks: int, act: Callable[[], None], seconds: float = TICK) -> None:
        """Let ticks pass, and things happen; where the machine does not keep up, they wait for it."""
        began = time.monotonic()
        done = passed = 0
        while done < ticks:
            if self._rig.functions.running <= MOST_WAITING:
                act()
                done += 1
            await self._time.tick()
            if passed % 10 == 0:
                await self._read_wire()
                self._progress(self._so_far(done / ticks))
            passed += 1
            await asyncio.sleep(max(0.0, began + passed * seconds - time.monotonic()))

    def _gather(self) -> None:
        """Let visitors come, and then get to know their rooms."""
        for _ in range(ARRIVING):
            if len(self._visitors) < self._most:
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
            if len(self._visitors) < self._most:
                self._arrive()
            return
        ready = [visitor for visitor in self._visitors if visitor.ready]
        if not ready:
            return
        visitor = ready[int(action.who * len(ready))]
        match action.kind:
            case "say":
                self._say(visitor, action)
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

    def _say(self, visitor: Visitor, action: Action) -> None:
        """Say something; in a hall mostly when nobody else does, because all there ask for a gap."""
        halls = [room for room in sorted(visitor.stays) if room in HALLS]
        corners = [room for room in sorted(visitor.stays) if room in CORNERS]
        rooms = halls if action.who < IN_HALLS else corners
        if not rooms:
            return
        room = rooms[int(action.what * len(rooms))]
        now = time.monotonic()
        if room in HALLS and now < self._free_at[room] and action.what > INTERRUPTING:
            return
        self._free_at[room] = now + TURN
        self._start(visitor.say(room))

    def _arrive(self) -> None:
        self._count += 1
        largest, *others = HALLS
        halls = self._chance.sample(others, 2)
        if self._chance.random() < 0.6:
            halls.append(largest)
        rooms = [*halls, CORNERS[self._chance.randrange(len(CORNERS))]]
        chance = random.Random(self._chance.random())
        user = f"user{self._count % -(-self._most // DEVICES)}"
        self._visitors.append(
            Visitor(
                self._count,
                user,
                self._rig.url,
                rooms,
                self._ledger,
                self._time,
                chance,
                self._patience,
            )
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
            there = [visitor for visitor in self._visitors if visitor.ready and room in visitor.stays]
            if there:
                self._start(there[0].say(room))
        for _ in range(self._healing):
            # What is lost yet is for the clients to ask for, at the pace of this machine.
            resting = not self._tasks and self._rig.settled and not self._ledger.lost()
            if resting and self._rig.queues.idle and not self._unsent():
                break
            await self._pass(1, lambda: None, TICK / HURRY if resting else TICK)

    async def _verdict(self, before: Counter[str]) -> dict[str, Any]:
        await self._read_wire()
        injected = self._weather.injected - before
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
            "refused": self._ledger.refused,
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

    def _row_deleted(self, params: dict[str, Any], **_: Any) -> None:
        """A row is about to be deleted; that of an open socket must not be."""
        request = json.loads(params["body"])
        socket = self._rig.gateway.sockets.get(request["Key"]["connectionid"]["S"])
        if request["TableName"] == self._tables.connections and socket is not None and socket.is_open:
            self._pruned.add(socket.id)

    def _pruned_alive(self) -> set[str]:
        """Sockets that have lost their row while they were open."""
        before = self._rig.gateway.open
        rows = {item["connectionid"]["S"] for item in self._tables.items(self._tables.connections)}
        return self._pruned | ((before & self._rig.gateway.open) - rows)

    async def _read_wire(self) -> None:
        """Take down what has gone to the sockets since the last time."""
        received = await asyncio.wrap_future(self._rig.do(self._rig.callbacks.take_received))
        read: dict[str, list[tuple[str, int]]] = {}
        for connection_id, payloads in received.items():
            for payload in payloads:
                if payload not in read:
                    event = json.loads(payload)
                    messages = {"message": [event], "messages": event.get("messages")}.get(
                        event["type"]
                    ) or []
                    read[payload] = [(message["room"], message["seq"]) for message in messages]
                self._wire.messages[connection_id].update(read[payload])

    def _so_far(self, part: float) -> str:
        return (
            f"{part:4.0%}  {self._ledger.messages:,} messages, {self._wire.deliveries:,} deliveries,"
            f" {self._weather.injected.total():,} faults, {len(self._rig.gateway.open)} sockets"
        )
