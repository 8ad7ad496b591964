"""Many sockets that died without a word: the living come first, and the dead go in their own time."""

import json
import time
from typing import Any

import pytest

from chalicelib.pruner import MOST_AT_ONCE, MOST_IN_TASK, MOST_INLINE
from chalicelib.tasks import Prune, TellOccupancy
from tests.faults.town import GRACE, Town
from tests.rig.clients import Crowd
from tests.rig.faults import StorageFault, StorageFaults, in_turn
from tests.rig.rig import Rig


def named(town: Town, number: int, *rooms: str) -> dict[str, str]:
    """Connect so many who have names; their connections by name."""
    return {name: town.arrive(name, *rooms) for name in (f"d{each:03}" for each in range(number))}


def leaves(town: Town, connection_id: str) -> list[tuple[str, set[str]]]:
    """What somebody was told of those who left: for each event, the room and the names."""
    return [
        (event["room"], set(event.get("names", [event["name"]])))
        for event in town.events(connection_id, "presence")
        if event["event"] == "leave"
    ]


class Deletions:
    """Remembers how many of some had a message when the first row was deleted."""

    def __init__(self, town: Town, of: list[str]) -> None:
        self._town, self._of = town, of
        self.had: list[int] = []
        town.tables.client.meta.events.register("before-call.dynamodb.DeleteItem", self._delete)

    def _delete(self, params: dict[str, Any], **_: Any) -> None:
        if self._town.tables.connections in json.loads(params["body"])["TableName"]:
            self.had.append(sum(bool(self._town.texts(each)) for each in self._of))


@pytest.mark.parametrize("number", [1, MOST_INLINE, MOST_INLINE + 1, 60])
def test_the_living_get_a_message_before_anybody_is_removed(number: int) -> None:
    town = Town(page_size=5)
    ann = town.arrive("ann")
    dead = named(town, number)
    living = [ann, *town.arrive_many(20)]
    town.die(*dead.values())
    town.lambdas.clock.now += GRACE
    before = town.rows_of(dead.values())
    deletions = Deletions(town, living)
    assert town.say(ann, "hi")["type"] == "ack"
    assert [town.texts(each) for each in living] == [["hi"]] * len(living)
    is_inline = number <= MOST_INLINE
    assert town.rows_of(dead.values()) == ([] if is_inline else before)
    assert [len(task.members) for task in town.tasks(Prune)] == ([] if is_inline else [number])
    town.lambdas.work_off()
    assert deletions.had == [len(living)] * number
    assert town.rows_of(dead.values()) == []
    assert town.members() == len(living)
    # One event for all of them.
    assert leaves(town, ann) == [("lobby", set(dead))]
    assert (town.worklist.waiting, town.worklist.dead_letters) == ([], [])


def test_the_reply_comes_before_anybody_is_removed() -> None:
    town = Town()
    ann, bob = town.arrive("ann"), town.arrive("bob")
    town.die(bob)
    town.lambdas.clock.now += GRACE
    replies: list[int] = []
    town.tables.client.meta.events.register(
        "before-call.dynamodb.DeleteItem", lambda **_: replies.append(len(town.events(ann, "ack")))
    )
    town.say(ann, "hi")
    assert set(replies) == {1}


def test_each_room_of_the_dead_is_told_once() -> None:
    town = Town()
    watchers = {room: town.arrive(None, room) for room in ("cats", "dogs")}
    ann = town.arrive("ann", "lobby", "cats")
    dead = named(town, 30, "lobby", "cats", "dogs")
    town.die(*dead.values())
    town.lambdas.clock.now += GRACE
    town.say(ann, "hi")
    town.lambdas.work_off()
    for room, watcher in watchers.items():
        assert leaves(town, watcher) == [(room, set(dead))]
    assert sorted(leaves(town, ann)) == [("cats", set(dead)), ("lobby", set(dead))]
    assert [town.members(room) for room in ("lobby", "cats", "dogs")] == [1, 2, 1]


def test_one_who_has_another_connection_does_not_leave() -> None:
    town = Town()
    ann = town.arrive("ann")
    dead = named(town, 20)
    town.arrive("d007")
    town.die(*dead.values())
    town.lambdas.clock.now += GRACE
    town.say(ann, "hi")
    town.lambdas.work_off()
    assert leaves(town, ann) == [("lobby", set(dead) - {"d007"})]


def test_a_crowd_is_told_how_many_it_is_in_place_of_who_has_left() -> None:
    town = Town(presence_members=50)
    ann = town.arrive("ann")
    living, dead = town.arrive_many(60), named(town, 40)
    town.pass_time(20)
    town.die(*dead.values())
    town.lambdas.clock.now += GRACE
    town.sockets.inboxes.clear()
    town.say(ann, "hi")
    town.lambdas.work_off()
    assert len(town.tasks(TellOccupancy)) == 1
    town.pass_time(20)
    for each in (ann, *living):
        assert leaves(town, each) == []
        assert [event["count"] for event in town.events(each, "occupancy")] == [61]


