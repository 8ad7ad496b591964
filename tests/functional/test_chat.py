"""Rooms, private messages, presence, typing and history, in the JSON form, through the handlers."""

import threading
from contextlib import suppress
from typing import Any

import pytest

from tests.functional.clients import ChatClient, People
from tests.functional.tables import Tables
from tests.rig.callbacks import Callbacks
from tests.rig.clock import Clock
from tests.rig.crashes import Crash, Crashes
from tests.rig.faults import counted

DAY = 24 * 60 * 60
# What the clock of these tests shows, in ms.
NOW_MS = 1_700_000_000_000


def of_type(kind: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == kind]


def texts(events: list[dict[str, Any]]) -> list[str]:
    return [event["message"] for event in of_type("message", events)]


def stored(tables: Tables) -> list[dict[str, Any]]:
    """The items of all logs; the heads are no part of them."""
    return [item for item in tables.items(tables.messages) if item["entry"]["S"] != "head"]


@pytest.mark.parametrize(
    ("offered", "confirmed"),
    [
        (["chat.v1"], {"Sec-WebSocket-Protocol": "chat.v1"}),
        (["bearer.x", "chat.v1"], {"Sec-WebSocket-Protocol": "chat.v1"}),
        (["chat.v2"], None),
        ([], None),
    ],
)
def test_the_subprotocol_is_confirmed(people: People, offered: list[str], confirmed: Any) -> None:
    ann = people.arriving(subprotocols=offered)
    assert ann.connect().get("headers") == confirmed
    ann.send({"action": "ping", "ref": "r"})
    assert ann.lines == (['{"type":"pong","ref":"r"}'] if confirmed else ["pong"])


def test_the_header_may_be_of_any_case(people: People) -> None:
    ann = people.arriving()
    ann.headers = {"sec-websocket-protocol": "chat.v1"}
    assert ann.connect()["headers"] == {"Sec-WebSocket-Protocol": "chat.v1"}


class TestMessages:
    def test_an_ack_says_where_the_message_is(self, people: People) -> None:
        ann, bob = people.speaking_json("ann"), people.speaking_json()
        ack = ann.ask("onMessage", message="hi")
        [message] = of_type("message", ann.events)
        assert message == of_type("message", bob.events)[0]
        assert (message["room"], message["from"], message["message"]) == ("lobby", "ann", "hi")
        assert message["sentAt"] == 1_700_000_000_000
        assert {key: ack[key] for key in ("room", "seq", "epoch", "id", "duplicate")} == {
            "room": "lobby", "seq": 1, "epoch": message["epoch"], "id": message["id"], "duplicate": False,
        }  # fmt: skip
        assert ann.ask("onMessage", message="again")["seq"] == 2

    def test_each_room_has_numbers_of_its_own(self, people: People) -> None:
        ann = people.speaking_json("ann", "cats", "dogs")
        cats, dogs = (ann.ask("onMessage", message="hi", room=room) for room in ("cats", "dogs"))
        assert cats["seq"] == dogs["seq"] == 1
        assert cats["epoch"] != dogs["epoch"]

    def test_a_ref_is_accepted_once(self, people: People) -> None:
        ann, bob = people.speaking_json("ann"), people.speaking_json()
        frame = {"action": "onMessage", "message": "hi", "ref": "r1"}
        ann.send(frame)
        ann.say("between")
        ann.send({**frame, "message": "another text"})
        first, second, again = of_type("ack", ann.events)
        assert again == {**first, "duplicate": True}
        assert texts(bob.events) == texts(ann.events) == ["hi", "between"]
        assert second["ref"] is None

    def test_a_ref_is_its_users(self, people: People) -> None:
        tab, phone, bob = (
            people.speaking_json("ann"),
            people.speaking_json("ann"),
            people.speaking_json("bob"),
        )
        nameless = [people.speaking_json() for _ in range(2)]
        for client in (tab, phone, bob, *nameless):
            client.send({"action": "onMessage", "message": "hi", "ref": "r1"})
        duplicates = [
            of_type("ack", client.events)[0]["duplicate"] for client in (tab, phone, bob, *nameless)
        ]
        assert duplicates == [False, True, False, False, False]

    def test_a_ref_is_forgotten_with_its_message(self, people: People, clock: Clock) -> None:
        ann = people.speaking_json("ann")
        ann.send({"action": "onMessage", "message": "hi", "ref": "r1"})
        clock.now += 30 * DAY
        ann = people.speaking_json("ann")
        ann.send({"action": "onMessage", "message": "hi", "ref": "r1"})
        assert of_type("ack", ann.events)[0]["duplicate"] is False

    def test_what_was_accepted_is_stored_even_if_it_cannot_be_sent(
        self, people: People, callbacks: Callbacks
    ) -> None:
        ann, bob = people.speaking_json("ann"), people.speaking_json("bob")
        callbacks.answers[bob.id] = [403]
        ann.send({"action": "onMessage", "message": "hi", "ref": "r1"})
        assert of_type("error", ann.events)[0]["code"] == "unavailable"
        ann.send({"action": "onMessage", "message": "hi", "ref": "r1"})
        assert of_type("ack", ann.events)[0]["duplicate"] is True
        callbacks.answers.clear()
        assert texts(bob.ask("history", after=0)["messages"]) == ["hi"]


