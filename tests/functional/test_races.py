"""What happens at the same moment: real threads on the storage, and orders that threads rarely show."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from chalicelib.storage.heads import LEASE_SECONDS, Head, Heads, Sent
from chalicelib.storage.messages import Draft, Messages, Receipt
from tests.functional.tables import Tables
from tests.rig.clock import Clock
from tests.rig.crashes import Crash, Crashes
from tests.rig.faults import LostAnswer, StorageFault, StorageFaults, counted, in_turn
from tests.rig.held import WAIT, Held
from tests.rig.lambdas import Lambdas

T = TypeVar("T")


@pytest.fixture
def tables(tables_anywhere: Tables) -> Tables:
    return tables_anywhere


@pytest.fixture
def heads(tables: Tables, clock: Clock) -> Heads:
    return Heads(tables.client, tables.messages, 30, clock)


@pytest.fixture
def messages(tables: Tables, heads: Heads, clock: Clock) -> Messages:
    return Messages(tables.client, tables.messages, heads, 30, clock, lambda seconds: None)


@pytest.fixture
def append(messages: Messages, heads: Heads) -> Callable[..., Receipt]:
    """Store a message as whoever speaks does; nobody sends it."""

    def append(text: str, ref: str | None = None) -> Receipt:
        return messages.append(Draft("lobby", "ann", text, 1, "ann", ref), heads.new_lease())

    return append


def at_once(calls: list[Callable[[], T]]) -> list[T]:
    """Make all calls at the same moment, each in a thread of its own."""
    together = threading.Barrier(len(calls))

    def start(call: Callable[[], T]) -> T:
        together.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(start, calls))


def unique(receipts: list[Receipt]) -> set[tuple[int, str]]:
    return {(receipt.stored.seq, receipt.stored.id) for receipt in receipts}


# Numbers.


def test_fifty_publishers_get_fifty_numbers_and_one_pump(
    append: Callable[..., Receipt], messages: Messages
) -> None:
    receipts = at_once([lambda number=number: append(f"m{number}") for number in range(50)])  # type: ignore[misc]
    assert sorted(receipt.stored.seq for receipt in receipts) == list(range(1, 51))
    assert len({receipt.stored.epoch for receipt in receipts}) == 1
    [pump] = [receipt for receipt in receipts if receipt.lease is not None]
    assert pump.stored.seq == 1
    page = messages.page("lobby", 100, after=0)
    assert {(stored.seq, stored.id) for stored in page.messages} == unique(receipts)


def test_a_number_that_the_pump_has_passed_is_not_used(
    append: Callable[..., Receipt], messages: Messages, tables: Tables
) -> None:
    append("first")
    held = Held(tables.client, "PutItem")
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(append, "slow")
        assert held.reached.wait(WAIT)
        quick = append("quick")
        sealed = messages.sealed("lobby", quick.head)
        assert [stored.seq for stored in sealed.messages] == [1, 3]
        assert (sealed.through, sealed.hole) == (3, None)
        held.release()
    assert slow.result().stored.seq == 4
    rest = messages.unsent("lobby", Head(seq=4, epoch=quick.head.epoch, sent=3))
    assert [(stored.seq, stored.text) for stored in rest.messages] == [(4, "slow")]


def test_a_message_that_is_written_while_the_pump_is_about_to_seal_is_sent(
    append: Callable[..., Receipt], messages: Messages, tables: Tables
) -> None:
    append("first")
    slow_put = Held(tables.client, "PutItem")
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(append, "slow")
        assert slow_put.reached.wait(WAIT)
        quick = append("quick")
        seal = Held(tables.client, "PutItem")
        sealing = pool.submit(messages.sealed, "lobby", quick.head)
        assert seal.reached.wait(WAIT)
        slow_put.release()
        assert slow.result().stored.seq == 2
        seal.release()
    assert [stored.text for stored in sealing.result().messages] == ["first", "slow", "quick"]


def test_a_pump_sends_up_to_a_number_whose_message_is_under_way(
    append: Callable[..., Receipt], messages: Messages, tables: Tables
) -> None:
    append("first")
    held = Held(tables.client, "PutItem")
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(append, "slow")
        assert held.reached.wait(WAIT)
        quick = append("quick")
        unsent = messages.unsent("lobby", quick.head)
        held.release()
    assert [stored.text for stored in unsent.messages] == ["first"]
    assert (unsent.through, unsent.hole) == (1, 2)
    assert slow.result().stored.seq == 2
    assert messages.unsent("lobby", quick.head).through == 3


# Readers.


def test_a_reader_seals_nothing_and_stops_before_a_message_that_is_under_way(
    append: Callable[..., Receipt], messages: Messages, tables: Tables
) -> None:
    append("first")
    held = Held(tables.client, "PutItem")
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(append, "slow")
        assert held.reached.wait(WAIT)
        append("quick")
        with counted(tables.client) as requests:
            forward, newest = messages.page("lobby", 10, after=0), messages.page("lobby", 10)
        assert requests == {"GetItem": 2, "Query": 2}
        held.release()
    for page in (forward, newest):
        assert [stored.text for stored in page.messages] == ["first"]
        assert (page.through, page.position.seq, page.complete) == (1, 3, True)
    assert slow.result().stored.seq == 2
    rest = messages.page("lobby", 10, after=1)
    assert [stored.text for stored in rest.messages] == ["slow", "quick"]
    assert (rest.through, rest.more, rest.complete) == (3, False, True)


def test_who_reads_while_others_speak_misses_nothing(
    append: Callable[..., Receipt], messages: Messages
) -> None:
    done = threading.Event()

    def read() -> list[int]:
        seen: list[int] = []
        through = 0
        while True:
            last_look = done.is_set()
            page = messages.page("lobby", 100, after=through)
            assert page.complete
            assert page.through >= through
            assert all(through < stored.seq <= page.through for stored in page.messages)
            seen, through = seen + [stored.seq for stored in page.messages], page.through
            if last_look:
                return seen

    with ThreadPoolExecutor() as pool:
        reading = pool.submit(read)
        receipts = at_once([lambda: append("hi")] * 40)
        done.set()
    assert reading.result() == sorted(receipt.stored.seq for receipt in receipts) == list(range(1, 41))


# References.


def test_twenty_retries_of_a_ref_give_one_message(append: Callable[..., Receipt], messages: Messages) -> None:
    receipts = at_once([lambda: append("hi", "r1")] * 20)
    assert len(unique(receipts)) == 1
    assert not all(receipt.duplicate for receipt in receipts)
    log = messages.sealed("lobby", messages.position("lobby"))
    assert [stored.text for stored in log.messages] == ["hi"]
    # Once it is stored, nobody takes a number for it.
    before = messages.position("lobby")
    repeats = at_once([lambda: append("hi", "r1")] * 20)
    assert unique(repeats) == unique(receipts)
    assert all(repeat.duplicate and repeat.lease is None for repeat in repeats)
    assert messages.position("lobby") == before


def test_a_reference_is_claimed_before_a_number_is_taken(
    append: Callable[..., Receipt], messages: Messages, tables: Tables
) -> None:
    number = Held(tables.client, "UpdateItem")
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(append, "hi", "r1")
        assert number.reached.wait(WAIT)
        [claim] = tables.items(tables.messages)
        assert claim["entry"] == {"S": "ref#ann#r1"}
        # Whoever comes with it goes on in its writer's place, and the writer finds that.
        quick = append("hi", "r1")
        assert (quick.stored.seq, quick.stored.id) == (1, claim["id"]["S"])
        number.release()
    assert unique([slow.result(), quick]) == {(1, claim["id"]["S"])}
    assert slow.result().duplicate
    # The number that the writer has taken in vain stays without a message.
    assert slow.result().head.seq == 2
    assert len(messages.sealed("lobby", slow.result().head).messages) == 1


# The claim, the number, the number of the claim, the message; where the number was known, it is in the claim.
@pytest.mark.parametrize(("at_rest", "steps"), [(False, 4), (True, 3)])
def test_whoever_tries_again_finishes_what_a_writer_that_died_has_begun(
    append: Callable[..., Receipt],
    messages: Messages,
    heads: Heads,
    tables: Tables,
    at_rest: bool,
    steps: int,
) -> None:
    crashes = Crashes(tables.client)
    for dies_after in range(steps + 1):
        before = messages.position("lobby")
        if at_rest:
            lease = append("before").lease
            assert lease is not None
            before = messages.position("lobby")
            assert heads.finish("lobby", lease, Sent(before.seq, 5)) is None
        with crashes.process(dies_after) as process, suppress(Crash):
            append("hi", f"r{dies_after}")
        assert len(process.requests) == dies_after
        died = dies_after < steps
        again = append("hi", f"r{dies_after}")
        assert again.duplicate is not died
        # The number that its writer has taken, or was about to, is lost at the most.
        assert before.seq < again.stored.seq <= before.seq + (2 if died else 1)
        position = messages.position("lobby")
        assert position.seq == again.stored.seq
        log = messages.sealed("lobby", replace(position, sent=before.seq))
        assert [(stored.text, stored.id) for stored in log.messages] == [("hi", again.stored.id)]
        repeat = append("hi", f"r{dies_after}")
        assert (repeat.stored, repeat.duplicate) == (again.stored, True)
        assert messages.position("lobby") == position
        if position.pump is not None:
            heads.release("lobby", position.pump, Sent(position.seq, 5))


def test_a_reference_whose_number_was_sealed_gets_another(
    append: Callable[..., Receipt], messages: Messages, tables: Tables
) -> None:
    append("first")
    # Its claim first, then the message.
    held = Held(tables.client, "PutItem", after=1)
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(append, "slow", "r1")
        assert held.reached.wait(WAIT)
        sealed = messages.sealed("lobby", messages.position("lobby"))
        assert [stored.text for stored in sealed.messages] == ["first"]
        # A retry and its writer want another one, and agree on it.
        again = append("slow", "r1")
        held.release()
    assert again.stored.seq == 3
    assert unique([slow.result(), again]) == unique([again])
    log = messages.sealed("lobby", messages.position("lobby"))
    assert [stored.text for stored in log.messages] == ["first", "slow"]


# Answers that are lost.


def test_a_message_whose_answer_was_lost_is_stored_once(
    append: Callable[..., Receipt], messages: Messages, tables: Tables
) -> None:
    lost = LostAnswer(tables.client, "PutItem")
    receipt = append("hi")
    assert lost.requests == 2
    assert receipt.stored.seq == 1
    assert [stored.id for stored in messages.page("lobby", 10, after=0).messages] == [receipt.stored.id]


@pytest.mark.parametrize(
    ("operation", "before", "seq"),
    [("PutItem", 0, 1), ("UpdateItem", 0, 2), ("UpdateItem", 1, 1), ("PutItem", 1, 1)],
    ids=["the claim", "the number", "the number of the claim", "the message"],
)
def test_no_lost_answer_makes_a_second_message(
    append: Callable[..., Receipt],
    messages: Messages,
    tables: Tables,
    operation: str,
    before: int,
    seq: int,
) -> None:
    faults = StorageFaults(tables.client, in_turn(operation, *[None] * before, StorageFault.LOST))
    receipt = append("hi", "r1")
    assert faults.injected == {"lost": 1}
    assert (receipt.stored.seq, receipt.duplicate) == (seq, False)
    # It knows that it is the pump, whichever of the two answers tells it.
    assert receipt.lease == receipt.head.pump
    assert append("hi", "r1").stored == receipt.stored
    assert [stored.seq for stored in messages.sealed("lobby", receipt.head).messages] == [seq]


# Leases.


def test_one_of_many_takes_over_a_room_whose_pump_has_died(
    append: Callable[..., Receipt], heads: Heads, clock: Clock
) -> None:
    append("hi")
    leases = [heads.new_lease() for _ in range(20)]
    assert at_once([lambda: heads.take_over("lobby", heads.new_lease())] * 20) == [None] * 20
    clock.now += LEASE_SECONDS + 1
    leases = [heads.new_lease() for _ in range(20)]
    calls = [lambda lease=lease: heads.take_over("lobby", lease) for lease in leases]  # type: ignore[misc]
    [head] = [head for head in at_once(calls) if head is not None]
    assert head.pump in leases
    assert heads.read("lobby").pump == head.pump


def test_a_pump_does_not_end_its_turn_while_a_number_is_taken(
    append: Callable[..., Receipt], heads: Heads, tables: Tables
) -> None:
    first = append("first")
    assert first.lease is not None
    finish = Held(tables.client, "UpdateItem")
    with ThreadPoolExecutor() as pool:
        finishing = pool.submit(heads.finish, "lobby", first.lease, Sent(1, 5))
        assert finish.reached.wait(WAIT)
        second = append("second")
        assert second.lease is None
        finish.release()
    head = finishing.result()
    assert head is not None
    assert (head.seq, head.pump) == (2, first.lease)
    assert heads.finish("lobby", first.lease, Sent(2, 6)) is None
    assert heads.read("lobby").pump is None


@pytest.mark.parametrize("step", ["take_over", "renew", "finish", "release"])
def test_a_lease_whose_change_was_not_answered_is_known_to_be_changed(
    append: Callable[..., Receipt], heads: Heads, tables: Tables, clock: Clock, step: str
) -> None:
    lease, renewed = append("hi").lease or "", heads.new_lease()
    if step == "take_over":
        clock.now += LEASE_SECONDS + 1
    lost = LostAnswer(tables.client, "UpdateItem")
    if step == "take_over":
        head = heads.take_over("lobby", renewed)
        assert head is not None
        assert head.pump == heads.read("lobby").pump == renewed
    elif step == "renew":
        head = heads.renew("lobby", lease, Sent(1, 5), renewed)
        assert head is not None
        assert (head.pump, head.sent) == (renewed, 1)
    elif step == "finish":
        assert heads.finish("lobby", lease, Sent(1, 5)) is None
    else:
        heads.release("lobby", lease, Sent(0, 5))
    assert lost.requests == 2
    after = heads.read("lobby")
    assert (after.pump is None) == (step in ("finish", "release"))


# People.


def lambdas_for(tables: Tables, number: int) -> Lambdas:
    """A Lambda for each of those who do something at once; the clock stands still, so no lease expires."""
    return Lambdas(tables, Crashes(tables.client), number=number, sleep=time.sleep)


def heard(lambdas: Lambdas, connection_id: str) -> list[dict[str, Any]]:
    """The messages that a client was sent, of one or of several in a frame."""
    inbox = lambdas.sockets.inboxes[connection_id]
    return [
        message
        for event in inbox
        if event["type"] in ("message", "messages")
        for message in event.get("messages", [event])
    ]


def test_of_fifty_messages_at_once_each_is_sent_once_and_in_order(tables: Tables) -> None:
    lambdas = lambdas_for(tables, 50)
    for person in ("ann=", "bob="):
        lambdas.connect(person, ["lobby"])
        lambdas.sockets.open.add(person)

    def speak(number: int) -> dict[str, Any] | None:
        frame = {"action": "onMessage", "message": f"m{number}", "ref": f"r{number}"}
        return lambdas.ask("ann=", frame, on=number)

    acks = at_once([lambda number=number: speak(number) for number in range(50)])  # type: ignore[misc]
    # A turn may have lasted so long that the rest was left to workers.
    lambdas.work_off()
    told = [(message["seq"], message["id"]) for message in heard(lambdas, "bob=")]
    assert told == sorted(set(told))
    assert {(ack["seq"], ack["id"]) for ack in acks if ack is not None} == set(told)
    assert len(told) == 50
    assert heard(lambdas, "ann=") == heard(lambdas, "bob=")
    # Much of it went together.
    assert len(lambdas.sockets.inboxes["bob="]) < 50
    head = lambdas.chats[0].services.messages.position("lobby")
    assert (head.pump, head.sent) == (None, head.seq)


@pytest.mark.parametrize("attempt", range(5))
def test_who_joins_while_others_speak_misses_nothing(tables: Tables, attempt: int) -> None:
    lambdas = lambdas_for(tables, 12)
    for person, rooms in (("ann=", ["lobby"]), ("bob=", ["cats"])):
        lambdas.connect(person, rooms)
        lambdas.sockets.open.add(person)

    def speak(number: int) -> int:
        frame = {"action": "onMessage", "message": "hi", "ref": f"r{number}"}
        ack = lambdas.ask("ann=", frame, on=number)
        assert ack is not None
        return int(ack["seq"])

    def join() -> tuple[int, list[int]]:
        answer = lambdas.ask("bob=", {"action": "joinRoom", "room": "lobby", "ref": "j"}, on=11)
        assert answer is not None
        frame = {"action": "history", "room": "lobby", "after": answer["seq"], "ref": "h"}
        page = lambdas.ask("bob=", frame, on=11)
        assert page is not None
        return answer["seq"], [message["seq"] for message in page["messages"]]

    calls: list[Callable[[], Any]] = [lambda number=number: speak(number) for number in range(11)]  # type: ignore[misc]
    *said, (position, read) = at_once([*calls, join])
    lambdas.work_off()
    live = [message["seq"] for message in heard(lambdas, "bob=")]
    assert live == sorted(set(live))
    assert {seq for seq in said if seq > position} <= {*live, *read}
