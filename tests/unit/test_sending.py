"""One payload to many: what each answer means."""

import pytest

from chalicelib.gateway.refusals import Cause
from chalicelib.gateway.sending import (
    ACCOUNT_TRIES,
    FIRST_DELAY,
    LONGEST_DELAY,
    TRIES,
    UNKNOWN_DELAY,
    UNKNOWN_TRIES,
    Sending,
)
from chalicelib.gateway.signer import SignedPost
from tests.unit.test_signer import AWS, REGION, Keys

POST = SignedPost(AWS, b"hi", Keys(), REGION, 0)


def sending(*connection_ids: str) -> Sending:
    return Sending(POST, connection_ids, deadline=0.0)


def test_each_connection_has_one_outcome() -> None:
    posts = sending("a", "b", "c", "d", "a")
    assert list(posts.waiting) == ["a", "b", "c", "d"]
    assert posts.answered("a", 200) is None
    assert posts.answered("b", 410) is None
    assert posts.answered("c", 403) is None
    assert not posts.done
    posts.give_up("d", "timeout")
    assert posts.done
    result = posts.future.result(timeout=0)
    assert (result.delivered, result.gone, result.failed) == (["a"], ["b"], {"c": "403", "d": "timeout"})
    assert result.forbidden


def test_to_nobody_is_done_at_once() -> None:
    assert sending().future.result(timeout=0).delivered == []


@pytest.mark.parametrize("status", [500, 503])
def test_what_may_pass_is_tried_again_with_growing_delays(status: int) -> None:
    posts = sending("a")
    for number in range(TRIES - 1):
        delay = posts.answered("a", status)
        assert delay is not None
        assert 0 <= delay <= FIRST_DELAY * 2**number
    assert posts.answered("a", status) is None
    result = posts.future.result(timeout=0)
    assert (result.failed, result.throttled, result.slow) == ({"a": str(status)}, [], [])
    assert result.left == {"a"}


def test_what_is_throttled_for_the_account_is_tried_for_seconds() -> None:
    seconds = []
    for _ in range(50):
        posts = sending("a")
        delays = [posts.refused("a", Cause.ACCOUNT) for _ in range(ACCOUNT_TRIES)]
        assert delays.pop() is None
        for number, delay in enumerate(delays):
            assert delay is not None
            assert 0 <= delay <= min(LONGEST_DELAY, FIRST_DELAY * 2**number)
        seconds.append(sum(delay for delay in delays if delay is not None))
        assert len(set(delays)) == len(delays)
    # The deadline comes before.
    assert sum(seconds) / 50 > 3
    result = posts.future.result(timeout=0)
    assert (result.throttled, result.slow, result.left) == (["a"], [], {"a"})


def test_what_is_refused_and_nobody_knows_why_is_tried_for_a_moment() -> None:
    posts = sending("a")
    delays = [posts.refused("a", Cause.UNKNOWN) for _ in range(UNKNOWN_TRIES)]
    assert delays.pop() is None
    for delay in delays:
        assert delay is not None
        assert UNKNOWN_DELAY / 2 <= delay <= UNKNOWN_DELAY
    assert len(set(delays)) == len(delays)
    result = posts.future.result(timeout=0)
    assert (result.throttled, result.slow, result.left) == (["a"], [], {"a"})


def test_nobody_waits_for_one_that_is_refused_while_all_others_are_done() -> None:
    posts = sending("a", "b", "c")
    assert posts.refused("a", Cause.UNKNOWN) is not None
    posts.answered("b", 200)
    assert not posts.done
    posts.answered("c", 200)
    result = posts.future.result(timeout=0)
    assert (result.delivered, result.unsure, result.left) == (["b", "c"], ["a"], set())


def test_nothing_ends_while_a_try_is_under_way() -> None:
    posts = sending("a", "b")
    assert posts.refused("a", Cause.UNKNOWN) is not None
    posts.try_again("a")
    posts.answered("b", 200)
    assert not posts.done
    posts.answered("a", 200)
    assert posts.future.result(timeout=0).delivered == ["b", "a"]


def test_those_that_wait_are_tried_again_once_it_is_known_to_be_the_account() -> None:
    posts = sending("a", "b")
    assert posts.refused("a", Cause.UNKNOWN) is not None
    assert posts.refused("b", Cause.ACCOUNT) is not None
    posts.answered("b", 200)
    assert not posts.done
    assert posts.future.done() is False


def test_who_is_patient_waits_for_all() -> None:
    posts = Sending(POST, ["a", "b"], deadline=100.0, patient=True)
    posts.answered("b", 200)
    delays = [posts.refused("a", Cause.UNKNOWN) for _ in range(ACCOUNT_TRIES - 1)]
    assert all(delay is not None and delay <= LONGEST_DELAY for delay in delays)
    posts.answered("a", 200)
    assert posts.future.result(timeout=0).delivered == ["b", "a"]


def test_every_refusal_is_a_try_whatever_it_is_taken_for() -> None:
    posts = sending("a")
    for _ in range(UNKNOWN_TRIES):
        assert posts.refused("a", Cause.ACCOUNT) is not None
    assert posts.refused("a", Cause.UNKNOWN) is None


def test_a_slow_socket_is_left_out_at_once_and_is_not_left() -> None:
    posts = sending("a", "b", "c")
    assert posts.refused("a", Cause.SOCKET) is None
    assert posts.refused("b", Cause.UNKNOWN) is not None
    posts.leave_out("b")
    posts.answered("c", 200)
    result = posts.future.result(timeout=0)
    assert (result.slow, result.throttled, result.failed) == (["a", "b"], [], {})
    assert (result.left, result.refused) == (set(), [])


@pytest.mark.parametrize("status", [400, 403, 413])
def test_what_would_be_refused_again_is_not_tried_again(status: int) -> None:
    posts = sending("a")
    assert posts.answered("a", status) is None
    result = posts.future.result(timeout=0)
    assert (result.refused, result.left) == (["a"], set())


def test_a_lost_answer_is_tried_again_and_given_up_in_the_end() -> None:
    posts = sending("a")
    delays = [posts.unanswered("a") for _ in range(TRIES)]
    assert delays[-1] is None
    assert None not in delays[:-1]
    result = posts.future.result(timeout=0)
    assert (result.failed, result.left) == ({"a": "unreachable"}, {"a"})


def test_what_has_no_outcome_at_the_deadline_has_failed() -> None:
    posts = sending("a", "b")
    posts.answered("a", 200)
    posts.expire()
    result = posts.future.result(timeout=0)
    assert (result.delivered, result.failed, list(posts.waiting)) == (["a"], {"b": "timeout"}, [])


def test_what_waits_after_a_429_at_the_deadline_was_throttled() -> None:
    posts = sending("tried again", "under way", "in the queue", "never begun")
    posts.waiting.clear()
    for connection_id in ("tried again", "under way", "in the queue"):
        posts.refused(connection_id, Cause.ACCOUNT)
    posts.waiting.extend(["in the queue", "never begun"])
    posts.expire(under_way={"under way"})
    result = posts.future.result(timeout=0)
    assert result.throttled == ["tried again", "in the queue"]
    assert result.failed == {"under way": "timeout", "never begun": "timeout"}
    assert list(posts.waiting) == []
