"""The invariants of the design, on whatever people and crashes do, against the real storage.

Hypothesis connects, joins, leaves, speaks, retries, disconnects, loses sockets and lets time pass, and
lets handlers die between any two of their requests. Beside it runs a model of what each client has been
told. At the end, planted bugs show that the invariants notice them.
"""

import json
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
    precondition,
    rule,
    run_state_machine_as_test,
)

from chalicelib.actions.call import Services
from chalicelib.actions.table import ACTIONS
from chalicelib.auth.door import Door
from chalicelib.broadcaster import Broadcaster
from chalicelib.chat import Chat
from chalicelib.config import Settings
from chalicelib.storage.bans import Bans
from chalicelib.storage.connections import Connections
from chalicelib.storage.heads import Head, Heads
from chalicelib.storage.member_cache import MemberCache
from chalicelib.storage.messages import Draft, Messages, Receipt
from chalicelib.storage.presence import Crossing, Presence
from chalicelib.storage.rooms import Member, Rooms
from tests.functional.log import Log
from tests.functional.tables import Tables
from tests.rig.clock import Clock
from tests.rig.crashes import Crash, Crashes
from tests.rig.hooked import HookedDynamoDB
from tests.rig.sockets import Sockets

ROOMS = ("lobby", "cats")
A_NAME = st.sampled_from(["ann", "bob", None])
A_ROOM = st.sampled_from(ROOMS)
# After how many requests the handler dies, if it does.
A_CRASH = st.none() | st.none() | st.integers(0, 9)


@dataclass
class Person:
    """A client with an open socket, or one that is about to open.

    Attributes:
        id: Its connection.
        name: Its name.
        rooms: Rooms that it has been told it is in.
        unsure: Rooms that it may be in, after a crash.
        floor: For each room that it is in, the last number before it was.
        pending: Frames that it has no answer to, by ref.
    """

    id: str
    name: str | None
    rooms: set[str]
    unsure: set[str] = field(default_factory=set)
    floor: dict[str, int] = field(default_factory=dict)
    pending: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def user(self) -> str:
        return self.name or self.id


class NoQueue:
    """Nothing is left to workers here."""

    def put(self, chunks: object, delay_seconds: int = 0) -> None:
        raise AssertionError(chunks)


