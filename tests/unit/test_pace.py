"""How fast posts may begin."""

import pytest

from chalicelib.gateway.pace import DOUBLING_SECONDS, QUIET_SECONDS, Pace


def test_throttling_halves_and_delivering_grows() -> None:
    pace = Pace(64)
    pace.throttled(at=0.0)
    assert pace.concurrency == 32
    for _ in range(32):
        pace.delivered()
    assert pace.concurrency == pytest.approx(33, abs=0.1)


def test_a_burst_of_throttled_posts_is_one_reason_to_slow_down() -> None:
    pace = Pace(64)
    for number in range(50):
        pace.throttled(at=number / 1000)
    assert pace.concurrency == 32
    pace.throttled(at=0.2)
    assert pace.concurrency == 16


def test_it_never_stops_and_never_grows_beyond_the_most() -> None:
    pace = Pace(8)
    for number in range(100):
        pace.throttled(at=float(number))
    assert pace.concurrency == 1
    for _ in range(100):
        pace.delivered()
    assert pace.concurrency == 8


def cut_to_one(at: float) -> Pace:
    pace = Pace(256)
    for number in range(20):
        pace.throttled(at - 20 + number)
    pace.throttled(at)
    assert pace.concurrency == 1
    return pace


def test_evidence_of_the_same_moment_cuts_once_however_late_it_is_told_again() -> None:
    pace = Pace(64)
    for _ in range(50):
        pace.throttled(at=5.0)
    assert pace.concurrency == 32


def test_it_recovers_within_seconds_without_a_single_post() -> None:
    pace = cut_to_one(at=100.0)
    for tenth in range(100):
        pace.recover(now=100.0 + tenth / 10)
    assert pace.concurrency == 256


def test_it_recovers_by_time_not_by_how_often_it_is_asked() -> None:
    often, once = cut_to_one(at=100.0), cut_to_one(at=100.0)
    late = QUIET_SECONDS + 3 * DOUBLING_SECONDS
    for number in range(1001):
        often.recover(now=100.0 + late * number / 1000)
    once.recover(now=100.0 + late)
    assert (once.concurrency, often.concurrency) == (pytest.approx(8), pytest.approx(8))


def test_it_does_not_recover_while_the_account_is_throttled() -> None:
    pace = cut_to_one(at=100.0)
    for number in range(100):
        pace.throttled(at=100.0 + number * QUIET_SECONDS)
        pace.recover(now=100.0 + number * QUIET_SECONDS + 0.9 * QUIET_SECONDS)
    assert pace.concurrency == 1


def test_it_recovers_to_the_most_in_a_freeze_of_days() -> None:
    pace = cut_to_one(at=100.0)
    pace.recover(now=1e6)
    assert pace.concurrency == 256


def test_a_clock_that_is_set_back_delays_nothing() -> None:
    pace = cut_to_one(at=1e6)
    pace.recover(now=100.0)
    pace.recover(now=100.0 + QUIET_SECONDS + 8 * DOUBLING_SECONDS)
    assert pace.concurrency == 256
    pace.throttled(at=101.0)
    assert pace.concurrency == 128


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
