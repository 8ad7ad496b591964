"""One who visits the chat during a soak, with the client that comes with it."""

import asyncio
import random
import time
from contextlib import suppress
from itertools import count

from chalicelib.wire.events import Message
from client.chat_client import ChatClient, Missed
from client.errors import ClientError, Refused
from tests.soak.ledger import Ledger, Stay
from tests.soak.timing import Time

# By the rig's clock. Nobody idles, and after each ping a client asks for the history of its rooms, which
# costs an emulator more with each message.
PING_SECONDS = 1500.0
# How often what was not acknowledged is said again.
TRIES = 4
# How long the client waits for an answer, by the clock outside, in s. Not to have one is to reconnect.
ANSWER_SECONDS = 60.0

_TEXTS = count()


class Visitor:
    """A visitor, from arriving to going.

    Args:
        number: Its own.
        user: Whose device it is.
        url: The chat.
        rooms: Where it is from the start.
        ledger: Where it tells what it was told.
        now: The time that it sleeps by.
        chance: Its jitter.
        patience: After which it gives a request up, or makes it again; by the clock outside, in s.

    Attributes:
        number: Its own.
        stays: The rooms that it is in, or was about to be in when it was last heard of.
        ready: Whether it has arrived, and has not gone.
    """

    def __init__(
        self,
        number: int,
        user: str,
        url: str,
        rooms: list[str],
        ledger: Ledger,
        now: Time,
        chance: random.Random,
        patience: float,
    ) -> None:
        self.number = number
        self.stays: dict[str, Stay] = {}
        self.ready = False
        self._patience = patience
        self._rooms = rooms
        self._ledger = ledger
        self._known: set[tuple[str, int]] = set()
        self._client = ChatClient(
            f"{url}?visitor={number}",
            name=user,
            rooms=rooms,
            ping_seconds=PING_SECONDS,
            answer_seconds=ANSWER_SECONDS,
            random=chance.random,
            clock=now,
            sleep=now.sleep,
        )
        self._life = asyncio.create_task(self._live())

    async def say(self, room: str) -> None:
        """Say something, again until it is acknowledged."""
        text = f"{self.number} says {next(_TEXTS)}"
        said_at = time.monotonic()
        for _ in range(TRIES):
            with suppress(ClientError, TimeoutError):
                async with asyncio.timeout(self._patience):
                    ack = await self._client.say(text, room, ref=text.replace(" ", "-"))
                self._ledger.acknowledged(text, ack, said_at)
                return

    async def join(self, room: str) -> None:
        """Join a room; from the answer on, all that is said there is due."""
        stay = self.stays[room] = self._ledger.begin(room)
        with suppress(ClientError, TimeoutError):
            async with asyncio.timeout(self._patience):
                await self._client.join(room)
            stay.since = min(stay.since, time.monotonic())

    async def leave(self, room: str) -> None:
        """Leave a room; whatever comes of it, nothing there is due any more."""
        self.stays.pop(room).ended = True
        with suppress(ClientError, TimeoutError):
            async with asyncio.timeout(self._patience):
                await self._client.leave(room)

    async def go(self) -> None:
        """Go, and close the connection."""
        self.ready = False
        for stay in self.stays.values():
            stay.ended = True
        self._life.cancel()
        await asyncio.wait([self._life])

    async def _live(self) -> None:
        with suppress(Refused):
            async with self._client as client:
                for room in self._rooms:
                    self.stays[room] = self._ledger.begin(room)
                    self.stays[room].since = time.monotonic()
                self.ready = True
                async for event in client:
                    if isinstance(event, Message) and event.room in self.stays:
                        self._ledger.gave(self.number, self.stays[event.room], event, self._known)
                    elif isinstance(event, Missed):
                        self._ledger.missed += 1
        self._ledger.refused += 1
