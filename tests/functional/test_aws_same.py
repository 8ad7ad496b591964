"""The chat's clients of AWS and boto3's do the same, on every DynamoDB and SQS that there is."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.aws.dynamodb import DynamoDB
from chalicelib.aws.errors import refusals
from chalicelib.aws.sqs import Sqs
from chalicelib.storage.rooms import Member, Rooms, to_item
from chalicelib.wire.events import Form
from tests.functional.queues import Queues
from tests.functional.tables import Tables

CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 4})

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.one_of(
    st.integers(-(10**37), 10**37).map(str),
    st.decimals(-1000, 1000, places=3, allow_nan=False).map(lambda number: format(number.normalize(), "f")),
)
BINARY = st.binary(max_size=20)
SCALARS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(lambda value: {"S": value}, TEXT),
    st.builds(lambda value: {"N": value}, NUMBERS),
    st.builds(lambda value: {"B": value}, BINARY),
    st.builds(lambda value: {"BOOL": value}, st.booleans()),
    st.just({"NULL": True}),
    st.builds(lambda value: {"SS": value}, st.lists(TEXT.filter(bool), min_size=1, max_size=4, unique=True)),
    st.builds(
        lambda value: {"NS": value},
        st.lists(st.integers(0, 99).map(str), min_size=1, max_size=4, unique=True),
    ),
    st.builds(
        lambda value: {"BS": value}, st.lists(BINARY.filter(bool), min_size=1, max_size=4, unique=True)
    ),
)
# Names that are also those of types and of fields of answers.
NAMES = st.sampled_from(
    ["a", "b", "c", "S", "B", "Item", "Items", "__type", "ü \N{WAVING HAND SIGN}", "$.x#"]
)
VALUES = st.recursive(
    SCALARS,
    lambda values: st.one_of(
        st.builds(lambda value: {"L": value}, st.lists(values, max_size=3)),
        st.builds(lambda value: {"M": value}, st.dictionaries(NAMES, values, max_size=3)),
    ),
    max_leaves=6,
)
IDS = st.sampled_from(["one", "two", "drei \N{WAVING HAND SIGN}"])
ITEMS = st.builds(
    lambda key, attributes: {**attributes, "connectionid": {"S": key}},
    IDS,
    st.dictionaries(NAMES, VALUES, max_size=4),
)
CONDITIONS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.sampled_from(
        [
            {"ConditionExpression": "attribute_not_exists(connectionid)"},
            {"ConditionExpression": "attribute_exists(#a)", "ExpressionAttributeNames": {"#a": "a"}},
            {
                "ConditionExpression": "attribute_exists(connectionid) AND b < :b",
                "ExpressionAttributeValues": {":b": {"N": "5"}},
            },
            # Those are none.
            {"ConditionExpression": "attribute_exists("},
            {"ConditionExpression": "a = :missing"},
            {"ConditionExpression": "a = :a", "ExpressionAttributeValues": {":a": {"N": "no number"}}},
        ]
    ),
).flatmap(
    lambda condition: st.sampled_from(
        [condition, {**condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}]
    )
)
UPDATES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(
        lambda value: {"UpdateExpression": "SET a = :v", "ExpressionAttributeValues": {":v": value}}, VALUES
    ),
    st.sampled_from(
        [
            {
                "UpdateExpression": "ADD n :one SET e = if_not_exists(e, :e)",
                "ExpressionAttributeValues": {":one": {"N": "1"}, ":e": {"S": "epoch"}},
            },
            {"UpdateExpression": "ADD s :s", "ExpressionAttributeValues": {":s": {"SS": ["x", "y"]}}},
            {"UpdateExpression": "DELETE s :s", "ExpressionAttributeValues": {":s": {"SS": ["x"]}}},
            {"UpdateExpression": "REMOVE a, b"},
            # Those are none.
            {"UpdateExpression": "SET"},
            {"UpdateExpression": "ADD e :s", "ExpressionAttributeValues": {":s": {"S": "x"}}},
        ]
    ),
)
RETURNED = st.sampled_from(["NONE", "ALL_OLD", "ALL_NEW", "UPDATED_NEW", "NO_SUCH_THING"])

Call = tuple[str, dict[str, Any]]
CALLS: st.SearchStrategy[Call] = st.one_of(
    st.builds(lambda item, condition: ("put_item", {"Item": item, **condition}), ITEMS, CONDITIONS),
    st.builds(
        lambda key, update, returned: (
            "update_item",
            {"Key": {"connectionid": {"S": key}}, **update, "ReturnValues": returned},
        ),
        IDS,
        UPDATES,
        RETURNED,
    ),
    st.builds(
        lambda key, condition: (
            "delete_item",
            {"Key": {"connectionid": {"S": key}}, **condition, "ReturnValues": "ALL_OLD"},
        ),
        IDS,
        CONDITIONS,
    ),
    st.builds(
        lambda key: ("get_item", {"Key": {"connectionid": {"S": key}}, "ConsistentRead": True}),
        st.one_of(IDS, st.just("")),
    ),
    st.builds(
        lambda key, limit: (
            "query",
            {
                "KeyConditionExpression": "connectionid = :key",
                "ExpressionAttributeValues": {":key": {"S": key}},
                "Limit": limit,
            },
        ),
        IDS,
        st.integers(1, 3),
    ),
    st.builds(
        lambda items, condition: (
            "transact_write_items",
            {"TransactItems": [{"Put": {"Item": item, **condition}} for item in items]},
        ),
        st.lists(ITEMS, min_size=1, max_size=3),
        CONDITIONS,
    ),
    st.builds(
        lambda items: (
            "batch_write_item",
            {"RequestItems": [{"PutRequest": {"Item": item}} for item in items]},
        ),
        st.lists(ITEMS, min_size=1, max_size=3),
    ),
)


def on(table: str, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call, for a table."""
    if operation == "transact_write_items":
        return {
            "TransactItems": [
                {kind: {"TableName": table, **fields} for kind, fields in each.items()}
                for each in arguments["TransactItems"]
            ]
        }
    if operation == "batch_write_item":
        return {"RequestItems": {table: arguments["RequestItems"]}}
    return {"TableName": table, **arguments}


