"""The contract of the storage layer, on every DynamoDB that there is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import boto3
import pytest

from chalicelib.aws.errors import refusals
from chalicelib.errors import StorageUnavailable
from chalicelib.storage.connection import Connection
from chalicelib.storage.connections import Connections
from chalicelib.storage.faults import WRITE_TRIES
from chalicelib.storage.heads import Head, Heads, Sent
from chalicelib.storage.messages import Draft, Messages
from chalicelib.storage.presence import Crossing
from chalicelib.storage.rooms import Member, Rooms
from chalicelib.wire.events import Form
from tests.functional.conftest import CLIENTS
from tests.functional.tables import Tables
from tests.rig.clock import Clock
from tests.rig.dynamodb import DynamoDB as RigsDynamoDB
from tests.rig.raw_server import Between, RawServer, refusal, response

ANN = Connection(
    id="Ann00000000000A=",
    name="ann",
    form=Form.TEXT,
    rooms=frozenset({"lobby", "cats"}),
    connected_at=1_700_000_000_123,
    expires_at=1_700_007_260,
)
# What the clock shows, in ms.
NOW_MS = 1_700_000_000_000
BOB = replace(ANN, id="Bob00000000000A=", name=None, form=Form.JSON, rooms=frozenset({"lobby"}))


# A DynamoDB that is served, and who talks to it.
SERVED = list(product(["ministack_url", "dynamodb_local_url"], CLIENTS))
RIG = "rig", ""
# What is served can be answered in DynamoDB's place.
served = pytest.mark.parametrize("place", SERVED, indirect=True, ids="-".join)


@dataclass
class Place:
    """A DynamoDB, by one client: its URL, and how the client is made for a URL."""

    url: str
    make: Callable[[str], Any]


@pytest.fixture(params=[*SERVED, RIG], ids="-".join)
def place(request: pytest.FixtureRequest) -> Place:
    name, client = request.param
    if request.param == RIG:
        return Place("", lambda url: RigsDynamoDB())
    return Place(request.getfixturevalue(name), CLIENTS[client])


@pytest.fixture
def tables(place: Place) -> Iterator[Tables]:
    """Empty tables on every DynamoDB that there is, used by each client."""
    client = place.make(place.url)
    admin = boto3.client("dynamodb", endpoint_url=place.url) if place.url else client
    tables = Tables(admin, client)
    yield tables
    tables.delete()


@pytest.fixture
def faults(place: Place, tables: Tables) -> Iterator[Between]:
    """The same, and what is told to it is answered in DynamoDB's place."""
    between = Between(place.url)
    with RawServer(between) as server:
        tables.client = place.make(server.url)
        yield between


@pytest.fixture
def connections(tables: Tables, clock: Clock) -> Connections:
    return Connections(
        tables.client,
        tables.connections,
        tables.rooms,
        Heads(tables.client, tables.messages, 30, clock),
        clock,
    )


@pytest.fixture
def rooms(tables: Tables, clock: Clock) -> Rooms:
    return Rooms(tables.client, tables.rooms, clock)


def members(rooms: Rooms, room: str) -> list[Member]:
    return [member for page in rooms.pages(room) for member in page]


def test_a_connection_comes_back_as_it_was_added(connections: Connections) -> None:
    connections.add(ANN)
    connections.add(BOB)
    assert connections.get(ANN.id) == ANN
    assert connections.get(BOB.id) == BOB


def test_one_item_for_each_connection_under_the_tutorials_key(
    connections: Connections, tables: Tables
) -> None:
    connections.add(ANN)
    [item] = tables.items(tables.connections)
    assert item["connectionid"] == {"S": ANN.id}
    assert item["expiresAt"] == {"N": "1700007260"}


def test_what_was_never_added_is_not_there(connections: Connections, rooms: Rooms) -> None:
    assert connections.get(ANN.id) is None
    assert connections.remove(ANN.id) is None
    assert members(rooms, "lobby") == []


def test_an_added_connection_is_a_member_of_its_rooms(connections: Connections, rooms: Rooms) -> None:
    connections.add(ANN)
    connections.add(BOB)
    ann = Member(ANN.id, "ann", Form.TEXT, ANN.connected_at, ANN.expires_at)
    bob = Member(BOB.id, None, Form.JSON, BOB.connected_at, BOB.expires_at)
    assert members(rooms, "lobby") == [ann, bob]
    assert members(rooms, "cats") == [ann]


def test_adding_again_changes_nothing(connections: Connections, tables: Tables) -> None:
    connections.add(ANN)
    before = tables.registry()
    connections.add(replace(ANN, name="eve", rooms=frozenset({"dogs"}), connected_at=ANN.connected_at + 5))
    assert tables.registry() == before


