"""How connections come and go, with ``$connect`` and ``$disconnect`` dying, late, twice, or never."""

from collections.abc import Mapping
from itertools import count

import pytest
from websockets.exceptions import InvalidStatus

from tests.functional.tables import Tables
from tests.rig.clients import Crowd, SocketClient
from tests.rig.held import WAIT, Held
from tests.rig.rig import Rig
from tests.waiting import eventually

# Older than a connection that may be opening still, in s.
GRACE = 31
# The default of CHAT_MEMBERS_CACHE_SECONDS.
MEMBERS_CACHE = 60


def rows_of(tables: Tables, connection_id: str) -> list[str]:
    return [row for row in tables.registry() if connection_id in row]


def goings(watcher: SocketClient, name: str) -> int:
    """How often somebody has been seen to leave the lobby, alone or with others."""
    told = [event for event in watcher.events if event["type"] == "presence" and event["room"] == "lobby"]
    return sum(event["event"] == "leave" and name in event.get("names", [event["name"]]) for event in told)


def count_of(tables: Tables, room: str = "lobby") -> int:
    """How many are in a room, as its head has it."""
    [head] = [
        item
        for item in tables.items(tables.messages)
        if (item["roomId"]["S"], item["entry"]["S"]) == (room, "head")
    ]
    return int(head["members"]["N"])


class TestOpening:
    """A message is published after ``$connect`` has written the row, and before the socket is open."""

    @pytest.mark.parametrize("seconds", [0, 29])
    def test_who_is_opening_is_not_pruned_and_has_the_message_from_history(
        self, rig: Rig, crowd: Crowd, tables: Tables, seconds: int
    ) -> None:
        ann = crowd.connect_json("ann")
        rig.hold_opening()
        opening = crowd.start_connecting("bob")
        assert eventually(lambda: len(tables.items(tables.connections)) == 2)
        rig.advance(seconds)
        assert ann.ask("onMessage", message="early")["type"] == "ack"
        assert rig.callbacks.posts >= 2
        rig.release_opening()
        bob = opening.result()
        assert len(rows_of(tables, rig.connection_id(bob.port))) >= 2
        assert [message["message"] for message in bob.ask("history", after=0)["messages"]] == ["early"]
        ann.say("late")
        bob.gets("late")

    def test_who_was_opening_when_the_post_came_is_not_pruned_when_it_is_reckoned(
        self, rig: Rig, crowd: Crowd, tables: Tables
    ) -> None:
        ann, slow = crowd.connect_json("ann"), crowd.connect_json("slow")
        rig.hold_opening()
        opening = crowd.start_connecting("bob")
        assert eventually(lambda: len(tables.items(tables.connections)) == 3 and rig.settled)
        # The members are sent to together: what became of them is known when the slowest has answered.
        rig.callbacks.hanging.add(rig.connection_id(slow.port))
        posts = rig.callbacks.posts
        ann.say("hi")
        assert eventually(lambda: rig.callbacks.posts == posts + 3)
        rig.advance(20)
        rig.release_opening()
        bob = opening.result()
        rig.advance(20)
        rig.callbacks.release()
        slow.gets("hi")
        assert eventually(lambda: rig.settled)
        assert len(tables.items(tables.connections)) == 3
        ann.say("ho")
        bob.gets("ho")

    def test_who_never_opens_is_pruned(self, rig: Rig, crowd: Crowd, tables: Tables) -> None:
        ann = crowd.connect_json("ann")
        rig.gateway.farewells = ()
        rig.hold_opening()
        opening = crowd.start_connecting("bob")
        assert eventually(lambda: len(tables.items(tables.connections)) == 2)
        opening.cancel()
        rig.release_opening()
        rig.advance(GRACE)
        ann.ask("onMessage", message="anyone?")
        assert eventually(lambda: goings(ann, "bob") == 1)
        assert len(tables.items(tables.connections)) == 1