def outcome(client: Any, table: str, operation: str, arguments: dict[str, Any]) -> Any:
    """What comes of a call, as far as it is to be the same."""
    try:
        answer = getattr(client, operation)(**on(table, operation, arguments))
    except refusals() as error:
        response = dict(error.response)  # type: ignore[attr-defined]
        assert response.pop("ResponseMetadata")["RequestId"]
        # The same again, which boto3 has under either name.
        response.pop("message", None)
        response.pop("Message", None)
        return type(error).__name__, alike(response, table), str(error).replace(table, "")
    metadata = answer.pop("ResponseMetadata")
    return alike(answer, table), metadata["HTTPStatusCode"], metadata["RetryAttempts"]


def alike(value: Any, table: str) -> Any:
    """The same without the table's name, and with sets in an order."""
    if isinstance(value, dict):
        return {
            alike(name, table): sorted(each)
            if name in ("SS", "NS", "BS") and _plain(each)
            else alike(each, table)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [alike(each, table) for each in value]
    return value.replace(table, "") if isinstance(value, str) else value


def _plain(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(each, str | bytes) for each in values)


@pytest.fixture(scope="module", params=["ministack_url", "dynamodb_local_url"])
def dynamodb(request: pytest.FixtureRequest) -> Iterator[tuple[Tables, Tables]]:
    """Tables for boto3, and tables for ours."""
    url = request.getfixturevalue(request.param)
    reference = boto3.client("dynamodb", endpoint_url=url, config=CONFIG)
    theirs, ours = Tables(reference), Tables(reference, DynamoDB(url))
    yield theirs, ours
    theirs.delete()
    ours.delete()


@settings(
    max_examples=40,
    deadline=None,
    # The tables are emptied by each example itself.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(calls=st.lists(CALLS, min_size=1, max_size=8))
def test_the_same_calls_have_the_same_outcomes(dynamodb: tuple[Tables, Tables], calls: list[Call]) -> None:
    for tables in dynamodb:
        for item in tables.items(tables.connections):
            key = {"connectionid": item["connectionid"]}
            tables.client.delete_item(TableName=tables.connections, Key=key)
    for operation, arguments in calls:
        theirs, ours = (
            outcome(tables.client, tables.connections, operation, arguments) for tables in dynamodb
        )
        assert ours == theirs, operation
    left = [alike(tables.items(tables.connections), "") for tables in dynamodb]
    assert sorted(left[0], key=repr) == sorted(left[1], key=repr)


MEMBERS = st.lists(
    st.builds(
        Member,
        TEXT.filter(bool),
        st.none() | TEXT.filter(bool),
        st.sampled_from(Form),
        st.integers(0, 10**13),
        st.integers(2 * 10**9, 10**10),
    ),
    max_size=12,
    unique_by=lambda member: member.id,
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(members=MEMBERS, page=st.integers(1, 13))
def test_members_are_the_same_read_directly(
    dynamodb: tuple[Tables, Tables], members: list[Member], page: int
) -> None:
    tables, ours = dynamodb
    for item in tables.items(tables.rooms):
        key = {name: item[name] for name in ("roomId", "connectionid")}
        tables.client.delete_item(TableName=tables.rooms, Key=key)
    for member in members:
        tables.client.put_item(TableName=tables.rooms, Item=to_item("lobby", member))
    read = [
        list(Rooms(client, tables.rooms, lambda: 1_700_000_000.0, page).pages("lobby"))
        for client in (tables.client, ours.client)
    ]
    assert read[0] == read[1]
    found = [member for each in read[1] for member in each]
    assert sorted(found, key=lambda member: member.id) == sorted(members, key=lambda member: member.id)


class TestSqs:
    @pytest.fixture(params=["boto3", "ours"])
    def sqs(self, request: pytest.FixtureRequest, ministack_url: str) -> Any:
        return (
            Sqs(ministack_url) if request.param == "ours" else boto3.client("sqs", endpoint_url=ministack_url)
        )

    def test_messages_are_put(self, sqs: Any, queues: Queues) -> None:
        url = sqs.get_queue_url(QueueName=queues.queue)["QueueUrl"]
        bodies = ["hi", "\N{WAVING HAND SIGN} 'ü\"\\", "x" * 100_000]
        entries = [{"Id": str(each), "MessageBody": body} for each, body in enumerate(bodies)]
        answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
        assert {each["Id"] for each in answer["Successful"]} == {"0", "1", "2"}
        assert not answer.get("Failed")
        assert sorted(queues.take()) == sorted(bodies)

    def test_a_queue_that_does_not_exist(self, sqs: Any) -> None:
        with pytest.raises(sqs.exceptions.QueueDoesNotExist) as caught:
            sqs.get_queue_url(QueueName="no-such-queue")
        assert caught.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"

    def test_a_batch_that_is_none(self, sqs: Any, queues: Queues) -> None:
        url = sqs.get_queue_url(QueueName=queues.queue)["QueueUrl"]
        with pytest.raises(refusals()):
            sqs.send_message_batch(QueueUrl=url, Entries=[])


def test_a_room_of_many_is_read_by_both(dynamodb: tuple[Tables, Tables]) -> None:
    tables, ours = dynamodb
    members = [Member(f"{each:015}=", f"user{each}", Form.JSON, 1, 4_000_000_000) for each in range(250)]
    for start in range(0, len(members), 25):
        puts = [{"PutRequest": {"Item": to_item("big", each)}} for each in members[start : start + 25]]
        ours.client.batch_write_item(RequestItems={tables.rooms: puts})
    for client in (tables.client, ours.client):
        rooms = Rooms(client, tables.rooms, page_size=100)
        assert [len(page) for page in rooms.pages("big")] == [100, 100, 50]
        assert list(rooms.members("big")) == members
