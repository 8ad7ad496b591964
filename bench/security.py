"""Measures what security costs: verifying a token, and a flood's neighbours.

- verify: the time that a token adds to a warm ``$connect``, for each algorithm. The keys are at hand, as
  they are in a warm Lambda.
- flood: what a neighbour has of it that 20 connections of one name send 4 frames a second each into its
  room, where 50 more listen; with the rates as deployed, without them, and without the flood. That is the
  time until its own message is acknowledged, and how many of the others' come. The chat runs on the tests'
  rig, on DynamoDB Local: sockets, Lambda environments and posts share this machine and one interpreter, so
  the times tell something beside each other only.
"""

import argparse
import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

import boto3
from botocore.config import Config
from websockets.asyncio.client import ClientConnection, connect

from chalicelib.auth.door import Door
from chalicelib.auth.jwks import parse
from chalicelib.auth.tokens import Tokens
from chalicelib.config import Settings
from chalicelib.handshake import Handshake
from client.connector import SUBPROTOCOL
from local.account import environment
from tests.functional.dynamodb_local import dynamodb_local
from tests.functional.log import Log
from tests.functional.tables import Tables
from tests.rig.clock import Clock
from tests.rig.rig import Rig
from tests.tokens import AUDIENCE, ISSUER, SECRET, SigningKey, key_set, signed

FLOODERS = 20
FRAMES_PER_SECOND = 4
LISTENERS = 50
ENVIRONMENTS = 16
SAY = '{"action": "onMessage", "message": "hi"}'


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
    expires = int(time.time()) + 3600
    cases: list[tuple[str, Any, str]] = [("HS256", SECRET, signed(exp=expires))]
    for algorithm in ("RS256", "ES256", "EdDSA"):
        pair = SigningKey(algorithm)
        cases.append((algorithm, parse(key_set(pair))[algorithm, "k1"], pair.signed(exp=expires)))
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


class RunningClock(Clock):
    """A clock that runs."""

    def __call__(self) -> float:
        """The time of day."""
        return time.time()


def flood(url: str, seconds: float) -> None:
    """Time a neighbour's messages, with and without a flood."""
    for what, flooders, settings in (
        ("nobody floods", 0, {}),
        ("a flood, rates as deployed", FLOODERS, {}),
        ("a flood, no rates", FLOODERS, {"CHAT_RATE_PER_SECOND": "0"}),
    ):
        tables = Tables(boto3.client("dynamodb", endpoint_url=url, config=Config(max_pool_connections=50)))
        env = {**tables.settings(), **settings}
        with Rig(tables.client, env, RunningClock(0), Log().logger, most_environments=ENVIRONMENTS) as rig:
            neighbour, answers = asyncio.run(talk(rig.url, flooders, seconds))
            posts = rig.callbacks.posts
        taken = neighbour.taken
        print(
            f"{what}: a neighbour's message {median(taken):6.1f} ms, p90 {quantiles(taken, n=10)[8]:6.1f} ms,"
            f" of {len(taken)}; it hears {neighbour.heard / seconds:5.1f} others a second, {posts:,} posts;"
            f" the flood's frames {dict(answers)}",
            flush=True,
        )
        tables.delete()


@dataclass
class Neighbour:
    """One who speaks now and then, and how that goes.

    Attributes:
        taken: The time until each of its messages was acknowledged, in ms.
        heard: Messages of others that have come.
    """

    taken: list[float] = field(default_factory=list)
    heard: int = 0

    async def speak(self, socket: ClientConnection, seconds: float) -> None:
        """Say something every 200 ms."""
        until = time.monotonic() + seconds
        while (started := time.monotonic()) < until:
            await socket.send(SAY)
            async for frame in socket:
                event = json.loads(frame)
                if event["type"] == "ack":
                    break
                if event["type"] == "error":
                    raise RuntimeError(event)
                said = event["messages"] if event["type"] == "messages" else [event]
                self.heard += sum(each["type"] == "message" and each["from"] != "neighbour" for each in said)
            self.taken.append((time.monotonic() - started) * 1000)
            await asyncio.sleep(0.2)


async def talk(url: str, flooders: int, seconds: float) -> tuple[Neighbour, Counter[str]]:
    """Let a neighbour speak while others listen, and some flood; how the flood was answered, too."""
    neighbour, answers = Neighbour(), Counter[str]()
    async with AsyncExitStack() as leaving:

        async def enter(name: str) -> ClientConnection:
            # Whoever leaves reads no more: nothing may wait for it.
            chat = connect(f"{url}?name={name}", subprotocols=[SUBPROTOCOL], max_queue=None)
            return await leaving.enter_async_context(chat)

        async def listen(name: str) -> None:
            async for _ in await enter(name):
                pass

        async def pour(socket: ClientConnection) -> None:
            while True:
                await socket.send(SAY)
                await asyncio.sleep(1 / FRAMES_PER_SECOND)

        async def count(socket: ClientConnection) -> None:
            async for frame in socket:
                event = json.loads(frame)
                if event["type"] in ("ack", "error"):
                    answers[event.get("code", "ack")] += 1

        socket = await enter("neighbour")
        tasks = [asyncio.create_task(listen(f"listener{number}")) for number in range(LISTENERS)]
        for _ in range(flooders):
            flooder = await enter("flooder")
            tasks += [asyncio.create_task(pour(flooder)), asyncio.create_task(count(flooder))]
        await neighbour.speak(socket, seconds)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    return neighbour, answers


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
