"""``$connect`` and its faults: before a connection is registered nothing stays, then nothing fails it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.tasks import TellOccupancy, TellPresence
from tests.faults.town import GRACE, Town
from tests.functional.tables import Tables
from tests.rig.clients import SOON, Crowd
from tests.rig.faults import StorageFault, StorageFaults
from tests.rig.rig import Rig
from tests.waiting import eventually

BOB = "Bob00000000000="
REFUSED = {"Error": {"Code": "InternalServerError", "Message": "as told"}}
# Rates are on: the connections of a name share theirs, which is noted after they are registered.
RATES = {"rate_per_second": 10}


class Requests:
    """Counts the requests to DynamoDB, and lets some of them fail.

    Attributes:
        operations: Those that were made.
        fails: Whether the request fails that is made after these.
    """

    def __init__(self, town: Town) -> None:
        self.operations: list[str] = []
        self.fails: Callable[[list[str]], bool] = lambda before: False
        town.tables.client.meta.events.register("before-call.dynamodb", self._call)

    def _call(self, model: Any, **_: Any) -> tuple[None, dict[str, Any]] | None:
        fails = self.fails(self.operations)
        self.operations.append(model.name)
        return (None, REFUSED) if fails else None


def state(town: Town) -> tuple[list[str], dict[str, int]]:
    """What is known of who is there, the sizes of rooms included."""
    items = [*town.tables.items(town.tables.connections), *town.tables.items(town.tables.rooms)]
    rows = [
        {
            name: value
            for name, value in item.items()
            # When who spoke, and how the directory has come to what it says.
            if name != "recent" and not ("version" in item and name in ("version", "expiresAt"))
        }
        for item in items
    ]
    rows = sorted(json.dumps(row, sort_keys=True) for row in rows)
    return rows, {room: town.members(room) for room in ("lobby", "cats", "dogs")}


def town_with_people(**settings: Any) -> Town:
    town = Town(max_connections_per_name=2, **settings)
    for name in ("ann", "bob"):
        town.arrive(name, "lobby", "cats", "dogs")
    return town


def requests_of_connect() -> list[str]:
    """What a handshake asks of DynamoDB."""
    town = town_with_people(**RATES)
    requests = Requests(town)
    assert town.connect(BOB, "bob", "lobby", "cats", "dogs") == 200
    return requests.operations


OPERATIONS = requests_of_connect()
COMMIT = OPERATIONS.index("TransactWriteItems")
NUMBERED = [f"{number} {operation}" for number, operation in enumerate(OPERATIONS)]


@pytest.mark.parametrize("number", range(COMMIT + 1), ids=NUMBERED[: COMMIT + 1])
@pytest.mark.parametrize("name", ["bob", "eve", None])
def test_before_it_is_registered_nothing_stays(number: int, name: str | None) -> None:
    town = town_with_people(**RATES)
    before = state(town)
    requests = Requests(town)
    requests.fails = lambda operations: len(operations) == number
    status = town.connect(BOB, name, "lobby", "cats", "dogs")
    if status == 200:
        # The directory of rooms is kept roughly, and who has no name asks for less.
        assert OPERATIONS[number] == "PutItem" or name is None
        return
    assert status == 503
    assert state(town) == before
    assert town.worklist.waiting == []
    # The name is free at once, though it has as many connections as it can with this one.
    assert town.connect(BOB, name, "lobby", "cats", "dogs") == 200
    assert [town.members(room) for room in ("lobby", "cats", "dogs")] == [3, 3, 3]
    assert town.ask(BOB, "who")["count"] == 3


@pytest.mark.parametrize("number", range(COMMIT + 1), ids=NUMBERED[: COMMIT + 1])
def test_what_cannot_be_taken_back_is_removed_by_whoever_meets_it(number: int) -> None:
    town = town_with_people(**RATES)
    ann = next(iter(town.sockets.open))
    before = state(town)
    requests = Requests(town)
    requests.fails = lambda operations: len(operations) >= number
    status = town.connect(BOB, "bob", "lobby", "cats", "dogs")
    requests.fails = lambda operations: False
    assert status == 503
    # Its membership may be there without the version that says so: members are kept for a minute.
    town.pass_time(max(GRACE, 61))
    for room in ("lobby", "cats", "dogs"):
        town.say(ann, "anyone?", room=room)
    town.lambdas.work_off()
    assert state(town) == before
    assert town.connect(BOB, "bob", "lobby", "cats", "dogs") == 200


@pytest.mark.parametrize("number", range(COMMIT + 1, len(OPERATIONS)), ids=NUMBERED[COMMIT + 1 :])
def test_after_that_no_request_that_fails_is_seen(number: int) -> None:
    town = town_with_people(**RATES)
    requests = Requests(town)
    requests.fails = lambda operations: len(operations) == number
    assert town.connect(BOB, "bob", "lobby", "cats", "dogs") == 200
    assert town.ask(BOB, "who")["members"] == {"ann": 1, "bob": 2}


@pytest.mark.parametrize("presence_members", [100, 2], ids=["in a small room", "in a crowd"])
def test_after_that_everything_may_fail(presence_members: int) -> None:
    town = town_with_people(presence_members=presence_members, **RATES)
    requests = Requests(town)
    requests.fails = lambda operations: "TransactWriteItems" in operations
    town.worklist.is_down = True
    assert town.connect(BOB, "bob", "lobby", "cats", "dogs") == 200
    requests.fails = lambda operations: False
    town.worklist.is_down = False
    ann = next(iter(town.sockets.open))
    town.say(ann, "hi")
    assert town.texts(BOB) == ["hi"]
    assert town.say(BOB, "ho")["type"] == "ack"


@pytest.mark.parametrize("name", ["ann", "\N{CYRILLIC SMALL LETTER A}nn"], ids=["too many", "look-alike"])
def test_one_who_is_refused_leaves_nothing(name: str) -> None:
    town = town_with_people(**RATES)
    town.arrive("ann", "lobby", "cats", "dogs")
    before = state(town)
    assert town.connect(BOB, name, "lobby", "cats", "dogs") == (429 if name == "ann" else 409)
    assert state(town) == before
    assert town.worklist.waiting == []


def test_where_it_is_not_known_whether_it_is_registered_it_is_not(
    rig: Rig, crowd: Crowd, tables: Tables
) -> None:
    ann = crowd.connect_json("ann")
    rig.settle()
    before = tables.registry()
    lost = [StorageFault.LOST] * 4
    StorageFaults(
        tables.client, lambda operation, _: lost.pop() if operation.startswith("Transact") and lost else None
    )
    refused = crowd.start_connecting("bob").exception(timeout=30)
    assert "503" in str(refused)
    assert tables.registry() == before
    assert crowd.connect_json("bob").ask("who")["members"] == {"ann": 1, "bob": 1}
    rig.settle()
    assert [event["event"] for event in ann.events if event["type"] == "presence"] == ["join"]


class TestAnnouncing:
    """The others are told by a worker."""

    def test_posts_that_hang_hold_up_no_handshake(self, rig: Rig, crowd: Crowd) -> None:
        ann = crowd.connect_json("ann")
        rig.callbacks.hanging.add(rig.connection_id(ann.port))
        rig.queues.hold()
        bob = crowd.connect("bob", subprotocols=["chat.v1"])
        assert rig.callbacks.posts == 0
        rig.queues.release()
        assert eventually(lambda: rig.callbacks.under_way == 1, SOON)
        assert bob.ask("ping")["type"] == "pong"
        assert rig.callbacks.under_way == 1
        rig.callbacks.release()
        assert ann.event(lambda event: event["type"] == "presence")["name"] == "bob"

    def test_without_a_queue_it_is_let_in_all_the_same(self, rig: Rig, crowd: Crowd) -> None:
        ann = crowd.connect_json("ann")
        rig.settle()
        rig.queues.failing = ["ServiceUnavailable"] * 5
        bob = crowd.connect_json("bob")
        rig.queues.failing = []
        bob.ask("onMessage", message="hi")
        ann.gets("hi")

    def test_the_others_are_told_and_it_is_not(self) -> None:
        town = Town()
        ann = town.arrive("ann")
        town.connect(BOB, "bob")
        assert town.sockets.inboxes[ann] == []
        [task] = town.tasks(TellPresence)
        assert task.but == BOB
        town.lambdas.work_off()
        [event] = town.events(ann, "presence")
        assert (event["name"], event["event"], event["at"]) == ("bob", "join", 1_700_000_000_000)
        assert town.sockets.inboxes[BOB] == []

    def test_a_crowd_is_told_once_however_many_come(self) -> None:
        town = Town(presence_members=10)
        ann, *_ = town.arrive_many(11)
        town.pass_time(60)
        town.sockets.inboxes.clear()
        for number in range(20):
            town.arrive(f"b{number}")
        assert town.tasks(TellPresence) == []
        assert len(town.tasks(TellOccupancy)) == 1
        town.pass_time(10)
        assert [(event["type"], event["count"]) for event in town.sockets.inboxes[ann]] == [("occupancy", 31)]

    def test_a_leave_that_overtakes_a_join_is_told_apart_by_its_time(self) -> None:
        town = Town()
        ann = town.arrive("ann")
        town.connect(BOB, "bob")
        [join] = town.worklist.waiting
        town.lambdas.clock.now += 1
        town.die(BOB)
        town.lambdas.run("disconnect", BOB)
        # The queue is slower.
        town.lambdas.work(join)
        left, joined = town.events(ann, "presence")
        assert (left["event"], joined["event"]) == ("leave", "join")
        assert joined["at"] < left["at"]
