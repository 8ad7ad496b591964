"""What an operator can have done: disconnect, ban, publish."""

from dataclasses import replace
from typing import Any

import pytest

import app
from chalicelib.bootstrap import build_operations
from chalicelib.config import ConfigError
from tests.functional.clients import ChatClient, People
from tests.functional.log import PLANTED, Log
from tests.functional.tables import Tables
from tests.rig.callbacks import Callbacks
from tests.rig.clock import Clock
from tests.waiting import eventually


def heard(client: ChatClient, kind: str) -> list[dict[str, Any]]:
    return [event for event in client.events if event["type"] == kind]


class TestDisconnect:
    def test_a_name_everywhere(self, people: People, callbacks: Callbacks, tables: Tables) -> None:
        tabs = [people.speaking_json("eve"), people.speaking_json("eve", "cats")]
        ann = people.speaking_json("ann")
        ann.take()
        event = {"action": "disconnect", "name": "eve", "reason": "Enough"}
        assert people.operate("moderate", event) == {"connections": 2}
        for tab in tabs:
            assert heard(tab, "goodbye") == [
                {"type": "goodbye", "code": "disconnected", "reason": "Enough", "retryAfter": None}
            ]
        assert sorted(callbacks.closed) == sorted(tab.id for tab in tabs)
        assert [(event["name"], event["event"]) for event in heard(ann, "presence")] == [("eve", "leave")]
        # What API Gateway calls then finds nothing to do.
        for tab in tabs:
            tab.disconnect()
        assert ann.ask("who")["members"] == {"ann": 1}
        ann.disconnect()
        assert tables.registry() == []

    def test_one_connection(self, people: People, callbacks: Callbacks) -> None:
        eve, tab = people.speaking_json("eve"), people.speaking_json("eve")
        assert people.operate("moderate", {"action": "disconnect", "connection": eve.id}) == {
            "connections": 1
        }
        assert callbacks.closed == [eve.id]
        assert heard(eve, "goodbye")[0]["reason"] == "You were disconnected by an operator"
        assert tab.ask("who")["members"] == {"eve": 1}

    def test_nobody(self, people: People) -> None:
        for who in ({"name": "eve"}, {"connection": "AAAAAAAAAAAAAAA="}):
            assert people.operate("moderate", {"action": "disconnect", **who}) == {"connections": 0}


class TestBan:
    def test_it_takes_out_and_keeps_out(self, people: People, clock: Clock) -> None:
        eve, ann = people.speaking_json("eve", "cats", "lobby"), people.speaking_json("ann", "cats")
        ann.take()
        ban = {"action": "ban", "name": "eve", "room": "cats", "seconds": 600}
        assert people.operate("moderate", ban) == {"connections": 1}
        assert [event["room"] for event in heard(eve, "left")] == ["cats"]
        assert [(event["name"], event["event"]) for event in heard(ann, "presence")] == [("eve", "leave")]
        eve.take()
        ann.say("without eve", room="cats")
        assert heard(eve, "message") == []
        assert eve.ask("onMessage", message="hi", room="cats")["code"] == "not_in_room"
        reply = eve.ask("joinRoom", room="cats")
        assert (reply["code"], reply["message"]) == ("forbidden", "eve is banned from cats")
        assert people.arriving(name="eve", rooms=["cats"]).connect()["statusCode"] == 403
        assert people.arriving(name="eve", rooms=["dogs"]).connect()["statusCode"] == 200
        assert ann.ask("joinRoom", room="cats")["type"] == "joined"
        clock.now += 600
        assert eve.ask("joinRoom", room="cats")["type"] == "joined"

    def test_who_comes_back_is_let_into_the_other_rooms(self, people: People) -> None:
        people.operate("moderate", {"action": "ban", "name": "eve", "room": "cats", "seconds": 600})
        eve = people.speaking_json("eve", "cats", "lobby")
        assert eve.ask("onMessage", message="hi")["type"] == "ack"
        assert eve.ask("history", room="cats")["code"] == "not_in_room"
        # Once its socket has opened.
        assert eventually(lambda: bool(people.work() or heard(eve, "left")))
        assert [(event["room"], event["ref"]) for event in heard(eve, "left")] == [("cats", None)]

    def test_nothing_is_written_for_who_is_kept_out(self, people: People, tables: Tables) -> None:
        people.operate("moderate", {"action": "ban", "name": "eve", "room": "cats", "seconds": 600})
        before = tables.registry()
        assert people.arriving(name="eve", rooms=["cats"]).connect()["statusCode"] == 403
        assert tables.registry() == before

    def test_it_can_be_lifted(self, people: People) -> None:
        ban = {"action": "ban", "name": "eve", "room": "cats", "seconds": 600}
        people.operate("moderate", ban)
        assert people.operate("moderate", {**ban, "seconds": 0}) == {"connections": 0}
        assert people.speaking_json("eve").ask("joinRoom", room="cats")["type"] == "joined"

    def test_by_another_name_it_is_no_way_in(self, people: People) -> None:
        people.operate("moderate", {"action": "ban", "name": "eve", "room": "cats", "seconds": 600})
        other = people.speaking_json("mallory", "cats")
        assert other.ask("setName", name="eve")["code"] == "forbidden"