class TestConnectDies:
    """``$connect`` dies: API Gateway refuses the socket, whatever has been written."""

    def test_before_its_write_nothing_is_left(self, rig: Rig, crowd: Crowd, tables: Tables) -> None:
        ann = crowd.connect_json("ann")
        before = tables.registry()
        rig.functions.crash("connect", after=0)
        with pytest.raises(InvalidStatus, match="502"):
            crowd.connect_json("bob")
        assert tables.registry() == before
        assert ann.ask("ping")["type"] == "pong"
        assert ann.events[:-1] == []

    def test_after_its_write_the_others_are_served_and_nothing_stays(
        self, rig: Rig, crowd: Crowd, tables: Tables
    ) -> None:
        ann = crowd.connect_json("ann")
        before = tables.registry()
        # The first requests ask who is banned, and whether it is there already.
        for requests in count(2):
            rig.functions.crash("connect", after=requests)
            refused = crowd.start_connecting(f"bob{requests}").exception(timeout=20)
            if refused is None:
                break
            assert isinstance(refused, InvalidStatus)
            assert refused.response.status_code == 502
            assert (tables.registry() == before) == (requests == 2)
            ann.ask("onMessage", message="one")
            # Its membership may be there without the version that says so.
            rig.advance(max(GRACE, MEMBERS_CACHE))
            ann.ask("onMessage", message="two")
            rig.settle()
            assert tables.registry() == before
            assert count_of(tables) == 1
        # It was as many requests as there are: the last one lived.
        assert rig.functions.crashed == requests - 2 >= 6
        ann.gets(*["one", "two"] * (requests - 2))


class TestDisconnect:
    @pytest.mark.parametrize("operation", ["UpdateItem", "BatchWriteItem", "TransactWriteItems"])
    def test_before_connect_is_done_leaves_a_row_that_is_pruned(
        self, rig: Rig, crowd: Crowd, tables: Tables, operation: str
    ) -> None:
        ann = crowd.connect_json("ann")
        rig.settle()
        before = tables.registry()
        write = Held(tables.client, operation)
        opening = crowd.start_connecting("bob")
        assert write.reached.wait(WAIT)
        opening.cancel()
        # The end of it has been dealt with, its beginning has not.
        assert eventually(lambda: rig.functions.invocations["disconnect"] == 1 and rig.functions.running == 1)
        write.release()
        rig.settle()
        assert tables.registry() != before
        ann.ask("onMessage", message="one")
        rig.advance(GRACE)
        ann.ask("onMessage", message="two")
        rig.settle()
        assert tables.registry() == before
        assert count_of(tables) == 1
        ann.gets("one", "two")
        # No ghost: who was seen to come was seen to go.
        assert goings(ann, "bob") == 1

    def test_that_never_comes_is_made_up_for_by_the_next_message(
        self, rig: Rig, crowd: Crowd, tables: Tables
    ) -> None:
        ann = crowd.connect_json("ann", "lobby", "cats")
        before = tables.registry()
        rig.gateway.farewells = ()
        bob = crowd.connect_json("bob", "lobby", "cats")
        bob.vanish()
        assert eventually(lambda: len(rig.gateway.open) == 1)
        rig.advance(GRACE)
        assert tables.registry() != before
        ann.ask("onMessage", message="anyone?", room="cats")
        assert eventually(lambda: goings(ann, "bob") == 1)
        rig.settle()
        assert tables.registry() == before

    def test_that_is_late_changes_nothing_any_more(self, rig: Rig, crowd: Crowd, tables: Tables) -> None:
        ann = crowd.connect_json("ann")
        rig.gateway.farewells = (10 * GRACE,)
        bob = crowd.connect_json("bob")
        bob.vanish()
        assert eventually(lambda: len(rig.gateway.open) == 1)
        rig.gateway.farewells = (0,)
        again = crowd.connect_json("bob")
        rig.advance(GRACE)
        ann.ask("onMessage", message="one")
        rig.settle()
        assert len(tables.items(tables.connections)) == 2
        before = tables.registry()
        rig.advance(9 * GRACE)
        assert rig.functions.invocations["disconnect"] == 1
        assert eventually(lambda: rig.settled)
        assert tables.registry() == before
        ann.ask("onMessage", message="two")
        again.gets("one", "two")
        # The name has been there throughout.
        assert goings(ann, "bob") == 0

    def test_that_comes_twice_is_seen_once(self, rig: Rig, crowd: Crowd, tables: Tables) -> None:
        ann = crowd.connect_json("ann")
        before = tables.registry()
        rig.gateway.farewells = (0, 0, 5)
        crowd.connect_json("bob").close()
        assert eventually(lambda: rig.functions.invocations["disconnect"] == 2 and rig.settled)
        rig.advance(5)
        assert eventually(lambda: rig.functions.invocations["disconnect"] == 3 and rig.settled)
        assert tables.registry() == before
        assert count_of(tables) == 1
        assert ann.ask("ping")["type"] == "pong"
        assert goings(ann, "bob") == 1

    def test_that_dies_is_made_up_for(self, rig: Rig, crowd: Crowd, tables: Tables) -> None:
        ann = crowd.connect_json("ann")
        for requests in count():
            bob = crowd.connect_json("bob")
            gone = rig.connection_id(bob.port)
            rig.functions.crash("disconnect", after=requests)
            bob.close()
            times = requests + 1
            assert eventually(
                lambda times=times: rig.functions.invocations["disconnect"] == times and rig.settled
            )
            rig.advance(GRACE)
            ann.ask("onMessage", message="anyone?")
            rig.settle()
            # What is left in the personal room is met by the next private message, or expires.
            assert not [row for row in rows_of(tables, gone) if '"@bob"' not in row]
            assert ann.ask("who")["members"] == {"ann": 1}
            if rig.functions.crashed == requests:
                break
        assert requests >= 3
        assert set(ann.texts) == {"anyone?"}


