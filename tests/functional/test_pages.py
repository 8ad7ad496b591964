"""Reading a log in pages, whatever has become of its numbers."""

import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import boto3
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chalicelib.storage import messages as log
from chalicelib.storage.heads import DAY, Heads, Sent
from chalicelib.storage.messages import Draft, Messages, Page
from tests.functional.tables import Tables
from tests.rig.clock import Clock
from tests.rig.crashes import Crash, Crashes

KEPT_DAYS = 30


@dataclass
class Logs:
    """Logs of rooms of their own."""

    tables: Tables
    crashes: Crashes
    clock: Clock
    heads: Heads
    messages: Messages

    def append(self, room: str, dies: bool = False) -> None:
        """Store a message, or die when it has its number."""
        with self.crashes.process(1 if dies else None), suppress(Crash):
            self.messages.append(Draft(room, None, "hi", 1, "ann"), self.heads.new_lease())

    def send(self, room: str) -> None:
        """Seal what has no message, as if all had been sent up to there."""
        head = self.messages.position(room)
        if head.pump is not None:
            self.messages.sealed(room, head)
            self.heads.release(room, head.pump, Sent(head.seq, 1))


@pytest.fixture(scope="module", params=["ministack_url", "dynamodb_local_url"])
def logs(request: pytest.FixtureRequest) -> Iterator[Logs]:
    with pytest.MonkeyPatch.context() as patch:
        # A page is cut where more than this is between its messages.
        patch.setattr(log, "SPARE", 1)
        tables = Tables(boto3.client("dynamodb", endpoint_url=request.getfixturevalue(request.param)))
        clock = Clock(1_700_000_000)
        heads = Heads(tables.client, tables.messages, KEPT_DAYS, clock)
        messages = Messages(tables.client, tables.messages, heads, KEPT_DAYS, clock)
        yield Logs(tables, Crashes(tables.client), clock, heads, messages)
        tables.delete()


def numbers(page: Page) -> list[int]:
    return [stored.seq for stored in page.messages]


# Whether each number got its message.
STORED = st.lists(st.booleans(), max_size=4)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(gone=STORED, sent=STORED, rest=STORED, after=st.integers(0, 12), limit=st.integers(1, 3))
# More than a page takes comes after a number that is still open.
@example(gone=[], sent=[], rest=[True, False, True, True], after=0, limit=1)
def test_pages_have_everything_once_up_to_what_is_still_open(
    logs: Logs, gone: list[bool], sent: list[bool], rest: list[bool], after: int, limit: int
) -> None:
    """Read a log of numbers that have expired, numbers that have been sent, and those that have not."""
    room = uuid.uuid4().hex
    for part in (gone, sent, rest):
        for stored in part:
            logs.append(room, dies=not stored)
        if part is not rest:
            logs.send(room)
        if part is gone:
            logs.clock.now += KEPT_DAYS * DAY
    all_sent = len(gone) + len(sent)
    seq = all_sent + len(rest)
    there = {len(gone) + at for at, stored in enumerate([*sent, *rest], 1) if stored}
    after = min(after, seq)
    holes = [all_sent + at for at, stored in enumerate(rest, 1) if not stored]
    end = min([hole for hole in holes if hole > after], default=seq + 1) - 1

    given_numbers: list[int] = []
    through, more = after, True
    while more:
        page = logs.messages.page(room, limit, after=through)
        assert page.position.seq == seq
        assert all(through < number <= page.through for number in numbers(page))
        assert len(page.messages) <= limit
        # Each page gets further: who reads on comes to an end.
        assert page.through > through or not page.more
        # What has expired is missing, and nothing else.
        assert page.complete == (through >= len(gone) or page.through == through)
        given_numbers += numbers(page)
        through, more = page.through, page.more
    assert given_numbers == sorted(number for number in there if after < number <= end)
    assert through == max(after, end if end > all_sent else all_sent)

    # And back from the newest, or nearly: what has not been sent yet comes live.
    end = min(min(holes, default=seq + 1) - 1, all_sent + log.SPARE)
    given_numbers = []
    before, more = None, True
    while more:
        page = logs.messages.page(room, limit, before=before)
        if before is None:
            assert page.through == max(end, all_sent)
        # It reaches back to a number that is not there any more.
        assert page.complete == (page.more or len(page.messages) == limit or not gone)
        given_numbers = numbers(page) + given_numbers
        # Where so many numbers in a row have no message, there is nothing to go on from.
        is_last, more = not page.more, page.more and bool(page.messages)
        before = page.messages[0].seq if page.messages else before
    expected = sorted(number for number in there if number <= end)
    assert given_numbers == (expected if is_last else expected[len(expected) - len(given_numbers) :])


def test_another_log_s_items_beyond_the_last_number_are_no_more_to_read(logs: Logs) -> None:
    room = uuid.uuid4().hex
    for _ in range(5):
        logs.append(room)
    logs.tables.client.delete_item(
        TableName=logs.tables.messages, Key={"roomId": {"S": room}, "entry": {"S": "head"}}
    )
    logs.append(room)
    page = logs.messages.page(room, 2, after=0)
    assert (numbers(page), page.through, page.more, page.complete) == ([1], 1, False, True)
