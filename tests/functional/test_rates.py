"""How fast a connection and a name may speak, and how many connections a name may have."""

import math
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

import app
from chalicelib.auth.identity import Identity
from chalicelib.errors import Forbidden
from chalicelib.storage.bucket import ATTRIBUTE, LARGEST_BURST, Bucket
from chalicelib.storage.connection import Connection
from chalicelib.storage.connections import MOST_REFUSED, Connections
from chalicelib.storage.heads import Heads
from chalicelib.wire.events import Form
from tests.functional.clients import ChatClient, People
from tests.functional.log import Log
from tests.functional.tables import Tables
from tests.rig.callbacks import Callbacks
from tests.rig.clock import Clock


@pytest.fixture
def settings() -> Mapping[str, str]:
    """As deployed: ten a second, with bursts of twenty."""
    return {}


def codes(client: ChatClient, times: int) -> Counter[str]:
    """What so many pings are answered with."""
    replies = (client.ask("ping") for _ in range(times))
    return Counter(reply.get("code", reply["type"]) for reply in replies)


class TestOfAConnection:
    def test_twenty_at_once_and_then_ten_a_second(self, people: People, clock: Clock) -> None:
        ann = people.speaking_json("ann")
        assert codes(ann, 30) == {"pong": 20, "rate_limited": 10}
        clock.now += 1
        assert codes(ann, 30) == {"pong": 10, "rate_limited": 20}
        clock.now += 2
        assert codes(ann, 30) == {"pong": 20, "rate_limited": 10}

    def test_the_answer_says_when_to_come_back(self, people: People, clock: Clock, log: Log) -> None:
        ann = people.speaking_json("ann")
        codes(ann, 20)
        reply = ann.ask("onMessage", message="hi")
        assert (reply["code"], reply["retryAfter"], reply["action"]) == ("rate_limited", 1, "onMessage")
        assert log.lines[-1]["outcome"] == "rate_limited"
        clock.now += reply["retryAfter"]
        assert ann.ask("onMessage", message="hi")["type"] == "ack"

    def test_in_text(self, people: People) -> None:
        ann = people.connected(name="ann")
        for _ in range(21):
            ann.send({"action": "ping"})
        assert ann.lines[19:] == ["pong", "Error: too fast, try again in 1 s"]

    def test_whatever_is_sent_counts_and_is_answered_once(self, people: People) -> None:
        ann = people.speaking_json("ann")
        for _ in range(25):
            ann.send("no JSON")
        assert Counter(event["code"] for event in ann.events) == {"bad_json": 20, "rate_limited": 5}

    def test_nothing_is_done_for_a_frame_too_fast(self, people: People, tables: Tables) -> None:
        ann, bob = people.speaking_json("ann"), people.speaking_json("bob")
        for number in range(25):
            ann.say(f"m{number}")
        assert len([event for event in bob.events if event["type"] == "message"]) == 20
        assert len([item for item in tables.items(tables.messages) if "message" in item]) == 20

    def test_frames_at_the_same_moment_do_not_pass_together(self, people: People) -> None:
        ann = people.speaking_json("ann")
        together = threading.Barrier(10)

        def send() -> None:
            together.wait()
            for _ in range(5):
                ann.send({"action": "ping"})

        threads = [threading.Thread(target=send) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert Counter(event["type"] for event in ann.events) == {"pong": 20, "error": 30}


class TestOfAName:
    def test_twenty_sockets_are_no_faster_than_one(self, people: People, clock: Clock) -> None:
        flooders = [people.speaking_json("eve") for _ in range(20)]
        neighbours = [people.speaking_json(f"neighbour {number}") for number in range(5)]
        answered: Counter[str] = Counter()
        for _ in range(10):
            for flooder in flooders:
                answered += codes(flooder, 10)
            for neighbour in neighbours:
                assert neighbour.ask("onMessage", message="hi")["type"] == "ack"
            clock.now += 1
        # The first socket has its own bucket until the second one comes, and none after that.
        assert answered["pong"] == 20 + 9 * 10
        assert answered["rate_limited"] == 2000 - answered["pong"]

    def test_who_has_one_connection_has_all_of_its_rate(self, people: People) -> None:
        ann, bob = people.speaking_json("ann"), people.speaking_json("bob")
        assert codes(ann, 20) == codes(bob, 20) == {"pong": 20}

    def test_taking_a_name_that_speaks_already(self, people: People, clock: Clock) -> None:
        ann, other = people.speaking_json("ann"), people.speaking_json()
        assert codes(ann, 15) == {"pong": 15}
        other.ask("setName", name="ann")
        clock.now += 2
        # Each has enough of its own again; the name's twenty have not been touched.
        assert codes(other, 19) + codes(ann, 5) == {"pong": 20, "rate_limited": 4}


class TestOfWhatCostsMore:
    def test_the_costs_are_those_of_the_table(self, people: People) -> None:
        ann = people.speaking_json("ann")
        assert ann.ask("history", after=0)["type"] == "history"
        assert ann.ask("who")["type"] == "who"
        assert codes(ann, 20) == {"pong": 13, "rate_limited": 7}

    def test_the_answer_says_when_there_are_enough(self, people: People, clock: Clock) -> None:
        ann = people.speaking_json("ann")
        codes(ann, 20)
        clock.now += 1
        assert codes(ann, 9) == {"pong": 9}
        reply = ann.ask("setName", name="anna")
        assert (reply["code"], reply["retryAfter"]) == ("rate_limited", 1)
        clock.now += reply["retryAfter"]
        assert ann.ask("setName", name="anna")["type"] == "named"

    def test_a_name_pays_too(self, people: People) -> None:
        ann, tab = people.speaking_json("ann"), people.speaking_json("ann")
        assert [each.ask("who")["type"] for each in (ann, tab, ann, tab)] == ["who"] * 4
        assert tab.ask("ping")["code"] == "rate_limited"

    @pytest.mark.parametrize("frame", ["no JSON", '{"action": "shout"}', '{"action": ["who"]}', "[]"])
    def test_what_is_no_action_costs_one(self, people: People, frame: str) -> None:
        ann = people.speaking_json("ann")
        for _ in range(5):
            ann.send(frame)
        assert codes(ann, 20) == {"pong": 15, "rate_limited": 5}

    def test_a_message_costs_more_in_a_large_room(
        self, people: People, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        chat = replace(app.get_chat(), members={"cats": 1000, "lobby": 99}.__getitem__)
        monkeypatch.setattr(app, "get_chat", lambda: chat)
        ann = people.speaking_json("ann", "cats", "lobby")
        assert ann.ask("onMessage", room="cats", message="hi")["type"] == "ack"
        assert ann.ask("onMessage", room="cats", message="hi")["code"] == "rate_limited"
        assert ann.ask("onMessage", message="hi")["type"] == "ack"
        assert codes(ann, 20) == {"pong": 8, "rate_limited": 12}


class TestConnectionsOfAName:
    @pytest.fixture
    def settings(self) -> Mapping[str, str]:
        return {"CHAT_MAX_CONNECTIONS_PER_NAME": "3", "CHAT_RATE_PER_SECOND": "0"}

    def test_no_more_than_allowed(self, people: People, tables: Tables) -> None:
        tabs = [people.speaking_json("ann") for _ in range(3)]
        before = tables.registry()
        refused = people.arriving(name="ann")
        response = refused.connect()
        assert (response["statusCode"], response["body"]) == (
            429,
            "ann has 3 connections, and cannot have more",
        )
        assert tables.registry() == before
        people.speaking_json("bob")
        tabs[0].disconnect()
        assert refused.connect()["statusCode"] == 200

    def test_by_set_name_neither(self, people: People) -> None:
        for _ in range(3):
            people.speaking_json("ann")
        other = people.speaking_json("bob")
        assert other.ask("setName", name="ann")["code"] == "forbidden"
        assert other.ask("who")["members"] == {"ann": 3, "bob": 1}

    def test_who_died_without_a_word_is_forgotten(self, people: People, clock: Clock) -> None:
        for _ in range(3):
            people.speaking_json("ann")
        clock.now += 7261
        assert people.arriving(name="ann").connect()["statusCode"] == 200

    def test_all_is_given_back(self, people: People, tables: Tables) -> None:
        for _ in range(4):
            tabs = [people.speaking_json("ann") for _ in range(3)]
            tabs[0].ask("setName", name="anna")
            tabs[0].ask("setName", name="ann")
            for tab in tabs:
                tab.disconnect()
        assert tables.registry() == []


class TestOfWhoGoesOn:
    """Who sends on against refusals is told goodbye, and closed."""

    def flood(self, client: ChatClient, frames: int) -> list[dict[str, Any]]:
        """Send so many frames, and give what was answered to them."""
        client.take()
        for _ in range(frames):
            client.send({"action": "ping"})
        return client.take()

    def test_a_hundred_refusals_in_a_minute_are_the_most(
        self, people: People, callbacks: Callbacks, clock: Clock, log: Log
    ) -> None:
        ann, bob = people.speaking_json("ann"), people.speaking_json("bob")
        events = self.flood(ann, 20 + MOST_REFUSED)
        assert Counter(event["type"] for event in events) == {"pong": 20, "error": MOST_REFUSED}
        assert callbacks.closed == []
        [error, goodbye] = self.flood(ann, 1)
        assert (error["code"], error["retryAfter"]) == ("rate_limited", 60)
        assert (goodbye["type"], goodbye["code"], goodbye["retryAfter"]) == ("goodbye", "rate_limited", 60)
        assert callbacks.closed == [ann.id]
        assert (log.lines[-1]["outcome"], log.lines[-1]["level"]) == ("rate_limited", "INFO")
        # Once: what it has sent meanwhile, which may even be served again, gets no post.
        posts = callbacks.posts
        assert self.flood(ann, 5) == []
        clock.now += 5
        assert self.flood(ann, 5) == []
        ann.say("hi")
        assert bob.events == []
        assert (callbacks.closed, callbacks.posts) == ([ann.id], posts)

    def test_what_comes_after_its_end_gets_no_post(
        self, people: People, callbacks: Callbacks, clock: Clock
    ) -> None:
        ann = people.speaking_json("ann")
        self.flood(ann, 20 + MOST_REFUSED + 1)
        ann.disconnect()
        posts = callbacks.posts
        assert self.flood(ann, 3) == []
        assert callbacks.posts == posts
        # Whoever it is then learns that it is not registered.
        clock.now += 60
        assert ann.ask("ping")["type"] == "pong"
        assert ann.events[-1]["code"] == "not_registered"

    def test_after_a_minute_the_count_begins_anew(
        self, people: People, callbacks: Callbacks, clock: Clock
    ) -> None:
        ann = people.speaking_json("ann")
        self.flood(ann, 20 + MOST_REFUSED)
        clock.now += 60
        events = self.flood(ann, 20 + MOST_REFUSED)
        assert Counter(event["type"] for event in events) == {"pong": 20, "error": MOST_REFUSED}
        clock.now += 59
        assert self.flood(ann, 21)[-1]["type"] == "goodbye"
        assert callbacks.closed == [ann.id]

    def test_a_close_that_failed_is_made_up_for_after_a_minute(
        self, people: People, callbacks: Callbacks, clock: Clock
    ) -> None:
        ann = people.speaking_json("ann")
        self.flood(ann, 20 + MOST_REFUSED + 1)
        clock.now += 60
        assert [event["type"] for event in self.flood(ann, 1)] == ["pong"]
        assert self.flood(ann, 19 + MOST_REFUSED + 1)[-1]["type"] == "goodbye"
        assert callbacks.closed == [ann.id] * 2

    def test_who_waits_is_never_near_it(self, people: People, callbacks: Callbacks, clock: Clock) -> None:
        """A person that types as fast as it goes, by a client that waits as it is told."""
        ann = people.speaking_json("ann")
        for _ in range(300):
            reply = ann.ask("onMessage", message="hi")
            clock.now += reply.get("retryAfter", 0.01)
        assert callbacks.closed == []

    def test_of_a_name_the_connection_that_goes_on_is_closed(
        self, people: People, callbacks: Callbacks, clock: Clock
    ) -> None:
        ann, tab = people.speaking_json("ann"), people.speaking_json("ann")
        for _ in range(20):
            # Each has enough of its own; the name has not.
            self.flood(ann, 10)
            clock.now += 1
        assert callbacks.closed == []
        self.flood(ann, 10)
        flooding = [self.flood(tab, 10) for _ in range(12)]
        assert callbacks.closed == [tab.id]
        assert [event["type"] for event in flooding[10]] == ["error", "goodbye"]
        assert flooding[11] == []

    def test_in_text(self, people: People, callbacks: Callbacks) -> None:
        ann = people.connected(name="ann")
        for _ in range(20 + MOST_REFUSED + 3):
            ann.send({"action": "ping"})
        assert ann.lines[-2:] == [
            "Error: too fast, try again in 60 s",
            "You are too fast, connect again in 60 s",
        ]
        assert callbacks.closed == [ann.id]

    def test_of_two_that_are_one_too_many_at_once_the_first_says_goodbye(
        self, people: People, callbacks: Callbacks, tables: Tables
    ) -> None:
        ann = people.speaking_json("ann")
        self.flood(ann, 20 + MOST_REFUSED)
        held: list[str] = []

        def overtake(params: dict[str, Any], **_: Any) -> None:
            if '"ADD refused' in params["body"].decode() and not held:
                held.append("the first to be refused, which counts last")
                ann.send({"action": "ping", "ref": "second"})

        tables.client.meta.events.register("before-call.dynamodb.UpdateItem", overtake)
        ann.send({"action": "ping", "ref": "first"})
        assert held
        told = [(event["type"], event.get("ref")) for event in ann.take()]
        assert told == [("error", "second"), ("goodbye", None)]
        assert callbacks.closed == [ann.id]


@pytest.fixture
def storage(tables_anywhere: Tables, clock: Clock) -> Callable[..., Connections]:
    """Connections as many Lambdas have them, on every DynamoDB that there is."""

    def make(burst: int = 5) -> Connections:
        tables = tables_anywhere
        heads = Heads(tables.client, tables.messages, 30, clock)
        bucket = Bucket(10, burst)
        return Connections(tables.client, tables.connections, tables.rooms, heads, clock, 3, bucket)

    return make


def connection(number: int, name: str = "ann") -> Connection:
    rooms = frozenset({"lobby", f"@{name}"})
    return Connection(f"c{number}=", name, Form.JSON, rooms, 1_700_000_000_000, 1_700_007_260)


def test_of_many_who_come_at_once_no_more_are_let_in(
    storage: Callable[..., Connections], tables_anywhere: Tables
) -> None:
    let_in: list[int] = []
    together = threading.Barrier(12)

    def come(number: int) -> None:
        connections = storage()
        together.wait()
        with suppress(Forbidden):
            connections.add(connection(number))
            let_in.append(number)

    threads = [threading.Thread(target=come, args=[number]) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(let_in) == 3
    assert len(tables_anywhere.items(tables_anywhere.connections)) == 3


def test_the_bucket_is_the_same_on_every_dynamodb(storage: Callable[..., Connections], clock: Clock) -> None:
    connections = storage()
    connections.add(connection(1))
    assert [connections.serve("c1=").wait_seconds for _ in range(7)] == [0] * 5 + [1] * 2
    clock.now += 0.2
    assert [connections.serve("c1=").wait_seconds for _ in range(3)] == [0, 0, 1]
    served = connections.serve("c1=").connection
    assert served is not None
    assert (served.name, served.rooms) == ("ann", {"lobby", "@ann"})
    assert connections.serve("nobody=") == storage().serve("nobody=")
    assert connections.serve("nobody=").connection is None


def test_every_burst_and_cost_is_taken_by_every_dynamodb(tables_anywhere: Tables) -> None:
    client, table = tables_anywhere.client, tables_anywhere.connections
    now = 1_700_000_000_000
    for burst in range(1, LARGEST_BURST + 1):
        bucket = Bucket(10, burst)
        key = {"connectionid": {"S": f"c{burst}="}}
        client.put_item(TableName=table, Item={**key, ATTRIBUTE: bucket.full})
        for cost in {1, 2, burst // 2 or 1, burst, 1000}:
            now += 100 * burst
            take = bucket.take(cost, now, "attribute_exists(connectionid)")
            answer = client.update_item(TableName=table, Key=key, ReturnValues="ALL_NEW", **take)
            times = [int(time["N"]) for time in answer["Attributes"][ATTRIBUTE]["L"]]
            assert (len(times), times.count(now)) == (burst, min(cost, burst)), (burst, cost)


@pytest.mark.parametrize("burst", [1, 2, LARGEST_BURST])
def test_the_smallest_and_the_largest_burst_serve_a_connection_and_a_name(
    storage: Callable[..., Connections], clock: Clock, burst: int
) -> None:
    connections = storage(burst)
    alone, shared, tab = connection(1, "ann"), connection(2, "bob"), connection(3, "bob")
    for each in (alone, shared, tab):
        connections.add(each)
    for cost in (1, 2, burst - 1 or 1, burst, 1000):
        clock.now += burst // 10 + 1
        for each in (alone, shared):
            assert connections.serve(each.id, cost).wait_seconds == 0
            # The whole of it is there after the pause in which it fills.
            assert connections.serve(each.id, burst).wait_seconds == math.ceil(burst / 10)


def test_a_renewal_is_the_same_on_every_dynamodb(storage: Callable[..., Connections]) -> None:
    connections = storage()
    connections.add(connection(1))
    connections.renew(connection(1), Identity("ann", 1_700_000_600, ("cats",)))
    renewed = connections.get("c1=")
    assert renewed is not None
    assert (renewed.token_expires_at, renewed.allowed) == (1_700_000_600, ("cats",))
    assert connections.remove("c1=") is not None
