"""A bot that repeats what begins with ``!echo``: ``python -m examples.echo_bot ws://...``."""

import asyncio
import sys
from contextlib import suppress

from chalicelib.wire.events import Message
from client.chat_client import ChatClient


async def main(url: str) -> None:
    """Listen in the lobby, and answer."""
    async with ChatClient(url, name="echo-bot") as chat:
        print("The bot is listening, Ctrl-C ends it.", flush=True)
        async for event in chat:
            if isinstance(event, Message) and event.message.startswith("!echo "):
                await chat.say(event.message.removeprefix("!echo "), event.room)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1]))