def test_a_connection_that_cannot_be_added_whole_is_not_added(
    connections: Connections, tables: Tables
) -> None:
    # A room id longer than a sort or partition key can be.
    with pytest.raises(StorageUnavailable):
        connections.add(replace(ANN, rooms=frozenset({"lobby", "x" * 3000})))
    assert tables.registry() == []


def test_removing_leaves_nothing_of_it_and_all_of_the_others(
    connections: Connections, rooms: Rooms, tables: Tables
) -> None:
    connections.add(BOB)
    before = tables.registry()
    connections.add(ANN)
    changes = connections.remove(ANN.id)
    assert changes is not None
    assert {change.room: change.crossings for change in changes} == {
        "cats": [Crossing("ann", "leave", NOW_MS)],
        "lobby": [Crossing("ann", "leave", NOW_MS)],
    }
    assert tables.registry() == before
    assert connections.remove(ANN.id) is None
    assert tables.registry() == before


def test_removing_one_that_is_in_more_rooms_than_a_batch_takes(
    connections: Connections, tables: Tables
) -> None:
    connections.add(replace(BOB, rooms=frozenset(f"room{number}" for number in range(60))))
    assert len(tables.registry()) == 61
    connections.remove(BOB.id)
    assert tables.registry() == []


def test_an_expired_row_is_not_there(connections: Connections, rooms: Rooms, clock: Clock) -> None:
    connections.add(ANN)
    connections.add(replace(BOB, expires_at=ANN.expires_at + 1))
    clock.now = ANN.expires_at
    assert connections.get(ANN.id) is None
    assert [member.id for member in members(rooms, "lobby")] == [BOB.id]


def test_all_pages_of_members_are_read(connections: Connections, tables: Tables, clock: Clock) -> None:
    expected = {f"{number:015}=" for number in range(25)}
    for connection_id in expected:
        connections.add(replace(BOB, id=connection_id))
    pages = list(Rooms(tables.client, tables.rooms, clock, page_size=10).pages("lobby"))
    assert [len(page) for page in pages] == [10, 10, 5]
    assert {member.id for page in pages for member in page} == expected


def test_a_room_of_more_than_a_megabyte(tables: Tables, rooms: Rooms) -> None:
    # Padded, so that a page of 1 MB holds a few: 12 members of 200 KB.
    for number in range(12):
        tables.client.put_item(
            TableName=tables.rooms,
            Item={
                "roomId": {"S": "lobby"},
                "connectionid": {"S": f"{number:015}="},
                "form": {"S": "text"},
                "joinedAt": {"N": "1"},
                "expiresAt": {"N": "9999999999"},
                "padding": {"S": "x" * 200_000},
            },
        )
    pages = list(rooms.pages("lobby"))
    assert len(pages) > 1
    assert len({member.id for page in pages for member in page}) == 12


def test_removing_a_membership(connections: Connections, rooms: Rooms, tables: Tables) -> None:
    connections.add(ANN.named("ann"))
    [member] = members(rooms, "cats")
    # Its connection is gone, and this is what a crash has left.
    tables.client.delete_item(TableName=tables.connections, Key={"connectionid": {"S": ANN.id}})
    personal, change = connections.remove_gone([member], "cats")
    assert (personal.room, personal.crossings, members(rooms, "@ann")) == ("@ann", [], [])
    assert (change.room, change.crossings) == ("cats", [Crossing("ann", "leave", NOW_MS)])
    assert change.head
    assert change.head.members == 0
    assert connections.remove_gone([member], "cats") == []
    assert members(rooms, "cats") == []
    assert [member.id for member in members(rooms, "lobby")] == [ANN.id]


