"""How the page is served: on this machine, and by the template that puts it on CloudFront."""

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from infra.stack import Stack
from local.emulator import PortTaken
from local.page import HEADERS, POLICY, Page

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
CHAT = "ws://127.0.0.1:4566/_aws/execute-api/1a2b/local"
LARGEST = 200_000


@pytest.fixture
def config() -> dict[str, Any]:
    return {"websocketUrl": CHAT}


@pytest.fixture
def page(config: dict[str, Any]) -> Iterator[Page]:
    with Page(WEB, lambda: config, 0) as page:
        yield page


def get(page: Page, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Ask for a path as it is, without a client's tidying."""
    connection = http.client.HTTPConnection(urlsplit(page.url).netloc, timeout=5)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def test_all_of_it_is_small() -> None:
    assert sum(file.stat().st_size for file in WEB.rglob("*")) <= LARGEST


def test_every_file_is_served_with_strict_headers(page: Page) -> None:
    policy = POLICY.format(chat="ws://127.0.0.1:4566")
    for path in ["/", *(f"/{file.name}" for file in WEB.iterdir()), "/config.json", "/missing"]:
        status, headers, body = get(page, path)
        assert status == (404 if path == "/missing" else 200)
        assert {name: headers[name.lower()] for name in HEADERS} == HEADERS
        assert headers["content-security-policy"] == policy
        if path not in ("/", "/config.json", "/missing"):
            assert body == (WEB / path[1:]).read_bytes()
    assert get(page, "/?url=wss://x")[2] == (WEB / "index.html").read_bytes()
    assert get(page, "/app.js")[1]["content-type"] == "text/javascript; charset=utf-8"


def test_it_says_where_the_chat_is(page: Page, config: dict[str, Any]) -> None:
    assert json.loads(get(page, "/config.json")[2]) == {"websocketUrl": CHAT}
    config["token"] = "a.b.c"
    assert json.loads(get(page, "/config.json")[2]) == {"websocketUrl": CHAT, "token": "a.b.c"}


@pytest.mark.parametrize(
    "path", ["/../Makefile", "/%2e%2e/Makefile", "//etc/passwd", "/web/app.js", "/./app.js", "/.", "/app.js/"]
)
def test_nothing_else_is_served(path: str, page: Page) -> None:
    assert get(page, path)[0] == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:1", 200), ("localhost:1", 200), ("evil.example", 421), ("127.0.0.1.evil.example", 421)],
)
def test_under_a_foreign_name_nothing_is_served(host: str, status: int, page: Page) -> None:
    """A page of somebody else's could read the token, if its name were made to lead here."""
    assert get(page, "/config.json", Host=host)[0] == status


def test_a_taken_port_is_said_to_be(page: Page) -> None:
    port = urlsplit(page.url).port
    assert port
    with pytest.raises(PortTaken, match=f"the page cannot have port {port}: "), Page(WEB, dict, port):
        pass


def test_what_ends_is_gone(config: dict[str, Any]) -> None:
    with Page(WEB, lambda: config, 0) as page:
        get(page, "/")
    with pytest.raises(ConnectionRefusedError):
        get(page, "/")


def test_the_page_says_of_itself_what_it_can() -> None:
    """For a host without headers: the same policy, with any chat, less what a page cannot say."""
    [policy] = re.findall(r'Content-Security-Policy" content="(.*?)"', (WEB / "index.html").read_text())
    assert policy == POLICY.format(chat="wss: ws:").replace("frame-ancestors 'none'; ", "")


def test_cloudfront_sends_the_same_headers() -> None:
    resources = json.loads((ROOT / "infra" / "web.json").read_text())["Resources"]
    config = resources["Headers"]["Properties"]["ResponseHeadersPolicyConfig"]
    security = config["SecurityHeadersConfig"]
    sub = security["ContentSecurityPolicy"]["ContentSecurityPolicy"]["Fn::Sub"]
    assert sub[0] == POLICY.format(chat="wss://${Host}")
    sent = {each["Header"]: each["Value"] for each in config["CustomHeadersConfig"]["Items"]}
    sent["Referrer-Policy"] = security["ReferrerPolicy"]["ReferrerPolicy"]
    assert security["ContentTypeOptions"] == {"Override": True}
    assert {**sent, "X-Content-Type-Options": "nosniff"} == HEADERS


def test_the_template_makes_a_private_bucket_behind_cloudfront(
    ministack_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack_url)
    template = (ROOT / "infra" / "web.json").read_text()
    url = "wss://1a2b.execute-api.us-east-1.amazonaws.com/dev"
    outputs = Stack(boto3.Session(), "page").deploy(template, {"WebsocketUrl": url})
    cloudfront, s3 = boto3.client("cloudfront"), boto3.client("s3")
    access = s3.get_public_access_block(Bucket=outputs["BucketName"])["PublicAccessBlockConfiguration"]
    assert set(access.values()) == {True}
    distribution = cloudfront.get_distribution_config(Id=outputs["DistributionId"])["DistributionConfig"]
    behavior = distribution["DefaultCacheBehavior"]
    assert behavior["ViewerProtocolPolicy"] == "redirect-to-https"
    sent = cloudfront.get_response_headers_policy(Id=behavior["ResponseHeadersPolicyId"])
    security = sent["ResponseHeadersPolicy"]["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"]
    assert security["ContentSecurityPolicy"]["ContentSecurityPolicy"] == POLICY.format(
        chat="wss://1a2b.execute-api.us-east-1.amazonaws.com"
    )


def test_there_is_no_script_or_style_in_the_markup() -> None:
    markup = (WEB / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", markup)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', markup)
    for file in WEB.glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", file.read_text()
        )