class ChatModel(RuleBasedStateMachine):
    """People, and the chat that they use."""

    endpoint: ClassVar[str]
    connections_class: ClassVar[type[Connections]] = Connections
    rooms_class: ClassVar[type[Rooms]] = Rooms
    messages_class: ClassVar[type[Messages]] = Messages
    broadcaster_class: ClassVar[type[Broadcaster]] = Broadcaster
    cache_class: ClassVar[type[MemberCache]] = MemberCache

    @initialize()
    def begin(self) -> None:
        self.tables = Tables(
            boto3.client("dynamodb", endpoint_url=self.endpoint), HookedDynamoDB(self.endpoint)
        )
        self.clock = Clock(1_700_000_000)
        self.sockets = Sockets()
        # Two Lambdas, which know nothing of each other: each keeps members of its own.
        self.lambdas = [self.warm_lambda(), self.warm_lambda()]
        self.chat = self.lambdas[0]
        self.services = self.chat.services
        self.crashes = Crashes(self.tables.client)
        self.sockets.before_post = self.crashes.point

        self.people: list[Person] = []
        self.opening: set[str] = set()
        self.count = 0
        self.acks: dict[tuple[str, str, str], tuple[int, str]] = {}
        self.again: Callable[[], object] = lambda: None
        # Of the last handler that ran: who was where before it, and how long the inboxes were.
        self.were_in: dict[str, set[str]] = {}
        self.had: dict[str, int] = {}

    def warm_lambda(self) -> Chat:
        client, tables, clock = self.tables.client, self.tables, self.clock
        api: Any = self.sockets
        queue: Any = NoQueue()
        heads = Heads(client, tables.messages, 30, clock)
        connections = self.connections_class(client, tables.connections, tables.rooms, heads, clock)
        # Pages of two: a room of three has another page.
        rooms = self.rooms_class(client, tables.rooms, clock, page_size=2)
        messages = self.messages_class(client, tables.messages, 30, clock)
        members = self.cache_class(rooms, 60, 1000, clock)
        broadcaster = self.broadcaster_class(api, connections, members, queue, queue, 1000, 30, clock)
        settings = Settings()
        services = Services(
            settings=settings,
            actions=ACTIONS,
            door=Door.of(settings, clock),
            connections=connections,
            rooms=rooms,
            bans=Bans(client, tables.rooms, clock),
            messages=messages,
            broadcaster=broadcaster,
        )
        return Chat(services, Log().logger, clock)

    def teardown(self) -> None:
        if not hasattr(self, "tables"):
            return
        try:
            self.history_has_what_was_accepted_and_nothing_twice()
            self.nothing_outlives_its_time()
        finally:
            self.tables.delete()

    # What people do, and what happens to them.

    @precondition(lambda self: len(self.people) < 6)
    @rule(name=A_NAME, rooms=st.sets(A_ROOM, min_size=1), crash=A_CRASH, slow=st.booleans())
    def connect(self, name: str | None, rooms: set[str], crash: int | None, slow: bool) -> None:
        person = Person(f"c{self.count:013}=", name, rooms)
        self.count += 1
        person.floor = {room: self.services.messages.position(room).seq for room in rooms}
        query = {"room": sorted(rooms)} | ({"name": [name]} if name else {})
        headers = {"Sec-WebSocket-Protocol": "chat.v1"}
        event = self.event(person, multiValueQueryStringParameters=query, headers=headers)
        if self.run(self.chat.connect, event, crash):
            self.people.append(person)
            (self.opening if slow else self.sockets.open).add(person.id)

    @precondition(lambda self: self.opening)
    @rule(data=st.data())
    def open(self, data: st.DataObject) -> None:
        connection_id = data.draw(st.sampled_from(sorted(self.opening)))
        self.opening.discard(connection_id)
        self.sockets.open.add(connection_id)

    @precondition(lambda self: self.talkers)
    @rule(data=st.data(), room=A_ROOM, crash=A_CRASH)
    def join(self, data: st.DataObject, room: str, crash: int | None) -> None:
        person = data.draw(st.sampled_from(self.talkers))
        answer = self.ask(person, {"action": "joinRoom", "room": room}, crash)
        if answer is not None:
            assert answer["type"] == "joined"
            if room not in person.rooms:
                person.floor[room] = answer["seq"]
            person.rooms.add(room)
            person.unsure.discard(room)
        elif room not in person.rooms:
            person.unsure.add(room)

    @precondition(lambda self: self.talkers)
    @rule(data=st.data(), room=A_ROOM, crash=A_CRASH)
    def leave(self, data: st.DataObject, room: str, crash: int | None) -> None:
        person = data.draw(st.sampled_from(self.talkers))
        answer = self.ask(person, {"action": "leaveRoom", "room": room}, crash)
        if answer is not None:
            assert room in person.unsure or answer["type"] == ("left" if room in person.rooms else "error")
            if answer["type"] == "left":
                # Otherwise the version of the membership may lag behind, after a leave that died.
                person.unsure.discard(room)
        elif room in person.rooms:
            person.unsure.add(room)
        person.rooms.discard(room)

    @precondition(lambda self: self.talkers)
    @rule(data=st.data(), room=A_ROOM, crash=A_CRASH)
    def say(self, data: st.DataObject, room: str, crash: int | None) -> None:
        person = data.draw(st.sampled_from(self.talkers))
        self.count += 1
        ref = f"r{self.count}"
        frame = {"action": "onMessage", "message": f"text of {ref}", "room": room, "ref": ref}
        due = [other for other in self.talkers if room in other.rooms]
        answer = self.ask(person, frame, crash)
        if answer is None:
            person.pending[ref] = frame
        elif answer["type"] == "ack":
            assert not answer["duplicate"]
            self.accept(person, answer)
            for other in due:
                assert answer["seq"] in self.live(other, room), f"{other.id} missed {answer['seq']} of {room}"
        else:
            assert room not in person.rooms

    @precondition(lambda self: any(person.pending for person in self.talkers))
    @rule(data=st.data(), crash=A_CRASH)
    def say_again_what_had_no_answer(self, data: st.DataObject, crash: int | None) -> None:
        person = data.draw(st.sampled_from([person for person in self.talkers if person.pending]))
        ref = data.draw(st.sampled_from(sorted(person.pending)))
        answer = self.ask(person, person.pending[ref], crash)
        if answer is not None:
            del person.pending[ref]
            if answer["type"] == "ack":
                self.accept(person, answer)

    @precondition(lambda self: self.accepted)
    @rule(data=st.data())
    def say_again_what_was_accepted(self, data: st.DataObject) -> None:
        person, room, ref = data.draw(st.sampled_from(self.accepted))
        frame = {"action": "onMessage", "message": f"text of {ref}", "room": room, "ref": ref}
        answer = self.ask(person, frame, None)
        assert answer is not None
        assert answer["duplicate"]
        self.accept(person, answer)

    @precondition(lambda self: any(person.rooms for person in self.talkers))
    @rule(data=st.data())
    def read_history(self, data: st.DataObject) -> None:
        person = data.draw(st.sampled_from([person for person in self.talkers if person.rooms]))
        room = data.draw(st.sampled_from(sorted(person.rooms)))
        frame = {"action": "history", "room": room, "after": person.floor[room], "limit": 100}
        answer = self.ask(person, frame, None)
        assert answer is not None
        assert answer["complete"]
        given = [message["seq"] for message in answer["messages"]]
        assert given == sorted(set(given))
        accepted = {seq for (_, where, _), (seq, _) in self.acks.items() if where == room}
        assert {seq for seq in accepted if seq > person.floor[room]} <= set(given)

    @precondition(lambda self: self.people)
    @rule(data=st.data(), crash=A_CRASH, silent=st.booleans())
    def go(self, data: st.DataObject, crash: int | None, silent: bool) -> None:
        """Close a socket; the handler of ``$disconnect`` may die, or never run."""
        person = data.draw(st.sampled_from(self.people))
        self.people.remove(person)
        self.opening.discard(person.id)
        self.sockets.open.discard(person.id)
        if silent:
            self.again = lambda: None
        elif self.run(self.chat.disconnect, self.event(person), crash):
            # A join that died may have left the name in the room's presence, until it expires.
            excused = [f'"#{room}"' for room in person.unsure]
            rows = [row for row in self.tables.registry() if not any(room in row for room in excused)]
            assert person.id not in "".join(rows)

    @rule(seconds=st.sampled_from([1, 31]))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds
        if seconds > 30:
            # What opens does so within seconds.
            self.sockets.open |= self.opening
            self.opening.clear()

    @rule()
    def run_the_last_handler_again(self) -> None:
        before = self.registry()
        self.again()
        assert self.registry() == before

    @rule()
    def be_served_by_the_other_lambda(self) -> None:
        self.lambdas.reverse()
        self.chat = self.lambdas[0]

    # What always holds.

    @invariant()
    def nobody_alive_is_forgotten(self) -> None:
        for person in self.people:
            connection = self.services.connections.get(person.id)
            assert connection is not None, f"{person.id} was pruned alive"
            assert person.rooms <= set(connection.public_rooms) <= person.rooms | person.unsure

    @invariant()
    def a_room_is_seen_in_order_by_its_members_only(self) -> None:
        for person in self.people:
            for room in ROOMS:
                live = self.live(person, room)
                assert live == sorted(set(live))
            may_hear = person.rooms | person.unsure | self.were_in.get(person.id, set())
            assert {event["room"] for event in self.new(person) if event["type"] == "message"} <= may_hear

    @invariant()
    def nobody_is_seen_to_leave_who_is_there(self) -> None:
        for watcher in self.people:
            for event in self.new(watcher):
                if event["type"] == "presence" and event["event"] == "leave":
                    there = [person for person in self.people if person.name == event["name"]]
                    stayed = [
                        person for person in there if event["room"] in person.rooms & self.were_in[person.id]
                    ]
                    assert not stayed

    def history_has_what_was_accepted_and_nothing_twice(self) -> None:
        for room in ROOMS:
            page = self.services.messages.page(room, 1000, after=0)
            assert page.complete
            ids = {message.seq: message.id for message in page.messages}
            texts = [message.text for message in page.messages]
            assert len(texts) == len(set(texts))
            accepted = [entry for (_, where, _), entry in self.acks.items() if where == room]
            assert set(accepted) <= set(ids.items())
            for inbox in self.sockets.inboxes.values():
                heard = [event for event in inbox if event["type"] == "message" and event["room"] == room]
                assert {(event["seq"], event["id"]) for event in heard} <= set(ids.items())

    def nothing_outlives_its_time(self) -> None:
        self.clock.now += Settings().connection_seconds
        assert self.services.rooms.sizes() == {}
        for room in (*ROOMS, "@ann", "@bob"):
            assert list(self.services.rooms.members(room)) == []

    # How it is done.

    def registry(self) -> list[str]:
        """What is registered, but for how long the items of names are kept: each claim prolongs that."""
        return sorted(
            re.sub(r'"expiresAt": {"N": "\d+"}', "", row) if '"roomId": {"S": "#@' in row else row
            for row in self.tables.registry()
        )

    def event(self, person: Person, **fields: Any) -> dict[str, Any]:
        return {"requestContext": {"connectionId": person.id, "requestId": "r"}, **fields}

    def run(self, handler: Any, event: dict[str, Any], crash: int | None) -> bool:
        """Run a handler; False where it died."""
        self.were_in = {person.id: person.rooms | person.unsure for person in self.people}
        self.had = {person.id: len(self.sockets.inboxes[person.id]) for person in self.people}
        self.again = lambda: None
        self.crashes.after(crash)
        try:
            response = handler(event, 25.0)
        except Crash:
            return False
        finally:
            self.crashes.after(None)
        assert response["statusCode"] == 200
        if handler != self.chat.message:
            self.again = lambda: handler(event, 25.0)
        return True

    def ask(self, person: Person, frame: dict[str, Any], crash: int | None) -> dict[str, Any] | None:
        """Send a frame and return the one reply; None where the handler died."""
        if not self.run(self.chat.message, self.event(person, body=json.dumps(frame)), crash):
            return None
        [reply] = [event for event in self.new(person) if event["type"] not in ("message", "presence")]
        return reply

    def accept(self, person: Person, ack: dict[str, Any]) -> None:
        entry = (ack["seq"], ack["id"])
        assert self.acks.setdefault((person.user, ack["room"], ack["ref"]), entry) == entry

    def new(self, person: Person) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.sockets.inboxes[person.id][self.had.get(person.id, 0) :]
        return events

    def live(self, person: Person, room: str) -> list[int]:
        inbox = self.sockets.inboxes[person.id]
        return [event["seq"] for event in inbox if event["type"] == "message" and event["room"] == room]

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
    max_examples=40,
    stateful_step_count=30,
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
    def pages(self, room: str) -> Iterator[list[Member]]:
        return iter([next(super().pages(room))])


