"""Signatures, endpoints, credentials and retries, beside botocore's."""

import ast
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean

import boto3
import botocore.exceptions
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.aws import credentials as found
from chalicelib.aws.credentials import Keys, credentials, region
from chalicelib.aws.endpoints import endpoint_of
from chalicelib.aws.errors import (
    ClientError,
    ConnectionClosedError,
    NoRegionError,
    ParamValidationError,
    ReadTimeoutError,
    client_errors,
    request_id,
)
from chalicelib.aws.retries import QUOTA, RETRY_COST, THROTTLES, Retries, cost
from chalicelib.aws.signature import Signature

# From the first second of 2000 to the last of 2099.
TIMES = st.floats(946_684_800, 4_102_444_799, allow_nan=False)
LOST = ConnectionClosedError("http://a")


def refused(code: str, status: int = 400) -> ClientError:
    response = {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "GetItem")


@settings(max_examples=500, deadline=None)
@given(
    service=st.sampled_from(["dynamodb", "sqs", "execute-api"]),
    where=st.sampled_from(["us-east-1", "cn-north-1"]),
    method=st.sampled_from(["POST", "DELETE"]),
    path=st.sampled_from(["/", "/dev/@connections/L0SM9cOFvHcCIhw%3D", "/%24default/a%2Fb"]),
    body=st.binary(max_size=200),
    token=st.none() | st.text("abcXYZ019/+=", min_size=1, max_size=800),
    extra=st.dictionaries(
        st.sampled_from(["x-amz-target", "content-type"]), st.text("abcXYZ/_.-019", min_size=1)
    ),
    now=TIMES,
)
def test_it_signs_as_botocore_does(
    service: str,
    where: str,
    method: str,
    path: str,
    body: bytes,
    token: str | None,
    extra: dict[str, str],
    now: float,
) -> None:
    keys = Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)
    signature = Signature(keys, service, where, now)
    assert signature.time == datetime.fromtimestamp(int(now), UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": "host.example", **signature.headers, **extra}
    authorization = signature.authorize(method, path, headers, body)

    request = AWSRequest(method, f"https://host.example{path}", data=body, headers=headers)
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(keys, service, where)
    to_sign = auth.string_to_sign(request, auth.canonical_request(request))
    assert authorization == (
        f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, "
        f"SignedHeaders={auth.signed_headers(auth.headers_to_sign(request))}, "
        f"Signature={auth.signature(to_sign, request)}"
    )


@pytest.fixture(autouse=True)
def without_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_ENDPOINT_URL")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("service", ["dynamodb", "sqs"])
@pytest.mark.parametrize(
    "where",
    [
        "us-east-1",
        "eu-central-1",
        "cn-north-1",
        "cn-northwest-1",
        "us-gov-west-1",
        "us-iso-east-1",
        "us-isob-east-1",
        "eu-isoe-west-1",
        "us-isof-south-1",
        "eusc-de-east-1",
        "xx-not-yet-1",
    ],
)
def test_services_are_where_boto3_finds_them(service: str, where: str) -> None:
    assert endpoint_of(service, where) == boto3.client(service, region_name=where).meta.endpoint_url


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_ENDPOINT_URL": "http://a:1"},
        {"AWS_ENDPOINT_URL": "http://a:1", "AWS_ENDPOINT_URL_SQS": "http://b:2"},
        {"AWS_ENDPOINT_URL_DYNAMODB": "https://c"},
        {"AWS_ENDPOINT_URL_DYNAMODB": ""},
    ],
)
@pytest.mark.parametrize("service", ["dynamodb", "sqs"])
def test_or_where_the_environment_says(
    service: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert endpoint_of(service, "us-east-1") == boto3.client(service).meta.endpoint_url


class TestWhoAsks:
    @pytest.fixture(autouse=True)
    def nobody(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
        """An environment that says nothing, on a machine that knows nothing."""
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
            monkeypatch.setenv(name, str(tmp_path / "config"))
        found._session.cache_clear()
        yield
        found._session.cache_clear()

    def test_the_environment_says_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        assert credentials() == Keys("id", "secret")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
        assert credentials() == Keys("id", "secret", "token")
        assert not found._session.cache_info().currsize

    def test_or_a_profile(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "config").write_text(
            "[default]\naws_access_key_id = id\naws_secret_access_key = secret\nregion = eu-west-3\n"
        )
        assert (credentials().access_key, credentials().secret_key) == ("id", "secret")
        assert region() == "eu-west-3"

    def test_or_nobody(self) -> None:
        with pytest.raises(NoRegionError):
            region()

    def test_lambdas_region_comes_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        assert region() == "eu-west-1"
        monkeypatch.setenv("AWS_REGION", "eu-west-2")
        assert region() == "eu-west-2"


class TestRetries:
    def test_throttles_are_those_of_botocore(self) -> None:
        source = Path(botocore.exceptions.__file__).parent / "retries/standard.py"
        [codes] = [
            ast.literal_eval(node.value)
            for node in ast.walk(ast.parse(source.read_text()))
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id == "_THROTTLED_ERROR_CODES"
        ]
        assert set(codes) <= THROTTLES

    @pytest.mark.parametrize("error", [LOST, ReadTimeoutError("http://a"), refused("Strange", 503)])
    def test_what_is_lost_is_tried_again_soon(self, error: ClientError | ConnectionClosedError) -> None:
        retries = Retries(4, failure_delay=0.025, chance=lambda: 1.0)
        assert [retries.delay(error, tries) for tries in range(1, 6)] == [0.025, 0.05, 0.1, None, None]

    @pytest.mark.parametrize("code", sorted(THROTTLES))
    def test_a_throttle_after_a_longer_time(self, code: str) -> None:
        retries = Retries(9, chance=lambda: 1.0)
        assert [retries.delay(refused(code), tries) for tries in range(1, 9)] == [1, 2, 4, 8, 16, 20, 20, 20]

    def test_with_full_jitter(self) -> None:
        delays = [Retries(2).delay(refused("Throttling"), 1) or 0 for _ in range(2000)]
        assert 0 <= min(delays) < 0.02
        assert 0.98 < max(delays) <= 1
        assert 0.45 < fmean(delays) < 0.55

    @pytest.mark.parametrize(
        "error", [refused("ValidationException"), refused("418", 418), ParamValidationError("GetItem")]
    )
    def test_what_would_fail_again_is_not(self, error: ClientError | ParamValidationError) -> None:
        assert Retries(4).delay(error, 1) is None

    def test_the_quota_is_used_up_and_given_back(self) -> None:
        retries = Retries(4)
        for _ in range(QUOTA // RETRY_COST):
            assert retries.delay(LOST, 1) is not None
        assert retries.delay(LOST, 1) is None
        retries.succeeded(cost(LOST))
        assert retries.delay(LOST, 1) is not None
        assert retries.delay(LOST, 1) is None
        for _ in range(RETRY_COST - 1):
            retries.succeeded(0)
        assert retries.delay(LOST, 1) is None
        retries.succeeded(0)
        assert retries.delay(LOST, 1) is not None

    def test_a_time_out_costs_more(self) -> None:
        assert cost(ReadTimeoutError("http://a")) > cost(LOST)


def test_errors_of_either_client_are_caught() -> None:
    theirs = botocore.exceptions.ClientError({"Error": {"Code": "A", "Message": "B"}}, "GetItem")
    for error in (theirs, botocore.exceptions.NoRegionError(), refused("A"), LOST):
        assert isinstance(error, client_errors())
    assert not isinstance(ValueError(), client_errors())


def test_the_id_of_a_request() -> None:
    error = refused("A")
    assert request_id(error) is None
    error.response["ResponseMetadata"]["RequestId"] = "id"
    assert request_id(error) == "id"
    assert request_id(LOST) is None
