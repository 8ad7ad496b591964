"""Who is slow, and when the account is throttled: both are answered 429."""

import random
from itertools import count

import pytest

from chalicelib.gateway.refusals import ACCOUNT_SECONDS, APART_SECONDS, MEMORY_SECONDS, SPAN, Cause, Refusals

# Long enough apart to be two refusals, and close enough for the same evidence; in s.
LATER = 1.5 * APART_SECONDS


def ids(number: int, name: str = "c") -> list[str]:
    return [f"{name}{each}" for each in range(number)]


def deliver(refusals: Refusals, number: int, now: float) -> None:
    for connection_id in ids(number):
        refusals.delivered(connection_id, now)


def refuse(refusals: Refusals, connection_ids: list[str], now: float) -> list[Cause]:
    return [refusals.refused(connection_id, now) for connection_id in connection_ids]


def refused_until_slow(others: int, most: int = 1000) -> int | None:
    """How often one must be refused amid so many deliveries to others; None if it is never slow."""
    refusals = Refusals()
    for number in range(1, most + 1):
        now = number * 10 * SPAN
        deliver(refusals, others, now)
        if refusals.refused("slow", now) is Cause.SOCKET:
            return number
    return None


@pytest.mark.parametrize(("others", "refused"), [(100_000, 2), (200, 2), (50, 3), (20, 4), (5, 7), (1, 22)])
def test_one_that_is_refused_again_and_again_among_others_is_slow(others: int, refused: int) -> None:
    assert refused_until_slow(others) == refused


def test_alone_nobody_is_ever_slow() -> None:
    assert refused_until_slow(others=0) is None


def test_what_is_answered_after_a_refusal_counts_as_much() -> None:
    refusals = Refusals()
    assert refusals.refused("slow", 0.0) is Cause.UNKNOWN
    deliver(refusals, 199, 0.01)
    assert refusals.cause("slow", 0.02) is Cause.UNKNOWN
    assert refusals.refused("slow", LATER) is Cause.SOCKET
    assert refusals.cause("slow", LATER) is Cause.SOCKET


def test_what_nobody_is_answered_after_takes_nothing_back() -> None:
    refusals = Refusals()
    deliver(refusals, 199, 0.0)
    refuse(refusals, ["slow"], 0.0)
    assert refusals.cause("slow", 10 * SPAN) is Cause.UNKNOWN
    deliver(refusals, 199, 20 * SPAN)
    assert refusals.refused("slow", 20 * SPAN) is Cause.SOCKET


def test_it_stays_slow_wherever_there_is_no_evidence_at_all() -> None:
    refusals = Refusals()
    deliver(refusals, 199, 0.0)
    refuse(refusals, ["slow"], 0.0)
    for number in range(1, 5):
        assert refusals.refused("slow", number * MEMORY_SECONDS / 2 if number > 1 else LATER) is Cause.SOCKET


def test_refusals_of_the_same_moment_are_one() -> None:
    refusals = Refusals()
    deliver(refusals, 199, 0.0)
    for number in range(5):
        assert refusals.refused("c", number * APART_SECONDS / 11) is Cause.UNKNOWN
    assert refusals.refused("c", 2 * APART_SECONDS) is Cause.SOCKET


def test_a_delivery_ends_all_suspicion() -> None:
    refusals = Refusals()
    now = 0.0
    for number in range(50):
        now = number * LATER
        deliver(refusals, 199, now)
        assert refusals.refused("c", now) is Cause.UNKNOWN
        refusals.delivered("c", now)
    refuse(refusals, ["c"], now)
    assert refusals.refused("c", now + LATER) is Cause.SOCKET
    refusals.delivered("c", now + LATER)
    assert refusals.refused("c", now + 2 * LATER) is Cause.UNKNOWN


def test_many_that_are_refused_together_mean_the_account() -> None:
    refusals = Refusals()
    deliver(refusals, 10, 0.0)
    causes = refuse(refusals, ids(10, "refused"), 0.01)
    assert causes == [Cause.UNKNOWN] * 2 + [Cause.ACCOUNT] * 8
    # Those that were refused before it was known.
    assert refusals.cause("refused0", 0.03) is Cause.ACCOUNT
    assert refusals.throttled_at == 0.01


@pytest.mark.parametrize(("refused", "delivered"), [(2, 0), (2, 7), (3, 13), (20, 81)])
def test_too_few_of_too_many_do_not(refused: int, delivered: int) -> None:
    refusals = Refusals()
    deliver(refusals, delivered, 0.0)
    assert set(refuse(refusals, ids(refused, "refused"), 0.0)) == {Cause.UNKNOWN}


@pytest.mark.parametrize(("refused", "delivered"), [(3, 0), (3, 12), (20, 80)])
def test_enough_of_few_enough_do(refused: int, delivered: int) -> None:
    refusals = Refusals()
    deliver(refusals, delivered, 0.0)
    assert refuse(refusals, ids(refused, "refused"), 0.0)[-1] is Cause.ACCOUNT


