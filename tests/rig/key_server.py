"""The host of a JWKS: HTTP on the loopback, counted, and with faults to order."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class KeyServer:
    """What is served, and how often it was asked for.

    Attributes:
        url: Where the keys are.
        body: What is served.
        status: With which status.
        location: Where a redirect leads.
        refused_agent: What a User-Agent must not begin with; empty for none.
        requests: The paths that were asked for.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.body = b""
        self.status = 200
        self.location = ""
        self.refused_agent = ""
        self.requests: list[str] = []


@contextmanager
def serving_keys() -> Iterator[KeyServer]:
    """Serve keys on a free port of the loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.requests.append(self.path)
            agent = self.headers.get("User-Agent", "")
            is_refused = keys.refused_agent and agent.startswith(keys.refused_agent)
            self.send_response(403 if is_refused else keys.status)
            if keys.location:
                self.send_header("Location", keys.location)
            self.send_header("Content-Length", str(len(keys.body)))
            self.end_headers()
            self.wfile.write(keys.body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    keys = KeyServer(f"http://127.0.0.1:{server.server_port}/keys")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield keys
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