class TestPrivateMessages:
    def test_they_reach_all_devices_of_both(self, people: People) -> None:
        ann, phone = people.speaking_json("ann"), people.speaking_json("ann", "cats")
        bob, tab, eve = (
            people.speaking_json("bob"),
            people.speaking_json("bob", "dogs"),
            people.speaking_json("eve"),
        )
        ack = ann.ask("privateMessage", to="bob", message="psst")
        assert (ack["type"], ack["duplicate"]) == ("ack", False)
        for client in (ann, phone, bob, tab):
            [event] = of_type("private", client.events)
            assert event == {
                "type": "private", "id": ack["id"], "from": "ann", "to": "bob", "message": "psst",
                "sentAt": 1_700_000_000_000,
            }  # fmt: skip
        assert of_type("private", eve.events) == []

    def test_to_oneself(self, people: People) -> None:
        ann = people.speaking_json("ann")
        ann.ask("privateMessage", to="ann", message="note")
        assert len(of_type("private", ann.events)) == 1

    def test_from_a_nameless_one(self, people: People) -> None:
        stranger, bob = people.connected(), people.connected(name="bob")
        stranger.send({"action": "privateMessage", "to": "bob", "message": "psst"})
        assert stranger.lines == ["* bob joined lobby", "Echo -> bob: psst"]
        assert bob.lines == ["Echo -> bob: psst"]

    def test_the_name_is_normalised(self, people: People) -> None:
        ann, bob = people.speaking_json("ann"), people.speaking_json("Bob B")
        ann.ask("privateMessage", to="Ｂob  B", message="psst")  # noqa: RUF001
        assert len(of_type("private", bob.events)) == 1

    def test_to_nobody(self, people: People, tables: Tables) -> None:
        ann, bob = people.speaking_json("ann"), people.speaking_json("bob")
        bob.disconnect()
        reply = ann.ask("privateMessage", to="bob", message="psst")
        assert (reply["code"], reply["message"]) == ("not_found", "bob is not connected")
        assert stored(tables) == []

    def test_a_ref_is_accepted_once(self, people: People) -> None:
        ann, bob = people.speaking_json("ann"), people.speaking_json("bob")
        for _ in range(2):
            ann.send({"action": "privateMessage", "to": "bob", "message": "psst", "ref": "r1"})
        assert [ack["duplicate"] for ack in of_type("ack", ann.events)] == [False, True]
        assert len(of_type("private", bob.events)) == 1

    def test_they_are_in_the_history_of_who_got_them_and_of_nobody_else(self, people: People) -> None:
        ann, bob = people.speaking_json("ann"), people.speaking_json("bob")
        ann.ask("privateMessage", to="bob", message="psst")
        assert texts(bob.ask("history", room="@bob")["messages"]) == ["psst"]
        assert ann.ask("history", room="@bob")["code"] == "not_in_room"


