"""Posting to ``@connections`` over HTTP as it can be: slow, broken, in pieces, and not to be trusted."""

import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from chalice.app import WebsocketAPI, WebsocketDisconnectedError

from chalicelib.gateway import pool
from chalicelib.gateway.session import GatewaySession
from chalicelib.gateway.websocket_api import ManyWebsocketAPI
from tests.rig.callbacks import Callbacks, serving
from tests.rig.posted import OK, PostServer
from tests.tools import missing
from tests.waiting import eventually

PATIENCE = 20.0


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[ManyWebsocketAPI]:
    api = ManyWebsocketAPI()
    api.configure_from_api_id("a1b2c3d4e5", "test")
    yield api
    api.stop()


@pytest.fixture
def redirect(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda url: monkeypatch.setenv("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", url)


def ids(number: int) -> list[str]:
    return [f"c{each:013}=" for each in range(number)]


def deadline(seconds: float = PATIENCE) -> float:
    return time.monotonic() + seconds


def test_connections_are_opened_as_needed_and_used_again(
    api: ManyWebsocketAPI, redirect: Callable[[str], None]
) -> None:
    with PostServer() as server:
        redirect(server.url)
        assert sorted(api.send_many(ids(200), "hi", deadline()).delivered) == ids(200)
        for _ in range(10):
            assert len(api.send_many(ids(5), "hi", deadline()).delivered) == 5
        assert len(server.posts) == 250
        assert 1 < server.opened <= 100


def test_never_more_than_the_most_connections(api: ManyWebsocketAPI, redirect: Callable[[str], None]) -> None:
    api.max_concurrency = 3
    with PostServer() as server:
        redirect(server.url)
        assert len(api.send_many(ids(200), "hi", deadline()).delivered) == 200
        assert server.opened <= 3


def test_all_posts_that_wait_decide_how_many_connections_are_opened(
    api: ManyWebsocketAPI, redirect: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Answers that do not come would let more be opened.
    monkeypatch.setattr(pool, "LOOK_SECONDS", PATIENCE)
    for_one = int(sqrt(40 * pool.FIRST_LATENCY / pool.OPENING_COST) + 1)
    with serving() as callbacks:
        redirect(callbacks.url)
        callbacks.hanging = set(ids(200))
        sendings = [api.start_many(ids(200)[each::5], "hi", deadline()) for each in range(5)]
        assert eventually(lambda: callbacks.under_way > for_one)
        callbacks.release()
        assert [len(each.result(PATIENCE).delivered) for each in sendings] == [40] * 5


PIECES = {
    "a body": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "a chunked body": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "a large body": b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000,
    "no reason": b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
    "the end of the connection": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
}


@pytest.mark.parametrize("response", PIECES.values(), ids=PIECES)
def test_a_response_is_read_whatever_is_in_it(
    api: ManyWebsocketAPI, redirect: Callable[[str], None], response: bytes
) -> None:
    with PostServer(lambda *_: response) as server:
        redirect(server.url)
        for _ in range(3):
            assert len(api.send_many(ids(20), "hi", deadline()).delivered) == 20
        assert len(server.posts) == 60


def test_a_large_payload_is_sent_whole(api: ManyWebsocketAPI, redirect: Callable[[str], None]) -> None:
    with PostServer() as server:
        redirect(server.url)
        assert len(api.send_many(ids(30), "x" * 128 * 1024, deadline()).delivered) == 30
        assert "content-length: 131072" in server.heads[0]
        # More than the socket takes at once.
        assert len(api.send_many(ids(2), "x" * 2**24, deadline()).delivered) == 2


def test_a_lost_answer_is_asked_for_again(api: ManyWebsocketAPI, redirect: Callable[[str], None]) -> None:
    with PostServer(lambda connection, post, _: None if connection == 1 else OK) as server:
        redirect(server.url)
        assert api.send_many(ids(1), "hi", deadline()).delivered == ids(1)
        assert server.posts == ids(1) * 2


@pytest.mark.parametrize("answer", [None, b"220 mail.example.com ESMTP\r\n"], ids=["silence", "no HTTP"])
def test_who_is_never_answered_is_unreachable_and_the_others_are_served(
    api: ManyWebsocketAPI, redirect: Callable[[str], None], answer: bytes | None
) -> None:
    bad, *good = ids(50)
    with PostServer(lambda _, __, connection_id: answer if connection_id == bad else OK) as server:
        redirect(server.url)
        result = api.send_many(ids(50), "hi", deadline())
        assert result.failed == {bad: "unreachable"}
        assert sorted(result.delivered) == good
        assert server.posts.count(bad) == 3


def test_where_nobody_listens(api: ManyWebsocketAPI, redirect: Callable[[str], None]) -> None:
    with PostServer() as server:
        redirect(server.url)
    result = api.send_many(ids(300), "hi", deadline())
    assert result.failed == dict.fromkeys(ids(300), "unreachable")


def test_by_a_name_with_an_address_where_nobody_listens(
    api: ManyWebsocketAPI, redirect: Callable[[str], None]
) -> None:
    with PostServer() as server:
        # Where localhost is ::1 too, the server is not there.
        redirect(f"http://localhost:{server.port}")
        for _ in range(3):
            assert len(api.send_many(ids(20), "hi", deadline()).delivered) == 20


def test_connections_that_died_in_a_freeze_are_replaced(
    api: ManyWebsocketAPI, redirect: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with PostServer() as server:
        redirect(server.url)
        api.send_many(ids(100), "hi", deadline())
        monkeypatch.setattr(pool, "RESTED_SECONDS", 0.0)
        # What a freeze is to the loop: it sees the end of the connections with the next posts at once.
        thawed = threading.Event()
        assert api._thread
        api._thread.call(thawed.wait)
        server.hang_up()
        sending = api.start_many(ids(100), "hi", deadline())
        thawed.set()
        assert sorted(sending.result(PATIENCE).delivered) == ids(100)


def test_connections_that_close_at_the_next_post_cost_no_try(
    api: ManyWebsocketAPI, redirect: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a proxy does that has forgotten them: each takes one more post, and breaks.
    forgotten: set[int] = set()
    with PostServer(lambda connection, *_: None if connection in forgotten else OK) as server:
        redirect(server.url)
        assert len(api.send_many(ids(30), "hi", deadline()).delivered) == 30
        assert eventually(lambda: len(api._pool._idle) == server.opened > 3)
        forgotten.update(range(server.opened + 1))
        monkeypatch.setattr(pool, "RESTED_SECONDS", 0.0)
        posts = len(server.posts)
        assert api.send_many(ids(1), "hi", deadline()).delivered == ids(1)
        # The first that broke was reason enough not to try the others.
        assert len(server.posts) == posts + 2


def test_connections_that_were_idle_for_long_are_not_used(
    api: ManyWebsocketAPI, redirect: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later:
        @staticmethod
        def time() -> float:
            return time.time() + pool.IDLE_SECONDS

    with PostServer() as server:
        redirect(server.url)
        for _ in range(2):
            api.send_many(ids(1), "hi", deadline())
        assert server.opened == 1
        monkeypatch.setattr(pool, "time", Later)
        api.send_many(ids(1), "hi", deadline())
        assert server.opened == 2


def test_the_deadline_holds(api: ManyWebsocketAPI, redirect: Callable[[str], None]) -> None:
    released = threading.Event()

    def answer(connection: int, post: int, connection_id: str) -> bytes:
        if connection_id == ids(1)[0]:
            released.wait(PATIENCE)
        return OK

    with PostServer(answer) as server:
        redirect(server.url)
        result = api.send_many(ids(20), "hi", deadline(0.3))
        assert result.failed == {ids(1)[0]: "timeout"}
        assert len(result.delivered) == 19
        late = api.send_many(ids(20), "hi", time.monotonic() - 1)
        assert late.failed == dict.fromkeys(ids(20), "timeout")
        released.set()


def test_a_post_that_hangs_is_given_up_long_before_the_deadline(
    api: ManyWebsocketAPI, redirect: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "POST_SECONDS", 0.3)
    released = threading.Event()

    def answer(connection: int, post: int, connection_id: str) -> bytes:
        released.wait(PATIENCE)
        return OK

    with PostServer(answer) as server:
        redirect(server.url)
        result = api.send_many(ids(1), "hi", deadline(3600))
        assert (result.failed, result.left) == ({ids(1)[0]: "timeout"}, set(ids(1)))
        assert len(server.posts) == 1
        released.set()


def test_posts_are_spread_over_time(api: ManyWebsocketAPI, redirect: Callable[[str], None]) -> None:
    api.max_posts_per_second = 100
    with PostServer() as server:
        redirect(server.url)
        began = time.monotonic()
        assert len(api.send_many(ids(40), "hi", deadline()).delivered) == 40
        # Ten at once, the others one in a hundredth of a second.
        assert time.monotonic() - began >= 0.29


def test_a_socket_that_is_slow_for_ever_costs_a_post_a_sending_and_slows_nobody(
    api: ManyWebsocketAPI, redirect: Callable[[str], None], callbacks: Callbacks
) -> None:
    redirect(callbacks.url)
    everyone = ids(200)
    for _ in range(3):
        api.send_many(everyone, "warm", deadline())
    slow, *others = everyone
    callbacks.answers[slow] = [429]
    results = [api.send_many(everyone, str(number), deadline()) for number in range(100)]
    for result in results:
        assert sorted(result.delivered) == others
        assert (result.slow + result.unsure, result.failed) == ([slow], {})
    # The first sendings may be needed to find out.
    assert [result.slow for result in results[5:]] == [[slow]] * 95
    assert callbacks.injected["429"] <= 100 + 3 * 4
    assert api._pool._pace.concurrency == api.max_concurrency
    callbacks.answers.clear()
    assert len(api.send_many(everyone, "hi", deadline()).delivered) == 200


def test_a_throttled_account_is_sent_to_more_slowly_and_nobody_is_slow(
    api: ManyWebsocketAPI, redirect: Callable[[str], None], callbacks: Callbacks
) -> None:
    redirect(callbacks.url)
    everyone = ids(200)
    for number, connection_id in enumerate(everyone):
        callbacks.answers[connection_id] = [429] * (number % 3) + [200]
    result = api.send_many(everyone, "hi", deadline())
    assert sorted(result.delivered) == everyone
    assert callbacks.injected == {"429": 199}
    assert api._pool._pace.concurrency < api.max_concurrency


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
    def server(self, authority: Path) -> Iterator[PostServer]:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(authority, authority.with_name("key.pem"))
        with PostServer(tls=tls) as server:
            yield server

    def test_one_that_is_trusted_will_do(
        self,
        api: ManyWebsocketAPI,
        redirect: Callable[[str], None],
        server: PostServer,
        authority: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority))
        redirect(f"https://localhost:{server.port}")
        assert len(api.send_many(ids(50), "x" * 50_000, deadline()).delivered) == 50
        assert len(api.send_many(ids(2), "x" * 2**24, deadline()).delivered) == 2

    def test_one_that_is_not_trusted_gets_nothing(
        self, api: ManyWebsocketAPI, redirect: Callable[[str], None], server: PostServer
    ) -> None:
        redirect(f"https://localhost:{server.port}")
        assert api.send_many(ids(2), "hi", deadline()).failed == dict.fromkeys(ids(2), "unreachable")
        assert server.posts == []

    def test_one_for_another_name_gets_nothing(
        self,
        api: ManyWebsocketAPI,
        redirect: Callable[[str], None],
        server: PostServer,
        authority: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority))
        redirect(f"https://127.0.0.1:{server.port}")
        assert api.send_many(ids(2), "hi", deadline()).failed == dict.fromkeys(ids(2), "unreachable")
        assert server.posts == []


@dataclass
class Keys:
    access_key: str
    secret_key: str = "secret"
    token: str | None = None

    def get_frozen_credentials(self) -> "Keys":
        return self


class RotatingSession:
    """A boto3 session whose credentials are others each time."""

    def __init__(self) -> None:
        self.asked = 0

    def get_credentials(self) -> Keys:
        self.asked += 1
        return Keys(f"KEY{self.asked}", token=f"token{self.asked}")


def test_credentials_are_followed(api: ManyWebsocketAPI, redirect: Callable[[str], None]) -> None:
    api.session = RotatingSession()
    with PostServer() as server:
        redirect(server.url)
        for number in (1, 2):
            api.send_many(ids(1), "hi", deadline())
            assert f"Credential=KEY{number}/" in server.heads[-1]
            assert f"x-amz-security-token: token{number}" in server.heads[-1]


class TestChalicesOwn:
    """``send``, ``close`` and ``info`` are those of Chalice, to the errors."""

    @pytest.fixture
    def chalices(self) -> WebsocketAPI:
        api = WebsocketAPI()
        api.session = GatewaySession()
        api.configure_from_api_id("a1b2c3d4e5", "test")
        return api

    def test_send(self, api: ManyWebsocketAPI, redirect: Callable[[str], None], callbacks: Callbacks) -> None:
        redirect(callbacks.url)
        api.send("a=", "text")
        api.send("b=", b"bytes")
        assert callbacks.received == {"a=": ["text"], "b=": ["bytes"]}
        # boto3's client was not needed.
        assert api._client is None

    def test_send_to_who_is_gone(
        self, api: ManyWebsocketAPI, redirect: Callable[[str], None], callbacks: Callbacks
    ) -> None:
        redirect(callbacks.url)
        callbacks.answers["a="] = [410]
        with pytest.raises(WebsocketDisconnectedError) as caught:
            api.send("a=", "hi")
        assert caught.value.connection_id == "a="

    @pytest.mark.parametrize("status", [400, 403, 413, 429])
    def test_send_refused(
        self,
        api: ManyWebsocketAPI,
        chalices: WebsocketAPI,
        redirect: Callable[[str], None],
        callbacks: Callbacks,
        status: int,
    ) -> None:
        redirect(callbacks.url)
        callbacks.answers["a="] = [status]
        raised = []
        for each in (api, chalices):
            with pytest.raises(ClientError) as caught:
                each.send("a=", "hi")
            raised.append((type(caught.value).__name__, str(caught.value)))
        assert raised[0] == raised[1]

    def test_without_an_endpoint(self) -> None:
        with pytest.raises(ValueError, match="must be called before"):
            ManyWebsocketAPI().send("a=", "hi")

    def test_close(
        self, api: ManyWebsocketAPI, redirect: Callable[[str], None], callbacks: Callbacks
    ) -> None:
        redirect(callbacks.url)
        api.close("a=")
        assert callbacks.closed == ["a="]
