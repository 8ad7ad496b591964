"""A TCP line to a server, which can be cut as a cable is: neither end is told."""

import asyncio
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit


class Line:
    """The line; an async context manager.

    Args:
        url: The server's ``ws://`` URL.

    Attributes:
        url: The server's URL by this line.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = parts.hostname, parts.port
        self._parts = parts
        self._whole = asyncio.Event()
        self._whole.set()
        self._ends: list[asyncio.StreamWriter] = []
        self._carrying: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Line":
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._listener.sockets[0].getsockname()[1]
        self.url = self._parts._replace(netloc=f"127.0.0.1:{port}").geturl()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._listener.close()
        for carrying in self._carrying:
            carrying.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)
        for end in self._ends:
            end.transport.abort()

    def cut(self) -> None:
        """Reset the client's ends; the server's stay open, and say nothing. Nothing passes until ``mend``."""
        self._whole.clear()
        for end in self._ends[::2]:
            end.transport.abort()

    def mend(self) -> None:
        """Let new connections through, those that wait too."""
        self._whole.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carrying = asyncio.create_task(self._carry(reader, writer))
        self._carrying.add(carrying)
        carrying.add_done_callback(self._carrying.discard)

    async def _carry(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        await self._whole.wait()
        back, server = await asyncio.open_connection(*self._server)
        self._ends += [client, server]
        await asyncio.gather(self._pass(reader, server), self._pass(back, client))

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                target.write(data)
            if self._whole.is_set():
                target.close()