class TestRooms:
    def test_joining_and_leaving(self, people: People) -> None:
        ann, bob = people.speaking_json("ann"), people.speaking_json("bob", "cats")
        bob.ask("onMessage", message="before", room="cats")
        bob.take()
        joined = ann.ask("joinRoom", room="cats")
        assert (joined["type"], joined["room"], joined["seq"]) == ("joined", "cats", 1)
        assert (joined["members"], joined["count"]) == ({"ann": 1, "bob": 1}, 2)
        assert bob.take() == [
            {"type": "presence", "room": "cats", "name": "ann", "event": "join", "at": NOW_MS}
        ]
        ann.say("meow", room="cats")
        ann.say("and the lobby")
        assert texts(bob.take()) == ["meow"]
        assert ann.ask("leaveRoom", room="cats")["type"] == "left"
        assert bob.take() == [
            {"type": "presence", "room": "cats", "name": "ann", "event": "leave", "at": NOW_MS}
        ]
        assert ann.ask("onMessage", message="meow", room="cats")["code"] == "not_in_room"
        assert ann.ask("leaveRoom", room="cats")["code"] == "not_in_room"
        bob.say("gone?", room="cats")
        assert texts(ann.events) == ["meow", "and the lobby"]

    def test_in_text(self, people: People) -> None:
        ann, bob, _ = (
            people.connected(name="ann"),
            people.connected(rooms=["room"]),
            people.connected(rooms=["room"]),
        )
        ann.send({"action": "joinRoom", "room": "room"})
        assert ann.lines == ["Joined room (3 here)"]
        ann.send({"action": "leaveRoom", "room": "room"})
        assert ann.lines[1:] == ["Left room"]
        assert bob.lines == ["* ann joined room", "* ann left room"]

    def test_joining_again_changes_nothing(self, people: People, tables: Tables) -> None:
        ann, bob = people.speaking_json("ann"), people.speaking_json("bob")
        before = tables.registry()
        assert bob.ask("joinRoom", room="lobby")["count"] == 2
        assert tables.registry() == before
        assert of_type("presence", ann.events) == [
            {"type": "presence", "room": "lobby", "name": "bob", "event": "join", "at": NOW_MS}
        ]

    def test_no_more_rooms_than_allowed(self, people: People) -> None:
        ann = people.speaking_json("ann", *(f"room{number}" for number in range(50)))
        reply = ann.ask("joinRoom", room="one-more")
        assert reply["code"] == "forbidden"
        assert ann.ask("leaveRoom", room="room7")["type"] == "left"
        assert ann.ask("joinRoom", room="one-more")["type"] == "joined"

    def test_who_counts_connections_by_name(self, people: People, clock: Clock) -> None:
        ann, tab = people.speaking_json("ann"), people.speaking_json("ann")
        people.speaking_json("bob")
        nameless = people.speaking_json()
        assert ann.ask("who") == {
            "type": "who", "room": "lobby", "members": {"ann": 2, "bob": 1}, "nameless": 1, "count": 4,
            "more": False, "after": None, "ref": ann.events[-1]["ref"],
        }  # fmt: skip
        tab.disconnect()
        nameless.disconnect()
        assert ann.ask("who")["members"] == {"ann": 1, "bob": 1}
        assert ann.ask("who", room="cats")["code"] == "not_in_room"

    def test_who_does_not_count_what_died_without_a_word(self, people: People, clock: Clock) -> None:
        people.speaking_json("ghost")
        clock.now += 7261
        ann = people.speaking_json("ann")
        assert ann.ask("who")["members"] == {"ann": 1}
        assert ann.ask("listRooms")["rooms"] == {"lobby": 1}

    def test_a_large_room_still_fits_a_frame(self, people: People, tables: Tables) -> None:
        ann = people.speaking_json("ann")
        for number in range(0, 600, 25):
            puts = [
                {
                    "PutRequest": {
                        "Item": {
                            "roomId": {"S": "lobby"},
                            "connectionid": {"S": f"{each:015}="},
                            "name": {"S": f"{'名' * 28}{each:04}"},
                            "form": {"S": "text"},
                            "joinedAt": {"N": "1"},
                            "expiresAt": {"N": "9999999999"},
                        }
                    }
                }
                for each in range(number, number + 25)
            ]
            tables.client.batch_write_item(RequestItems={tables.rooms: puts})
        answer = ann.ask("who")
        assert (len(answer["members"]), answer["count"]) == (500, 601)
        assert len(ann.lines[-1].encode()) < 128 * 1024

    def test_list_rooms(self, people: People) -> None:
        ann = people.speaking_json("ann", "cats", "dogs")
        people.speaking_json("ann", "cats")
        people.speaking_json()
        assert ann.ask("listRooms")["rooms"] == {"cats": 2, "dogs": 1, "lobby": 1}