def test_refusals_far_apart_are_not_together() -> None:
    refusals = Refusals()
    for number, connection_id in enumerate(ids(10)):
        assert refusals.refused(connection_id, number * 2 * SPAN) is Cause.UNKNOWN


def test_a_throttled_account_is_assumed_for_a_while() -> None:
    refusals = Refusals()
    refuse(refusals, ids(10), 0.0)
    assert refusals.refused("other", 0.9 * ACCOUNT_SECONDS) is Cause.ACCOUNT
    assert refusals.throttled_at == 0.0
    assert refusals.refused("another", 1.1 * ACCOUNT_SECONDS) is Cause.UNKNOWN


def test_the_tail_of_a_room_that_is_refused_each_time_means_the_account() -> None:
    refusals = Refusals()
    for number in range(5):
        deliver(refusals, 20, number * 1.0)
        # By this Lambda they are not sent to again: others do that.
        assert refuse(refusals, ids(10, "tail"), number * 1.0)[-1] is Cause.ACCOUNT


def test_a_third_of_a_room_that_is_slow_is_found_out() -> None:
    refusals = Refusals()
    slow = ids(100, "slow")
    for number in range(100):
        now = number * 1.0
        deliver(refusals, 200, now)
        causes = set(refuse(refusals, slow, now))
        if causes == {Cause.SOCKET}:
            break
    assert 5 < number < 40
    # They say nothing of others any more, neither of the account ...
    deliver(refusals, 200, now + 1)
    refuse(refusals, slow, now + 1)
    assert set(refuse(refusals, ["one more"], now + 1)) == {Cause.UNKNOWN}
    # ... nor of one more that is slow.
    assert refusals.refused("one more", now + 1 + LATER) is Cause.SOCKET


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("size", [1, 2, 5, 20, 200])
def test_nobody_is_called_slow_whatever_share_the_account_refuses(size: int, share: float) -> None:
    source = random.Random(1)
    refusals = Refusals()
    called_slow: set[str] = set()
    now = 0.0
    for _ in range(10_000 // size):
        waiting = ids(size)
        for _ in range(12):
            again = []
            for connection_id in waiting:
                now += 0.0005
                if source.random() >= share:
                    refusals.delivered(connection_id, now)
                elif refusals.refused(connection_id, now) is Cause.SOCKET:
                    called_slow.add(connection_id)
                else:
                    again.append(connection_id)
            now += source.uniform(LATER, 2 * LATER)
            waiting = [each for each in again if refusals.cause(each, now) is not Cause.SOCKET]
            called_slow.update(set(again).difference(waiting))
    # Of 10,000 posts. Chance may have its two.
    assert len(called_slow) <= 2


def test_a_moment_of_throttling_in_a_calm_time_makes_nobody_slow() -> None:
    refusals = Refusals()
    deliver(refusals, 10_000, 0.0)
    for number in range(5):
        assert Cause.SOCKET not in refuse(refusals, ids(2, f"c{number}-"), 0.001 * number)


def test_evidence_is_forgotten_when_it_is_old() -> None:
    refusals = Refusals()
    deliver(refusals, 10_000, 0.0)
    refuse(refusals, ["c"], 3 * SPAN)
    # Nobody else was answered then, so neither refusal says anything.
    assert refusals.refused("c", 3 * SPAN + LATER) is Cause.UNKNOWN


@pytest.mark.parametrize("later", [3600.0, -3600.0, -2 * SPAN], ids=["ahead", "back", "back a little"])
def test_nothing_counts_from_before_the_clock_jumped(later: float) -> None:
    now = 10_000.0
    refusals = Refusals()
    deliver(refusals, 10_000, now)
    refuse(refusals, ["c"], now)
    now += later
    assert refusals.refused("c", now) is Cause.UNKNOWN
    assert refusals.refused("c", now + LATER) is Cause.UNKNOWN
    refuse(refusals, ids(10), now)
    now += later
    assert refusals.refused("c", now) is Cause.UNKNOWN


def test_suspects_are_forgotten_in_time() -> None:
    refusals = Refusals()
    for number in count():
        now = number * MEMORY_SECONDS / 100
        deliver(refusals, 199, now)
        refuse(refusals, [f"suspect{number}"], now)
        assert len(refusals._suspects) <= 210
        if now > 3 * MEMORY_SECONDS:
            break
    assert refusals.refused("suspect0", now) is Cause.UNKNOWN


def test_slow_sockets_are_forgotten_in_time() -> None:
    refusals = Refusals()
    deliver(refusals, 199, 0.0)
    refuse(refusals, ["slow"], 0.0)
    assert refusals.refused("slow", LATER) is Cause.SOCKET
    assert refusals.refused("slow", 1.1 * MEMORY_SECONDS) is Cause.UNKNOWN


def test_of_a_connection_that_was_not_refused_nothing_is_known() -> None:
    refusals = Refusals()
    assert refusals.cause("c", 0.0) is Cause.UNKNOWN
    refuse(refusals, ids(3), 0.0)
    assert refusals.cause("c", 0.0) is Cause.ACCOUNT