def test_no_error_of_a_client_leaves_storage(tables: Tables) -> None:
    heads = Heads(tables.client, "NoSuchTable", 30)
    connections = Connections(tables.client, "NoSuchTable", "NoSuchTable", heads)
    rooms = Rooms(tables.client, "NoSuchTable")
    messages = Messages(tables.client, "NoSuchTable", heads, history_days=30)
    head = Head(seq=2, epoch="e", sent=1)
    member = Member(ANN.id, "ann", Form.TEXT, 0, 1)
    calls: list[Callable[[], Any]] = [
        lambda: connections.add(ANN),
        lambda: connections.get(ANN.id),
        lambda: connections.remove(ANN.id),
        lambda: members(rooms, "lobby"),
        lambda: rooms.part("lobby", 10),
        lambda: rooms.count("lobby"),
        lambda: connections.directory.rooms(),
        lambda: connections.join(ANN, "dogs"),
        lambda: connections.leave(ANN, "cats"),
        lambda: connections.rename(ANN, "anna"),
        lambda: connections.remove_gone([member], "cats"),
        lambda: messages.position("lobby"),
        lambda: heads.members_changed("lobby", 1),
        lambda: heads.take_over("lobby", "lease"),
        lambda: heads.renew("lobby", "lease", Sent(1, 1), "renewed"),
        lambda: heads.finish("lobby", "lease", Sent(1, 1)),
        lambda: heads.release("lobby", "lease", Sent(1, 1)),
        lambda: heads.mend("lobby", 1, 1),
        lambda: heads.plan_occupancy("lobby", 1, 1),
        lambda: heads.occupancy_told("lobby"),
        lambda: messages.append(Draft("lobby", "ann", "hi", 1, "ann"), "lease"),
        lambda: messages.append(Draft("lobby", "ann", "hi", 1, "ann", "ref"), "lease"),
        lambda: messages.unsent("lobby", head),
        lambda: messages.sealed("lobby", head),
        lambda: messages.page("lobby", 10),
    ]
    for call in calls:
        with pytest.raises(StorageUnavailable) as caught:
            call()
        assert isinstance(caught.value.__cause__, refusals())


@served
@pytest.mark.parametrize(
    "reason", ["TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"]
)
def test_a_transaction_that_meets_what_passes_is_tried_again(
    faults: Between, connections: Connections, reason: str
) -> None:
    refused = cancelled("None", reason, "None")
    faults.answers["TransactWriteItems"] = [refused, refused]
    connections.add(ANN)
    assert faults.requests["TransactWriteItems"] == 3
    assert connections.get(ANN.id) == ANN


@served
@pytest.mark.parametrize(
    "code", ["TransactionConflictException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"]
)
def test_a_write_that_meets_what_passes_is_tried_again(
    faults: Between, connections: Connections, tables: Tables, code: str
) -> None:
    connections.add(ANN)
    faults.answers["DeleteItem"] = [refusal(code)] * 2
    assert connections.remove(ANN.id) is not None
    assert faults.requests["DeleteItem"] >= 3
    assert tables.registry() == []


@served
def test_a_transaction_that_always_meets_another_is_given_up(
    faults: Between, connections: Connections
) -> None:
    faults.answers["TransactWriteItems"] = [cancelled("TransactionConflict")] * 9
    with pytest.raises(StorageUnavailable):
        connections.add(ANN)
    assert faults.requests["TransactWriteItems"] == WRITE_TRIES


@served
def test_what_a_batch_leaves_is_done_by_the_next(
    faults: Between, connections: Connections, tables: Tables
) -> None:
    connections.add(ANN)
    key = {"roomId": {"S": "cats"}, "connectionid": {"S": ANN.id}}
    left = {tables.rooms: [{"DeleteRequest": {"Key": key}}]}
    before = faults.requests["BatchWriteItem"]
    # The batch is not done at all, and says so for one of its two: only that one is asked for again.
    faults.answers["BatchWriteItem"] = [response(200, {"UnprocessedItems": left})]
    connections.remove(ANN.id)
    assert faults.requests["BatchWriteItem"] == before + 2
    [row] = tables.registry()
    assert "lobby" in row


def test_joins_at_once_are_no_more_than_a_connection_can_have(
    tables: Tables, rooms: Rooms, clock: Clock
) -> None:
    heads = Heads(tables.client, tables.messages, 30, clock)
    connections = Connections(tables.client, tables.connections, tables.rooms, heads, clock, most_rooms=2)
    connections.add(BOB)
    # Both have read the connection in one room.
    connections.join(BOB, "dogs")
    with pytest.raises(StorageUnavailable):
        connections.join(BOB, "birds")
    assert members(rooms, "birds") == []
    assert connections.get(BOB.id) == replace(BOB, rooms=BOB.rooms | {"dogs"})


@served
def test_an_answer_that_is_lost_changes_nothing(
    faults: Between, connections: Connections, tables: Tables
) -> None:
    connections.add(ANN)
    before = tables.registry()
    connections.remove(ANN.id)
    failed = response(503, b"")
    for operation in (
        "GetItem",
        "PutItem",
        "UpdateItem",
        "DeleteItem",
        "BatchWriteItem",
        "TransactWriteItems",
    ):
        faults.answers[operation] = [failed]
    connections.add(ANN)
    assert tables.registry() == before


def cancelled(*codes: str) -> bytes:
    """The answer to a transaction that did not happen, for these reasons."""
    reasons = [{"Code": code} for code in codes]
    return refusal("TransactionCanceledException", CancellationReasons=reasons)