class TestPublish:
    def test_a_room_hears_it_and_keeps_it(self, people: People) -> None:
        ann, bob = people.speaking_json("ann", "cats"), people.speaking_json("bob")
        receipt = people.operate("publish", {"room": "cats", "message": "Maintenance at six"})
        [message] = heard(ann, "message")
        assert (message["from"], message["message"], message["room"]) == (None, "Maintenance at six", "cats")
        assert receipt == {
            "room": "cats", "seq": message["seq"], "epoch": message["epoch"], "id": message["id"],
            "duplicate": False,
        }  # fmt: skip
        assert heard(bob, "message") == []
        assert ann.ask("history", room="cats")["messages"] == [message]

    def test_under_a_name(self, people: People) -> None:
        ann = people.connected(name="ann")
        people.operate("publish", {"room": "lobby", "message": "hi", "sender": "weather"})
        assert ann.lines == ["weather: hi"]

    def test_the_same_ref_is_said_once(self, people: People) -> None:
        ann = people.speaking_json("ann")
        event = {"room": "lobby", "message": "hi", "ref": "order-17"}
        first, second = people.operate("publish", event), people.operate("publish", event)
        assert second == {**first, "duplicate": True}
        assert len(heard(ann, "message")) == 1

    def test_its_refs_are_nobody_elses(self, people: People) -> None:
        ann = people.speaking_json("ann")
        ann.send({"action": "onMessage", "message": "hi", "ref": "r1"})
        event = {"room": "lobby", "message": "hi", "ref": "r1", "sender": "ann"}
        assert people.operate("publish", event)["duplicate"] is False

    def test_storage_that_fails_is_a_failure(self, people: People, tables: Tables, log: Log) -> None:
        tables.delete()
        with pytest.raises(Exception, match="cannot reach its storage"):
            people.operate("publish", {"room": "lobby", "message": PLANTED})
        assert (log.lines[-1]["level"], log.lines[-1]["outcome"]) == ("ERROR", "unavailable")


BAD = {
    "moderate": [
        None,
        [],
        "disconnect",
        {},
        {"action": "dance"},
        {"action": ["ban"]},
        {"action": "disconnect"},
        {"action": "disconnect", "name": "eve", "connection": "c="},
        {"action": "disconnect", "name": "e\nve"},
        {"action": "disconnect", "connection": ""},
        {"action": "disconnect", "connection": "c" * 3000},
        {"action": "disconnect", "connection": "\ud800"},
        {"action": "disconnect", "connection": 7},
        {"action": "disconnect", "name": "\ud800"},
        {"action": "disconnect", "name": "eve", "reason": "\ud800"},
        {"action": "ban", "name": "eve", "room": "cats", "seconds": 1.5},
        {"action": "ban", "name": "eve", "room": "cats", "seconds": float("nan")},
        {"action": "disconnect", "name": "eve", "colour": "red"},
        {"action": "disconnect", "name": "eve", "reason": "a\0b"},
        {"action": "ban", "name": "eve", "room": "cats"},
        {"action": "ban", "name": "eve", "room": "@ann", "seconds": 60},
        {"action": "ban", "name": "eve", "room": "cats", "seconds": -1},
        {"action": "ban", "name": "eve", "room": "cats", "seconds": 10**12},
        {"action": "ban", "name": "eve", "room": "cats", "seconds": True},
    ],
    "publish": [
        None,
        [],
        {},
        {"room": "cats"},
        {"message": "hi"},
        {"room": "@ann", "message": "hi"},
        {"room": "#cats", "message": "hi"},
        {"room": "cats", "message": ""},
        {"room": "cats", "message": "a" * 4097},
        {"room": "cats", "message": "a\0b"},
        {"room": "cats", "message": "hi", "sender": "@ann"},
        {"room": "cats", "message": "hi", "from": "ann"},
        {"room": "cats", "message": "hi", "ref": ""},
        {"room": "cats", "message": "\ud83d"},
        {"room": "cats", "message": "hi", "ref": "\ud83d"},
        {"room": "cats", "message": "hi", "sender": "\ud83d"},
        {"room": {}, "message": []},
    ],
}


@pytest.mark.parametrize(
    ("function", "event"), [(function, event) for function, events in BAD.items() for event in events]
)
def test_an_event_that_is_not_right_is_told(
    people: People, tables: Tables, log: Log, function: str, event: Any
) -> None:
    answer = people.operate(function, event)
    assert (answer["type"], answer["code"]) == ("error", "bad_request")
    assert tables.registry() == tables.items(tables.messages) == []
    assert (log.lines[-1]["message"], log.lines[-1]["outcome"]) == (function, "bad_request")


def test_without_the_address_of_the_api_it_says_so(people: People) -> None:
    chat = app.get_chat()
    nowhere = replace(chat.services, settings=replace(chat.services.settings, api=""))
    with pytest.raises(ConfigError, match="CHAT_API is missing"):
        build_operations(replace(chat, services=nowhere), app.websocket_api)
