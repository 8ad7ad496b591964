"""One kept-alive HTTP/1.1 connection, which posts one thing at a time.

It speaks TLS on the socket itself. asyncio's transports put TLS into memory and carry it to and from the
socket in Python, which takes as much CPU again as all the rest of a post: bench/fanout.py shows what a
post takes.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Generic, TypeVar, cast

import httptools

J = TypeVar("J")

# A response of API Gateway's is far less.
READ = 4096
# The socket has nothing to read now, or no room to write.
NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class HttpConnection(Generic[J]):
    """Sends a request, and tells the status of its response.

    Args:
        sock: An open, non-blocking socket; for ``https`` the handshake is done.
        answered: Called with the connection and the status of each response; the next request can be
            sent from there, after ``take_job``. Headers and body are read and left alone.
        lost: Called once when the other end closes the connection, or does not speak HTTP. Where ``close``
            is called it is not.

    Attributes:
        job: What the request under way belongs to; None between two of them.
        posted_at: When it was sent, on the loop's clock.
        idle_since: When there was last something to do, in Unix time: the loop's clock may stand still
            while a Lambda is frozen.
        rested: Whether it had been idle before the request under way.
        is_open: Whether a request can be sent, as far as this end knows.
    """

    def __init__(
        self,
        sock: socket.socket,
        answered: Callable[["HttpConnection[J]", int], None],
        lost: Callable[["HttpConnection[J]"], None],
    ) -> None:
        self.job: J | None = None
        self.posted_at = 0.0
        self.idle_since = 0.0
        self.rested = False
        self.is_open = True
        self._socket = sock
        self._answered = answered
        self._lost = lost
        self._parser = httptools.HttpResponseParser(self)
        self._unsent = b""
        self._blocked = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock, self._read)

    def send(self, request: bytes, job: J, now: float) -> None:
        """Send a whole request."""
        self.job = job
        self.posted_at = now
        self._unsent = request
        self._write()

    def take_job(self) -> J:
        """Whose request was under way; none is, from now on."""
        job, self.job = self.job, None
        return cast(J, job)

    def close(self) -> None:
        """Close at once."""
        if self.is_open:
            self.is_open = False
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()

    def on_message_complete(self) -> None:
        """Take the end of a response; httptools calls this."""
        if not self._parser.should_keep_alive() or self.job is None:
            # What nobody has asked for is a server that says why it closes.
            self.close()
        if self.job is not None:
            self._answered(self, self._parser.get_status_code())

    def _read(self) -> None:
        try:
            data = self._socket.recv(READ)
            if data:
                self._parser.feed_data(data)
        except NOT_NOW:
            return
        except (OSError, httptools.HttpParserError, httptools.HttpParserUpgrade):
            data = b""
        if not data:
            self._break()

    def _write(self) -> None:
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except NOT_NOW:
            pass
        except OSError:
            # Not from inside ``send``: who calls it is not done yet.
            self._loop.call_soon(self._break)
            return
        if bool(self._unsent) is not self._blocked:
            self._blocked = not self._blocked
            if self._blocked:
                self._loop.add_writer(self._socket, self._write)
            else:
                self._loop.remove_writer(self._socket)

    def _break(self) -> None:
        if self.is_open:
            self.close()
            self._lost(self)


async def open_socket(address: str, port: int, tls: ssl.SSLContext | None, host: str) -> socket.socket:
    """Connect, and for TLS make sure that it is the host.

    Raises:
        OSError: It cannot be reached, or its certificate does not hold.
    """
    loop = asyncio.get_running_loop()
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        sock.setblocking(False)
        # A request is one write: there is nothing to wait for.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(sock, (address, port))
        if tls is not None:
            sock = secured = tls.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
            await _shake_hands(secured, loop)
    except BaseException:
        sock.close()
        raise
    return sock


async def _shake_hands(sock: ssl.SSLSocket, loop: asyncio.AbstractEventLoop) -> None:
    while True:
        try:
            sock.do_handshake()
            return
        except ssl.SSLWantReadError:
            add, remove = loop.add_reader, loop.remove_reader
        except ssl.SSLWantWriteError:
            add, remove = loop.add_writer, loop.remove_writer
        ready = asyncio.Event()
        add(sock, ready.set)
        try:
            await ready.wait()
        finally:
            remove(sock)
