"""The addresses of a host, asked for once and used in turn."""

import asyncio
import socket
import time

# For how long an answer of DNS is used, in s.
FRESH_SECONDS = 60.0


class Addresses:
    """Where a host is; API Gateway has several addresses, and any of them will do.

    Args:
        host: Its name.
        port: The port there.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._addresses: list[str] = []
        self._resolved_at = float("-inf")
        self._resolving = asyncio.Lock()

    async def next(self) -> str:
        """The next address.

        Raises:
            OSError: DNS has none.
        """
        async with self._resolving:
            if not self._addresses or time.time() - self._resolved_at > FRESH_SECONDS:
                found = await asyncio.get_running_loop().getaddrinfo(
                    self.host, self.port, type=socket.SOCK_STREAM
                )
                self._addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
                self._resolved_at = time.time()
        self._addresses.append(address := self._addresses.pop(0))
        return address

    def drop(self, address: str) -> None:
        """Do not use an address again, until DNS is asked the next time."""
        if address in self._addresses:
            self._addresses.remove(address)
