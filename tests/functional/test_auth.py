"""Tokens in a chat: who is let in, as whom, where to, and for how long."""

from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest

from tests.functional.clients import ChatClient, People
from tests.functional.log import Log
from tests.functional.tables import Tables
from tests.rig.callbacks import Callbacks
from tests.rig.clock import Clock
from tests.rig.faults import counted
from tests.tokens import AUDIENCE, ISSUER, NOW, SECRET, signed
from tests.waiting import eventually

PARAMETER = "/chat/jwt-secret"
ROOMS = ["cats", "team-*"]


@pytest.fixture(scope="module")
def secret_arn(ministack_url: str) -> Iterator[str]:
    """The tests' secret, in SSM."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_SSM", ministack_url)
        ssm = boto3.client("ssm")
        ssm.put_parameter(Name=PARAMETER, Value=SECRET.decode(), Type="SecureString", Overwrite=True)
        yield ssm.get_parameter(Name=PARAMETER)["Parameter"]["ARN"]


@pytest.fixture
def settings(secret_arn: str) -> Mapping[str, str]:
    return {
        "CHAT_RATE_PER_SECOND": "0",
        "CHAT_AUTH": "jwt",
        "CHAT_JWT_SECRET_ARN": secret_arn,
        "CHAT_JWT_ISSUER": ISSUER,
        "CHAT_JWT_AUDIENCE": AUDIENCE,
    }


@pytest.fixture
def roomy(settings: Mapping[str, str]) -> Mapping[str, str]:
    """Tokens say which rooms there are."""
    return {**settings, "CHAT_ROOMS_CLAIM": "rooms"}


def arriving(people: People, token: str | None, *rooms: str, name: str | None = None) -> ChatClient:
    client = people.arriving(name=name, rooms=rooms, subprotocols=["chat.v1"])
    if token is not None:
        client.headers["Authorization"] = f"Bearer {token}"
    return client


def let_in(people: People, name: str, *rooms: str, **claims: Any) -> ChatClient:
    client = arriving(people, signed(sub=name, **claims), *rooms)
    assert client.connect()["statusCode"] == 200
    return client


def everything(tables: Tables) -> list[Any]:
    return [tables.registry(), tables.items(tables.messages)]


class TestConnecting:
    def test_the_name_is_the_tokens(self, people: People) -> None:
        alice, bob = let_in(people, "alice"), let_in(people, "bob")
        alice.say("hi")
        assert [event["from"] for event in bob.events if event["type"] == "message"] == ["alice"]
        assert alice.ask("who")["members"] == {"alice": 1, "bob": 1}

    @pytest.mark.parametrize("way", ["header", "subprotocol", "query"])
    def test_the_ways_of_a_token(self, people: People, way: str) -> None:
        client = people.arriving(subprotocols=["chat.v1"])
        match way:
            case "header":
                client.headers["authorization"] = f"Bearer {signed()}"
            case "subprotocol":
                client.headers["Sec-WebSocket-Protocol"] = f"chat.v1, bearer.{signed()}"
            case "query":
                client.query = {"token": [signed()]}
        assert client.connect() == {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "chat.v1"}}
        assert client.ask("who")["members"] == {"alice": 1}

    @pytest.mark.parametrize(
        ("token", "error"),
        [
            (None, "BadToken"),
            ("", "BadToken"),
            ("a.b.c", "BadToken"),
            (signed(aud="another"), "BadToken"),
            (signed(exp=NOW - 1), "TokenExpired"),
        ],
        ids=["none", "empty", "no token", "foreign", "expired"],
    )
    def test_without_a_good_token_nothing_is_written(
        self, people: People, tables: Tables, log: Log, token: str | None, error: str
    ) -> None:
        with counted(tables.client) as requests:
            assert arriving(people, token).connect()["statusCode"] == 401
        assert not requests
        assert everything(tables) == [[], []]
        assert (log.lines[-1]["level"], log.lines[-1]["error"]) == ("INFO", error)

    def test_the_url_gives_no_other_name(self, people: People, tables: Tables) -> None:
        assert arriving(people, signed(), name="bob").connect()["statusCode"] == 403
        assert everything(tables) == [[], []]
        assert arriving(people, signed(), name="alice").connect()["statusCode"] == 200

    def test_the_name_stays(self, people: People) -> None:
        alice = let_in(people, "alice")
        assert alice.ask("setName", name="bob")["code"] == "forbidden"
        assert alice.ask("who")["members"] == {"alice": 1}

    def test_verifying_costs_a_message_nothing(self, people: People, tables: Tables) -> None:
        alice = let_in(people, "alice")
        with counted(tables.client) as requests:
            alice.ask("ping")
        assert requests == {"GetItem": 1}


class TestWithoutKeys:
    @pytest.fixture
    def settings(self, settings: Mapping[str, str]) -> Mapping[str, str]:
        return {**settings, "CHAT_JWT_SECRET_ARN": settings["CHAT_JWT_SECRET_ARN"] + "-gone"}

    def test_nobody_is_let_in_and_the_log_says_why(self, people: People, tables: Tables, log: Log) -> None:
        assert arriving(people, signed()).connect()["statusCode"] == 503
        assert everything(tables) == [[], []]
        line = log.lines[-1]
        assert (line["level"], line["outcome"], line["error"]) == (
            "ERROR",
            "unavailable",
            "ParameterNotFound",
        )


class TestSecretsManager:
    @pytest.fixture
    def settings(
        self, settings: Mapping[str, str], ministack_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> Mapping[str, str]:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", ministack_url)
        secrets = boto3.client("secretsmanager")
        try:
            arn = secrets.create_secret(Name="chat/jwt", SecretString="a" * 32)["ARN"]
        except secrets.exceptions.ResourceExistsException:
            arn = secrets.put_secret_value(SecretId="chat/jwt", SecretString="a" * 32)["ARN"]
        return {**settings, "CHAT_JWT_SECRET_ARN": arn}

    def test_a_secret_from_there_and_its_rotation(self, people: People, clock: Clock) -> None:
        old, new = signed(b"a" * 32), signed(b"b" * 32)
        assert arriving(people, old).connect()["statusCode"] == 200
        boto3.client("secretsmanager").put_secret_value(SecretId="chat/jwt", SecretString="b" * 32)
        assert arriving(people, new).connect()["statusCode"] == 401
        clock.now += 60
        assert arriving(people, new).connect()["statusCode"] == 200
        assert arriving(people, old).connect()["statusCode"] == 401

    def test_a_short_secret_verifies_nobody(self, people: People, log: Log) -> None:
        boto3.client("secretsmanager").put_secret_value(SecretId="chat/jwt", SecretString="a" * 31)
        assert arriving(people, signed(b"a" * 31 + b"?")).connect()["statusCode"] == 503
        assert log.lines[-1]["error"] == "WeakSecret"


class TestExpiry:
    def test_after_it_one_answer_and_a_farewell(
        self, people: People, callbacks: Callbacks, clock: Clock
    ) -> None:
        alice, bob = let_in(people, "alice", exp=NOW + 60), let_in(people, "bob")
        clock.now += 59
        assert alice.ask("ping")["type"] == "pong"
        clock.now += 1
        alice.take()
        alice.say("hi", ref="r1")
        error, goodbye = alice.events
        assert (error["code"], error["ref"]) == ("token_expired", "r1")
        assert (goodbye["type"], goodbye["code"], goodbye["retryAfter"]) == ("goodbye", "token_expired", 0)
        assert callbacks.closed == [alice.id]
        assert not [event for event in bob.events if event["type"] == "message"]

    def test_who_never_speaks_hears_nothing_after_it(self, people: People, clock: Clock) -> None:
        silent, bob = let_in(people, "silent", exp=NOW + 60), let_in(people, "bob")
        bob.say("before")
        clock.now += 60
        bob.say("after")
        bob.ask("privateMessage", to="silent", message="psst")
        assert [event["message"] for event in silent.events if event["type"] == "message"] == ["before"]
        assert not [event for event in silent.events if event["type"] == "private"]
        assert bob.ask("who")["members"] == {"bob": 1}

    def test_a_newer_token_prolongs_it(self, people: People, clock: Clock, tables: Tables) -> None:
        alice, bob = let_in(people, "alice", "lobby", "cats", exp=NOW + 60), let_in(people, "bob")
        bob.take()
        clock.now += 30
        reply = alice.ask("authenticate", token=signed(exp=NOW + 600))
        assert (reply["type"], reply["name"], reply["expiresAt"]) == ("authenticated", "alice", NOW + 600)
        clock.now += 300
        bob.say("still there?")
        bob.ask("privateMessage", to="alice", message="psst")
        assert [event["type"] for event in alice.events if event["type"] in ("message", "private")] == [
            "message",
            "private",
        ]
        assert alice.ask("onMessage", message="yes", room="cats")["type"] == "ack"
        assert not [event for event in bob.events if event["type"] == "presence"]
        clock.now += 270
        assert alice.ask("ping")["code"] == "token_expired"
        alice.disconnect(), bob.disconnect()
        assert tables.registry() == []

    def test_a_shorter_token_shortens_it(self, people: People, clock: Clock) -> None:
        alice = let_in(people, "alice", exp=NOW + 600)
        assert alice.ask("authenticate", token=signed(exp=NOW + 60))["expiresAt"] == NOW + 60
        clock.now += 60
        assert alice.ask("ping")["code"] == "token_expired"

    def test_the_token_in_use_changes_nothing(self, people: People, tables: Tables) -> None:
        token = signed(exp=NOW + 600)
        alice = let_in(people, "alice", "lobby", "cats", exp=NOW + 600)
        before = (tables.registry(), tables.items(tables.messages))
        with counted(tables.client) as requests:
            reply = alice.ask("authenticate", token=token)
        assert (reply["type"], reply["expiresAt"]) == ("authenticated", NOW + 600)
        assert requests == {"GetItem": 1}
        assert before == (tables.registry(), tables.items(tables.messages))

    def test_a_newer_token_that_outlives_the_connection_too_is_noted_there_alone(
        self, people: People, tables: Tables
    ) -> None:
        alice, bob = let_in(people, "alice", "lobby", "cats", exp=NOW + 9000), let_in(people, "bob")
        before = (tables.items(tables.rooms), tables.items(tables.messages))
        with counted(tables.client) as requests:
            assert alice.ask("authenticate", token=signed(exp=NOW + 9600))["expiresAt"] == NOW + 9600
        assert requests == {"GetItem": 1, "TransactWriteItems": 1}
        assert before == (tables.items(tables.rooms), tables.items(tables.messages))
        bob.say("hi")
        assert alice.take()[-1]["message"] == "hi"

    def test_not_in_time_is_too_late(self, people: People, callbacks: Callbacks, clock: Clock) -> None:
        alice = let_in(people, "alice", exp=NOW + 60)
        clock.now += 60
        assert alice.ask("authenticate", token=signed(exp=NOW + 600))["code"] == "token_expired"
        assert callbacks.closed == [alice.id]

    @pytest.mark.parametrize(
        ("token", "code"),
        [
            (signed(sub="bob"), "forbidden"),
            (signed(sub="\u0430lice"), "forbidden"),
            ("a.b.c", "forbidden"),
            (signed(aud="another"), "forbidden"),
            (signed(exp=NOW), "token_expired"),
            ("", "bad_request"),
            ("a" * 8193, "bad_request"),
            (7, "bad_request"),
        ],
        ids=["another user", "look-alike", "no token", "foreign", "expired", "empty", "oversized", "number"],
    )
    def test_a_bad_token_renews_nothing(
        self, people: People, callbacks: Callbacks, clock: Clock, token: object, code: str
    ) -> None:
        alice = let_in(people, "alice", exp=NOW + 60)
        assert alice.ask("authenticate", token=token)["code"] == code
        assert alice.ask("ping")["type"] == "pong"
        assert callbacks.closed == []
        clock.now += 60
        assert alice.ask("ping")["code"] == "token_expired"


class TestRooms:
    @pytest.fixture
    def settings(self, roomy: Mapping[str, str]) -> Mapping[str, str]:
        return roomy

    def test_those_of_the_token_can_be_entered(self, people: People) -> None:
        alice = let_in(people, "alice", "cats", rooms=ROOMS)
        assert alice.ask("joinRoom", room="team-7")["type"] == "joined"
        assert alice.ask("onMessage", message="hi", room="team-7")["type"] == "ack"

    def test_others_cannot(self, people: People, tables: Tables) -> None:
        for rooms in (["dogs"], ["dogs", "birds"], []):
            client = arriving(people, signed(rooms=ROOMS), *rooms)
            assert client.connect()["statusCode"] == 403
        assert everything(tables) == [[], []]
        alice = let_in(people, "alice", "cats", rooms=ROOMS)
        for room in ("dogs", "lobby", "team", "Cats", "catsx"):
            assert alice.ask("joinRoom", room=room)["code"] == "forbidden"

    def test_one_room_that_is_closed_does_not_close_the_others(self, people: People) -> None:
        alice = let_in(people, "alice", "cats", "dogs", rooms=ROOMS)
        assert alice.ask("onMessage", message="hi", room="cats")["type"] == "ack"
        assert alice.ask("history", room="dogs")["code"] == "not_in_room"
        assert eventually(lambda: bool(people.work() or [e for e in alice.events if e["type"] == "left"]))
        assert [event["room"] for event in alice.events if event["type"] == "left"] == ["dogs"]

    def test_rooms_that_cannot_be_entered_are_not_listed(self, people: People) -> None:
        let_in(people, "bob", "dogs", rooms=["dogs"])
        assert let_in(people, "alice", "cats", rooms=ROOMS).ask("listRooms")["rooms"] == {"cats": 1}

    def test_a_newer_token_may_allow_less(self, people: People) -> None:
        alice, bob = (
            let_in(people, "alice", "cats", "team-7", rooms=ROOMS),
            let_in(people, "bob", "cats", rooms=ROOMS),
        )
        bob.take()
        assert alice.ask("authenticate", token=signed(rooms=["team-7"]))["type"] == "authenticated"
        assert [event["room"] for event in alice.events if event["type"] == "left"] == ["cats"]
        assert [(event["name"], event["event"]) for event in bob.events] == [("alice", "leave")]
        alice.take()
        bob.say("a secret", room="cats")
        assert alice.events == []
        assert alice.ask("onMessage", message="hi", room="cats")["code"] == "not_in_room"
        assert alice.ask("onMessage", message="hi", room="team-7")["type"] == "ack"

    def test_or_more(self, people: People) -> None:
        alice = let_in(people, "alice", "cats", rooms=["cats"])
        assert alice.ask("joinRoom", room="dogs")["code"] == "forbidden"
        alice.ask("authenticate", token=signed(rooms=["*"]))
        assert alice.ask("joinRoom", room="dogs")["type"] == "joined"

    def test_a_membership_that_is_left_over_is_of_no_use(self, people: People, tables: Tables) -> None:
        """As where a renewal died before it made the connection leave."""
        alice = let_in(people, "alice", "cats", rooms=ROOMS)
        tables.client.update_item(
            TableName=tables.connections,
            Key={"connectionid": {"S": alice.id}},
            UpdateExpression="SET allowed = :none",
            ExpressionAttributeValues={":none": {"L": []}},
        )
        for action in ("onMessage", "typingIndicator", "history", "who"):
            fields = {"message": "hi"} if action == "onMessage" else {}
            assert alice.ask(action, room="cats", **fields)["code"] == "forbidden"
        assert alice.ask("history", room="@alice")["type"] == "history"
        assert alice.ask("leaveRoom", room="cats")["type"] == "left"


class TestNone:
    @pytest.fixture
    def settings(self) -> Mapping[str, str]:
        return {"CHAT_RATE_PER_SECOND": "0"}

    def test_tokens_are_not_looked_at(self, people: People) -> None:
        client = arriving(people, "a.b.c", name="bob")
        assert client.connect()["statusCode"] == 200
        assert client.ask("who")["members"] == {"bob": 1}
        assert client.ask("authenticate", token=signed())["code"] == "forbidden"
