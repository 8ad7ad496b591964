"""What happens at the same moment: real threads on the storage, and orders that threads rarely show."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from chalicelib.storage.connection import Connection
from chalicelib.storage.connections import Connections
from chalicelib.storage.heads import Heads
from chalicelib.storage.messages import Draft, Messages, Receipt
from chalicelib.storage.rooms import Rooms
from chalicelib.wire.events import Form
from tests.functional.tables import Tables
from tests.rig.faults import LostAnswer
from tests.rig.held import WAIT, Held

T = TypeVar("T")


@pytest.fixture
def tables(tables_anywhere: Tables) -> Tables:
    return tables_anywhere


@pytest.fixture
def messages(tables: Tables) -> Messages:
    return Messages(tables.client, tables.messages, history_days=30)


@pytest.fixture
def connections(tables: Tables) -> Connections:
    return Connections(
        tables.client, tables.connections, tables.rooms, Heads(tables.client, tables.messages, 30)
    )


@pytest.fixture
def rooms(tables: Tables) -> Rooms:
    return Rooms(tables.client, tables.rooms, page_size=10)


def draft(text: str, ref: str | None = None) -> Draft:
    return Draft("lobby", "ann", text, 1, "ann", ref)


def at_once(calls: list[Callable[[], T]]) -> list[T]:
    """Make all calls at the same moment, each in a thread of its own."""
    together = threading.Barrier(len(calls))

    def start(call: Callable[[], T]) -> T:
        together.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(start, calls))


def test_fifty_publishers_get_fifty_numbers(messages: Messages) -> None:
    receipts = at_once([lambda number=number: messages.append(draft(f"m{number}")) for number in range(50)])  # type: ignore[misc]
    assert sorted(receipt.seq for receipt in receipts) == list(range(1, 51))
    assert len({receipt.epoch for receipt in receipts}) == 1
    page = messages.page("lobby", 100, after=0)
    assert {(stored.seq, stored.id) for stored in page.messages} == {(one.seq, one.id) for one in receipts}


def test_twenty_retries_of_a_ref_give_one_message(messages: Messages) -> None:
    receipts = at_once([lambda: messages.append(draft("hi", "r1"))] * 20)
    assert len({(receipt.seq, receipt.id) for receipt in receipts}) == 1
    assert [receipt.duplicate for receipt in receipts].count(False) == 1
    assert [stored.text for stored in messages.page("lobby", 100, after=0).messages] == ["hi"]


@pytest.mark.parametrize("attempt", range(5))
def test_who_joins_while_others_speak_misses_nothing(
    messages: Messages, connections: Connections, rooms: Rooms, attempt: int
) -> None:
    ann = Connection("ann=", "ann", Form.JSON, frozenset({"cats"}), 1, 9**11)
    connections.add(ann)
    live: set[int] = set()

    def speak() -> Receipt:
        receipt = messages.append(draft("hi"))
        if any(member.id == ann.id for member in rooms.members("lobby")):
            live.add(receipt.seq)
        return receipt

    def join() -> tuple[int, set[int]]:
        position = messages.position("lobby").seq
        connections.join(ann, "lobby")
        return position, {stored.seq for stored in messages.page("lobby", 100, after=position).messages}

    calls: list[Callable[[], Any]] = [*([speak] * 20), join]
    *receipts, (position, read) = at_once(calls)
    # A number that the reader has sealed was never said.
    assert {receipt.seq for receipt in receipts if receipt.seq > position} <= live | read


def test_who_reads_while_others_speak_misses_nothing(messages: Messages) -> None:
    done = threading.Event()

    def read() -> list[int]:
        seen: list[int] = []
        while True:
            last_look = done.is_set()
            page = messages.page("lobby", 100, after=seen[-1] if seen else 0)
            assert page.complete
            seen += [stored.seq for stored in page.messages]
            if last_look:
                return seen

    with ThreadPoolExecutor() as pool:
        reading = pool.submit(read)
        receipts = at_once([lambda: messages.append(draft("hi"))] * 40)
        done.set()
    assert reading.result() == sorted(receipt.seq for receipt in receipts)


@pytest.mark.parametrize("ref", [None, "r1"])
def test_a_number_that_a_reader_has_passed_is_not_used(
    messages: Messages, tables: Tables, ref: str | None
) -> None:
    messages.append(draft("first"))
    held = Held(tables.client, "TransactWriteItems" if ref else "PutItem")
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(messages.append, draft("slow", ref))
        assert held.reached.wait(WAIT)
        quick = messages.append(draft("quick"))
        seen = messages.page("lobby", 10, after=1)
        assert ([stored.seq for stored in seen.messages], quick.seq) == ([3], 3)
        held.release()
    assert slow.result().seq == 4
    rest = messages.page("lobby", 10, after=3)
    assert [(stored.seq, stored.text) for stored in rest.messages] == [(4, "slow")]


def test_a_message_that_is_written_while_a_reader_looks_is_given(messages: Messages, tables: Tables) -> None:
    messages.append(draft("first"))
    slow_put = Held(tables.client, "PutItem")
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(messages.append, draft("slow"))
        assert slow_put.reached.wait(WAIT)
        messages.append(draft("quick"))
        # The reader finds 2 missing, and is about to seal it.
        seal = Held(tables.client, "PutItem")
        reading = pool.submit(messages.page, "lobby", 10, after=1)
        assert seal.reached.wait(WAIT)
        slow_put.release()
        assert slow.result().seq == 2
        seal.release()
    assert [stored.text for stored in reading.result().messages] == ["slow", "quick"]


def test_a_message_whose_answer_was_lost_is_stored_once(messages: Messages, tables: Tables) -> None:
    lost = LostAnswer(tables.client, "PutItem")
    receipt = messages.append(draft("hi"))
    assert lost.requests == 2
    assert receipt.seq == 1
    assert [stored.id for stored in messages.page("lobby", 10, after=0).messages] == [receipt.id]
