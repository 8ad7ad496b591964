"""The rig's DynamoDB does what the others do: the same requests, on each of them."""

import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.functional.tables import Tables

LOBBY = {"roomId": {"S": "lobby"}, "connectionid": {"S": "ann"}}
THERE = {
    **LOBBY,
    "count": {"N": "9"},
    "said": {"S": "hello"},
    "tags": {"SS": ["a", "b"]},
    "steps": {"L": [{"N": "1"}, {"N": "2"}]},
    "flag": {"BOOL": True},
}
VALUES = {
    ":n": {"N": "10"},
    ":nine": {"N": "9.0"},
    ":h": {"S": "he"},
    ":hello": {"S": "hello"},
    ":a": {"S": "a"},
    ":tag": {"SS": ["b", "c"]},
    ":tags": {"SS": ["b", "a"]},
    ":two": {"N": "2"},
    ":true": {"BOOL": True},
}


@pytest.fixture
def tables(tables_everywhere: Tables) -> Tables:
    return tables_everywhere


def used(expression: str) -> dict[str, Any]:
    """The names and values that an expression uses, and no others: DynamoDB refuses those."""
    values = {name: VALUES[name] for name in re.findall(r":\w+", expression)}
    given: dict[str, Any] = {"ExpressionAttributeValues": values} if values else {}
    if "#count" in expression:
        given["ExpressionAttributeNames"] = {"#count": "count"}
    return given


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("attribute_exists(said)", True),
        ("attribute_not_exists(said)", False),
        ("attribute_not_exists(nothing) AND #count < :n", True),
        ("#count = :nine", True),
        ("#count <> :nine", False),
        ("nothing <> :nine", True),
        ("nothing < :nine", False),
        ("said < :n", False),
        ("begins_with(said, :h)", True),
        ("contains(said, :h)", True),
        ("contains(tags, :a)", True),
        ("contains(tags, :h)", False),
        ("contains(steps, :two)", True),
        ("tags = :tags", True),
        ("steps[1] = :two", True),
        ("steps[2] = :two", False),
        ("size(tags) < :n AND size(said) > :two", True),
        ("NOT (said = :hello OR #count > :n)", False),
        ("#count BETWEEN :two AND :n", True),
        ("said IN (:h, :hello)", True),
        ("flag = :true", True),
    ],
)
def test_a_condition(tables: Tables, condition: str, holds: bool) -> None:
    tables.client.put_item(TableName=tables.rooms, Item=THERE)
    put = {"TableName": tables.rooms, "Item": THERE, "ConditionExpression": condition, **used(condition)}
    if holds:
        tables.client.put_item(**put)
        return
    with pytest.raises(tables.client.exceptions.ConditionalCheckFailedException) as refused:
        tables.client.put_item(**put, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert in_order(refused.value.response["Item"]) == in_order(THERE)


@pytest.mark.parametrize(
    ("update", "changed"),
    [
        ("SET said = :h", {"said": {"S": "he"}}),
        ("SET #count = #count + :two REMOVE said, flag", {"count": {"N": "11"}, "said": None, "flag": None}),
        ("ADD #count :two DELETE tags :tag", {"count": {"N": "11"}, "tags": {"SS": ["a"]}}),
        ("DELETE tags :tags", {"tags": None}),
        ("ADD tags :tag, fresh :two", {"tags": {"SS": ["a", "b", "c"]}, "fresh": {"N": "2"}}),
        ("SET #count = if_not_exists(nothing, :two)", {"count": {"N": "2"}}),
        ("SET said = if_not_exists(said, :h)", {}),
        ("SET steps[0] = :two, steps[1] = steps[0]", {"steps": {"L": [{"N": "2"}, {"N": "1"}]}}),
        ("SET steps[7] = :a", {"steps": {"L": [{"N": "1"}, {"N": "2"}, {"S": "a"}]}}),
        ("REMOVE steps[0]", {"steps": {"L": [{"N": "2"}]}}),
        ("SET steps = list_append(steps, steps)", {"steps": {"L": [{"N": "1"}, {"N": "2"}] * 2}}),
    ],
)
def test_an_update(tables: Tables, update: str, changed: dict[str, Any]) -> None:
    tables.client.put_item(TableName=tables.rooms, Item=THERE)
    answer = tables.client.update_item(
        TableName=tables.rooms, Key=LOBBY, UpdateExpression=update, ReturnValues="ALL_NEW", **used(update)
    )
    wanted = {name: value for name, value in {**THERE, **changed}.items() if value is not None}
    assert in_order(answer["Attributes"]) == in_order(wanted)
    [item] = tables.items(tables.rooms)
    assert in_order(item) == in_order(wanted)


def test_an_update_of_nothing_makes_an_item(tables: Tables) -> None:
    answer = tables.client.update_item(
        TableName=tables.rooms,
        Key=LOBBY,
        UpdateExpression="ADD seq :two",
        ExpressionAttributeValues={":two": {"N": "2"}},
        ReturnValues="ALL_OLD",
    )
    assert "Attributes" not in answer
    assert tables.items(tables.rooms) == [{**LOBBY, "seq": {"N": "2"}}]


@pytest.mark.parametrize(
    ("condition", "given", "found"),
    [
        ("", {}, "abcde"),
        ("", {"ScanIndexForward": False}, "edcba"),
        ("", {"Limit": 2}, "ab"),
        ("", {"Limit": 2, "ScanIndexForward": False}, "ed"),
        (" AND connectionid > :b", {}, "cde"),
        (" AND connectionid >= :b", {}, "bcde"),
        (" AND connectionid < :b", {}, "a"),
        (" AND connectionid <= :b", {}, "ab"),
        (" AND connectionid = :b", {}, "b"),
        (" AND connectionid BETWEEN :b AND :d", {}, "bcd"),
        (" AND begins_with(connectionid, :b)", {}, "b"),
    ],
)
def test_a_query(tables: Tables, condition: str, given: dict[str, Any], found: str) -> None:
    for room in ("lobby", "cats"):
        for each in "caebd":
            item = {"roomId": {"S": room}, "connectionid": {"S": each}}
            tables.client.put_item(TableName=tables.rooms, Item=item)
    values = {":room": {"S": "lobby"}}
    values |= {name: {"S": name[1]} for name in (":b", ":d") if name in condition}
    query = {
        "TableName": tables.rooms,
        "KeyConditionExpression": f"roomId = :room{condition}",
        "ExpressionAttributeValues": values,
        "ConsistentRead": True,
        **given,
    }
    page = tables.client.query(**query)
    assert "".join(item["connectionid"]["S"] for item in page["Items"]) == found
    assert ("LastEvaluatedKey" in page) is ("Limit" in given)
    if "LastEvaluatedKey" in page:
        rest = tables.client.query(**query, ExclusiveStartKey=page["LastEvaluatedKey"])
        assert "".join(item["connectionid"]["S"] for item in rest["Items"]) == {"ab": "cd", "ed": "cb"}[found]


def test_a_scan_gives_all_in_pages(tables: Tables) -> None:
    for number in range(7):
        item = {"roomId": {"S": f"room{number % 3}"}, "connectionid": {"S": f"{number}"}}
        tables.client.put_item(TableName=tables.rooms, Item=item)
    pages = tables.client.get_paginator("scan").paginate(
        TableName=tables.rooms, Limit=2, ProjectionExpression="connectionid"
    )
    items = [item for page in pages for item in page["Items"]]
    assert sorted(item["connectionid"]["S"] for item in items) == sorted(map(str, range(7)))
    assert all(item.keys() == {"connectionid"} for item in items)


def test_a_transaction_is_done_whole_or_not_at_all(tables: Tables) -> None:
    other = {"roomId": {"S": "cats"}, "connectionid": {"S": "bob"}}
    tables.client.put_item(TableName=tables.rooms, Item=other)
    items = [
        {"Put": {"TableName": tables.rooms, "Item": THERE}},
        {
            "Delete": {
                "TableName": tables.rooms,
                "Key": other,
                "ConditionExpression": "attribute_not_exists(roomId)",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        },
    ]
    with pytest.raises(tables.client.exceptions.TransactionCanceledException) as refused:
        tables.client.transact_write_items(TransactItems=items)
    first, second = refused.value.response["CancellationReasons"]
    assert (first["Code"], second["Code"], second["Item"]) == ("None", "ConditionalCheckFailed", other)
    assert tables.items(tables.rooms) == [other]
    del items[1]["Delete"]["ConditionExpression"], items[1]["Delete"]["ReturnValuesOnConditionCheckFailure"]
    tables.client.transact_write_items(TransactItems=items)
    assert [item["roomId"]["S"] for item in tables.items(tables.rooms)] == ["lobby"]


def test_a_batch(tables: Tables) -> None:
    other = {"roomId": {"S": "cats"}, "connectionid": {"S": "bob"}}
    tables.client.put_item(TableName=tables.rooms, Item=other)
    writes = [{"PutRequest": {"Item": THERE}}, {"DeleteRequest": {"Key": other}}]
    assert not tables.client.batch_write_item(RequestItems={tables.rooms: writes})["UnprocessedItems"]
    answer = tables.client.batch_get_item(RequestItems={tables.rooms: {"Keys": [other, LOBBY]}})
    [item] = answer["Responses"][tables.rooms]
    assert in_order(item) == in_order(THERE)


def test_a_table_that_is_not_there(tables: Tables) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        tables.client.get_item(TableName="Nothing", Key=LOBBY)


def in_order(item: dict[str, Any]) -> dict[str, Any]:
    """An item whose sets can be compared, and whose numbers are written in one way."""
    return {
        name: {kind: sorted(value) if kind == "SS" else value for kind, value in each.items()}
        for name, each in item.items()
    }
