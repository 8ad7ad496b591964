"""The rig's model of an account's quotas: each of them bites, and none does where it does not matter."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from websockets.exceptions import InvalidStatus

from chalicelib.gateway.websocket_api import ManyWebsocketAPI
from tests.functional.log import Log
from tests.functional.tables import Tables
from tests.rig.allowance import Allowance
from tests.rig.clients import Crowd
from tests.rig.clock import Clock
from tests.rig.dynamodb import DynamoDB
from tests.rig.limits import METERED, Account, Limits
from tests.rig.partitions import Charge, Partitions, Throttle
from tests.rig.rig import Rig
from tests.waiting import eventually

AMPLE = Limits()
ITEM = {"roomId": {"S": "lobby"}, "entry": {"S": "head"}}


@pytest.fixture
def limits() -> Limits:
    return AMPLE


@pytest.fixture
def rig(tables: Tables, clock: Clock, log: Log, settings: Mapping[str, str], limits: Limits) -> Iterator[Rig]:
    """With limits; the clock stands still, so what is used up stays so."""
    env = {"CHAT_RATE_PER_SECOND": "0", **tables.settings(), **settings}
    with Rig(tables.client, env, clock, log.logger, limits=limits) as rig:
        yield rig


def account(rig: Rig) -> Account:
    assert rig.account is not None
    return rig.account


class TestAllowance:
    def test_a_burst_and_then_so_many_a_second(self) -> None:
        clock = Clock(0)
        allowance = Allowance(10, 5, clock)
        assert [allowance.take() for _ in range(6)] == [True] * 5 + [False]
        clock.now += 0.375
        assert [allowance.take() for _ in range(4)] == [True] * 3 + [False]
        clock.now += 60
        assert sum(allowance.take() for _ in range(20)) == 5

    def test_what_is_owed_is_waited_for(self) -> None:
        clock = Clock(0)
        allowance = Allowance(10, 5, clock)
        allowance.owe(25)
        clock.now += 2
        assert allowance.is_used_up
        clock.now += 0.1
        assert not allowance.is_used_up


class TestOneFactor:
    def test_divides_what_clients_use_together(self) -> None:
        scaled = Limits(post_seconds=0.008).scaled(10)
        assert scaled == Limits(10, 1_000, 500, 50, 100, 1_000, 3_000, 0.008)

    def test_multiplies_what_clients_do_to_a_partition(self) -> None:
        partitions = Partitions(Limits(writes=100).scaled(10), Clock(0))
        write = Charge("messages", "lobby", "write", 1.0)
        partitions.weigh_event("message", {"body": '{"action": "onMessage", "message": "hi"}'})
        assert sum(all(partitions.admit([write])) for _ in range(200)) == 100
        partitions.weigh_event("connect", {})
        assert sum(all(partitions.admit([write._replace(key="cats")])) for _ in range(200)) == 10

    def test_multiplies_what_is_the_clients_own_whoever_reads_it(self) -> None:
        partitions = Partitions(Limits(reads=100).scaled(10), Clock(0))
        partitions.crowded.add("rooms")
        read = Charge("rooms", "lobby", "read", 5.0)
        assert sum(all(partitions.admit([read])) for _ in range(50)) == 2


class TestRequests:
    @pytest.fixture
    def limits(self) -> Limits:
        return replace(AMPLE, requests=10, request_burst=4)

    def test_frames_beyond_are_refused_and_reach_no_handler(self, rig: Rig, crowd: Crowd) -> None:
        ann = crowd.connect()
        for _ in range(5):
            ann.send({"action": "help"})
        assert eventually(lambda: account(rig).taken["frame"] + account(rig).refused["frame"] == 5)
        # One was for the handshake; a post needs one too.
        assert 1 <= account(rig).taken["frame"] <= 3
        assert rig.functions.invocations["message"] == account(rig).taken["frame"]
        assert eventually(lambda: any("Too Many Requests" in line for line in ann.lines))
        assert account(rig).taken.total() == 4

    def test_posts_beyond_are_refused_and_use_nothing_up(self, rig: Rig, crowd: Crowd) -> None:
        ann, bob = crowd.connect_json("ann", "cats"), crowd.connect_json("bob", "dogs")
        ann.ask("ping")
        assert account(rig).taken == {"connect": 2, "frame": 1, "post": 1}
        bob.send({"action": "ping"})
        assert eventually(lambda: account(rig).refused["frame"] == 1)
        api = ManyWebsocketAPI()
        api.configure("a1b2c3d4e5.execute-api.us-east-1.amazonaws.com", "test")
        result = api.send_many([rig.connection_id(ann.port)], "hi", deadline=float("inf"))
        api.stop()
        assert result.throttled
        # It has been tried again, which did not help.
        assert account(rig).refused["post"] >= 3
        assert account(rig).taken.total() == 4
        rig.advance(0.125)
        bob.send({"action": "ping"})
        assert eventually(lambda: account(rig).taken["frame"] == 2)

    def test_handshakes_beyond_are_refused(self, rig: Rig, crowd: Crowd) -> None:
        for _ in range(4):
            crowd.connect()
        with pytest.raises(InvalidStatus, match="429"):
            crowd.connect()
        rig.advance(1)
        crowd.connect()

    def test_deletions_count(self, rig: Rig) -> None:
        assert [account(rig).delete() for _ in range(5)] == [True] * 4 + [False]


class TestConnections:
    @pytest.fixture
    def limits(self) -> Limits:
        return replace(AMPLE, connections=3)

    def test_so_many_are_new_in_a_second(self, rig: Rig, crowd: Crowd) -> None:
        for _ in range(3):
            crowd.connect()
        with pytest.raises(InvalidStatus, match="429"):
            crowd.connect()
        assert rig.functions.invocations["connect"] == 3
        rig.advance(1)
        crowd.connect()


class TestSlowSockets:
    def test_one_that_does_not_read_is_refused_and_others_are_not(self, rig: Rig, crowd: Crowd) -> None:
        slow, ann = crowd.connect_json("slow"), crowd.connect_json("ann")
        account(rig).slow.add(rig.connection_id(slow.port))
        ann.say("hi")
        ann.gets("hi")
        assert eventually(lambda: account(rig).refused["slow"] >= 1)
        assert slow.texts == []


class TestMeteredUnits:
    def test_32_kb_are_one_message(self) -> None:
        account = Account(AMPLE)
        for size in (0, 1, METERED, METERED + 1, 4 * METERED):
            account.post("one", size)
        account.frame(10)
        assert account.metered == {"out": 1 + 1 + 1 + 2 + 4, "in": 1}


class TestInvocations:
    @pytest.fixture
    def limits(self) -> Limits:
        return replace(AMPLE, invocations=20)

    @contextmanager
    def all_running(self, rig: Rig) -> Iterator[None]:
        """Let there be as many invocations as there can be."""
        rig.settle()
        taken = 0
        while account(rig).begin():
            taken += 1
        account(rig).refused.clear()
        yield
        for _ in range(taken):
            account(rig).end()

    def test_a_disconnect_beyond_is_lost(self, rig: Rig, crowd: Crowd, tables: Tables) -> None:
        ann, bob = crowd.connect_json("ann"), crowd.connect_json("bob")
        with self.all_running(rig):
            bob.vanish()
            assert eventually(lambda: len(rig.gateway.sockets) == 1)
            assert eventually(lambda: account(rig).refused["invocation"] == 1)
            ann.send({"action": "ping"})
            assert eventually(lambda: any("Internal server error" in line for line in ann.lines))
            with pytest.raises(InvalidStatus):
                crowd.connect()
        assert ann.ask("ping")["type"] == "pong"
        assert len(tables.items(tables.connections)) == 2

    def test_one_that_takes_too_long_is_ended(
        self, rig: Rig, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ann = crowd.connect_json("ann")
        rig.settle()
        monkeypatch.setattr("tests.rig.functions.SECONDS", 0.0)
        ann.send({"action": "ping"})
        assert eventually(lambda: any("Internal server error" in line for line in ann.lines))
        assert eventually(lambda: rig.functions.crashed == 1)
        assert eventually(lambda: not rig.functions.running)
        monkeypatch.undo()
        assert ann.ask("ping")["type"] == "pong"

    def test_a_message_of_the_queue_comes_later(self, rig: Rig) -> None:
        with self.all_running(rig):
            rig.queues.put("no task")
            assert eventually(lambda: account(rig).refused["invocation"] == 1)
            assert rig.functions.invocations["deliver"] == 0
        rig.advance(1)
        assert eventually(lambda: rig.functions.invocations["deliver"] == 1)


@pytest.fixture(params=["boto3", "rig"])
def limited(
    request: pytest.FixtureRequest, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Tables, Partitions]]:
    """Tables whose partition keys take 10 units a second, and clients that do not try again."""
    partitions = Partitions(replace(AMPLE, writes=10, reads=10), clock)
    if request.param == "rig":
        monkeypatch.setattr("tests.rig.dynamodb.TRIES", 1)
        yield Tables(DynamoDB(partitions)), partitions
        return
    url = request.getfixturevalue("ministack_url")
    once = Config(retries={"mode": "standard", "total_max_attempts": 1})
    tables = Tables(boto3.client("dynamodb", endpoint_url=url, config=once))
    keys = {tables.connections: "connectionid", tables.rooms: "roomId", tables.messages: "roomId"}
    Throttle(tables.client, partitions, keys)
    yield tables, partitions
    tables.delete()


class TestPartitions:
    def put(self, tables: Tables, number: int, room: str = "lobby", size: int = 0) -> None:
        item = {"roomId": {"S": room}, "entry": {"S": f"seq#{number}"}, "message": {"S": "x" * size}}
        tables.client.put_item(TableName=tables.messages, Item=item)

    def done(self, tables: Tables, times: int, **how: Any) -> int:
        """How many of so many puts are done."""
        for number in range(times):
            try:
                self.put(tables, number, **how)
            except tables.client.exceptions.ProvisionedThroughputExceededException:
                return number
        return times

    def test_a_key_takes_so_many_writes_a_second(
        self, limited: tuple[Tables, Partitions], clock: Clock
    ) -> None:
        tables, partitions = limited
        assert self.done(tables, 20) == 10
        assert self.done(tables, 20, room="cats") == 10
        clock.now += 0.5
        assert self.done(tables, 20) == 5
        assert partitions.throttled.keys() == {(tables.messages, "lobby"), (tables.messages, "cats")}

    def test_a_kb_is_a_unit(self, limited: tuple[Tables, Partitions]) -> None:
        tables, _ = limited
        assert self.done(tables, 20, size=1900) == 5

    def test_a_transaction_costs_twice_and_says_what_is_throttled(
        self, limited: tuple[Tables, Partitions]
    ) -> None:
        tables, _ = limited

        def write(number: int) -> None:
            items = [
                {"roomId": {"S": room}, "entry": {"S": f"seq#{number}"}}
                for room in ("lobby", f"room{number}")
            ]
            puts = [{"Put": {"TableName": tables.messages, "Item": item}} for item in items]
            tables.client.transact_write_items(TransactItems=puts)

        for number in range(5):
            write(number)
        with pytest.raises(tables.client.exceptions.TransactionCanceledException) as refused:
            write(5)
        reasons = refused.value.response["CancellationReasons"]
        assert [reason["Code"] for reason in reasons] == ["ThrottlingError", "None"]
        assert len(tables.items(tables.messages)) == 10

    def test_a_key_gives_so_many_reads_a_second(
        self, limited: tuple[Tables, Partitions], clock: Clock
    ) -> None:
        tables, _ = limited
        for number in range(5):
            self.put(tables, number, size=3900)
            clock.now += 1
        query = {
            "TableName": tables.messages,
            "KeyConditionExpression": "roomId = :room",
            "ExpressionAttributeValues": {":room": {"S": "lobby"}},
            "ConsistentRead": True,
        }
        # Five units each; weakly consistent half of that.
        tables.client.query(**query)
        tables.client.query(**query)
        with pytest.raises(ClientError, match="ProvisionedThroughputExceededException"):
            tables.client.query(**query)
        with pytest.raises(ClientError, match="ProvisionedThroughputExceededException"):
            tables.client.get_item(TableName=tables.messages, Key=ITEM)
        clock.now += 1
        for _ in range(4):
            tables.client.query(**{**query, "ConsistentRead": False})
        with pytest.raises(ClientError, match="ProvisionedThroughputExceededException"):
            tables.client.query(**query)


class TestTries:
    def test_a_client_waits_and_tries_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tests.rig.dynamodb.random.random", lambda: 0.1)
        tables = Tables(DynamoDB(Partitions(replace(AMPLE, writes=10))))
        TestPartitions().put(tables, 0)
        assert TestPartitions().done(tables, 20) == 20
