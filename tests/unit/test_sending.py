"""One payload to many: what each answer means."""

import pytest

from chalicelib.gateway.sending import FIRST_DELAY, TRIES, Sending
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


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_tried_again_with_growing_delays(status: int) -> None:
    posts = sending("a")
    for number in range(TRIES - 1):
        delay = posts.answered("a", status)
        assert delay is not None
        assert 0 <= delay <= FIRST_DELAY * 2**number
    assert posts.answered("a", status) is None
    result = posts.future.result(timeout=0)
    assert (result.throttled, result.failed) == ((["a"], {}) if status == 429 else ([], {"a": str(status)}))
    assert result.left == {"a"}


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
