"""A stand-in for ``@connections``: takes the posts, and answers as it is told to.

Emulators answer only what goes well. This one is real HTTP on the loopback, with a fault for each
connection that wants one.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

# The status codes of API Gateway, with the x-amzn-ErrorType that comes along.
ERROR_TYPES = {
    400: "BadRequestException",
    403: "ForbiddenException",
    410: "GoneException",
    413: "PayloadTooLargeException",
    429: "LimitExceededException",
    500: "InternalServerErrorException",
}


class Callbacks:
    """What was posted to each connection, and how the next posts are answered.

    Attributes:
        url: For ``AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI``.
        received: The payloads that each connection got, in order.
        answers: By connection id, the statuses of the next posts; the last one stays. 200 without.
        bare: Connections whose errors come without ``x-amzn-ErrorType``.
        hanging: Connections whose posts are answered only once ``released`` is set.
        released: See ``hanging``.
        closed: Connections that were closed, in order.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.received: defaultdict[str, list[str]] = defaultdict(list)
        self.answers: dict[str, list[int]] = {}
        self.bare: set[str] = set()
        self.hanging: set[str] = set()
        self.released = threading.Event()
        self.closed: list[str] = []
        self.posts = 0
        self.under_way = 0
        self.most_under_way = 0
        self._lock = threading.Lock()

    def reset(self) -> None:
        """Forget everything."""
        self.released.set()
        self.__init__(self.url)  # type: ignore[misc]

    def answer(self, connection_id: str, payload: str) -> int:
        """Take a post and say with which status it is answered."""
        with self._lock:
            self.posts += 1
            statuses = self.answers.get(connection_id, [200])
            status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
            if status == 200:
                self.received[connection_id].append(payload)
        return status

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Keep count of the posts that are under way at once."""
        with self._lock:
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            yield
        finally:
            with self._lock:
                self.under_way -= 1


@contextmanager
def serving() -> Iterator[Callbacks]:
    """Serve ``@connections`` on a free port of the loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_DELETE(self) -> None:
            callbacks.closed.append(self.connection_id)
            self.respond(204)

        def do_POST(self) -> None:
            connection_id = self.connection_id
            payload = self.rfile.read(int(self.headers["Content-Length"])).decode()
            with callbacks.counted():
                if connection_id in callbacks.hanging:
                    callbacks.released.wait()
                status = callbacks.answer(connection_id, payload)
            self.respond(status)

        @property
        def connection_id(self) -> str:
            return unquote(self.path.rpartition("/")[2])

        def respond(self, status: int) -> None:
            body = b'{"message": "as it was told"}' if status in ERROR_TYPES else b""
            self.send_response(status)
            if status in ERROR_TYPES and self.connection_id not in callbacks.bare:
                self.send_header("x-amzn-ErrorType", ERROR_TYPES[status])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that gave up on a hanging post has closed its connection."""

    server = Server(("127.0.0.1", 0), Handler)
    callbacks = Callbacks(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield callbacks
    finally:
        callbacks.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
