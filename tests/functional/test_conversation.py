"""Whole conversations through the decorated handlers, in Chalice's test client."""

import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from chalicelib.actions.call import Action, Call
from chalicelib.actions.table import ACTIONS
from chalicelib.wire.events import Named, Pong
from chalicelib.wire.requests import Ping
from tests.functional.clients import People
from tests.functional.log import Log
from tests.functional.tables import Tables
from tests.rig.callbacks import Callbacks
from tests.rig.clock import Clock
from tests.rig.faults import Faults
from tests.unit.test_dispatcher import FRAMES
from tests.unit.test_requests import NO_OBJECT, NOT_JSON
from tests.waiting import eventually

OK = {"statusCode": 200}


def test_the_tutorials_conversation(people: People, tables: Tables) -> None:
    ann, bob = people.arriving(), people.arriving()
    assert ann.connect() == OK
    assert bob.connect() == OK
    assert {item["connectionid"]["S"] for item in tables.items(tables.connections)} == {ann.id, bob.id}

    assert ann.send('{"action": "onMessage", "message": "Hello everyone"}') == OK
    assert ann.lines == bob.lines == ["Echo: Hello everyone"]

    assert ann.disconnect() == OK
    bob.say("alone")
    assert ann.lines == ["Echo: Hello everyone"]
    assert bob.lines == ["Echo: Hello everyone", "Echo: alone"]
    assert bob.disconnect() == OK
    assert tables.registry() == []


def test_a_name_speaks_for_its_connection(people: People) -> None:
    ann, bob = people.connected(name=" Ann "), people.connected()
    ann.say("hi")
    bob.say("hello")
    assert ann.lines == bob.lines == ["Ann: hi", "Echo: hello"]


def test_rooms_of_the_url_replace_the_lobby(people: People) -> None:
    ann = people.connected(name="ann", rooms=["cats", "dogs", "cats"])
    bob, eve = people.connected(rooms=["cats"]), people.connected()
    ann.say("meow", room="cats")
    ann.say("woof", room="dogs")
    ann.say("anyone?")
    assert ann.lines == ["[cats] ann: meow", "[dogs] ann: woof", "Error: you are not in lobby"]
    assert bob.lines == ["[cats] ann: meow"]
    assert eve.lines == []


def test_an_outsider_is_not_heard(people: People) -> None:
    ann, eve = people.connected(rooms=["cats"]), people.connected()
    eve.say("let me in", room="cats")
    assert eve.lines == ["Error: you are not in cats"]
    assert ann.lines == []


def test_ping_and_help(people: People) -> None:
    ann = people.connected()
    ann.send({"action": "ping"})
    ann.send({"action": "help"})
    pong, help_line = ann.lines
    assert pong == "pong"
    assert help_line.startswith("onMessage ")
    assert "\n" not in help_line


@pytest.mark.parametrize(
    "query",
    [
        {"name": ["a@b"]},
        {"name": [""]},
        {"name": ["ann", "bob"]},
        {"room": ["no spaces"]},
        {"room": ["lobby", ""]},
        {"room": [f"room{number}" for number in range(51)]},
    ],
)
def test_a_connection_that_asks_for_what_cannot_be_is_refused(
    people: People, tables: Tables, query: dict[str, list[str]]
) -> None:
    eve = people.arriving()
    eve.query = query
    response = eve.connect()
    assert response["statusCode"] == 400
    assert response["body"].split()[0] == next(iter(query))
    assert tables.registry() == []


BAD_FRAMES: list[Any] = [
    *NOT_JSON.values(),
    *NO_OBJECT,
    {},
    {"action": None},
    {"action": 1},
    {"action": "shout"},
    {"action": "onMessage"},
    {"action": "onMessage", "message": ""},
    {"action": "onMessage", "message": 1},
    {"action": "onMessage", "message": "x" * 4097},
    {"action": "onMessage", "message": "a\0"},
    {"action": "onMessage", "message": "a", "from": "ann"},
    {"action": "ping", "extra": 1},
]


@pytest.mark.parametrize("frame", BAD_FRAMES, ids=lambda frame: str(frame)[:30])
def test_a_bad_frame_gets_one_error_and_the_socket_stays_usable(people: People, frame: Any) -> None:
    ann, bob = people.connected(), people.connected()
    assert ann.send(frame) == OK
    [line] = ann.lines
    assert line.startswith("Error: ")
    ann.say("still here")
    assert ann.lines[1:] == bob.lines == ["Echo: still here"]


