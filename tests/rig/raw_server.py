"""An HTTP server that answers with whatever bytes a test wants: a service of AWS at its worst."""

import http.client
import json
import socket
import ssl
import struct
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Request:
    """A request that has come.

    Attributes:
        connection: Number of the connection, from 1.
        number: Number of the request on it, from 1.
        headers: By name, in lower case.
        body: The body.
    """

    connection: int
    number: int
    headers: dict[str, str]
    body: bytes

    @property
    def operation(self) -> str:
        """Such as ``PutItem``."""
        return self.headers["x-amz-target"].rpartition(".")[2]


@dataclass
class Last:
    """An answer after which the connection is closed, or reset."""

    data: bytes = b""
    reset: bool = False


Answering = Callable[[Request], "bytes | Last"]


class RawServer:
    """Serves each connection in a thread; a context manager.

    Args:
        answer: Makes the answer to a request.
        tls: To speak TLS.

    Attributes:
        requests: Those that have come.
        opened: How many connections there were.
        url: Where it is, by its address.
    """

    def __init__(self, answer: Answering, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.opened = 0
        self._answer = answer
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> "RawServer":
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        # A thread in accept does not notice that the socket is closed.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        self.hang_up()
        for thread in self._threads:
            thread.join()

    def say(self, data: bytes) -> None:
        """Send on all connections what nobody has asked for."""
        for connection in self._open:
            connection.sendall(data)

    def hang_up(self) -> None:
        """Close all connections."""
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._open.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.opened += 1
                thread = threading.Thread(target=self._serve, args=(connection, self.opened), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError, ValueError):
            connection.settimeout(30)
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._open.append(connection)
            with connection, connection.makefile("rb") as stream:
                requests = 0
                while request := _read(stream, number, requests + 1):
                    requests += 1
                    self.requests.append(request)
                    answer = self._answer(request)
                    if isinstance(answer, bytes):
                        connection.sendall(answer)
                        continue
                    connection.sendall(answer.data)
                    if answer.reset:
                        linger = struct.pack("ii", 1, 0)
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    else:
                        connection.shutdown(socket.SHUT_RDWR)
                    return


def _read(stream: Any, connection: int, number: int) -> Request | None:
    lines = []
    while (line := stream.readline()) not in (b"\r\n", b""):
        lines.append(line.decode().rstrip())
    if not lines:
        return None
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines[1:])}
    body = stream.read(int(headers.get("content-length", 0)))
    return Request(connection, number, headers, body)


def response(status: int, body: bytes | dict[str, Any], **headers: str) -> bytes:
    """Make the bytes of a response; ``_`` in the name of a header is ``-``."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"content-length": str(len(data)), "x-amzn-requestid": "REQUEST1"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode() + data


def refusal(code: str, message: str = "as told", status: int = 400, **fields: Any) -> bytes:
    """Make the bytes of a refusal of DynamoDB's."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message, **fields}
    return response(status, body)


@dataclass
class Between:
    """Answers in a service's place where it is told to, and else passes requests on; for a ``RawServer``.

    Attributes:
        url: The service's.
        answers: What is answered to the next requests of an operation; None lets a request through.
        requests: How many there were of each operation.
    """

    url: str
    answers: defaultdict[str, list[bytes | None]] = field(default_factory=lambda: defaultdict(list))
    requests: Counter[str] = field(default_factory=Counter)

    def __call__(self, request: Request) -> bytes:
        self.requests[request.operation] += 1
        answers = self.answers[request.operation]
        answer = answers.pop(0) if answers else None
        return self._pass_on(request) if answer is None else answer

    def _pass_on(self, request: Request) -> bytes:
        upstream = http.client.HTTPConnection(urlsplit(self.url).netloc)
        try:
            upstream.request("POST", "/", request.body, request.headers)
            answer = upstream.getresponse()
            kept = ("content-type", "x-amz-crc32", "x-amzn-requestid", "x-amzn-query-error", "date")
            headers = {name.lower(): value for name, value in answer.getheaders() if name.lower() in kept}
            return response(answer.status, answer.read(), **headers)
        finally:
            upstream.close()
