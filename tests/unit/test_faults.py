"""Which writes are tried again, how often, and after how long."""

from typing import Any, ClassVar

import boto3
import pytest

from chalicelib.aws.dynamodb import DynamoDB
from chalicelib.aws.errors import refusals
from chalicelib.storage.faults import WRITE_TRIES, transact, write
from tests.rig.faults import cancelled

ALONE = [
    "TransactionConflictException",
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
]
REASONS = ["TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError", "RequestLimitExceeded"]


class Table:
    """Stands for a client: fails with these answers, in turn, and then does what is asked."""

    exceptions: ClassVar[Any]

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.requests = 0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def put_item(self, **arguments: object) -> dict[str, Any]:
        self.requests += 1
        if not self.answers:
            return {"done": arguments}
        answer = self.answers.pop(0)
        kind = getattr(self.exceptions, answer["Error"]["Code"], self.exceptions.ClientError)
        raise kind(answer, "PutItem")

    transact_write_items = put_item


@pytest.fixture(
    params=[boto3.client("dynamodb", region_name="eu-west-1").exceptions, DynamoDB.exceptions],
    ids=["boto3", "ours"],
    autouse=True,
)
def exceptions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail as each of the clients does."""
    monkeypatch.setattr(Table, "exceptions", request.param, raising=False)


def refused(code: str) -> dict[str, Any]:
    return {"Error": {"Code": code, "Message": "as told"}}


@pytest.mark.parametrize("code", ALONE)
def test_what_passes_is_tried_again(code: str) -> None:
    table = Table(*[refused(code)] * (WRITE_TRIES - 1))
    assert write(table.put_item, table.sleep, Item="item") == {"done": {"Item": "item"}}
    assert table.requests == WRITE_TRIES
    assert len(table.slept) == WRITE_TRIES - 1


@pytest.mark.parametrize("reason", REASONS)
def test_as_the_reason_of_a_transaction_too(reason: str) -> None:
    table = Table(*[cancelled("None", reason, "None")] * (WRITE_TRIES - 1))
    assert transact(table, ["one", "two", "three"], table.sleep) == []  # type: ignore[list-item]
    assert table.requests == WRITE_TRIES


@pytest.mark.parametrize("code", ALONE)
def test_what_does_not_pass_in_time_is_raised(code: str) -> None:
    table = Table(*[refused(code)] * 99)
    with pytest.raises(refusals(), match=code):
        write(table.put_item, table.sleep, Item="item")
    assert table.requests == WRITE_TRIES


@pytest.mark.parametrize("reason", REASONS)
def test_as_the_reason_of_a_transaction_neither(reason: str) -> None:
    table = Table(*[cancelled(reason, "None")] * 99)
    with pytest.raises(refusals(), match="cancelled"):
        transact(table, ["one", "two"], table.sleep)  # type: ignore[list-item]
    assert table.requests == WRITE_TRIES


def test_when_patience_is_at_its_end_no_other_try_begins() -> None:
    table = Table(*[refused("ThrottlingException")] * 99)
    with pytest.raises(refusals()):
        write(table.put_item, table.sleep, patience=0, Item="item")
    assert table.requests == 1


@pytest.mark.parametrize(
    "answer",
    [
        {**refused("ThrottlingException"), "ResponseMetadata": {"RetryAttempts": 3}},
        refused("ValidationException"),
        refused("ConditionalCheckFailedException"),
        refused("ResourceNotFoundException"),
        refused("AccessDeniedException"),
        cancelled("None", "ValidationError"),
        cancelled("TransactionConflict", "ItemCollectionSizeLimitExceeded"),
    ],
)
def test_what_stays_is_raised_at_once(answer: dict[str, Any]) -> None:
    table = Table(answer)
    with pytest.raises(refusals()):
        write(table.put_item, table.sleep, Item="item")
    assert (table.requests, table.slept) == (1, [])


@pytest.mark.parametrize("beside", ["None", *REASONS])
def test_a_condition_that_does_not_hold_is_the_answer(beside: str) -> None:
    table = Table(cancelled("ConditionalCheckFailed", beside))
    reasons = transact(table, ["one", "two"], table.sleep)  # type: ignore[list-item]
    assert [reason["Code"] for reason in reasons] == ["ConditionalCheckFailed", beside]
    assert table.requests == 1


def test_the_pauses_are_of_full_jitter_and_double() -> None:
    slept: list[list[float]] = []
    for _ in range(50):
        table = Table(*[refused("ThrottlingException")] * (WRITE_TRIES - 1))
        write(table.put_item, table.sleep, Item="item")
        slept.append(table.slept)
    for number, pauses in enumerate(zip(*slept, strict=True)):
        most = 0.05 * 2**number
        assert 0 <= min(pauses) < most / 4
        assert most * 3 / 4 < max(pauses) <= most