class TestTheLimitOfAName:
    @pytest.fixture
    def settings(self) -> Mapping[str, str]:
        return {"CHAT_MAX_CONNECTIONS_PER_NAME": "2"}

    def test_dead_connections_keep_a_name_out_for_a_while(self, rig: Rig, crowd: Crowd) -> None:
        rig.gateway.farewells = (60,)
        for _ in range(2):
            crowd.connect_json("bob").vanish()
        # A status after which clients try again: it is no verdict on the name.
        with pytest.raises(InvalidStatus, match="429"):
            crowd.connect_json("bob")
        rig.advance(60)
        assert eventually(lambda: rig.functions.invocations["disconnect"] == 2 and rig.settled)
        assert crowd.connect_json("bob").ask("who")["members"] == {"bob": 1}


def test_a_storm_of_five_hundred_reconnects_loses_nothing(rig: Rig, crowd: Crowd, tables: Tables) -> None:
    ann = crowd.connect_json("ann", "stadium")
    before = crowd.connect_many(500, "stadium", subprotocols=["chat.v1"])
    ann.ask("onMessage", message="m0", room="stadium")
    for client in before:
        client.gets("m0")
        client.vanish()
    texts = [f"m{number}" for number in range(1, 11)]
    for text in texts[:5]:
        ann.say(text, room="stadium")
    after = crowd.connect_many(500, "stadium", subprotocols=["chat.v1"])
    for text in texts[5:]:
        ann.say(text, room="stadium")
    assert eventually(lambda: rig.settled, 60)
    for client in after:
        missed = client.ask("history", room="stadium", after=1)
        assert missed["complete"]
        assert sorted(message["message"] for message in missed["messages"]) == sorted(texts)
    # Nobody who is there was taken for one of those who had gone.
    rig.advance(GRACE)
    ann.ask("onMessage", message="all here?", room="stadium")
    for client in (ann, *after):
        assert eventually(lambda client=client: client.texts[-1] == "all here?", 10)
    registered = {item["connectionid"]["S"] for item in tables.items(tables.connections)}
    assert registered == rig.gateway.open