class OddHeads(Heads):
    def next_message(self, room: str) -> Head:
        head = super().next_message(room)
        return replace(head, seq=max(1, head.seq - head.seq % 2))


class ReusesANumber(Messages):
    def __init__(self, client: Any, table: str, history_days: int, clock: Callable[[], float]) -> None:
        super().__init__(client, table, history_days, clock)
        self._heads = OddHeads(client, table, history_days, clock)

    def _put_message(self, draft: Draft, receipt: Receipt) -> dict[str, Any]:
        put = super()._put_message(draft, receipt)["Put"]
        return {"Put": {"TableName": put["TableName"], "Item": put["Item"]}}


class TellsEveryGoing(Presence):
    def depart(self, room: str, name: str, connection_id: str, expires_at: int) -> Crossing | None:
        super().depart(room, name, connection_id, expires_at)
        return Crossing(room, name, "leave")


class WithTellingPresence(Connections):
    def __init__(
        self, client: Any, table: str, rooms_table: str, heads: Heads, clock: Callable[[], float]
    ) -> None:
        super().__init__(client, table, rooms_table, heads, clock)
        self._presence = TellsEveryGoing(client, rooms_table, clock)


class ForgetsRefs(Messages):
    def append(self, draft: Draft) -> Receipt:
        return super().append(replace(draft, ref=None))


class TrustsItsCache(MemberCache):
    def pages(self, room: str, version: int | None = None) -> Iterator[list[Member]]:
        return super().pages(room, 1)


@pytest.mark.parametrize(
    "bug",
    [
        {"cache_class": TrustsItsCache},
        {"broadcaster_class": PrunesAtTheFirst410},
        {"rooms_class": ReadsOnePage},
        {"messages_class": ReusesANumber},
        {"connections_class": WithTellingPresence},
        {"messages_class": ForgetsRefs},
    ],
    ids=lambda bug: next(iter(bug.values())).__name__,
)
def test_a_planted_bug_is_noticed(ministack_url: str, bug: dict[str, Any]) -> None:
    model = type("Planted", (ChatModel,), {"endpoint": ministack_url, **bug})
    quick = settings(QUICK, phases=[Phase.generate], max_examples=200, database=None, print_blob=False)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(model, settings=quick)
