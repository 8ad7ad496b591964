"""How fast a connection and a name may speak, and how many connections a name may have."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress

import pytest

from chalicelib.auth.identity import Identity
from chalicelib.errors import Forbidden
from chalicelib.storage.bucket import Bucket
from chalicelib.storage.connection import Connection
from chalicelib.storage.connections import Connections
from chalicelib.storage.heads import Heads
from chalicelib.wire.events import Form
from tests.functional.clients import ChatClient, People
from tests.functional.log import Log
from tests.functional.tables import Tables
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

    def test_taking_a_name_that_speaks_already(self, people: People) -> None:
        ann, other = people.speaking_json("ann"), people.speaking_json()
        assert codes(ann, 15) == {"pong": 15}
        other.ask("setName", name="ann")
        # One of the twenty of each is used up by now; the name's have not been touched.
        assert codes(other, 19) + codes(ann, 5) == {"pong": 20, "rate_limited": 4}


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


@pytest.fixture
def storage(tables_anywhere: Tables, clock: Clock) -> Callable[[], Connections]:
    """Connections as many Lambdas have them, on every DynamoDB that there is."""

    def make() -> Connections:
        tables = tables_anywhere
        heads = Heads(tables.client, tables.messages, 30, clock)
        return Connections(tables.client, tables.connections, tables.rooms, heads, clock, 3, Bucket(10, 5))

    return make


def connection(number: int, name: str = "ann") -> Connection:
    rooms = frozenset({"lobby", f"@{name}"})
    return Connection(f"c{number}=", name, Form.JSON, rooms, 1_700_000_000_000, 1_700_007_260)


def test_of_many_who_come_at_once_no_more_are_let_in(
    storage: Callable[[], Connections], tables_anywhere: Tables
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


def test_the_bucket_is_the_same_on_every_dynamodb(storage: Callable[[], Connections], clock: Clock) -> None:
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


def test_a_renewal_is_the_same_on_every_dynamodb(storage: Callable[[], Connections]) -> None:
    connections = storage()
    connections.add(connection(1))
    connections.renew(connection(1), Identity("ann", 1_700_000_600, ("cats",)))
    renewed = connections.get("c1=")
    assert renewed is not None
    assert (renewed.token_expires_at, renewed.allowed) == (1_700_000_600, ("cats",))
    assert connections.remove("c1=") is not None
