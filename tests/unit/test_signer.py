"""The signer signs as botocore does, whatever the id, the stage, the credentials and the time."""

from dataclasses import dataclass
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chalicelib.gateway.signer import SERVICE, SignedPost

REGION = "eu-central-1"
AWS = "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/dev"


@dataclass(frozen=True)
class Keys:
    access_key: str = "AKIDEXAMPLE"
    secret_key: str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    token: str | None = None


def parsed(request: bytes) -> tuple[str, str, dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, path, version = first.split(" ")
    assert version == "HTTP/1.1"
    return method, path, dict(line.split(": ", 1) for line in lines), body


def signed_by_botocore(endpoint: str, path: str, headers: dict[str, str], body: bytes, keys: Keys) -> str:
    host = urlsplit(endpoint)
    signed = {name: value for name, value in headers.items() if name.startswith("x-amz-")}
    request = AWSRequest("POST", f"{host.scheme}://{host.netloc}{path}", data=body, headers=signed)
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(keys, SERVICE, REGION)
    to_sign = auth.string_to_sign(request, auth.canonical_request(request))
    return (
        f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, "
        f"SignedHeaders={auth.signed_headers(auth.headers_to_sign(request))}, "
        f"Signature={auth.signature(to_sign, request)}"
    )


LETTERS = st.characters(exclude_categories=["Cs", "Cc"])
ENDPOINTS = st.sampled_from(
    [
        AWS,
        "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/$default",
        "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/v1_beta-2",
        "https://chat.example.com",
        "https://chat.example.com/base",
        "https://a1b2c3d4e5.execute-api.cn-north-1.amazonaws.com.cn/prod",
        "http://127.0.0.1:4566/_aws/execute-api/a1b2c3d4/local",
    ]
)
# From the first second of 2000 to the last of 2099.
TIMES = st.floats(946_684_800, 4_102_444_799, allow_nan=False)


@settings(max_examples=1000, deadline=None)
@given(
    endpoint=ENDPOINTS,
    connection_id=st.text(LETTERS, min_size=1).filter(lambda text: text not in (".", "..")),
    payload=st.binary(max_size=200),
    token=st.none() | st.text("abcXYZ019/+=", min_size=1, max_size=800),
    now=TIMES,
)
@example(AWS, "L0SM9cOFvHcCIhw=", b"{}", None, 1_704_067_199.999)  # the last moment of a day and year
@example(AWS, "L0SM9cOFvHcCIhw=", b"{}", "token", 1_704_067_200.0)  # the first one
@example(AWS, "a/b+c==", "Grüße \N{WAVING HAND SIGN}".encode(), None, 1_709_164_799.5)
def test_it_signs_as_botocore_does(
    endpoint: str, connection_id: str, payload: bytes, token: str | None, now: float
) -> None:
    keys = Keys(token=token)
    method, path, headers, body = parsed(SignedPost(endpoint, payload, keys, REGION, now).to(connection_id))
    assert (method, body, headers["content-length"]) == ("POST", payload, str(len(payload)))
    assert headers["host"] == urlsplit(endpoint).netloc
    assert headers.get("x-amz-security-token") == token
    assert headers["authorization"] == signed_by_botocore(endpoint, path, headers, body, keys)


@pytest.mark.parametrize("connection_id", ["L0SM9cOFvHcCIhw=", "a/b+c==", "~._-", "ä €", "%3D"])
def test_it_posts_where_boto3_does(connection_id: str) -> None:
    urls: list[str] = []

    class Body:
        def stream(self) -> list[bytes]:
            return []

    def take(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        urls.append(request.url)
        return AWSResponse(request.url, 200, {}, Body())

    client = boto3.client(
        "apigatewaymanagementapi",
        region_name=REGION,
        endpoint_url=AWS,
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    client.meta.events.register("before-send.apigatewaymanagementapi", take)
    client.post_to_connection(ConnectionId=connection_id, Data=b"hi")
    _, path, headers, _ = parsed(SignedPost(AWS, b"hi", Keys(), REGION, 0).to(connection_id))
    assert urls == [f"https://{headers['host']}{path}"]


def test_one_payload_is_signed_for_each_connection() -> None:
    post = SignedPost(AWS, b"hi", Keys(), REGION, 1_700_000_000)
    one, two = (parsed(post.to(connection_id))[2]["authorization"] for connection_id in ("a=", "b="))
    assert one != two
    assert parsed(post.to("a="))[2]["authorization"] == one
