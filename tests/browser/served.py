"""The rig's chat server, and the page for it."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from chalicelib.wire.events import Event
from local.page import Page
from tests.browser.background import Background
from tests.rig.chat_server import ChatServer

WEB = Path(__file__).parents[2] / "web"


class Served:
    """The server and the page; a context manager.

    Args:
        config: What ``config.json`` has beside the URL.

    Attributes:
        server: The server.
        config: What ``config.json`` has; it may change.
        url: Where the page is.
    """

    def __init__(self, **config: Any) -> None:
        self.server = ChatServer()
        self.config = config
        self._background = Background()
        self.do = self._background.do

    def __enter__(self) -> "Served":
        with ExitStack() as ending:
            ending.enter_context(self._background)
            self.do(self.server.__aenter__())
            ending.callback(lambda: self.do(self.server.__aexit__(None, None, None)))
            self.config["websocketUrl"] = self.server.url
            self.url = ending.enter_context(Page(WEB, lambda: self.config, 0)).url
            self._ending = ending.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._ending.close()

    def publish(self, *texts: str, room: str = "lobby", **how: Any) -> None:
        """Let somebody say something in a room."""

        async def publish() -> None:
            for text in texts:
                await self.server.publish(text, room, **how)

        self.do(publish())

    def publish_round(self, *texts: str, **how: Any) -> None:
        """Let ann say several things in the lobby, in one frame."""
        self.do(self.server.publish_round(*texts, **how))

    def tell(self, *events: Event) -> None:
        """Send events by the newest connection."""

        async def tell() -> None:
            for event in events:
                await self.server.visitors[-1].tell(event)

        self.do(tell())

    def occupy(self, count: int, room: str = "lobby") -> None:
        """Let a room be a crowd of so many."""
        self.do(self.server.occupy(count, room))

    def cut(self, number: int) -> None:
        """Break the connection of this number, from 1 on."""

        async def cut() -> None:
            self.server.visitors[number - 1].cut()

        self.do(cut())

    def said(self, room: str = "lobby") -> list[str]:
        """What is stored of a room."""
        return [message.message for message in self.server.logs[room]]
