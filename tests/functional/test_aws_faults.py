"""Clients of AWS against a server that does what AWS does on a bad day: ours, and boto3 as the reference."""

import json
import shutil
import ssl
import subprocess
import threading
import time
from binascii import crc32
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from chalicelib.aws import connection, credentials, pool
from chalicelib.aws.dynamodb import DynamoDB
from chalicelib.aws.errors import (
    AwsError,
    ChecksumError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
    ResponseParserError,
    client_errors,
    refusals,
    request_id,
)
from chalicelib.aws.retries import RETRY_COST, Retries
from chalicelib.aws.sqs import Sqs
from chalicelib.aws.time_limit import done_by
from tests.rig.raw_server import Last, RawServer, Request, refusal, response
from tests.tools import missing

PATIENCE = 10.0
ITEM = {"Item": {"connectionid": {"S": "a"}}}
GOOD = response(200, ITEM)
KEY = {"connectionid": {"S": "a"}}
TRIES = 4


class Slept(list[float]):
    """Sleeps that nobody has waited for."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def ours(url: str, sleep: Callable[[float], None] = lambda seconds: None, tries: int = TRIES) -> DynamoDB:
    return DynamoDB(url, "us-east-1", Retries(tries), sleep=sleep)


def reference(url: str) -> Any:
    config = Config(
        connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": TRIES}
    )
    return boto3.client("dynamodb", endpoint_url=url, config=config)


CLIENTS: dict[str, Callable[[str], Any]] = {"ours": ours, "boto3": reference}
both = pytest.mark.parametrize("make", CLIENTS.values(), ids=CLIENTS)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let boto3 wait for nothing between its tries, as ours is told."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)


def get(client: Any) -> dict[str, Any]:
    answer: dict[str, Any] = client.get_item(TableName="T", Key=KEY)
    answer.pop("ResponseMetadata")
    return answer


def always(answer: bytes | Last) -> Callable[[Request], bytes | Last]:
    return lambda request: answer


def in_turn(*answers: bytes | Last) -> Callable[[Request], bytes | Last]:
    left = list(answers)
    return lambda request: left.pop(0)


@both
class TestRefusals:
    @pytest.mark.parametrize(
        "code",
        [
            "ConditionalCheckFailedException",
            "TransactionCanceledException",
            "TransactionConflictException",
            "ResourceNotFoundException",
            "ItemCollectionSizeLimitExceededException",
        ],
    )
    def test_each_that_is_known_has_its_class(self, make: Callable[[str], Any], code: str) -> None:
        with RawServer(always(refusal(code, Item={"a": {"B": "AAE="}, "n": None}))) as server:
            client = make(server.url)
            with pytest.raises(getattr(client.exceptions, code)) as caught:
                get(client)
        error = caught.value
        assert isinstance(error, client_errors())
        assert isinstance(error, refusals())
        assert str(error) == f"An error occurred ({code}) when calling the GetItem operation: as told"
        assert error.response["Error"] == {"Code": code, "Message": "as told"}
        assert error.operation_name == "GetItem"
        assert request_id(error) == "REQUEST1"
        assert len(server.requests) == 1

    def test_the_item_of_a_condition_has_its_bytes(self, make: Callable[[str], Any]) -> None:
        item = {"a": {"B": "AAE="}, "s": {"SS": ["x"]}, "l": {"L": [{"BS": ["AAE="]}]}}
        answer = refusal("ConditionalCheckFailedException", Item=item)
        with RawServer(always(answer)) as server:
            client = make(server.url)
            with pytest.raises(client.exceptions.ConditionalCheckFailedException) as caught:
                client.put_item(TableName="T", Item=KEY)
        assert caught.value.response["Item"] == {
            "a": {"B": b"\0\1"},
            "s": {"SS": ["x"]},
            "l": {"L": [{"BS": [b"\0\1"]}]},
        }

    def test_the_reasons_of_a_transaction(self, make: Callable[[str], Any]) -> None:
        reasons = [{"Code": "None", "Message": None}, {"Code": "ConditionalCheckFailed", "Item": KEY}]
        with RawServer(
            always(refusal("TransactionCanceledException", CancellationReasons=reasons))
        ) as server:
            client = make(server.url)
            with pytest.raises(client.exceptions.TransactionCanceledException) as caught:
                client.transact_write_items(TransactItems=[{"Put": {"TableName": "T", "Item": KEY}}])
        assert caught.value.response["CancellationReasons"] == [{"Code": "None"}, reasons[1]]

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"__type": "com.amazon.coral.service#NobodyKnowsThis", "Message": "so"}, "NobodyKnowsThis"),
            ({"__type": "Fancy:http://example.com/", "message": "so"}, "Fancy"),
            ({"__type": "AccessDeniedException", "message": "so", "Item": 7}, "AccessDeniedException"),
            ({"message": "so"}, "418"),
        ],
    )
    def test_one_that_nobody_knows(self, make: Callable[[str], Any], body: dict[str, Any], code: str) -> None:
        with RawServer(always(response(418, body))) as server, pytest.raises(refusals()) as caught:
            get(make(server.url))
        assert type(caught.value).__name__ == "ClientError"
        assert caught.value.response["Error"] == {"Code": code, "Message": "so"}  # type: ignore[attr-defined]

    @pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException"])
    def test_credentials_that_have_expired(self, make: Callable[[str], Any], code: str) -> None:
        with RawServer(always(refusal(code))) as server, pytest.raises(refusals(), match=code):
            get(make(server.url))
        assert len(server.requests) == 1

    @pytest.mark.parametrize("status", [400, 403, 404, 413])
    def test_what_is_no_error_of_aws(self, make: Callable[[str], Any], status: int) -> None:
        with (
            RawServer(always(response(status, b"<html>the-planted-secret</html>"))) as server,
            pytest.raises(refusals()) as caught,
        ):
            get(make(server.url))
        assert caught.value.response["Error"]["Code"] == str(status)  # type: ignore[attr-defined]
        assert len(server.requests) == 1


@both
class TestRetries:
    @pytest.mark.parametrize(
        "code",
        [
            "ProvisionedThroughputExceededException",
            "ThrottlingException",
            "Throttling",
            "RequestLimitExceeded",
            "TransactionInProgressException",
            "SlowDown",
            "TooManyRequestsException",
        ],
    )
    def test_a_throttle_is_tried_again(self, make: Callable[[str], Any], code: str) -> None:
        with RawServer(in_turn(refusal(code), refusal(code), refusal(code), GOOD)) as server:
            assert get(make(server.url)) == ITEM
        assert len(server.requests) == TRIES

    def test_one_that_goes_on_is_raised(self, make: Callable[[str], Any]) -> None:
        with RawServer(always(refusal("ThrottlingException"))) as server:
            client = make(server.url)
            with pytest.raises(refusals()) as caught:
                get(client)
        assert type(caught.value).__name__ == "ThrottlingException"
        assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == TRIES - 1  # type: ignore[attr-defined]
        assert len(server.requests) == TRIES

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    @pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b'{"__type":"InternalServerError"}'])
    def test_a_failure_is_tried_again(self, make: Callable[[str], Any], status: int, body: bytes) -> None:
        with RawServer(in_turn(response(status, body), response(status, body), GOOD)) as server:
            assert get(make(server.url)) == ITEM
        assert len(server.requests) == 3

    @pytest.mark.parametrize(
        "lost",
        [Last(), Last(reset=True), Last(GOOD[:-5]), Last(GOOD[:-5], reset=True)],
        ids=["closed", "reset", "half a body", "reset in the body"],
    )
    def test_an_answer_that_is_lost_is_asked_for_again(self, make: Callable[[str], Any], lost: Last) -> None:
        # On a connection that has served before, and on new ones.
        with RawServer(in_turn(GOOD, lost, lost, GOOD)) as server:
            client = make(server.url)
            assert get(client) == ITEM
            assert get(client) == ITEM
        assert len(server.requests) == 4

    def test_one_that_stays_lost_is_raised(self, make: Callable[[str], Any]) -> None:
        with RawServer(always(Last())) as server, pytest.raises(client_errors()) as caught:
            get(make(server.url))
        assert type(caught.value).__name__ == "ConnectionClosedError"
        assert server.url in str(caught.value)
        assert len(server.requests) == TRIES

    def test_a_transaction_has_one_token_over_all_tries(self, make: Callable[[str], Any]) -> None:
        failure = response(500, b"")
        with RawServer(in_turn(failure, Last(), response(200, {}), response(200, {}))) as server:
            client = make(server.url)
            for _ in range(2):
                client.transact_write_items(TransactItems=[{"Put": {"TableName": "T", "Item": KEY}}])
        first, *again, other = (json.loads(each.body)["ClientRequestToken"] for each in server.requests)
        assert set(again) == {first}
        assert other != first

    @pytest.mark.parametrize("checksum", [0, crc32(json.dumps(ITEM).encode()) ^ 1])
    def test_a_damaged_answer_is_asked_for_again(self, make: Callable[[str], Any], checksum: int) -> None:
        damaged = response(200, ITEM, x_amz_crc32=str(checksum))
        right = response(200, ITEM, x_amz_crc32=str(crc32(json.dumps(ITEM).encode())))
        with RawServer(in_turn(damaged, damaged, right)) as server:
            assert get(make(server.url)) == ITEM
        assert len(server.requests) == 3

    def test_nobody_is_there(self, make: Callable[[str], Any]) -> None:
        with RawServer(always(GOOD)) as server:
            pass
        with pytest.raises(client_errors(), match=server.url) as caught:
            get(make(server.url))
        assert type(caught.value).__name__ == "EndpointConnectionError"


class TestOurs:
    def test_what_is_no_answer_of_dynamodb_is_not_told_to_the_log(self) -> None:
        for body in (b"the-planted-secret", b'{"Item": {"a": {"S": 7}}}', b"[]", b"\xff\xfe", b'{"Item": '):
            with (
                RawServer(always(response(200, body))) as server,
                pytest.raises(ResponseParserError) as caught,
            ):
                get(ours(server.url))
            assert str(caught.value) == "The answer to GetItem cannot be read"
            assert caught.value.__cause__ is None
            assert len(server.requests) == TRIES

    def test_nor_is_what_is_no_refusal(self) -> None:
        answer = response(400, b"<html>the-planted-secret</html>")
        with RawServer(always(answer)) as server, pytest.raises(ClientError) as caught:
            get(ours(server.url))
        assert "planted" not in str(caught.value)

    @pytest.mark.parametrize(
        "garbage",
        [
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"\0" * 100,
            GOOD[:20],
            b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        ],
    )
    def test_what_is_no_http_is_a_lost_answer(self, garbage: bytes) -> None:
        with RawServer(always(Last(garbage))) as server, pytest.raises(ConnectionClosedError):
            get(ours(server.url))
        assert len(server.requests) == server.opened == TRIES

    def test_an_answer_may_come_in_pieces_and_chunks(self) -> None:
        body = json.dumps(ITEM).encode()
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(
            b"1\r\n%c\r\n" % byte for byte in body
        )
        with RawServer(always(chunked + b"0\r\n\r\n")) as server:
            client = ours(server.url)
            assert get(client) == get(client) == ITEM
            assert server.opened == 1

    def test_what_is_no_answer_yet_is_none(self) -> None:
        with RawServer(always(b"HTTP/1.1 100 Continue\r\n\r\n" + GOOD)) as server:
            client = ours(server.url)
            assert get(client) == get(client) == ITEM

    def test_what_nobody_has_asked_for_is_never_an_answer(self) -> None:
        other = response(200, {"Item": {"connectionid": {"S": "somebody else"}}})
        for extra in (other, b"garbage", other[:30]):
            with RawServer(in_turn(GOOD + extra, GOOD)) as server:
                client = ours(server.url)
                assert get(client) == get(client) == ITEM
                assert server.opened == 2

    def test_nor_is_what_comes_while_nothing_is_asked_for(self) -> None:
        with RawServer(always(GOOD)) as server:
            client = ours(server.url, tries=1)
            get(client)
            server.say(response(408, {"__type": "RequestTimeout"}))
            assert get(client) == ITEM
            assert server.opened == 2

    def test_a_connection_that_says_close_is_not_used_again(self) -> None:
        with RawServer(always(response(200, ITEM, connection="close"))) as server:
            client = ours(server.url)
            assert get(client) == get(client) == ITEM
            assert server.opened == len(server.requests) == 2

    def test_a_connection_serves_many_requests(self) -> None:
        with RawServer(always(GOOD)) as server:
            client = ours(server.url)
            for _ in range(20):
                get(client)
            assert server.opened == 1

    def test_one_that_was_closed_in_a_freeze_costs_no_try(self) -> None:
        with RawServer(always(GOOD)) as server:
            client = ours(server.url, tries=1)
            for opened in (1, 2):
                assert get(client) == ITEM
                assert server.opened == opened
                server.hang_up()

    def test_nor_does_one_that_closes_at_the_next_request(self) -> None:
        def answer(request: Request) -> bytes | Last:
            return GOOD if request.number == 1 else Last()

        with RawServer(answer) as server:
            client = ours(server.url, tries=1)
            for _ in range(3):
                assert get(client) == ITEM
            assert (server.opened, len(server.requests)) == (3, 5)

    def test_the_first_that_is_found_closed_is_enough(self) -> None:
        meeting = threading.Barrier(4)
        forgotten: set[int] = set()

        def answer(request: Request) -> bytes | Last:
            if request.number == 1 and not forgotten:
                meeting.wait(PATIENCE)
            return Last() if request.connection in forgotten else GOOD

        with RawServer(answer) as server:
            client = ours(server.url, tries=1)
            threads = [threading.Thread(target=get, args=(client,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            forgotten.update(range(1, 5))
            assert get(client) == ITEM
            assert (server.opened, len(server.requests)) == (5, 4 + 2)
            # No other thread meets one of them.
            assert client._client._pool
            assert len(client._client._pool._idle) == 1

    def test_but_an_answer_that_breaks_off_does(self) -> None:
        with RawServer(in_turn(GOOD, Last(GOOD[:-5]))) as server:
            client = ours(server.url, tries=1)
            get(client)
            with pytest.raises(ConnectionClosedError):
                get(client)

    def test_one_that_was_idle_for_long_is_not_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Later:
            @staticmethod
            def time() -> float:
                return time.time() + pool.IDLE_SECONDS

        with RawServer(always(GOOD)) as server:
            client = ours(server.url)
            get(client)
            monkeypatch.setattr(pool, "time", Later)
            get(client)
            assert server.opened == 2

    def test_threads_have_a_connection_each_and_keep_them(self) -> None:
        meeting = threading.Barrier(5)

        def answer(request: Request) -> bytes:
            with suppress(threading.BrokenBarrierError):
                meeting.wait(PATIENCE)
            return GOOD

        with RawServer(answer) as server:
            client = ours(server.url)
            answers: list[dict[str, Any]] = []
            threads = [threading.Thread(target=lambda: answers.append(get(client))) for _ in range(10)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert answers == [ITEM] * 10
            assert server.opened <= 10
            client.close()

    def test_the_deadline_of_an_invocation_ends_a_request(self) -> None:
        released = threading.Event()

        def hang(request: Request) -> bytes:
            released.wait(PATIENCE)
            return GOOD

        with RawServer(hang) as server:
            client = ours(server.url)
            began = time.monotonic()
            with done_by(began + 0.2), pytest.raises(ReadTimeoutError, match=server.url):
                get(client)
            assert 0.2 <= time.monotonic() - began < 1.5
            assert len(server.requests) == 1
            released.set()

    def test_and_its_retries(self) -> None:
        slept = Slept()
        with RawServer(always(refusal("ThrottlingException"))) as server:
            with done_by(time.monotonic()), pytest.raises(AwsError):
                get(ours(server.url, slept))
            assert (len(server.requests), slept) == (0, [])
            client = DynamoDB(server.url, "us-east-1", Retries(TRIES, chance=lambda: 1.0), sleep=slept)
            with done_by(time.monotonic() + 0.9), pytest.raises(ClientError):
                get(client)
            # The first delay would have been a second.
            assert (len(server.requests), slept) == (1, [])

    def test_a_hang_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection, "READ_SECONDS", 0.2)
        released = threading.Event()

        def trickle(request: Request) -> bytes:
            if request.connection < 3:
                released.wait(PATIENCE)
            return GOOD

        with RawServer(trickle) as server:
            assert get(ours(server.url)) == ITEM
            assert server.opened == 3
            released.set()

    def test_a_host_that_takes_no_connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object) -> None:
            raise TimeoutError

        monkeypatch.setattr(connection.socket, "create_connection", full)
        with pytest.raises(ConnectTimeoutError, match="Connect timeout on endpoint URL"):
            get(ours("http://127.0.0.1:9"))

    def test_a_host_that_does_not_exist(self) -> None:
        with pytest.raises(EndpointConnectionError, match=r"no-such-host\.invalid"):
            get(ours("http://no-such-host.invalid", tries=1))

    @pytest.mark.parametrize("wrong", [-86_400.0, -900.0, 900.0, 86_400.0])
    @pytest.mark.parametrize("code", ["InvalidSignatureException", "RequestTimeTooSkewed", "RequestExpired"])
    def test_a_clock_that_is_wrong_is_put_right_once(self, wrong: float, code: str) -> None:
        def answer(request: Request) -> bytes:
            sent = time.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
            right = abs(time.mktime(sent) - time.mktime(time.gmtime())) < 300
            return GOOD if right else response(400, {"__type": code}, date=formatdate(usegmt=True))

        with RawServer(answer) as server:
            client = DynamoDB(server.url, "us-east-1", Retries(1), clock=lambda: time.time() + wrong)
            assert get(client) == get(client) == ITEM
            assert len(server.requests) == 3

    def test_a_wrong_secret_is_no_wrong_clock(self) -> None:
        answer = response(400, {"__type": "InvalidSignatureException"}, date=formatdate(usegmt=True))
        with RawServer(always(answer)) as server, pytest.raises(ClientError, match="InvalidSignature"):
            get(ours(server.url))
        assert len(server.requests) == 1

    def test_nor_is_any_other_refusal(self) -> None:
        answer = response(400, {"__type": "ValidationException"}, date="Fri, 01 Jan 2010 00:00:00 GMT")
        with RawServer(always(answer)) as server, pytest.raises(ClientError):
            get(ours(server.url))
        assert len(server.requests) == 1

    @pytest.mark.parametrize("argument", [{"N": object()}, {"S": "\ud800"}])
    def test_what_cannot_be_sent_is_not(self, argument: Any) -> None:
        with RawServer(always(GOOD)) as server, pytest.raises(ParamValidationError, match="GetItem"):
            ours(server.url).get_item(TableName="T", Key={"connectionid": argument})
        assert server.requests == []

    def test_a_string_of_another_class_is_one(self) -> None:
        class Room(str):
            pass

        with RawServer(always(GOOD)) as server:
            for client in (ours(server.url), reference(server.url)):
                client.get_item(TableName=Room("T"), Key={"roomId": {"S": Room("lobby")}})
        assert {each.body.replace(b" ", b"") for each in server.requests} == {
            b'{"TableName":"T","Key":{"roomId":{"S":"lobby"}}}'
        }

    def test_an_outage_is_not_met_by_many_times_the_requests(self) -> None:
        with RawServer(always(response(503, b""))) as server:
            client = ours(server.url)
            for _ in range(200):
                with pytest.raises(ClientError):
                    get(client)
            # 500 tokens are 100 retries.
            assert len(server.requests) == 300

    def test_what_succeeds_lets_others_be_tried_again(self) -> None:
        failing = True

        def answer(request: Request) -> bytes:
            return response(503, b"") if failing else GOOD

        with RawServer(answer) as server:
            client = ours(server.url)
            for _ in range(100):
                with pytest.raises(ClientError):
                    get(client)
            failing = False
            for _ in range(RETRY_COST):
                get(client)
            failing = True
            before = len(server.requests)
            with pytest.raises(ClientError):
                get(client)
            assert len(server.requests) == before + 2

    def test_credentials_are_followed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with RawServer(always(GOOD)) as server:
            client = ours(server.url)
            for number in (1, 2):
                monkeypatch.setenv("AWS_ACCESS_KEY_ID", f"KEY{number}")
                monkeypatch.setenv("AWS_SESSION_TOKEN", f"token{number}")
                get(client)
                headers = server.requests[-1].headers
                assert f"Credential=KEY{number}/" in headers["authorization"]
                assert headers["x-amz-security-token"] == f"token{number}"

    def test_without_any_nothing_is_sent(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        credentials._session.cache_clear()
        with RawServer(always(GOOD)) as server, pytest.raises(NoCredentialsError):
            get(ours(server.url))
        assert server.requests == []
        credentials._session.cache_clear()

    def test_a_checksum_that_stays_wrong_is_raised(self) -> None:
        with RawServer(always(response(200, ITEM, x_amz_crc32="1"))) as server, pytest.raises(ChecksumError):
            get(ours(server.url))
        assert len(server.requests) == TRIES


class TestSqs:
    def test_the_codes_are_those_of_before(self) -> None:
        answer = response(
            400,
            {"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "none"},
            x_amzn_query_error="AWS.SimpleQueueService.NonExistentQueue;Sender",
        )
        responses = []
        with RawServer(always(answer)) as server:
            for client in (Sqs(server.url), boto3.client("sqs", endpoint_url=server.url)):
                with pytest.raises(client.exceptions.QueueDoesNotExist) as caught:
                    client.get_queue_url(QueueName="q")
                responses.append((caught.value.response["Error"], str(caught.value)))
        assert responses[0] == responses[1]
        assert [each.headers["x-amzn-query-mode"] for each in server.requests] == ["true", "true"]

    @pytest.mark.parametrize("code", ["RequestThrottled", "KmsThrottled", "ThrottlingException"])
    def test_a_throttle_is_tried_again(self, code: str) -> None:
        with RawServer(in_turn(response(400, {"__type": code}), response(200, {}))) as server:
            Sqs(server.url, sleep=lambda seconds: None).send_message_batch(QueueUrl="q", Entries=[])
        assert len(server.requests) == 2


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that vouches for localhost, with its key beside it."""
    if shutil.which("openssl") is None:
        missing("openssl is not installed, on Debian: apt-get install openssl")
    folder = tmp_path_factory.mktemp("authority")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    return folder / "cert.pem"


class TestCertificates:
    @pytest.fixture
    def tls(self, authority: Path) -> ssl.SSLContext:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(authority, authority.with_name("key.pem"))
        return tls

    def test_one_that_is_trusted_will_do(
        self, tls: ssl.SSLContext, authority: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority))
        large = {"Item": {"a": {"S": "x" * 390_000}}}
        with RawServer(always(response(200, large)), tls) as server:
            client = ours(f"https://localhost:{server.port}")
            assert get(client) == get(client) == large
            assert server.opened == 1
            server.hang_up()
            assert get(client) == large

    def test_one_that_is_not_trusted_gets_nothing(self, tls: ssl.SSLContext) -> None:
        with RawServer(always(GOOD), tls) as server, pytest.raises(EndpointConnectionError):
            get(ours(f"https://localhost:{server.port}"))
        assert server.requests == []

    def test_one_for_another_name_gets_nothing(
        self, tls: ssl.SSLContext, authority: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority))
        with RawServer(always(GOOD), tls) as server, pytest.raises(EndpointConnectionError):
            get(ours(server.url))
        assert server.requests == []