class TestTyping:
    def test_the_others_see_it_and_nothing_is_stored(self, people: People, tables: Tables) -> None:
        ann, bob, text = people.speaking_json("ann"), people.speaking_json("bob"), people.connected()
        bob.take()
        reply = ann.ask("typingIndicator")
        assert (reply["type"], reply["room"], reply["seq"]) == ("ack", "lobby", None)
        ann.ask("typingIndicator", typing=False)
        assert bob.take() == [
            {"type": "typing", "room": "lobby", "from": "ann", "typing": True},
            {"type": "typing", "room": "lobby", "from": "ann", "typing": False},
        ]
        assert of_type("typing", ann.events) == []
        assert text.lines == []
        assert stored(tables) == []
        assert ann.ask("typingIndicator", room="cats")["code"] == "not_in_room"


class TestPresence:
    def presences(self, client: ChatClient) -> list[tuple[str, str, str]]:
        return [
            (event["room"], event["name"], event["event"]) for event in of_type("presence", client.take())
        ]

    def test_only_the_first_and_the_last_tab_are_seen(self, people: People) -> None:
        bob = people.speaking_json("bob")
        tabs = [people.speaking_json("ann") for _ in range(3)]
        assert self.presences(bob) == [("lobby", "ann", "join")]
        tabs[1].disconnect()
        tabs[0].ask("leaveRoom", room="lobby")
        assert self.presences(bob) == []
        tabs[2].disconnect()
        assert self.presences(bob) == [("lobby", "ann", "leave")]

    def test_the_nameless_are_not_seen(self, people: People) -> None:
        bob, stranger = people.speaking_json("bob"), people.speaking_json()
        stranger.ask("joinRoom", room="cats")
        stranger.disconnect()
        assert self.presences(bob) == []

    def test_who_is_pruned_is_seen_to_go_from_all_its_rooms(
        self, people: People, callbacks: Callbacks, clock: Clock
    ) -> None:
        ann, bob = people.speaking_json("ann", "cats", "dogs"), people.speaking_json("bob", "cats")
        eve = people.speaking_json("eve", "dogs")
        bob.take(), eve.take()
        callbacks.answers[ann.id] = [410]
        clock.now += 31
        bob.say("anyone?", room="cats")
        assert self.presences(bob) == [("cats", "ann", "leave")]
        assert self.presences(eve) == [("dogs", "ann", "leave")]

    def test_a_pruned_tab_is_not_seen_to_go_while_another_is_open(
        self, people: People, callbacks: Callbacks, clock: Clock
    ) -> None:
        gone, tab, bob = people.speaking_json("ann"), people.speaking_json("ann"), people.speaking_json("bob")
        callbacks.answers[gone.id] = [410]
        clock.now += 31
        bob.say("anyone?")
        assert self.presences(bob) == []
        tab.disconnect()
        assert self.presences(bob) == [("lobby", "ann", "leave")]

    def test_a_tab_that_died_long_ago_holds_nobody_in_a_room(self, people: People, clock: Clock) -> None:
        people.speaking_json("ann")
        clock.now += 7000
        bob, ann = people.speaking_json("bob"), people.speaking_json("ann")
        assert self.presences(bob) == []
        clock.now += 300
        ann.disconnect()
        assert self.presences(bob) == [("lobby", "ann", "leave")]

    def test_of_many_who_leave_at_once_one_is_the_last(self, people: People) -> None:
        bob = people.speaking_json("bob")
        for _ in range(5):
            tabs = [people.speaking_json("ann") for _ in range(8)]
            bob.take()
            together = threading.Barrier(len(tabs))

            def leave(tab: ChatClient, together: threading.Barrier = together) -> None:
                together.wait()
                tab.disconnect()

            threads = [threading.Thread(target=leave, args=[tab]) for tab in tabs]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert self.presences(bob) == [("lobby", "ann", "leave")]


