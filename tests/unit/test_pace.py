"""How fast posts may begin."""

import pytest

from chalicelib.gateway.pace import Pace


def test_throttling_halves_and_delivering_grows() -> None:
    pace = Pace(64)
    pace.throttled(now=0.0)
    assert pace.concurrency == 32
    for _ in range(32):
        pace.delivered()
    assert pace.concurrency == pytest.approx(33, abs=0.1)


def test_a_burst_of_throttled_posts_is_one_reason_to_slow_down() -> None:
    pace = Pace(64)
    for number in range(50):
        pace.throttled(now=number / 1000)
    assert pace.concurrency == 32
    pace.throttled(now=0.2)
    assert pace.concurrency == 16


def test_it_never_stops_and_never_grows_beyond_the_most() -> None:
    pace = Pace(8)
    for number in range(100):
        pace.throttled(now=float(number))
    assert pace.concurrency == 1
    for _ in range(100):
        pace.delivered()
    assert pace.concurrency == 8


def test_without_a_limit_every_post_may_begin() -> None:
    pace = Pace(8)
    assert {pace.begin(now=0.0) for _ in range(1000)} == {0.0}


def begun(pace: Pace, start: float, seconds: float) -> int:
    """How many posts begin in a time, if each that must wait waits."""
    number, now = 0, start
    while now < start + seconds:
        wait = pace.begin(now)
        number += not wait
        now += wait
    return number


def test_posts_are_spread_over_the_second() -> None:
    pace = Pace(8, per_second=100)
    assert begun(pace, 0.0, seconds=1.0) in range(108, 112)  # a burst of 10, and 100
    assert begun(pace, 1.0, seconds=10.0) in range(998, 1003)
    assert begun(pace, 100.0, seconds=0.001) == 10


def test_less_than_one_post_in_a_moment_is_possible() -> None:
    pace = Pace(8, per_second=1)
    assert begun(pace, 0.0, seconds=9.5) == 10