def test_a_frame_without_a_body(people: People) -> None:
    ann = people.connected()
    assert ann.send(None) == OK
    assert ann.lines == ["Error: the frame is not valid JSON"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(FRAMES)
def test_no_frame_makes_a_handler_raise_or_go_without_one_reply(people: People, frame: str) -> None:
    ann = people.speaking_json()
    assert ann.send(frame) == OK
    assert len([event for event in ann.events if event["type"] not in ("message", "private")]) == 1
    ann.disconnect()


def test_handlers_may_run_twice_and_in_any_order(people: People, tables: Tables) -> None:
    ann, bob = people.arriving(name="ann"), people.connected()
    before = tables.registry()
    assert ann.disconnect() == OK
    assert tables.registry() == before
    ann.connect()
    once = tables.registry()
    assert ann.connect() == OK
    assert tables.registry() == once
    ann.disconnect()
    assert ann.disconnect() == OK
    assert tables.registry() == before
    bob.say("all well")
    assert bob.lines == ["* ann joined lobby", "* ann left lobby", "Echo: all well"]


def test_a_late_connect_leaves_a_row_that_expires(people: People, tables: Tables, clock: Clock) -> None:
    ann = people.arriving()
    ann.disconnect()
    ann.connect()
    assert {item["expiresAt"]["N"] for item in tables.items(tables.connections)} == {
        str(1_700_000_000 + 7260)
    }
    clock.now += 7260
    bob = people.connected()
    bob.say("anyone?")
    assert bob.lines == ["Echo: anyone?"]
    assert ann.lines == []


def test_an_unregistered_connection_is_answered_and_dismissed(people: People, callbacks: Callbacks) -> None:
    stranger, bob = people.arriving(), people.connected()
    stranger.say("boo")
    goodbye = "This connection is not registered any more, connect again"
    assert stranger.lines == ["Error: you are not in lobby", goodbye]
    assert callbacks.closed == [stranger.id]
    assert bob.lines == []


@pytest.mark.parametrize(
    "frame", [{"action": "joinRoom", "room": "cats"}, {"action": "setName", "name": "eve"}], ids=str
)
def test_an_unregistered_connection_changes_nothing(
    people: People, tables: Tables, frame: dict[str, str]
) -> None:
    stranger, bob = people.arriving(), people.connected(rooms=["cats"])
    before = tables.registry()
    stranger.send(frame)
    goodbye = "This connection is not registered any more, connect again"
    assert stranger.lines == ["Error: this connection is not registered any more", goodbye]
    assert tables.registry() == before
    assert bob.lines == []


@pytest.mark.parametrize("frame", ["nonsense", {"action": "onMessage", "message": "one"}])
def test_a_sender_who_is_gone_while_the_others_cannot_be_told(
    people: People, callbacks: Callbacks, tables: Tables, clock: Clock, frame: Any
) -> None:
    ann, bob = people.connected(name="ann"), people.connected()
    callbacks.answers[ann.id] = [410]
    clock.now += 31
    reads = [None] if frame != "nonsense" else []
    # The members are read for the message, and then not for who has gone.
    Faults(tables.client, "Query", [*reads, {"Error": {"Code": "ValidationException", "Message": "no"}}])
    assert ann.send(frame) == OK
    assert not [row for row in tables.registry() if ann.id in row]
    assert bob.lines == (["ann: one"] if reads else [])


class TestTooLarge:
    """An action of somebody's own wants to send more than API Gateway does."""

    @pytest.fixture
    def actions(self) -> dict[str, Action]:
        def publish(request: Ping, call: Call) -> Pong:
            call.publish("lobby", Named(name="x" * 200_000))
            return Pong()

        def reply(request: Ping, call: Call) -> Named:
            return Named(name="x" * 200_000)

        return {**ACTIONS, "publish": Action(Ping, publish), "reply": Action(Ping, reply)}

    @pytest.mark.parametrize("action", ["publish", "reply"])
    def test_is_told_and_nothing_is_sent(self, people: People, log: Log, action: str) -> None:
        ann, bob = people.connected(), people.connected()
        ann.send({"action": action})
        assert ann.lines == ["Error: that would be 200,008 bytes; 131,072 is the most"]
        assert bob.lines == []
        assert log.lines[-1]["outcome"] == "too_large"


class TestGone:
    """A connection answers 410."""

    def test_an_old_one_is_pruned_and_the_others_are_served(
        self, people: People, callbacks: Callbacks, tables: Tables, clock: Clock
    ) -> None:
        ann, gone, bob = (people.connected() for _ in range(3))
        callbacks.answers[gone.id] = [410]
        clock.now += 31
        ann.say("one")
        assert ann.lines == bob.lines == ["Echo: one"]
        assert not [row for row in tables.registry() if gone.id in row]
        posts = callbacks.posts
        ann.say("two")
        assert ann.lines == bob.lines == ["Echo: one", "Echo: two"]
        assert callbacks.posts == posts + 2

    def test_without_the_error_header(
        self, people: People, callbacks: Callbacks, tables: Tables, clock: Clock
    ) -> None:
        ann, gone = people.connected(), people.connected()
        callbacks.answers[gone.id] = [410]
        callbacks.bare.add(gone.id)
        clock.now += 31
        ann.say("one")
        assert ann.lines == ["Echo: one"]
        assert not [row for row in tables.registry() if gone.id in row]

    def test_a_young_one_may_still_be_opening(
        self, people: People, callbacks: Callbacks, tables: Tables, clock: Clock
    ) -> None:
        ann, opening = people.connected(), people.connected()
        before = tables.registry()
        callbacks.answers[opening.id] = [410, 200]
        clock.now += 29
        ann.say("one")
        assert tables.registry() == before
        ann.say("two")
        assert opening.lines == ["Echo: two"]

    def test_the_sender_itself(
        self, people: People, callbacks: Callbacks, tables: Tables, clock: Clock
    ) -> None:
        ann, bob = people.connected(), people.connected()
        callbacks.answers[ann.id] = [410]
        clock.now += 31
        assert ann.send("nonsense") == OK
        assert not [row for row in tables.registry() if ann.id in row]
        bob.say("hi")
        assert bob.lines == ["Echo: hi"]

    def test_a_membership_that_outlived_its_connection(
        self, people: People, callbacks: Callbacks, tables: Tables, clock: Clock
    ) -> None:
        ann, gone = people.connected(), people.connected()
        tables.client.delete_item(TableName=tables.connections, Key={"connectionid": {"S": gone.id}})
        callbacks.answers[gone.id] = [410]
        clock.now += 31
        ann.say("one")
        assert not [row for row in tables.registry() if gone.id in row]


@pytest.mark.parametrize("status", [400, 403, 413, 429, 500])
def test_other_failures_prune_nobody_and_stop_nobody(
    people: People, callbacks: Callbacks, tables: Tables, clock: Clock, status: int
) -> None:
    ann, bad, bob = (people.connected() for _ in range(3))
    callbacks.answers[bad.id] = [status]
    clock.now += 3600
    before = tables.registry()
    ann.say("one")
    assert bob.lines == ["Echo: one"]
    assert ann.lines[0] == "Echo: one"
    assert tables.registry() == before


@pytest.mark.parametrize("status", [429, 500])
def test_a_passing_fault_is_tried_again(people: People, callbacks: Callbacks, status: int) -> None:
    ann, bob = people.connected(), people.connected()
    callbacks.answers[bob.id] = [status, 200]
    ann.say("one")
    # A 429 may be for the socket alone, so a worker tries it again.
    people.work()
    assert bob.lines == ["Echo: one"]


def test_a_chat_that_may_not_send_tells_the_sender(
    people: People, callbacks: Callbacks, clock: Clock, log: Log
) -> None:
    ann, bob = people.connected(), people.connected()
    callbacks.answers[bob.id] = [403]
    ann.say("one")
    assert ann.lines == ["Echo: one", "Error: the chat cannot send messages"]
    assert log.lines[-1]["level"] == "ERROR"
    assert log.lines[-1]["outcome"] == "unavailable"


def test_one_that_hangs_does_not_hold_up_the_others(people: People, callbacks: Callbacks) -> None:
    ann, stuck, bob = (people.connected() for _ in range(3))
    callbacks.hanging.add(stuck.id)
    speaking = threading.Thread(target=ann.say, args=["one"])
    speaking.start()
    assert eventually(lambda: ann.lines and bob.lines)
    assert speaking.is_alive()
    callbacks.release()
    speaking.join()


@pytest.mark.parametrize("settings", [{"CHAT_MAX_CONCURRENCY": "32"}])
def test_posts_are_sent_at_once_but_not_without_bound(people: People, callbacks: Callbacks) -> None:
    clients = [people.connected() for _ in range(40)]
    callbacks.hanging = {client.id for client in clients}
    speaking = threading.Thread(target=clients[0].say, args=["one"])
    speaking.start()
    assert eventually(lambda: callbacks.under_way == 32)
    callbacks.release()
    speaking.join()
    assert callbacks.most_under_way == 32
    assert all(client.lines == ["Echo: one"] for client in clients)


class TestWithoutStorage:
    """DynamoDB does not do it."""

    @pytest.fixture(autouse=True)
    def tables_are_gone(self, people: People, tables: Tables) -> None:
        self.ann = people.connected()
        tables.delete()

    def test_a_frame_is_told(self) -> None:
        assert self.ann.send({"action": "ping"}) == OK
        assert self.ann.lines == ["Error: the chat cannot reach its storage, try again"]

    def test_a_frame_with_a_ref_is_told_in_json(self) -> None:
        self.ann.send({"action": "ping", "ref": "r1"})
        [event] = self.ann.events
        assert (event["code"], event["action"], event["ref"]) == ("unavailable", "ping", "r1")

    def test_a_connection_is_refused(self, people: People) -> None:
        assert people.arriving().connect()["statusCode"] == 503

    def test_a_disconnect_is_harmless(self) -> None:
        assert self.ann.disconnect() == OK