class TestNames:
    def test_taking_a_name(self, people: People) -> None:
        ann, bob = people.speaking_json(), people.speaking_json("bob")
        assert ann.ask("setName", name=" ann ") == {
            "type": "named",
            "name": "ann",
            "ref": ann.events[-1]["ref"],
        }
        assert of_type("presence", bob.take()) == [
            {"type": "presence", "room": "lobby", "name": "ann", "event": "join", "at": NOW_MS}
        ]
        ann.say("hi")
        assert of_type("message", bob.take())[0]["from"] == "ann"
        bob.ask("privateMessage", to="ann", message="psst")
        assert len(of_type("private", ann.events)) == 1
        assert bob.ask("who")["members"] == {"ann": 1, "bob": 1}

    def test_another_name_moves_everything(self, people: People, tables: Tables) -> None:
        ann, bob = people.speaking_json("ann", "lobby", "cats"), people.speaking_json("bob")
        bob.take()
        ann.ask("setName", name="anna")
        events = of_type("presence", bob.take())
        assert {(event["name"], event["event"]) for event in events} == {("ann", "leave"), ("anna", "join")}
        assert bob.ask("privateMessage", to="ann", message="psst")["code"] == "not_found"
        bob.ask("privateMessage", to="anna", message="psst")
        assert len(of_type("private", ann.events)) == 1
        ann.disconnect()
        bob.disconnect()
        assert tables.registry() == []

    @pytest.mark.parametrize("requests", range(12))
    def test_a_crash_leaves_the_old_name_or_the_new_one(
        self, people: People, tables: Tables, requests: int
    ) -> None:
        ann = people.speaking_json("ann", "lobby", "cats")
        crashes = Crashes(tables.client)
        crashes.after(requests)
        with suppress(Crash):
            ann.send({"action": "setName", "name": "anna"})
        crashes.after(None)
        [connection] = tables.items(tables.connections)
        name = connection["name"]["S"]
        assert connection["rooms"]["SS"] == sorted([f"@{name}", "cats", "lobby"])
        memberships = [item for item in tables.items(tables.rooms) if "joinedAt" in item]
        assert {item["name"]["S"] for item in memberships} == {name}
        assert {item["roomId"]["S"] for item in memberships} == set(connection["rooms"]["SS"])

    def test_taking_a_name_while_joining(self, people: People, tables: Tables) -> None:
        for attempt in range(10):
            ann = people.speaking_json("ann")
            together = threading.Barrier(2)

            def send(
                frame: dict[str, str], ann: ChatClient = ann, together: threading.Barrier = together
            ) -> None:
                together.wait()
                ann.send(frame)

            frames = [{"action": "setName", "name": f"ann{attempt}"}, {"action": "joinRoom", "room": "cats"}]
            threads = [threading.Thread(target=send, args=[frame]) for frame in frames]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            rows = tables.items(tables.rooms)
            mine = [row for row in rows if row["connectionid"] == {"S": ann.id}]
            [connection] = [
                row for row in tables.items(tables.connections) if row["connectionid"] == {"S": ann.id}
            ]
            assert {row["roomId"]["S"] for row in mine} == set(connection["rooms"]["SS"])
            assert {row["name"]["S"] for row in mine} == {connection["name"]["S"]}

    def test_the_same_name_again(self, people: People, tables: Tables) -> None:
        ann, bob = people.speaking_json("ann"), people.speaking_json("bob")
        before = tables.registry()
        bob.take()
        assert ann.ask("setName", name="ann")["type"] == "named"
        assert tables.registry() == before
        assert bob.take() == []

    def test_a_name_that_cannot_be(self, people: People) -> None:
        reply = people.speaking_json().ask("setName", name="a@b")
        assert (reply["code"], reply["message"].split()[0]) == ("bad_request", "name")


