"""The bucket's condition, against a bucket as one would write it with numbers."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.storage.bucket import ATTRIBUTE, Bucket

STEPS = st.lists(st.integers(0, 400), min_size=1, max_size=120)


class Item:
    """An item that is updated as DynamoDB does it: the condition first, then all from what was there."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.item: dict[str, Any] = {ATTRIBUTE: bucket.full}

    def take(self, now_ms: int) -> bool:
        values = self.bucket.values(now_ms)
        times = [int(time["N"]) for time in self.item[ATTRIBUTE]["L"]]
        if not any(time <= int(values[f":t{k}"]["N"]) for k, time in enumerate(times)):
            return False
        self.item = {ATTRIBUTE: {"L": [{"N": str(time)} for time in [now_ms, *times[:-1]]]}}
        return True


@given(per_second=st.sampled_from([1, 2, 10, 50]), burst=st.integers(1, 30), steps=STEPS)
def test_never_more_than_the_bucket_has(per_second: int, burst: int, steps: list[int]) -> None:
    """In no span of time are there more than a burst, what comes in meanwhile, and one."""
    item = Item(Bucket(per_second, burst))
    now, taken = 1_700_000_000_000, []
    for step in steps:
        now += step
        if item.take(now):
            taken.append(now)
    for first, start in enumerate(taken):
        for last, end in enumerate(taken[first:], first):
            assert last - first + 1 <= burst + (end - start) * per_second / 1000 + 1


@given(per_second=st.sampled_from([1, 2, 10, 50]), burst=st.integers(1, 30), steps=STEPS)
def test_after_a_silence_the_whole_burst_is_there(per_second: int, burst: int, steps: list[int]) -> None:
    item = Item(Bucket(per_second, burst))
    now = 1_700_000_000_000
    for step in steps:
        now += step
        item.take(now)
    now += 1000 * burst // per_second
    assert [item.take(now) for _ in range(burst)] == [True] * burst


@given(burst=st.integers(1, 30), ahead=st.integers(0, 40))
def test_at_its_pace_there_is_always_a_token(burst: int, ahead: int) -> None:
    item = Item(Bucket(10, burst))
    now = 1_700_000_000_000
    for _ in range(ahead):
        item.take(now)
    for _ in range(100):
        now += 100
        assert item.take(now)


def test_what_comes_in_is_what_there_is() -> None:
    item = Item(Bucket(10, 20))
    now = 1_700_000_000_000
    assert sum(item.take(now) for _ in range(30)) == 20
    assert sum(item.take(now + 1000) for _ in range(30)) == 10
    assert sum(item.take(now + 1000 + 10 * step) for step in range(1, 301)) == 30


@given(steps=STEPS)
def test_after_the_wait_there_is_a_token(steps: list[int]) -> None:
    bucket = Bucket(10, 20)
    item = Item(bucket)
    now = 1_700_000_000_000
    for step in steps:
        now += step // 8
        if not item.take(now):
            wait = bucket.wait_seconds(item.item, now)
            assert wait >= 1
            now += wait * 1000
            assert item.take(now)