def test_more_than_a_task_takes_are_several() -> None:
    town = Town(presence_members=1000)
    ann = town.arrive("ann")
    dead = named(town, 2 * MOST_IN_TASK + 50)
    town.die(*dead.values())
    town.lambdas.clock.now += GRACE
    town.say(ann, "hi")
    assert sorted(len(task.members) for task in town.tasks(Prune)) == [50, MOST_IN_TASK, MOST_IN_TASK]
    town.lambdas.work_off()
    told = leaves(town, ann)
    assert len(told) == 3
    assert set().union(*(names for _, names in told)) == set(dead)
    assert town.rows_of(dead.values()) == []


def test_a_young_one_is_let_be() -> None:
    town = Town()
    ann = town.arrive("ann")
    opening = named(town, 20)
    town.die(*opening.values())
    town.lambdas.clock.now += GRACE - 2
    town.say(ann, "hi")
    town.lambdas.work_off()
    assert town.members() == 21
    assert leaves(town, ann) == []


def test_an_invocation_whose_time_is_nearly_up_removes_nobody() -> None:
    town = Town()
    ann, bob = town.arrive("ann"), town.arrive("bob")
    town.die(bob)
    town.lambdas.clock.now += GRACE
    assert town.say(ann, "hi", seconds=1.0)["type"] == "ack"
    assert [len(task.members) for task in town.tasks(Prune)] == [1]
    town.lambdas.work_off()
    assert leaves(town, ann) == [("lobby", {"bob"})]


def test_a_worker_whose_time_is_nearly_up_puts_the_rest_back() -> None:
    town = Town(presence_members=1000)
    ann = town.arrive("ann")
    dead = named(town, 3 * MOST_AT_ONCE)
    town.die(*dead.values())
    town.lambdas.clock.now += GRACE
    town.say(ann, "hi")
    [task] = town.worklist.waiting
    town.worklist.waiting.clear()
    # One second of it is for the log, and this takes most of another one.
    delay = [1.5]
    town.tables.client.meta.events.register(
        "before-call.dynamodb.DeleteItem", lambda **_: time.sleep(delay.pop()) if delay else None
    )
    event = {"Records": [{"messageId": "m", "body": task.body}]}
    town.lambdas.chats[0].deliver(event, 1.0 + 2.5)
    assert [len(task.members) for task in town.tasks(Prune)] == [2 * MOST_AT_ONCE]
    # Those it has removed have left; the others are another worker's.
    assert town.members() == 1 + 2 * MOST_AT_ONCE
    assert [len(names) for _, names in leaves(town, ann)] == [MOST_AT_ONCE]
    town.lambdas.work_off()
    assert town.rows_of(dead.values()) == []
    assert set().union(*(names for _, names in leaves(town, ann))) == set(dead)


def test_a_task_that_comes_twice_is_done_once() -> None:
    town = Town()
    ann = town.arrive("ann")
    dead = named(town, 20)
    town.die(*dead.values())
    town.lambdas.clock.now += GRACE
    town.say(ann, "hi")
    [task] = town.worklist.waiting
    town.lambdas.work(task)
    town.worklist.waiting.append(task)
    town.lambdas.work(task)
    assert leaves(town, ann) == [("lobby", set(dead))]
    assert town.members() == 1


def test_without_a_queue_those_are_met_again_later() -> None:
    town = Town()
    ann = town.arrive("ann")
    dead = named(town, 20)
    town.die(*dead.values())
    town.lambdas.clock.now += GRACE
    before = town.rows_of(dead.values())
    town.worklist.is_down = True
    assert town.say(ann, "hi")["type"] == "ack"
    assert town.rows_of(dead.values()) == before
    town.worklist.is_down = False
    town.say(ann, "ho")
    town.lambdas.work_off()
    assert town.rows_of(dead.values()) == []
    assert leaves(town, ann) == [("lobby", set(dead))]


def test_on_the_rig_dead_who_cannot_be_removed_now_are_no_dead_letters(rig: Rig, crowd: Crowd) -> None:
    ann, *others = crowd.connect_many(50, "cats", subprotocols=["chat.v1"])
    rig.gateway.farewells = ()
    dead = crowd.connect_many(30, "cats")
    for each in dead:
        each.vanish()
    rig.settle()
    rig.advance(GRACE)
    faults = StorageFaults(rig.dynamodb, in_turn("DeleteItem", *[StorageFault.THROTTLED] * 8))
    ann.ask("onMessage", message="one", room="cats")
    rig.settle(60)
    assert faults.injected["throttled"] == 8
    ann.ask("onMessage", message="two", room="cats")
    rig.settle(60)
    for client in (ann, *others):
        client.gets("one", "two")
    assert ann.ask("who", room="cats")["count"] == 50
    assert rig.queues.dead_letters == []