class TestHistory:
    @pytest.fixture
    def ann(self, people: People) -> ChatClient:
        ann = people.speaking_json("ann")
        for number in range(1, 8):
            ann.say(f"m{number}")
        return ann

    @pytest.mark.parametrize(
        ("asked", "given", "more"),
        [
            ({}, "m1 m2 m3 m4 m5 m6 m7", False),
            ({"limit": 3}, "m5 m6 m7", True),
            ({"after": 0}, "m1 m2 m3 m4 m5 m6 m7", False),
            ({"after": 4}, "m5 m6 m7", False),
            ({"after": 2, "limit": 3}, "m3 m4 m5", True),
            ({"after": 7}, "", False),
            ({"before": 5}, "m1 m2 m3 m4", False),
            ({"before": 5, "limit": 2}, "m3 m4", True),
            ({"before": 1}, "", False),
            ({"before": 0}, "", False),
            ({"before": 10**18, "limit": 1}, "m7", True),
        ],
    )
    def test_pages(self, ann: ChatClient, asked: dict[str, int], given: str, more: bool) -> None:
        answer = ann.ask("history", **asked)
        assert " ".join(texts(answer["messages"])) == given
        assert (answer["more"], answer["complete"], answer["seq"]) == (more, True, 7)
        live = {event["seq"]: event for event in of_type("message", ann.events)}
        assert all(live[message["seq"]] == message for message in answer["messages"])

    @pytest.mark.parametrize(
        ("asked", "field"),
        [
            ({"limit": 0}, "limit"),
            ({"limit": 101}, "limit"),
            ({"limit": "5"}, "limit"),
            ({"after": -1}, "after"),
            ({"after": 1.5}, "after"),
            ({"after": 1, "before": 5}, "before"),
            ({"epoch": ""}, "epoch"),
        ],
    )
    def test_what_cannot_be_asked(self, ann: ChatClient, asked: dict[str, Any], field: str) -> None:
        reply = ann.ask("history", **asked)
        assert (reply["code"], reply["message"].split()[0]) == ("bad_request", field)

    def test_an_outsider_gets_none(self, ann: ChatClient, people: People) -> None:
        assert people.speaking_json("eve", "cats").ask("history")["code"] == "not_in_room"

    def test_an_empty_room(self, people: People) -> None:
        answer = people.speaking_json("eve", "cats").ask("history", room="cats")
        assert (answer["messages"], answer["seq"], answer["epoch"]) == ([], 0, None)
        assert answer["complete"] is True

    def test_another_epoch_is_told(self, ann: ChatClient) -> None:
        answer = ann.ask("history", after=6, epoch="of-another-log")
        assert answer["complete"] is False
        assert texts(answer["messages"]) == [f"m{number}" for number in range(1, 8)]
        mine = ann.ask("history", after=6, epoch=answer["epoch"])
        assert (mine["complete"], texts(mine["messages"])) == (True, ["m7"])

    def test_a_number_from_the_future_is_not_of_this_log(self, ann: ChatClient) -> None:
        assert ann.ask("history", after=8)["complete"] is False

    def test_what_has_expired_is_told(self, ann: ChatClient, people: People, clock: Clock) -> None:
        clock.now += 30 * DAY
        bob = people.speaking_json("bob")
        bob.say("m8")
        bob.say("m9")
        assert bob.ask("history", after=3)["complete"] is False
        assert bob.ask("history")["complete"] is False
        rest = bob.ask("history", after=7)
        assert (rest["complete"], texts(rest["messages"])) == (True, ["m8", "m9"])
        assert bob.ask("history", after=8)["complete"] is True
        assert bob.ask("history", limit=2)["complete"] is True
        assert bob.ask("history", after=9)["complete"] is True

    def test_large_messages_are_given_in_more_pages(self, people: People) -> None:
        ann = people.speaking_json("ann")
        for _ in range(12):
            ann.say("名" * 4096)
        seen, after = [], 0
        while True:
            answer = ann.ask("history", after=after)
            seen += [message["seq"] for message in answer["messages"]]
            assert len(ann.lines[-1].encode()) < 128 * 1024
            if not answer["more"]:
                break
            after = seen[-1]
        assert seen == list(range(1, 13))
        newest = ann.ask("history")
        assert newest["more"]
        assert newest["messages"][-1]["seq"] == 12

    def test_in_text(self, ann: ChatClient, people: People) -> None:
        bob = people.connected()
        bob.send({"action": "history", "limit": 2})
        assert bob.lines == ["ann: m6\nann: m7"]

    def test_a_number_that_was_never_used_stays_so(self, ann: ChatClient, tables: Tables) -> None:
        key = {"roomId": {"S": "lobby"}, "entry": {"S": "head"}}
        tables.client.update_item(
            TableName=tables.messages,
            Key=key,
            UpdateExpression="ADD seq :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
        ann.say("m9")
        answer = ann.ask("history", after=7)
        assert (answer["complete"], texts(answer["messages"])) == (True, ["m9"])
        sealed = tables.client.get_item(
            TableName=tables.messages, Key={**key, "entry": {"S": f"seq#{8:016}"}}
        )["Item"]
        assert "message" not in sealed
        assert texts(ann.ask("history")["messages"])[-2:] == ["m7", "m9"]


class TestWithoutHistory:
    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return {"CHAT_HISTORY_DAYS": "0"}

    def test_numbers_grow_refs_count_and_nothing_is_stored(self, people: People, tables: Tables) -> None:
        ann, bob = people.speaking_json("ann"), people.speaking_json("bob")
        assert [ann.ask("onMessage", message="hi")["seq"] for _ in range(3)] == [1, 2, 3]
        for _ in range(2):
            ann.send({"action": "onMessage", "message": "once", "ref": "r1"})
        assert [ack["duplicate"] for ack in of_type("ack", ann.events)][-2:] == [False, True]
        assert texts(bob.events) == ["hi", "hi", "hi", "once"]
        answer = bob.ask("history", after=0)
        assert (answer["messages"], answer["complete"]) == ([], False)
        # For the pump, for a minute.
        kept = [int(item["expiresAt"]["N"]) for item in stored(tables) if "message" in item]
        assert max(kept) <= NOW_MS // 1000 + 60


def test_what_a_message_to_a_room_of_a_hundred_costs(people: People, tables: Tables) -> None:
    ann = people.speaking_json("ann")
    for _ in range(99):
        people.speaking_json()
    with_ref = {"GetItem": 1, "PutItem": 2, "UpdateItem": 3}
    without = {"GetItem": 1, "PutItem": 1, "UpdateItem": 2}
    with counted(tables.client) as requests:
        ann.ask("onMessage", message="hi")
    assert requests == {**with_ref, "Query": 1}
    # The members are known now, until somebody comes or goes.
    with counted(tables.client) as requests:
        ann.ask("onMessage", message="hi")
    # The room was at rest, and so its next number is known.
    assert requests == {**with_ref, "UpdateItem": 2}
    with counted(tables.client) as requests:
        ann.say("without a ref")
    assert requests == without
    people.speaking_json()
    with counted(tables.client) as requests:
        ann.say("without a ref")
    assert requests == {**without, "Query": 1}
