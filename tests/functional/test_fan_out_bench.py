"""The smallest case of bench/fanout.py, for real: every contender against the sink."""

import ssl
from collections.abc import Iterator
from socket import create_connection
from urllib.parse import urlsplit

import pytest

from bench.contender import CONTENDERS, Contender, ContenderError
from bench.fanout import Bar, Bench, Case, Effort
from bench.sink import Sink, SinkMissing
from tests.tools import missing


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sink]:
    try:
        sink = Sink(tmp_path_factory.mktemp("sink"))
    except SinkMissing as error:
        missing(str(error))
    with sink:
        yield sink


@pytest.mark.parametrize("delay_ms", [0, 8])
@pytest.mark.parametrize("name", CONTENDERS)
def test_every_contender_reaches_all_by_one_post_each(name: str, delay_ms: int, sink: Sink) -> None:
    with Contender(name, 10, delay_ms, 4, sink) as contender:
        before = sink.counts()
        first, second = contender.round(), contender.round()
    connections, posts = (after - earlier for after, earlier in zip(sink.counts(), before, strict=True))
    assert posts == 20
    assert first.opened > 0
    assert first.opened + second.opened == connections
    # Ten posts on four connections are at least three in a row.
    assert second.wall > {"ours": 2, "chalice": 10, "threads": 1}[name] * delay_ms / 1000
    assert second.cpu > 0
    assert second.peak >= first.peak > 1_000_000


def test_cases_are_measured_in_turns_once_they_are_warm(sink: Sink) -> None:
    cases = [Case("ours", 10, 8), Case("chalice", 10, 8)]
    bar = Bar(total=sum(3 * case.estimate for case in cases))
    measured = Bench(sink, 4, Effort(rounds=2, case=1, longest=1, ceiling=1), bar).measure(cases)
    assert bar.done == pytest.approx(bar.total)
    for case in cases:
        assert measured[case]["rounds"] == 2
        assert measured[case]["first_s"] > measured[case]["wall_s"] > 0.008
    assert measured[cases[0]]["connections"] <= 4
    assert measured[cases[1]]["connections"] == 1


@pytest.mark.parametrize("name", CONTENDERS)
def test_a_contender_that_misses_somebody_is_no_figure(name: str, sink: Sink) -> None:
    with (
        Contender(name, 3, 7, 4, sink) as contender,  # There is no such stage: 404.
        pytest.raises(ContenderError, match=f"{name} gives up"),
    ):
        contender.round()


def test_posts_that_a_contender_does_not_account_for_are_noticed(sink: Sink) -> None:
    with Contender("ours", 3, 0, 4, sink) as contender:
        contender.recipients = 2
        with pytest.raises(ContenderError, match="3 posts to 2"):
            contender.round()


def test_the_sink_speaks_tls_as_api_gateway_does(sink: Sink) -> None:
    port = urlsplit(sink.url).port
    context = ssl.create_default_context(cafile=sink.authority)
    with (
        create_connection(("localhost", port)) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as secured,
    ):
        assert secured.version() == "TLSv1.3"
    with create_connection(("localhost", port)) as raw, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(raw, server_hostname="localhost")


def test_what_the_sink_can_take_is_measured(sink: Sink) -> None:
    try:
        # On 4 connections there are at most 500 posts a second where each takes 8 ms.
        assert 0 < sink.ceiling(8, 4, 1, 200, 1_000) <= 500 < sink.ceiling(0, 4, 1, 200, 1_000)
    except SinkMissing as error:
        missing(str(error))
