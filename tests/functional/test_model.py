"""The invariants of the design, on whatever people and crashes do, against the real storage.

Hypothesis connects, joins, leaves, speaks, retries, disconnects, loses sockets and lets time pass. It lets
handlers and workers die between any two of their requests, and others speak there. Beside it runs a model
of what each client has been told. At the end, planted bugs show that the invariants notice them.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import boto3
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from chalicelib.broadcaster import Broadcaster, Delivery
from chalicelib.config import Settings
from chalicelib.pump import Pump, Turn
from chalicelib.storage.connection import from_item
from chalicelib.storage.connections import Connections
from chalicelib.storage.heads import Head, Heads, Sent
from chalicelib.storage.member_cache import MemberCache
from chalicelib.storage.messages import Draft, Messages, Receipt, Unsent
from chalicelib.storage.presence import Crossing, Presence
from chalicelib.storage.rooms import Member, Rooms
from chalicelib.tasks import PumpRoom, decode
from tests.functional.tables import Tables
from tests.rig.crashes import Crashes, Meanwhile
from tests.rig.lambdas import ENOUGH, LITTLE, VISIBILITY_SECONDS, Lambdas, Parts

ROOMS = ("lobby", "cats")
A_NAME = st.sampled_from(["ann", "bob", None])
A_ROOM = st.sampled_from(ROOMS)
# After how many requests a process dies, if it does; most of all where it has a number and no message yet.
A_CRASH = st.none() | st.none() | st.none() | st.integers(2, 6) | st.integers(0, 12)
# How much time an invocation has, and which of the two Lambdas it is in.
SECONDS = st.sampled_from([ENOUGH, ENOUGH, LITTLE])
A_LAMBDA = st.sampled_from([0, 1])
# In s: a lease is over, a socket has opened, and all that is remembered of a room's members is forgotten.
LEASE_OVER = 7
OPENED = 31
FORGOTTEN = 61
A_RARITY = st.sampled_from([False, False, True])
# What passes before somebody speaks.
A_PAUSE = st.sampled_from([0, 0, LEASE_OVER])


@dataclass
class Person:
    """A client with an open socket, or one that is about to open.

    Attributes:
        id: Its connection.
        name: Its name.
        rooms: Rooms that it has been told it is in.
        since: When it began to connect.
        unsure: Rooms that it may be in, after a crash.
        floor: For each room that it is in, the last number before it was.
        pending: Frames that it has no answer to, by ref.
    """

    id: str
    name: str | None
    rooms: set[str]
    since: float
    unsure: set[str] = field(default_factory=set)
    floor: dict[str, int] = field(default_factory=dict)
    pending: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def user(self) -> str:
        return self.name or self.id


class ChatModel(RuleBasedStateMachine):
    """People, and the chat that they use."""

    endpoint: ClassVar[str]
    parts: ClassVar[Parts] = Parts()

    @initialize(presence_members=st.sampled_from([100, 100, 3]))
    def begin(self, presence_members: int) -> None:
        """Make a chat that somebody is in, twice."""
        self.tables = Tables(boto3.client("dynamodb", endpoint_url=self.endpoint))
        self.settings = Settings(rate_per_second=0, presence_members=presence_members)
        # Two Lambdas, which know nothing of each other. Pages of two: a room of three has another page.
        crashes = Crashes(self.tables.client)
        self.lambdas = Lambdas(self.tables, crashes, self.settings, self.parts, page_size=2)
        self.clock, self.sockets = self.lambdas.clock, self.lambdas.sockets

        self.people: list[Person] = []
        self.opening: set[str] = set()
        self.count = 0
        self.acks: dict[tuple[str, str, str], tuple[int, str]] = {}
        # For each room and text, who is to hear it live: those who have been there since it was first said.
        self.due: dict[tuple[str, str], set[str]] = {}
        # For each room, up to which number they have heard it.
        self.checked = dict.fromkeys(ROOMS, 0)
        # For each room, until when the lease of a process that has died may stand.
        self.leased = dict.fromkeys(ROOMS, 0.0)
        # Of the last handler that ran: who was where before it, and how long the inboxes were.
        self.were_in: dict[str, set[str]] = {}
        self.had: dict[str, int] = {}
        for name in ("ann", "ann"):
            self.connect(name, set(ROOMS))

    def teardown(self) -> None:
        if not hasattr(self, "tables"):
            return
        try:
            self.all_comes_right_in_the_end()
            self.history_has_what_was_accepted_and_nothing_twice()
            self.nothing_outlives_its_time()
        finally:
            self.tables.delete()

    # What people do, and what happens to them.

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        """One rule for all: of several, hypothesis leaves some out of each run, and few runs see much."""
        self.draw = data.draw
        possible = {
            self.say: 5 if self.talkers else 0,
            self.say_while_another_does: 5 if self.talkers else 0,
            self.say_again_what_had_no_answer: 4 if any(each.pending for each in self.talkers) else 0,
            self.say_again_what_was_accepted: 1 if self.accepted else 0,
            self.read_history: 2 if any(each.rooms for each in self.talkers) else 0,
            self.come: 3 if len(self.people) < 6 else 0,
            self.go: 2 if self.people else 0,
            self.join: 2 if self.talkers else 0,
            self.leave: 2 if self.talkers else 0,
            self.work: 2 if self.lambdas.worklist.due else 0,
            self.wait: 1,
        }
        happens = [step for step, weight in possible.items() for _ in range(weight)]
        by_name = {step.__name__: step for step in happens}
        by_name[self.draw(st.sampled_from([step.__name__ for step in happens]))]()

    def come(self) -> None:
        """Open a socket; its handler may die."""
        name, rooms = self.draw(A_NAME), self.draw(st.sets(A_ROOM, min_size=1))
        self.connect(name, rooms, self.draw(A_CRASH), self.draw(A_LAMBDA), self.draw(A_RARITY))

    def go(self) -> None:
        """Close a socket; the handler of ``$disconnect`` may die, or never run."""
        person = self.draw(st.sampled_from(self.people))
        self.people.remove(person)
        self.opening.discard(person.id)
        self.sockets.open.discard(person.id)
        for room in ROOMS:
            self.forget(person, room)
        on = self.draw(A_LAMBDA)

        def disconnect(dies_after: int | None = None) -> dict[str, Any] | None:
            return self.lambdas.run("disconnect", person.id, on=on, dies_after=dies_after)

        crash, silent = self.draw(A_CRASH), self.draw(A_RARITY)
        if not silent and self.handled(lambda: disconnect(crash)):
            self.changes_nothing(disconnect)
            # A join that died may have left the name in the room's presence, until it expires.
            excused = [f'"#{room}"' for room in person.unsure]
            rows = [row for row in self.tables.registry() if not any(room in row for room in excused)]
            assert person.id not in "".join(rows)

    def join(self) -> None:
        person, room = self.draw(st.sampled_from(self.talkers)), self.draw(A_ROOM)
        answer = self.ask(
            person, {"action": "joinRoom", "room": room}, self.draw(A_CRASH), on=self.draw(A_LAMBDA)
        )
        if answer is not None:
            assert answer["type"] == "joined"
            assert answer["members"] or answer["count"] > self.settings.presence_members or not person.name
            if room not in person.rooms:
                person.floor[room] = answer["seq"]
            person.rooms.add(room)
            person.unsure.discard(room)
            self.has_been_met(room)
        elif room not in person.rooms:
            person.unsure.add(room)

    def leave(self) -> None:
        person, room = self.draw(st.sampled_from(self.talkers)), self.draw(A_ROOM)
        self.forget(person, room)
        frame = {"action": "leaveRoom", "room": room}
        answer = self.ask(person, frame, self.draw(A_CRASH), on=self.draw(A_LAMBDA))
        if answer is not None:
            assert room in person.unsure or answer["type"] == ("left" if room in person.rooms else "error")
            if answer["type"] == "left":
                # Otherwise the version of the membership may lag behind, after a leave that died.
                person.unsure.discard(room)
        elif room in person.rooms:
            person.unsure.add(room)
        person.rooms.discard(room)

    def say(self) -> None:
        self.pass_time(self.draw(A_PAUSE))
        person, room = self.draw(st.sampled_from(self.talkers)), self.draw(A_ROOM)
        self.speak(person, room, self.draw(A_CRASH), on=self.draw(A_LAMBDA))

    def say_while_another_does(self) -> None:
        self.pass_time(self.draw(A_PAUSE))
        person, other = self.draw(st.sampled_from(self.talkers)), self.draw(st.sampled_from(self.talkers))
        room, on, other_crash = self.draw(A_ROOM), self.draw(A_LAMBDA), self.draw(A_CRASH)
        # At once, or while the room is sent to.
        points = self.draw(st.sets(st.integers(2, 14), min_size=1, max_size=2))
        meanwhile = {
            point: lambda: self.speak(other, room, other_crash, on=1 - on, alone=False) for point in points
        }
        self.speak(person, room, self.draw(A_CRASH), self.draw(SECONDS), on, meanwhile)

    def say_again_what_had_no_answer(self) -> None:
        self.pass_time(self.draw(A_PAUSE))
        person = self.draw(st.sampled_from([person for person in self.talkers if person.pending]))
        ref = self.draw(st.sampled_from(sorted(person.pending)))
        answer = self.ask(person, person.pending[ref], self.draw(A_CRASH), on=self.draw(A_LAMBDA))
        if answer is not None:
            frame = person.pending.pop(ref)
            if answer["type"] == "ack":
                self.accept(person, answer)
                self.has_been_met(frame["room"])

    def say_again_what_was_accepted(self) -> None:
        person, room, ref = self.draw(st.sampled_from(self.accepted))
        before = self.position(room)
        frame = {"action": "onMessage", "message": f"text of {ref}", "room": room, "ref": ref}
        answer = self.ask(person, frame)
        assert answer is not None
        assert answer["duplicate"]
        self.accept(person, answer)
        assert self.position(room).seq == before.seq
        self.has_been_met(room)

    def read_history(self) -> None:
        self.pass_time(self.draw(A_PAUSE))
        person = self.draw(st.sampled_from([person for person in self.talkers if person.rooms]))
        room = self.draw(st.sampled_from(sorted(person.rooms)))
        after, seconds = person.floor[room], self.draw(SECONDS)
        frame = {"action": "history", "room": room, "after": after, "limit": 100}
        answer = self.ask(person, frame, self.draw(A_CRASH), seconds, self.draw(A_LAMBDA))
        if answer is None:
            return
        assert answer["complete"]
        assert not answer["more"]
        given = [message["seq"] for message in answer["messages"]]
        assert given == sorted(set(given))
        accepted = {seq for (_, where, _), (seq, _) in self.acks.items() if where == room}
        assert {seq for seq in accepted if after < seq <= answer["through"]} <= set(given)
        self.has_been_met(room, seconds)

    def work(self) -> None:
        task = self.draw(st.sampled_from(self.lambdas.worklist.due))
        crash, on = self.draw(A_CRASH), self.draw(A_LAMBDA)
        self.handled(lambda: self.lambdas.work(task, on=on, dies_after=crash))

    def wait(self) -> None:
        self.pass_time(self.draw(st.sampled_from([1, LEASE_OVER, OPENED])), self.draw(st.booleans()))

    # What always holds.

    @invariant()
    def nobody_alive_is_forgotten(self) -> None:
        there = {each.id: each for each in map(from_item, self.tables.items(self.tables.connections))}
        for person in self.people:
            assert person.id in there, f"{person.id} was pruned alive"
            rooms = set(there[person.id].public_rooms)
            assert person.rooms <= rooms <= person.rooms | person.unsure

    @invariant()
    def a_room_is_seen_in_order_by_its_members_only(self) -> None:
        for person in self.people:
            for room in ROOMS:
                live = self.live(person.id, room)
                assert live == sorted(live)
            may_hear = person.rooms | person.unsure | self.were_in.get(person.id, set())
            heard = {event["room"] for event in self.new(person) if event["type"] in ("message", "messages")}
            assert heard <= may_hear

    @invariant()
    def nobody_is_seen_to_leave_who_is_there(self) -> None:
        """Who comes into a crowd is not counted by name: this holds where there is none."""
        for watcher in self.people if self.settings.presence_members > 6 else ():
            for event in self.new(watcher):
                if event["type"] == "presence" and event["event"] == "leave":
                    there = [
                        person for person in self.people if person.name in event.get("names", [event["name"]])
                    ]
                    stayed = [
                        person
                        for person in there
                        if event["room"] in person.rooms & self.were_in.get(person.id, set())
                    ]
                    assert not stayed

    def has_been_met(self, room: str, seconds: float = ENOUGH) -> None:
        """Make sure that what is stored has been sent: somebody has come who would have seen to it."""
        tasks = [decode(task.body) for task in self.lambdas.worklist.waiting]
        left = seconds < ENOUGH or any(isinstance(task, PumpRoom) and task.room == room for task in tasks)
        if left or self.clock() < self.leased[room]:
            # It is left to a worker, or to whoever comes when the lease is over.
            return
        page = self.lambdas.chats[0].services.messages.page(room, 1000, after=self.checked[room])
        assert page.position.sent == page.position.seq
        assert (page.through, page.complete) == (page.position.seq, True)
        for stored in page.messages:
            for connection_id in self.due[room, stored.text]:
                assert stored.seq in self.live(connection_id, room), f"{connection_id} missed {stored.text}"
        self.checked[room] = page.through

    def all_comes_right_in_the_end(self) -> None:
        """Let workers do what is left, and somebody speak in each room, twice."""
        self.clock.now += VISIBILITY_SECONDS
        self.sockets.open |= self.opening
        self.opening.clear()
        self.lambdas.work_off()
        self.connect(None, set(ROOMS))
        zoe = self.people.pop()
        for room in ROOMS:
            # The dead are found, and then the number is put right.
            self.speak(zoe, room)
            self.clock.now += FORGOTTEN
            self.speak(zoe, room)
        rooms = self.lambdas.warm().services.rooms
        for room in ROOMS:
            self.has_been_met(room)
            there = {member.id for member in rooms.members(room)}
            sure = {person.id for person in self.people if room in person.rooms}
            unsure = {person.id for person in self.people if room in person.unsure}
            assert sure | {zoe.id} <= there <= sure | unsure | {zoe.id}
            assert self.position(room).members == len(there)

    def history_has_what_was_accepted_and_nothing_twice(self) -> None:
        for room in ROOMS:
            page = self.lambdas.warm().services.messages.page(room, 1000, after=0)
            ids = {message.seq: message.id for message in page.messages}
            texts = [message.text for message in page.messages]
            assert len(texts) == len(set(texts))
            accepted = [entry for (_, where, _), entry in self.acks.items() if where == room]
            assert set(accepted) <= set(ids.items())
            for connection_id in self.sockets.inboxes:
                heard = {(message["seq"], message["id"]) for message in self.heard(connection_id, room)}
                assert heard <= set(ids.items())

    def nothing_outlives_its_time(self) -> None:
        self.clock.now += self.settings.connection_seconds
        services = self.lambdas.warm().services
        assert services.connections.directory.rooms() == {}
        for room in (*ROOMS, "@ann", "@bob"):
            assert list(services.rooms.members(room)) == []

    # How it is done.

    def registry(self) -> list[str]:
        """What is registered, but for how long the items of names are kept: each claim prolongs that."""
        return sorted(
            re.sub(r'"expiresAt": {"N": "\d+"}', "", row) if '"roomId": {"S": "#@' in row else row
            for row in self.tables.registry()
        )

    def position(self, room: str) -> Head:
        return self.lambdas.chats[0].services.messages.position(room)

    def connect(
        self, name: str | None, rooms: set[str], crash: int | None = None, on: int = 0, slow: bool = False
    ) -> None:
        person = Person(f"c{self.count:013}=", name, rooms, self.clock())
        self.count += 1
        person.floor = {room: self.position(room).seq for room in rooms}

        def connect(dies_after: int | None = None) -> dict[str, Any] | None:
            return self.lambdas.connect(person.id, sorted(rooms), name, on=on, dies_after=dies_after)

        if self.handled(lambda: connect(crash)):
            self.people.append(person)
            (self.opening if slow else self.sockets.open).add(person.id)
            if not slow:
                self.changes_nothing(connect)

    def pass_time(self, seconds: int, all_open: bool = False) -> None:
        self.clock.now += seconds
        # What opens does so within seconds.
        late = {person.id for person in self.people if self.clock() - person.since > 20 or all_open}
        self.sockets.open |= late & self.opening
        self.opening -= late

    def changes_nothing(self, again: Callable[[], object]) -> None:
        """Run a handler again."""
        before = self.registry()
        assert again()
        assert self.registry() == before

    def handled(self, run: Callable[[], object]) -> bool:
        """Run a handler; False where it has died."""
        self.were_in = {person.id: person.rooms | person.unsure for person in self.people}
        self.had = {person.id: len(self.sockets.inboxes[person.id]) for person in self.people}
        if run():
            return True
        # Whatever room it was about to send to.
        self.leased = dict.fromkeys(ROOMS, self.clock() + LEASE_OVER)
        return False

    def ask(
        self,
        person: Person,
        frame: dict[str, Any],
        crash: int | None = None,
        seconds: float = ENOUGH,
        on: int = 0,
        meanwhile: Meanwhile | None = None,
    ) -> dict[str, Any] | None:
        """Send a frame and return the one reply; None where the handler died."""
        answers: list[dict[str, Any] | None] = []

        def run() -> bool:
            answers.append(
                self.lambdas.ask(
                    person.id, frame, dies_after=crash, seconds=seconds, meanwhile=meanwhile, on=on
                )
            )
            return answers[0] is not None

        self.handled(run)
        return answers[0]

    def speak(
        self,
        person: Person,
        room: str,
        crash: int | None = None,
        seconds: float = ENOUGH,
        on: int = 0,
        meanwhile: Meanwhile | None = None,
        alone: bool = True,
    ) -> None:
        self.count += 1
        ref = f"r{self.count}"
        frame = {"action": "onMessage", "message": f"text of {ref}", "room": room, "ref": ref}
        self.due[room, frame["message"]] = {other.id for other in self.talkers if room in other.rooms}
        answer = self.ask(person, frame, crash, seconds, on, meanwhile)
        if answer is None:
            person.pending[ref] = frame
        elif answer["type"] == "ack":
            assert not answer["duplicate"]
            self.accept(person, answer)
            if alone:
                # Otherwise somebody is sending.
                self.has_been_met(room, seconds)
        else:
            assert room not in person.rooms

    def accept(self, person: Person, ack: dict[str, Any]) -> None:
        entry = (ack["seq"], ack["id"])
        assert self.acks.setdefault((person.user, ack["room"], ack["ref"]), entry) == entry

    def forget(self, person: Person, room: str) -> None:
        """Expect nothing any more for somebody who leaves a room."""
        for (where, _), listeners in self.due.items():
            if where == room:
                listeners.discard(person.id)

    def new(self, person: Person) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.sockets.inboxes[person.id][self.had.get(person.id, 0) :]
        return events

    def heard(self, connection_id: str, room: str) -> list[dict[str, Any]]:
        return [
            message
            for event in self.sockets.inboxes[connection_id]
            if event["type"] in ("message", "messages") and event["room"] == room
            for message in event.get("messages", [event])
        ]

    def live(self, connection_id: str, room: str) -> list[int]:
        """The numbers that somebody has seen, without repetitions."""
        return list(dict.fromkeys(message["seq"] for message in self.heard(connection_id, room)))

    @property
    def talkers(self) -> list[Person]:
        return [person for person in self.people if person.id in self.sockets.open]

    @property
    def accepted(self) -> list[tuple[Person, str, str]]:
        return [
            (person, room, ref)
            for person in self.talkers
            for user, room, ref in self.acks
            if user == person.user and room in person.rooms
        ]


QUICK = settings(
    max_examples=30,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)


def test_the_invariants_hold(ministack_url: str) -> None:
    model = type("TheChat", (ChatModel,), {"endpoint": ministack_url})
    run_state_machine_as_test(model, settings=QUICK)


class PrunesAtTheFirst410(Broadcaster):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._prune_after_ms = 0


class ReadsOnePage(Rooms):
    def pages(self, room: str, after: str | None = None) -> Iterator[list[Member]]:
        return iter([next(super().pages(room, after))])


class GivesOddNumbers(Heads):
    def next_message(self, room: str, lease: str) -> Head:
        head = super().next_message(room, lease)
        return replace(head, seq=max(1, head.seq - head.seq % 2))

    def at_rest(self, room: str) -> Head | None:
        return None


class UsesANumberAgain(Messages):
    def _put_number(self, item: dict[str, Any]) -> dict[str, Any] | None:
        self._client.put_item(TableName=self._table, Item=item)
        return None


class TellsEveryGoing(Presence):
    def depart(self, room: str, name: str, connection_id: str, expires_at: int) -> Crossing | None:
        super().depart(room, name, connection_id, expires_at)
        return Crossing(name, "leave", 0)


class WithTellingPresence(Connections):
    def __init__(
        self,
        client: Any,
        table: str,
        rooms_table: str,
        heads: Heads,
        clock: Callable[[], float],
        *more: Any,
        **named: Any,
    ) -> None:
        super().__init__(client, table, rooms_table, heads, clock, *more, **named)
        self._presence = TellsEveryGoing(client, rooms_table, clock)


class ForgetsRefs(Messages):
    def append(self, draft: Draft, lease: str) -> Receipt:
        return super().append(replace(draft, ref=None), lease)


class TrustsItsCache(MemberCache):
    def pages(
        self, room: str, version: int | None = None, after: str | None = None
    ) -> Iterator[list[Member]]:
        return super().pages(room, 1, after)


class LeasesForEver(Heads):
    def new_lease(self) -> str:
        return "9" + super().new_lease()[1:]


class NotesBeforeItSends(Pump):
    def _round(self, turn: Turn, deadline: float, delivery: Delivery) -> None:
        self._heads.renew(turn.room, turn.lease, Sent(turn.head.seq, 0), turn.lease)
        super()._round(turn, deadline, delivery)


class SkipsHoles(Messages):
    def _seal(self, room: str, epoch: str, seq: int) -> dict[str, Any]:
        return self._item(room, epoch, seq, self._kept)


class LosesTheSecond(Messages):
    def unsent(self, room: str, head: Head) -> Unsent:
        unsent = super().unsent(room, head)
        return replace(unsent, messages=unsent.messages[:1])


class MendsNothing(Connections):
    def mend(self, room: str, members: int, head: Head) -> None:
        return


@pytest.mark.parametrize(
    "bug",
    [
        {"members": TrustsItsCache},
        {"broadcaster": PrunesAtTheFirst410},
        {"rooms": ReadsOnePage},
        {"messages": UsesANumberAgain, "heads": GivesOddNumbers},
        {"connections": WithTellingPresence},
        {"messages": ForgetsRefs},
        {"heads": LeasesForEver},
        {"pump": NotesBeforeItSends},
        {"messages": SkipsHoles},
        {"messages": LosesTheSecond},
        {"connections": MendsNothing},
    ],
    ids=lambda bug: next(iter(bug.values())).__name__,
)
def test_a_planted_bug_is_noticed(ministack_url: str, bug: dict[str, Any]) -> None:
    model = type("Planted", (ChatModel,), {"endpoint": ministack_url, "parts": Parts(**bug)})
    # The same examples each time: how long it takes is no matter of luck.
    quick = settings(
        QUICK, phases=[Phase.generate], max_examples=200, database=None, print_blob=False, derandomize=True
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(model, settings=quick)
