"""Rooms so large that not everybody can be told everything: who is reached, and what it costs to ask."""

import pytest

from chalicelib.tasks import Chunk, RestOfRoom, TellPresence
from tests.faults.town import Town
from tests.rig.faults import counted

# What is left of so many seconds is spent on a page of members, and on leaving the others to a worker.
LITTLE = 1.0


class TestARoomTooLargeForOneLambda:
    """There is no time to read all of its pages."""

    @pytest.mark.parametrize("people", [10, 11, 40])
    def test_is_reached_to_the_last(self, people: int) -> None:
        town = Town(page_size=5)
        everybody = town.arrive_many(people)
        assert town.say(everybody[0], "hi", seconds=LITTLE)["type"] == "ack"
        reached = [each for each in everybody if town.texts(each)]
        assert len(reached) == 5
        assert len(town.tasks(RestOfRoom)) == 1
        town.lambdas.work_off()
        assert [town.texts(each) for each in everybody] == [["hi"]] * people
        assert town.worklist.dead_letters == []

    def test_by_workers_that_have_no_time_either(self) -> None:
        town = Town(page_size=5)
        everybody = town.arrive_many(32)
        town.say(everybody[0], "hi", seconds=LITTLE)
        workers = 0
        while town.worklist.waiting:
            [task] = town.worklist.waiting
            town.worklist.waiting.clear()
            town.lambdas.chats[0].deliver({"Records": [{"messageId": "m", "body": task.body}]}, LITTLE)
            workers += 1
        # The last of them finds nobody.
        assert workers == 7
        assert [town.texts(each) for each in everybody] == [["hi"]] * 32

    def test_those_who_come_later_in_its_order_are_not_forgotten(self) -> None:
        town = Town(page_size=5)
        everybody = town.arrive_many(20)
        for text in ("one", "two", "three"):
            town.say(everybody[-1], text, seconds=LITTLE)
        assert len(town.tasks(RestOfRoom)) == 3
        town.lambdas.work_off()
        for each in everybody:
            assert sorted(town.texts(each)) == ["one", "three", "two"]

    def test_each_hears_it_in_its_own_form(self) -> None:
        town = Town(page_size=5)
        everybody = town.arrive_many(20)
        key = {"roomId": {"S": "lobby"}, "connectionid": {"S": everybody[-1]}}
        town.tables.client.update_item(
            TableName=town.tables.rooms,
            Key=key,
            UpdateExpression="SET form = :form",
            ExpressionAttributeValues={":form": {"S": "text"}},
        )
        town.say(everybody[0], "hi", seconds=LITTLE)
        [rest] = town.tasks(RestOfRoom)
        assert rest.payloads["text"] == "Echo: hi"
        assert rest.payloads["json"].startswith("{")

    def test_what_is_of_no_use_later_is_not_left_to_a_worker(self) -> None:
        town = Town(page_size=5)
        everybody = town.arrive_many(20)
        assert town.ask(everybody[0], "typingIndicator", typing=True, seconds=LITTLE)["type"] == "ack"
        assert town.worklist.waiting == []

    def test_without_a_queue_the_log_tells(self) -> None:
        town = Town(page_size=5)
        everybody = town.arrive_many(20)
        town.worklist.is_down = True
        town.say(everybody[0], "hi", seconds=LITTLE)
        assert town.lambdas.log.lines[-1]["level"] == "ERROR"


class TestTyping:
    def test_is_never_queued(self) -> None:
        town = Town(inline_recipients=3)
        everybody = town.arrive_many(10)
        town.sockets.throttled.add(everybody[2])
        town.ask(everybody[0], "typingIndicator", typing=True)
        # Three would be told at once, and one of them is missed.
        assert sum(len(town.events(each, "typing")) for each in everybody) == 2
        assert town.worklist.waiting == []

    @pytest.mark.parametrize("people", [20, 21])
    def test_is_not_passed_on_in_a_crowd(self, people: int) -> None:
        town = Town(presence_members=20)
        everybody = town.arrive_many(people)
        town.pass_time(60)
        town.sockets.inboxes.clear()
        assert town.ask(everybody[0], "typingIndicator", typing=True)["type"] == "ack"
        told = [each for each in everybody if town.events(each, "typing")]
        assert told == (everybody[1:] if people == 20 else [])

    def test_a_crowd_is_not_even_read_for_it(self) -> None:
        town = Town(presence_members=20)
        everybody = town.arrive_many(21)
        with counted(town.tables.client) as requests:
            town.ask(everybody[0], "typingIndicator", typing=True)
        assert requests["Query"] == 0


class TestAsking:
    """What it costs to ask does not grow with who is there."""

    def test_list_rooms_is_one_query(self) -> None:
        town = Town()
        ann = town.arrive("ann")
        for number in range(60):
            town.arrive(f"b{number}", f"room{number}", "cats")
        with counted(town.tables.client) as requests:
            rooms = town.ask(ann, "listRooms")["rooms"]
        assert len(rooms) == 62
        assert rooms["lobby"] == 1
        assert (requests["Query"], requests["Scan"]) == (1, 0)

    @pytest.mark.parametrize("action", ["joinRoom", "who"])
    def test_in_a_crowd_a_page_is_read_at_most(self, action: str) -> None:
        town = Town(page_size=50, presence_members=100)
        crowd = town.arrive_many(300, "cats")
        ann = town.arrive("ann", "lobby", *(["cats"] if action == "who" else []))
        town.tables.client.units["read"] = 0.0
        with counted(town.tables.client) as requests:
            answer = town.ask(ann, action, room="cats", **({"limit": 100} if action == "who" else {}))
        assert answer["count"] == len(crowd) + 1
        assert requests["Query"] <= (1 if action == "who" else 2)
        # 100 memberships are 15 KB, 4 KB a unit; the caller and the head are read too.
        assert town.tables.client.units["read"] < 10

    def test_pages_of_who_have_everybody_once(self) -> None:
        town = Town(presence_members=10)
        crowd = [town.arrive(f"b{number:02}", "cats") for number in range(45)]
        names: dict[str, int] = {}
        after: dict[str, str] = {}
        pages = 0
        while pages == 0 or after:
            page = town.ask(crowd[0], "who", room="cats", limit=10, **after)
            assert page["count"] == 45
            for name, number in page["members"].items():
                names[name] = names.get(name, 0) + number
            assert page["more"] == (page["after"] is not None)
            after = {"after": page["after"]} if page["more"] else {}
            pages += 1
        assert names == {f"b{number:02}": 1 for number in range(45)}
        assert pages == 5

    def test_joined_has_no_names_of_a_crowd(self) -> None:
        town = Town(presence_members=10)
        for number in range(11):
            town.arrive(f"b{number}", "cats")
        joined = town.ask(town.arrive("ann"), "joinRoom", room="cats")
        assert (joined["members"], joined["count"]) == ({}, 12)


def test_beyond_the_inline_size_nobody_is_forgotten_where_time_is_short() -> None:
    town = Town(page_size=5, inline_recipients=8)
    everybody = town.arrive_many(30)
    town.say(everybody[0], "hi", seconds=LITTLE)
    town.lambdas.work_off()
    assert [town.texts(each) for each in everybody] == [["hi"]] * 30
    assert town.tasks(Chunk) == town.tasks(TellPresence) == []
