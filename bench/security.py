"""Measures what security costs: verifying a token, and a flood's neighbours.

- verify: the time that a token adds to a warm ``$connect``, for each algorithm. The keys are at hand, as
  they are in a warm Lambda.
- flood: what a neighbour has of it that 20 connections of one name send 2 frames a second each into its
  room; with the rate limit as deployed, without it, and without the flood. That is the time until its own
  message is acknowledged, and the messages that are posted to it. The chat runs in this process, in
  threads, on DynamoDB Local, and posts cost nothing. So the times are those of a machine that all of this
  shares, and say little while it is busy; the messages are what a browser, API Gateway and the bill bear.
"""

import argparse
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from statistics import median, quantiles
from typing import Any

import boto3
from botocore.config import Config

from chalicelib.auth.door import Door
from chalicelib.auth.jwks import parse
from chalicelib.auth.tokens import Tokens
from chalicelib.bootstrap import build_chat
from chalicelib.chat import Chat
from chalicelib.config import Settings
from chalicelib.handshake import Handshake
from local.account import environment
from tests.functional.dynamodb_local import dynamodb_local
from tests.functional.log import Log
from tests.functional.tables import Tables
from tests.rig.sockets import Sockets
from tests.tokens import AUDIENCE, ISSUER, SECRET, SigningKey, key_set, signed

FLOODERS = 20
FRAMES_PER_SECOND = 2
JSON_FORM = {"Sec-WebSocket-Protocol": "chat.v1"}


class AtHand:
    """A key that has been read."""

    def __init__(self, key: Any) -> None:
        self.key = key

    def keys(self, algorithm: str, kid: str | None) -> Iterator[Any]:
        """The key."""
        yield self.key


def verify(times: int) -> None:
    """Time the verification of tokens."""
    common = {"auth": "jwt", "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}
    expires: dict[str, Any] = {"exp": int(time.time()) + 3600}
    cases: list[tuple[str, Any, str]] = [("HS256", SECRET, signed(**expires))]
    for algorithm in ("RS256", "ES256", "EdDSA"):
        pair = SigningKey(algorithm)
        cases.append((algorithm, parse(key_set(pair))[algorithm, "k1"], pair.signed(**expires)))
    for algorithm, key, token in cases:
        settings = Settings(jwt_algorithms=(algorithm,), **common)  # type: ignore[arg-type]
        door = Door(frozenset(), False, Tokens(settings, AtHand(key), time.time))
        event = {"headers": {"Authorization": f"Bearer {token}"}}
        door.admit(Handshake.of(event))
        taken = []
        for _ in range(times):
            started = time.perf_counter()
            door.admit(Handshake.of(event))
            taken.append((time.perf_counter() - started) * 1e6)
        print(f"verify {algorithm}: {median(taken):5.0f} us, p99 {quantiles(taken, n=100)[98]:5.0f} us")


def flood(url: str, seconds: float) -> None:
    """Time a neighbour's messages, with and without a flood."""
    for name, flooding, rate in (
        ("nobody floods", False, {}),
        ("a flood, rates as deployed", True, {}),
        ("a flood, no rates", True, {"CHAT_RATE_PER_SECOND": "0"}),
    ):
        client = boto3.client("dynamodb", endpoint_url=url, config=Config(max_pool_connections=50))
        tables = Tables(client)
        sockets: Any = Sockets()
        chat = build_chat({**tables.settings(), **rate}, sockets, dynamodb=client, logger=Log().logger)
        over = threading.Event()
        flooders = [
            threading.Thread(target=pour, args=[chat, sockets, f"f{number:013}=", over])
            for number in range(FLOODERS if flooding else 0)
        ]
        enter(chat, sockets, "n=", "neighbour")
        for flooder in flooders:
            flooder.start()
        taken = []
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            started = time.perf_counter()
            say(chat, "n=")
            taken.append((time.perf_counter() - started) * 1000)
            time.sleep(0.2)
        over.set()
        for flooder in flooders:
            flooder.join()
        heard = sum(event["type"] == "message" for event in sockets.inboxes["n="]) - len(taken)
        answers: Counter[str] = Counter()
        for connection, inbox in sockets.inboxes.items():
            if connection != "n=":
                answers += Counter(e.get("code", e["type"]) for e in inbox if e["type"] in ("ack", "error"))
        print(
            f"{name}: a neighbour's message {median(taken):5.1f} ms, p90 {quantiles(taken, n=10)[8]:5.1f} ms,"
            f" of {len(taken)}; it hears {heard / seconds:.1f} others a second;"
            f" the flood's frames {dict(answers)}"
        )
        tables.delete()


def enter(chat: Chat, sockets: Sockets, connection: str, name: str) -> None:
    """Connect."""
    event = {"requestContext": context(connection), "headers": JSON_FORM}
    response = chat.connect({**event, "multiValueQueryStringParameters": {"name": [name]}}, 25.0)
    if response["statusCode"] != 200:
        raise RuntimeError(response["body"])
    sockets.open.add(connection)


def say(chat: Chat, connection: str) -> None:
    """Say something in the lobby."""
    body = '{"action": "onMessage", "message": "hi"}'
    chat.message({"requestContext": context(connection), "body": body}, 25.0)


def pour(chat: Chat, sockets: Sockets, connection: str, over: threading.Event) -> None:
    """Send as a flooder does."""
    enter(chat, sockets, connection, "flooder")
    while not over.wait(1 / FRAMES_PER_SECOND):
        say(chat, connection)


def context(connection: str) -> dict[str, str]:
    """What API Gateway says of a connection."""
    return {"connectionId": connection, "requestId": "r"}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.security", description=__doc__)
    parser.add_argument("--times", type=int, default=2000, help="tokens of each algorithm (%(default)s)")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each flood (%(default)s)")
    arguments = parser.parse_args()
    os.environ.update(environment(os.environ))
    verify(arguments.times)
    with dynamodb_local() as url:
        flood(url, arguments.seconds)


if __name__ == "__main__":
    main()
