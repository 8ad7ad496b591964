"""The corpus of the fuzzer, and a little of what it makes up: nothing leaves a handler but an answer.

More of it: ``make fuzz MINUTES=5``.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.events import STEPS, Step
from tests.fuzz.target import Target

CORPUS = Path(__file__).parents[1] / "fuzz/corpus"


@pytest.fixture(scope="module", params=["none", "jwt"])
def target(request: pytest.FixtureRequest, ministack_url: str) -> Iterator[Target]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_SSM", ministack_url)
        target = Target(ministack_url, request.param)
        yield target
        target.tables.delete()


@pytest.mark.parametrize("file", sorted(CORPUS.glob("*.json")), ids=lambda file: file.stem)
def test_what_was_found_or_thought_of_before(target: Target, file: Path) -> None:
    target.run(Step(**step) for step in json.loads(file.read_text()))


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(steps=STEPS)
def test_what_is_made_up(target: Target, steps: list[Step]) -> None:
    target.run(steps)


def test_the_target_notices(target: Target) -> None:
    """An event that API Gateway never sends makes a handler raise."""
    context = {"connectionId": "c0000000000000=", "requestId": "r"}
    with pytest.raises(AttributeError):
        target.run([Step("connect", {"requestContext": context, "headers": "none"})])
