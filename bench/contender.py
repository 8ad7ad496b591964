"""What fan-out is measured with: ours, Chalice's own ``send`` in a loop, and boto3 in threads.

Each is a process of its own, which sends one payload to so many connections for each line that it is
given, and answers with a line of figures. It ends where one recipient is missed.
"""

import base64
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench.sink import API_ID, Sink, callback_path, stage

PROJECT = Path(__file__).resolve().parent.parent
REGION = "us-east-1"
THREADS = 32
DEADLINE_SECONDS = 300.0

# As Lambda's role has it; how long AWS makes its tokens is not written down, some hundred characters.
SESSION_TOKEN = "IQoJb3JpZ2luX2Vj" * 50

PAYLOAD = json.dumps(
    {
        "type": "message",
        "room": "lobby",
        "seq": 1234,
        "epoch": "5f0c2d9a",
        "id": "01JD8Q4ZK3W5T9Y7B2N6M0X1CV",
        "from": "alice",
        "message": "Hello everyone, shall we meet at the fountain at eight?",
        "sentAt": 1_760_000_000_000,
    }
)

# Makes its client at the first call, as a handler does; returns who was missed, and why.
Send = Callable[[Sequence[str]], Mapping[str, str]]


class ContenderError(Exception):
    """A contender does not what it should. The message says what."""


@dataclass(frozen=True)
class Round:
    """One payload to all recipients.

    Attributes:
        wall: Time that it took, in s.
        cpu: CPU time of the process, user and system, in s.
        peak: The process's greatest memory so far, in bytes.
        opened: Connections that it opened.
    """

    wall: float
    cpu: float
    peak: int
    opened: int


class Contender:
    """A running contender; a context manager. It does nothing between two rounds.

    Args:
        name: One of ``CONTENDERS``.
        recipients: Connections that it sends to.
        delay_ms: After which the sink answers.
        concurrency: Ours: posts under way at once.
        sink: Where it posts to.
    """

    def __init__(self, name: str, recipients: int, delay_ms: int, concurrency: int, sink: Sink) -> None:
        self.name = name
        self.recipients = recipients
        self.delay_ms = delay_ms
        self._sink = sink
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.contender", name, *map(str, (recipients, delay_ms, concurrency))],
            cwd=PROJECT,
            env={
                "PATH": os.environ["PATH"],
                "HOME": os.devnull,  # No configuration of whoever measures.
                "AWS_REGION": REGION,
                "AWS_DEFAULT_REGION": REGION,
                "AWS_ACCESS_KEY_ID": "ASIAIOSFODNN7EXAMPLE",
                "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                "AWS_SESSION_TOKEN": SESSION_TOKEN,
                "AWS_CA_BUNDLE": str(sink.authority),
                "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": sink.url,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Contender":
        """Begin, which it has."""
        return self

    def __exit__(self, *failure: object) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def round(self) -> Round:
        """Have it send to all recipients once.

        Raises:
            ContenderError: It did not reach each of them by one post.
        """
        connections_before, posts_before = self._sink.counts()
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stderr
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise ContenderError(f"{self.name} gives up:\n{self._process.stderr.read()}")
        connections, posts = self._sink.counts()
        if posts - posts_before != self.recipients:
            raise ContenderError(f"{self.name} sent {posts - posts_before} posts to {self.recipients}")
        return Round(**json.loads(answer), opened=connections - connections_before)


def ours(delay_ms: int, concurrency: int) -> Send:
    """``send_many``, which goes where the environment says."""
    from chalicelib.gateway.websocket_api import ManyWebsocketAPI

    api = ManyWebsocketAPI()
    api.max_concurrency = concurrency
    api.configure_from_api_id(API_ID, stage(delay_ms))

    def send(connection_ids: Sequence[str]) -> Mapping[str, str]:
        result = api.send_many(connection_ids, PAYLOAD, time.monotonic() + DEADLINE_SECONDS)
        return {
            **result.failed,
            **dict.fromkeys(result.throttled, "429"),
            **dict.fromkeys(result.gone, "410"),
        }

    return send


def chalice(delay_ms: int, concurrency: int) -> Send:
    """Chalice's ``WebsocketAPI.send`` in a loop, as its tutorial has it; one connection does for that."""
    from boto3 import Session
    from chalice.app import WebsocketAPI

    api = WebsocketAPI()
    api.session = Session()
    # It does not go where the environment says; https is what it puts before.
    domain_name, _, stage_name = endpoint(delay_ms).removeprefix("https://").rpartition("/")
    api.configure(domain_name, stage_name)

    def send(connection_ids: Sequence[str]) -> Mapping[str, str]:
        for connection_id in connection_ids:
            api.send(connection_id, PAYLOAD)
        return {}

    return send


def threads(delay_ms: int, concurrency: int) -> Send:
    """boto3's client in a pool of threads, with a connection for each thread."""
    from boto3 import Session
    from botocore.config import Config

    session = Session()
    pool = ThreadPoolExecutor(THREADS)

    @cache
    def client() -> Any:
        return session.client(
            "apigatewaymanagementapi",
            endpoint_url=endpoint(delay_ms),
            config=Config(max_pool_connections=THREADS),
        )

    def send(connection_ids: Sequence[str]) -> Mapping[str, str]:
        post = client().post_to_connection
        list(pool.map(lambda connection_id: post(ConnectionId=connection_id, Data=PAYLOAD), connection_ids))
        return {}

    return send


CONTENDERS = MappingProxyType({"ours": ours, "chalice": chalice, "threads": threads})


def endpoint(delay_ms: int) -> str:
    """Say what boto3 is to be told as the endpoint."""
    path = callback_path(delay_ms).removesuffix("/@connections/")
    return os.environ["AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"] + path


def connection_ids(number: int) -> list[str]:
    """Make up connection ids of API Gateway's form, always the same."""
    source = random.Random(1)
    return [base64.urlsafe_b64encode(source.randbytes(11)).decode() for _ in range(number)]


def main(name: str, recipients: int, delay_ms: int, concurrency: int) -> None:
    """Send when told to, and answer with the figures."""
    ids = connection_ids(recipients)
    send = CONTENDERS[name](delay_ms, concurrency)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        missed = send(ids)
        figures = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        if missed:
            sys.exit(f"{len(missed)} of {recipients} missed, such as {next(iter(missed.items()))}")
        # Linux counts in kilobytes.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({**figures, "peak": peak}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
