"""The bucket's expressions, against a bucket as one would write it with numbers."""

import re
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.storage.bucket import ATTRIBUTE, LARGEST_BURST, Bucket

BEGIN = 1_700_000_000_000
PER_SECOND = st.sampled_from([1, 2, 7, 10, 50, 1000])
BURST = st.integers(1, 30) | st.just(LARGEST_BURST)
# Ms since the last frame, and what the frame costs.
FRAMES = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 40)), min_size=1, max_size=120)

ENTRY = r"#r\[(\d+)\]"
ASSIGNED = re.compile(rf"{ENTRY}=(?:(:\w+)|if_not_exists\({ENTRY},(:\w+)\))")
COMPARED = re.compile(rf"{ENTRY}<=(:\w+)")


class Item:
    """An item that is updated as DynamoDB does it: the condition first, then all from what was there."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.item: dict[str, Any] = {ATTRIBUTE: bucket.full}

    def take(self, now_ms: int, cost: int = 1) -> bool:
        update = self.bucket.take(cost, now_ms, "attribute_exists(id)")
        assert update["ExpressionAttributeNames"] == {"#r": ATTRIBUTE}
        values = {name: int(value["N"]) for name, value in update["ExpressionAttributeValues"].items()}
        expressions = update["UpdateExpression"] + " " + update["ConditionExpression"]
        assert values.keys() == set(re.findall(r":\w+", expressions))
        times = [int(time["N"]) for time in self.item[ATTRIBUTE]["L"]]
        exists, _, enough = update["ConditionExpression"].partition(" AND ")
        assert exists == "attribute_exists(id)"
        compared = [COMPARED.fullmatch(part) for part in enough[1:-1].split(" OR ")]
        if not any(
            each and int(each[1]) < len(times) and times[int(each[1])] <= values[each[2]] for each in compared
        ):
            return False
        after = dict(enumerate(times))
        for part in update["UpdateExpression"].removeprefix("SET ").split(",#"):
            each = ASSIGNED.fullmatch(part if part.startswith("#") else f"#{part}")
            assert each is not None
            value = values[each[2]] if each[2] else dict(enumerate(times)).get(int(each[3]), values[each[4]])
            after[int(each[1])] = value
        # DynamoDB appends what is set beyond the end.
        self.item = {ATTRIBUTE: {"L": [{"N": str(after[index])} for index in sorted(after)]}}
        return True


class Reference:
    """The same bucket as a number of tokens."""

    def __init__(self, per_second: int, burst: int) -> None:
        self.per_ms = Fraction(per_second, 1000)
        self.burst = burst
        self.tokens = Fraction(burst)
        self.now = BEGIN

    def pass_to(self, now_ms: int) -> None:
        self.tokens = min(Fraction(self.burst), self.tokens + (now_ms - self.now) * self.per_ms)
        self.now = now_ms


@settings(deadline=None)
@given(per_second=PER_SECOND, burst=BURST, frames=FRAMES)
def test_what_is_allowed_is_in_a_plain_bucket(
    per_second: int, burst: int, frames: list[tuple[int, int]]
) -> None:
    item, reference = Item(Bucket(per_second, burst)), Reference(per_second, burst)
    now = BEGIN
    for step, cost in frames:
        now += step
        reference.pass_to(now)
        if item.take(now, cost):
            reference.tokens -= min(cost, burst)
            assert reference.tokens >= 0


@settings(deadline=None)
@given(per_second=PER_SECOND, burst=BURST, frames=FRAMES)
def test_the_list_has_the_tokens_that_were_taken(
    per_second: int, burst: int, frames: list[tuple[int, int]]
) -> None:
    item = Item(Bucket(per_second, burst))
    now, taken = BEGIN, [0] * burst
    for step, cost in frames:
        now += step
        if item.take(now, cost):
            taken = ([now] * min(cost, burst) + taken)[:burst]
        assert [int(time["N"]) for time in item.item[ATTRIBUTE]["L"]] == taken


@settings(deadline=None)
@given(per_second=PER_SECOND, burst=BURST, frames=FRAMES, cost=st.integers(1, 40))
def test_after_a_silence_the_whole_burst_is_there(
    per_second: int, burst: int, frames: list[tuple[int, int]], cost: int
) -> None:
    item = Item(Bucket(per_second, burst))
    now = BEGIN
    for step, each in frames:
        now += step
        item.take(now, each)
    now += -(-1000 * burst // per_second)
    cost = min(cost, burst)
    served = burst // cost
    assert [item.take(now, cost) for _ in range(served)] == [True] * served
    rest = burst - served * cost
    assert item.take(now) == (rest > 0)


@settings(deadline=None)
@given(burst=BURST, ahead=st.integers(0, 40), cost=st.integers(1, 40))
def test_at_its_pace_there_are_always_enough_tokens(burst: int, ahead: int, cost: int) -> None:
    item = Item(Bucket(10, burst))
    now = BEGIN
    for _ in range(ahead):
        item.take(now, cost)
    for _ in range(100):
        now += 100 * min(cost, burst)
        assert item.take(now, cost)


def test_what_comes_in_is_what_there_is() -> None:
    item = Item(Bucket(10, 20))
    now = BEGIN
    assert sum(item.take(now) for _ in range(30)) == 20
    assert sum(item.take(now + 1000) for _ in range(30)) == 10
    assert sum(item.take(now + 1000 + 10 * step) for step in range(1, 301)) == 30


@pytest.mark.parametrize(("cost", "at_once", "in_ten_seconds"), [(1, 20, 100), (2, 10, 50), (11, 1, 9)])
def test_what_costs_more_is_served_less_often(cost: int, at_once: int, in_ten_seconds: int) -> None:
    item = Item(Bucket(10, 20))
    assert sum(item.take(BEGIN, cost) for _ in range(30)) == at_once
    later = range(BEGIN + 10, BEGIN + 10_001, 10)
    assert sum(item.take(now, cost) for now in later) == in_ten_seconds


def test_what_costs_more_than_the_burst_takes_all_of_it() -> None:
    item = Item(Bucket(10, 20))
    assert item.take(BEGIN, 500)
    assert not item.take(BEGIN + 99)
    assert item.take(BEGIN + 100)
    assert not item.take(BEGIN + 2099, 500)
    assert item.take(BEGIN + 2100, 500)


@settings(deadline=None)
@given(burst=BURST, frames=FRAMES)
def test_after_the_wait_there_are_enough_tokens(burst: int, frames: list[tuple[int, int]]) -> None:
    bucket = Bucket(10, burst)
    item = Item(bucket)
    now = BEGIN
    for step, cost in frames:
        now += step // 8
        if not item.take(now, cost):
            wait = bucket.wait_seconds(item.item, cost, now)
            assert 1 <= wait <= max(1, -(-min(cost, burst) // 10) + burst // 10)
            now += wait * 1000
            assert item.take(now, cost)


@settings(deadline=None)
@given(old=st.integers(1, 30), new=st.integers(1, 30), costs=st.lists(st.integers(1, 40), max_size=40))
def test_a_list_of_another_length_serves(old: int, new: int, costs: list[int]) -> None:
    """The burst may be set anew while a connection lives."""
    item = Item(Bucket(10, old))
    item.bucket = Bucket(10, new)
    now = BEGIN
    for cost in costs:
        if not item.take(now, cost):
            now += item.bucket.wait_seconds(item.item, cost, now) * 1000
            assert item.take(now, cost)


def test_an_item_without_a_bucket_does_not_wait() -> None:
    """It was written while there were no rates."""
    assert Bucket(10, 20).wait_seconds({"connectionid": {"S": "c1="}}, 1, BEGIN) == 0
