"""A kept-alive HTTP/1.1 connection that waits for its answers, for code that is not asynchronous."""

import select
import socket
import ssl
import time
from dataclasses import dataclass

import httptools

from .errors import ConnectionClosedError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

# What opening a connection may take, for each address of the host, and what an answer may take; in s.
CONNECT_SECONDS = 1.0
READ_SECONDS = 2.0
# A TLS record is 16 KB at most.
READ = 65536
# What is below is no answer yet.
LEAST_STATUS = 200
# The least time-out that a socket takes for one, in s: 0 is none at all.
LEAST_SECONDS = 0.001


@dataclass(frozen=True)
class Answer:
    """What a server has answered.

    Attributes:
        status: The status code.
        headers: By name, in lower case.
        body: The whole body.
    """

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class HttpConnection:
    """Sends one request at a time, and waits for its answer.

    Args:
        sock: An open socket; for ``https`` the handshake is done.
        url: What errors call the other end.

    Attributes:
        used_at: When it was last in use, in Unix time: other clocks may stand still while a Lambda is frozen.
        is_open: Whether another request can be sent, as far as this end knows.
        heard: Whether anything has come for the request under way, or the last one.
    """

    def __init__(self, sock: socket.socket, url: str) -> None:
        self.used_at = time.time()
        self.is_open = True
        self.heard = False
        self._socket = sock
        self._url = url
        self._timeout: float | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._answers = 0
        # Until it is closed, its number: a poll object is cheaper than select, and knows any number.
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def exchange(self, request: bytes, deadline: float = float("inf")) -> Answer:
        """Send a whole request, and wait for the whole answer.

        After an error the connection is closed.

        Args:
            request: Head and body.
            deadline: ``time.monotonic()`` at which to give up, if that is before ``READ_SECONDS``.

        Raises:
            ReadTimeoutError: There is no whole answer in time.
            ConnectionClosedError: The other end closes the connection, or does not speak HTTP.
        """
        until = min(deadline, time.monotonic() + READ_SECONDS)
        self.heard = False
        self._answers = 0
        self._body.clear()
        try:
            self._wait_until(until)
            self._socket.sendall(request)
            while not self._answers:
                data = self._socket.recv(READ)
                if not data:
                    raise ConnectionResetError
                self._feed(data)
                if not self._answers:
                    self._wait_until(until)
        except TimeoutError:
            self.close()
            raise ReadTimeoutError(self._url) from None
        except (OSError, httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.close()
            raise ConnectionClosedError(self._url) from None
        except BaseException:
            # What comes later would be taken for the answer to the next request.
            self.close()
            raise
        self.used_at = time.time()
        return self._answer

    @property
    def is_usable(self) -> bool:
        """Whether the other end has neither closed the connection nor sent what nobody has asked for."""
        return self.is_open and not self._poll.poll(0)

    def close(self) -> None:
        """Close at once."""
        if self.is_open:
            self.is_open = False
            self._socket.close()

    def on_message_begin(self) -> None:
        """Forget the headers of the answer before; httptools calls this."""
        if self._answers:
            self.close()
        self._headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Take the end of an answer."""
        status = self._parser.get_status_code()
        if status < LEAST_STATUS:
            return
        self._answers += 1
        if self._answers == 1:
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            self._answer = Answer(status, self._headers, body)
            if not self._parser.should_keep_alive():
                self.close()

    def _feed(self, data: bytes) -> None:
        self.heard = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            # What comes after a whole answer does not spoil it.
            self.close()
            if not self._answers:
                raise

    def _wait_until(self, until: float) -> None:
        """Let the socket wait no longer than that."""
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        # To set it is a system call.
        timeout = READ_SECONDS if left > READ_SECONDS * 0.95 else max(LEAST_SECONDS, left)
        if timeout != self._timeout:
            self._timeout = timeout
            self._socket.settimeout(timeout)


def connect(host: str, port: int, tls: ssl.SSLContext | None, url: str, deadline: float) -> HttpConnection:
    """Open a connection, and for TLS make sure that it is the host.

    Args:
        host: Its name.
        port: The port there.
        tls: How to speak TLS; None for plain HTTP.
        url: What errors call it.
        deadline: ``time.monotonic()`` at which to give up.

    Raises:
        EndpointConnectionError: It cannot be reached in time, or its certificate does not hold.
    """
    try:
        left = max(LEAST_SECONDS, min(CONNECT_SECONDS, deadline - time.monotonic()))
        # Tries each address of the host.
        sock = socket.create_connection((host, port), left)
        try:
            # A request is one write: there is nothing to wait for.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                sock = tls.wrap_socket(sock, server_hostname=host)
        except BaseException:
            sock.close()
            raise
    except TimeoutError:
        raise ConnectTimeoutError(url) from None
    except OSError as error:
        raise EndpointConnectionError(url) from error
    return HttpConnection(sock, url)
