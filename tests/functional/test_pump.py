"""The pump, on real tables: its rounds, its pauses, and to whom it leaves a room."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from chalicelib import pump as pumping
from chalicelib.broadcaster import Delivery
from chalicelib.errors import GatewayUnavailable, QueueUnavailable, StorageUnavailable
from chalicelib.pump import Pump
from chalicelib.storage.heads import LEASE_SECONDS, Head, Heads
from chalicelib.storage.messages import Draft, Messages, Receipt
from chalicelib.tasks import PumpRoom, TaskQueue, decode
from chalicelib.wire.events import METERED, Event, Form, Message, Private, render
from chalicelib.wire.events import Messages as Several
from tests.functional.tables import Tables
from tests.rig.clock import Clock
from tests.rig.faults import Faults, counted
from tests.rig.worklist import Worklist

REFUSED = {"Error": {"Code": "InternalServerError", "Message": "as told"}}


@dataclass
class Loud:
    """Stands for the broadcaster: keeps what rooms are told.

    Attributes:
        told: The events.
        members: Of which version of the membership they were sent to the members.
        meanwhile: What happens while each of the next rounds is sent.
        failing: How many of the next rounds cannot be sent.
        forbidden: Whether API Gateway lets this chat send.
        throttles: How often each round is refused for the account's rate.
    """

    told: list[Event] = field(default_factory=list)
    members: list[int] = field(default_factory=list)
    meanwhile: list[Callable[[], object]] = field(default_factory=list)
    failing: int = 0
    forbidden: bool = False
    throttles: int = 0

    endpoint = "https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com/test"

    def publish(self, room: str, event: Event, deadline: float, delivery: Delivery, *, head: Head) -> None:
        if self.failing:
            self.failing -= 1
            raise StorageUnavailable
        delivery.forbidden |= self.forbidden
        if self.forbidden:
            return
        self.told.append(event)
        self.members.append(head.members_version)
        delivery.delivered += 1
        delivery.throttles += self.throttles
        if self.meanwhile:
            self.meanwhile.pop(0)()

    @property
    def texts(self) -> list[list[str]]:
        """What each round said."""
        return [
            [message.message for message in (event.messages if isinstance(event, Several) else [event])]  # type: ignore[list-item]
            for event in self.told
        ]


class Office:
    """Pumps of Lambdas that know nothing of each other, and what they have to do with.

    Attributes:
        pauses: How long they have slept.
    """

    def __init__(self, tables: Tables, clock: Clock, history_days: int = 30) -> None:
        self.tables, self.clock = tables, clock
        self.history_days = history_days
        self.loud = Loud()
        self.worklist = Worklist(clock)
        self.pauses: list[float] = []
        self.while_it_sleeps: list[Callable[[], object]] = []
        self.delivery = Delivery()
        self.pump = self.new_pump()

    def new_pump(self, posts_per_second: int = 5000) -> Pump:
        self.heads = Heads(self.tables.client, self.tables.messages, self.history_days, self.clock)
        self.messages = Messages(
            self.tables.client, self.tables.messages, self.heads, self.history_days, self.clock, self.sleep
        )
        loud: Any = self.loud
        queue = TaskQueue(lambda: self.worklist, "tasks")
        return Pump(self.heads, self.messages, loud, queue, posts_per_second, self.clock, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock.now += seconds
        if self.while_it_sleeps:
            self.while_it_sleeps.pop(0)()

    def append(self, text: str, ref: str | None = None, room: str = "lobby") -> Receipt:
        return self.pump.append(Draft(room, "ann", text, 1, "ann", ref))

    def hand_on(self, receipt: Receipt, seconds: float = 25.0) -> pumping.Turn | None:
        return self.pump.hand_on(receipt, time.monotonic() + seconds, self.delivery)

    def say(self, text: str, ref: str | None = None, room: str = "lobby", seconds: float = 25.0) -> Receipt:
        """Do all that whoever speaks does."""
        receipt = self.append(text, ref, room)
        turn = self.hand_on(receipt, seconds)
        if turn is not None:
            self.pump.go_on(turn, time.monotonic() + seconds, self.delivery)
        return receipt

    def take_number(self) -> None:
        """Take a number, and die."""
        self.heads.next_message("lobby", self.heads.new_lease())

    @property
    def head(self) -> Head:
        return self.heads.read("lobby")

    @property
    def tasks(self) -> list[PumpRoom]:
        return [task for each in self.worklist.waiting if isinstance(task := decode(each.body), PumpRoom)]

    def work(self) -> None:
        """Let workers, who know nothing, do what is due."""
        while due := self.worklist.due:
            self.worklist.waiting.remove(due[0])
            task = decode(due[0].body)
            assert isinstance(task, PumpRoom)
            self.new_pump().work(task, time.monotonic() + 25, self.delivery)


@pytest.fixture
def office(tables: Tables, clock: Clock) -> Office:
    return Office(tables, clock)


class TestRounds:
    def test_a_calm_message_is_sent_without_a_read_by_one_write_more(self, office: Office) -> None:
        office.say("before")
        with counted(office.tables.client) as requests:
            receipt = office.say("hi")
        assert requests == {"UpdateItem": 2, "PutItem": 1}
        [_, event] = office.loud.told
        assert isinstance(event, Message)
        assert (event.seq, event.id, event.message) == (2, receipt.stored.id, "hi")
        assert (office.head.sent, office.head.pump, office.head.sent_at) == (2, None, 1_700_000_000_000)
        assert (office.delivery.rounds, office.delivery.messages) == (2, 2)

    def test_what_is_said_while_a_round_is_sent_goes_together_in_the_next(self, office: Office) -> None:
        others: list[Receipt] = []
        office.loud.meanwhile = [lambda: others.extend(office.append(text) for text in ("two", "three"))]
        first = office.append("one")
        turn = office.hand_on(first)
        # Whoever has spoken gets the reply before anything else is sent.
        assert office.loud.texts == [["one"]]
        assert turn is not None
        assert [office.hand_on(other) for other in others] == [None, None]
        office.pump.go_on(turn, time.monotonic() + 25, office.delivery)
        assert office.loud.texts == [["one"], ["two", "three"]]
        assert (office.head.sent, office.head.pump) == (3, None)
        assert (office.delivery.rounds, office.delivery.messages) == (2, 3)
        assert not office.worklist.waiting

    def test_a_round_stays_below_what_is_metered_as_one_message(self, office: Office) -> None:
        texts = [f"{number:04}" + "x" * 4092 for number in range(20)]
        office.loud.meanwhile = [lambda: [office.append(text) for text in texts]]
        office.say("first")
        assert [text for round_ in office.loud.texts for text in round_] == ["first", *texts]
        assert 3 <= len(office.loud.told) <= 5
        for event in office.loud.told:
            assert all(len((render(event, form) or "").encode()) < METERED for form in Form)

    def test_what_is_private_goes_message_by_message(self, office: Office) -> None:
        office.loud.meanwhile = [lambda: [office.append(text, room="@bob") for text in ("two", "three")]]
        office.say("one", room="@bob")
        assert [type(event) for event in office.loud.told] == [Private] * 3
        assert office.loud.texts == [["one"], ["two"], ["three"]]

    def test_each_round_goes_to_the_members_of_its_time(self, office: Office) -> None:
        def somebody_joins_and_speaks() -> None:
            office.heads.members_changed("lobby", 1)
            office.append("two")

        office.loud.meanwhile = [somebody_joins_and_speaks]
        office.say("one")
        assert office.loud.members == [0, 1]

    def test_a_message_that_is_kept_for_the_pump_alone_is_sent(self, tables: Tables, clock: Clock) -> None:
        office = Office(tables, clock, history_days=0)
        office.take_number()
        clock.now += LEASE_SECONDS + 1
        office.say("hi")
        assert office.loud.texts == [["hi"]]
        assert office.messages.page("lobby", 10).messages == []


class TestHoles:
    def test_a_number_whose_writer_has_died_is_waited_for_and_sealed(self, office: Office) -> None:
        office.take_number()
        office.clock.now += LEASE_SECONDS + 1
        office.say("hi")
        assert office.loud.texts == [["hi"]]
        assert sum(office.pauses) == pytest.approx(0.3)
        assert office.messages.page("lobby", 10, after=0).through == 2

    def test_a_message_that_is_stored_in_time_is_sent_in_its_turn(self, office: Office) -> None:
        slow = office.heads.next_message("lobby", office.heads.new_lease())
        office.clock.now += LEASE_SECONDS + 1
        quick = office.append("quick")
        number = {"seq": {"N": str(slow.seq)}, "epoch": {"S": slow.epoch}, "id": {"S": "slow"}}
        key = {"roomId": {"S": "lobby"}, "entry": {"S": f"seq#{slow.seq:016}"}}
        says = {"message": {"S": "slow"}, "sentAt": {"N": "1"}, "expiresAt": {"N": str(2**40)}}
        office.while_it_sleeps = [
            lambda: None,
            lambda: office.tables.client.put_item(
                TableName=office.tables.messages, Item={**key, **number, **says}
            ),
        ]
        office.hand_on(quick)
        assert office.loud.texts == [["slow", "quick"]]
        assert len(office.pauses) == 2

    def test_what_comes_before_a_number_that_is_open_does_not_wait_for_it(self, office: Office) -> None:
        office.loud.meanwhile = [lambda: [office.append("two"), office.take_number(), office.append("four")]]
        office.say("one")
        assert office.loud.texts == [["one"], ["two"], ["four"]]


class TestPace:
    def large(self, office: Office, members: int) -> None:
        office.heads.members_changed("lobby", members)

    def test_a_room_has_a_round_for_each_of_its_posts_a_second(self, office: Office) -> None:
        self.large(office, 1000)
        office.loud.meanwhile = [lambda: office.append("two"), lambda: office.append("three")]
        office.say("one")
        assert office.loud.texts == [["one"], ["two"], ["three"]]
        assert office.pauses == [pytest.approx(0.2)] * 2

    def test_the_time_that_has_passed_counts(self, office: Office) -> None:
        self.large(office, 1000)
        office.say("one")
        office.clock.now += 0.15
        office.say("two")
        assert office.pauses == [pytest.approx(0.05, abs=0.001)]
        office.clock.now += 0.25
        office.say("three")
        assert len(office.pauses) == 1

    def test_what_comes_during_a_long_pause_goes_with_it(self, office: Office) -> None:
        self.large(office, 1000)
        office.say("one")
        office.while_it_sleeps = [lambda: office.append("three")]
        office.say("two")
        assert office.loud.texts == [["one"], ["two", "three"]]

    def test_a_small_room_waits_for_nothing(self, office: Office) -> None:
        self.large(office, 20)
        office.loud.meanwhile = [lambda: office.append("two")]
        office.say("one")
        assert office.pauses == []

    def test_a_clock_that_is_behind_makes_no_longer_pause(self, office: Office) -> None:
        self.large(office, 1000)
        office.say("one")
        office.clock.now -= 60
        office.say("two")
        assert office.pauses == [pytest.approx(0.2)]

    def test_nobody_sleeps_longer_than_there_is_time(self, office: Office) -> None:
        self.large(office, 100_000)
        office.say("one")
        began = office.clock.now
        office.say("two", seconds=10)
        assert office.clock.now - began <= 10

    def test_a_room_rests_while_the_account_is_throttled(self, office: Office) -> None:
        office.loud.throttles = 1
        office.loud.meanwhile = [lambda: time.sleep(0.02)]
        office.say("one")
        between_ms = office.head.between_ms
        assert 40 <= between_ms < 2000
        office.loud.throttles = 0
        office.say("two")
        assert office.pauses == [pytest.approx(between_ms / 1000, abs=0.002)]
        assert office.head.between_ms == 0


class TestLeavingARoom:
    def test_after_its_turn_a_room_is_left_to_a_worker(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pumping, "TURN_SECONDS", 0.0)
        office.loud.meanwhile = [lambda: office.append("two"), lambda: office.append("three")]
        office.say("one")
        assert office.loud.texts == [["one"], ["two"]]
        [task] = office.tasks
        assert (task.room, task.attempt, task.endpoint) == ("lobby", 1, Loud.endpoint)
        assert (office.head.sent, office.head.pump) == (2, None)
        office.work()
        assert office.loud.texts == [["one"], ["two"], ["three"]]
        assert (office.head.sent, office.head.pump) == (3, None)

    def test_when_its_time_is_nearly_up_too(self, office: Office) -> None:
        office.loud.meanwhile = [lambda: office.append("two"), lambda: office.append("three")]
        office.say("one", seconds=pumping.RESERVE_SECONDS)
        assert office.loud.texts == [["one"], ["two"]]
        assert len(office.tasks) == 1

    def test_whoever_speaks_next_may_be_faster_than_the_worker(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pumping, "TURN_SECONDS", 0.0)
        office.loud.meanwhile = [lambda: office.append("two"), lambda: office.append("three")]
        office.say("one")
        office.say("four")
        assert office.loud.texts == [["one"], ["two"], ["three", "four"]]
        office.work()
        assert len(office.loud.told) == 3

    def test_a_worker_that_is_faster_than_the_end_of_the_turn_misses_nothing(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pumping, "TURN_SECONDS", 0.0)
        office.loud.meanwhile = [lambda: office.append("two"), lambda: office.append("three")]
        put = office.worklist.send_message_batch

        def at_once(QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
            answer = put(QueueUrl, Entries)
            office.work()
            return answer

        monkeypatch.setattr(office.worklist, "send_message_batch", at_once)
        office.say("one")
        assert office.loud.texts == [["one"], ["two"], ["three"]]

    def test_where_the_queue_takes_nothing_it_goes_on(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pumping, "TURN_SECONDS", 0.0)
        office.worklist.is_down = True
        office.loud.meanwhile = [lambda: office.append("two"), lambda: office.append("three")]
        office.say("one")
        assert office.loud.texts == [["one"], ["two"], ["three"]]
        assert office.head.pump is None

    def test_much_that_others_have_left_does_not_take_all_the_time_of_whoever_speaks(
        self, office: Office
    ) -> None:
        for _ in range(20):
            office.append("x" * 4096)
        office.clock.now += LEASE_SECONDS + 1
        receipt = office.append("last")
        assert office.hand_on(receipt, seconds=pumping.RESERVE_SECONDS) is None
        assert len(office.loud.told) == 1
        # It is handed on all the same, to a worker.
        assert (len(office.tasks), office.head.pump) == (1, None)
        office.work()
        assert office.loud.texts[-1][-1] == "last"

    def test_and_where_no_worker_can_be_told_whoever_speaks_is(self, office: Office) -> None:
        for _ in range(20):
            office.append("x" * 4096)
        office.clock.now += LEASE_SECONDS + 1
        receipt = office.append("last", "r1")
        office.worklist.is_down = True
        with pytest.raises(QueueUnavailable):
            office.hand_on(receipt, seconds=pumping.RESERVE_SECONDS)
        again = office.say("last", "r1")
        assert again.duplicate
        assert office.loud.texts[-1][-1] == "last"


class TestFaults:
    def test_a_room_that_cannot_be_sent_to_is_left_to_a_worker_for_later(self, office: Office) -> None:
        office.loud.failing = 3
        receipt = office.say("hi")
        assert receipt.stored.seq == 1
        assert office.loud.told == []
        assert (office.head.sent, office.head.pump) == (0, None)
        for attempt, delay in ((1, 1), (2, 3), (3, 7)):
            assert [task.attempt for task in office.tasks] == [attempt]
            assert office.worklist.due == []
            office.clock.now += delay
            office.work()
        assert office.loud.texts == [["hi"]]
        assert (office.head.sent, office.head.pump, office.tasks) == (1, None, [])

    def test_at_last_it_is_left_to_whoever_comes_next(self, office: Office) -> None:
        office.loud.failing = 6
        office.say("hi")
        for delay in (1, 3, 7, 15):
            office.clock.now += delay
            office.work()
        office.clock.now += 31
        with pytest.raises(StorageUnavailable):
            office.work()
        assert (office.tasks, office.head.pump) == ([], None)
        office.say("ho")
        assert office.loud.texts == [["hi", "ho"]]

    def test_where_no_worker_can_be_told_whoever_speaks_is_and_tries_again(self, office: Office) -> None:
        office.loud.failing = 1
        office.worklist.is_down = True
        with pytest.raises(StorageUnavailable):
            office.say("hi", "r1")
        assert (office.head.sent, office.head.pump) == (0, None)
        again = office.say("hi", "r1")
        assert (again.stored.seq, again.duplicate) == (1, True)
        assert office.loud.texts == [["hi"]]
        office.say("hi", "r1")
        assert len(office.loud.told) == 1

    def test_a_lease_that_could_not_be_ended_keeps_no_worker_away(self, office: Office) -> None:
        receipt = office.append("hi")
        office.loud.failing = 1
        faults = Faults(office.tables.client, "UpdateItem", [dict(REFUSED)])
        assert office.hand_on(receipt) is None
        assert faults.calls == 1
        assert office.head.pump == receipt.lease
        office.clock.now += 1
        office.work()
        assert office.loud.texts == [["hi"]]
        assert office.head.pump is None

    def test_a_writer_that_fails_leaves_what_others_have_stored_to_a_worker(self, office: Office) -> None:
        quick: list[Receipt] = []

        def meanwhile() -> dict[str, Any]:
            # It has its number, and the lease.
            quick.append(office.append("quick"))
            return dict(REFUSED)

        Faults(office.tables.client, "PutItem", [meanwhile])
        with pytest.raises(StorageUnavailable):
            office.append("slow")
        assert office.hand_on(quick[0]) is None
        assert office.loud.told == []
        office.clock.now += 1
        office.work()
        assert office.loud.texts == [["quick"]]

    def test_nothing_is_taken_for_sent_where_the_chat_may_not_send(self, office: Office) -> None:
        office.loud.forbidden = True
        with pytest.raises(GatewayUnavailable):
            office.say("hi")
        assert (office.head.sent, office.head.pump, office.tasks) == (0, None, [])
        office.loud.forbidden = False
        office.delivery = Delivery()
        office.say("ho")
        assert office.loud.texts == [["hi", "ho"]]


class TestRescue:
    def test_what_a_pump_that_has_died_has_left_is_sent(self, office: Office) -> None:
        office.append("hi")
        office.pump.rescue("lobby", office.head, time.monotonic() + 25, office.delivery)
        assert office.loud.told == []
        office.clock.now += LEASE_SECONDS + 1
        office.pump.rescue("lobby", office.head, time.monotonic() + 25, office.delivery)
        assert office.loud.texts == [["hi"]]
        assert (office.head.sent, office.head.pump) == (1, None)

    def test_in_a_room_at_rest_there_is_nothing_to_do(self, office: Office) -> None:
        office.say("hi")
        head = office.head
        with counted(office.tables.client) as requests:
            office.pump.rescue("lobby", head, time.monotonic() + 25, office.delivery)
        assert requests == {}

    def test_a_pump_that_was_taken_for_dead_stops(self, office: Office) -> None:
        def stall() -> None:
            office.append("two")
            office.clock.now += LEASE_SECONDS + 1
            office.new_pump().rescue("lobby", office.head, time.monotonic() + 25, office.delivery)

        office.loud.meanwhile = [stall]
        office.say("one")
        # What it was about to note has been done by the other.
        assert office.loud.texts == [["one"], ["one", "two"]]
        assert (office.head.sent, office.head.pump) == (2, None)
