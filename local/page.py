"""The chat page, ``web/``, served on this machine as a careful host would serve it."""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from .account import HOST
from .emulator import PortTaken

TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
CONFIG = "/config.json"

# infra/web.json has the same for CloudFront; web/index.html what a page can say of itself.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' {chat}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Page:
    """Serves the page to this machine alone; a context manager.

    Args:
        folder: The page's files.
        config: Makes what ``config.json`` has, ``websocketUrl`` in it.
        port: The port; 0 for one that is free.

    Attributes:
        url: Where the page is.
    """

    def __init__(self, folder: Path, config: Callable[[], Mapping[str, Any]], port: int) -> None:
        self._folder = folder
        self._config = config
        self._port = port

    def __enter__(self) -> "Page":
        """Start to serve.

        Raises:
            PortTaken: The port is in use.
        """
        try:
            self._server = ThreadingHTTPServer((HOST, self._port), self._handler())
        except OSError as error:
            raise PortTaken(f"the page cannot have port {self._port}: {error.strerror}") from error
        self.url = f"http://{HOST}:{self._server.server_port}/"
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Stop, whoever is being served."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        page = self

        class Handler(BaseHTTPRequestHandler):
            """Answers one request."""

            protocol_version = "HTTP/1.1"
            server_version = "page"
            sys_version = ""

            def do_GET(self) -> None:
                """Send what is there."""
                self._answer(*page._find(self.path, self.headers.get("Host", "")))

            def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
                self.send_response(status)
                for name, value in page._headers().items():
                    self.send_header(name, value)
                self.send_header("Content-Type", f"{kind}; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing: the output is for the chat's log."""

        return Handler

    def _find(self, path: str, host: str) -> tuple[HTTPStatus, str, bytes]:
        # By another name, this machine could be a page of somebody else's that reads the token.
        if urlsplit(f"//{host}").hostname not in (HOST, "localhost"):
            return HTTPStatus.MISDIRECTED_REQUEST, "text/plain", b"not by this name"
        path = urlsplit(path).path
        if path == CONFIG:
            return HTTPStatus.OK, "application/json", json.dumps(self._config()).encode()
        # Looked up, and never joined: no path leads out of the folder.
        files = {f"/{file.name}": file for file in self._folder.iterdir() if file.suffix in TYPES}
        file = files.get("/index.html" if path == "/" else path)
        if file is None:
            return HTTPStatus.NOT_FOUND, "text/plain", b"not here"
        return HTTPStatus.OK, TYPES[file.suffix], file.read_bytes()

    def _headers(self) -> dict[str, str]:
        chat = urlsplit(self._config().get("websocketUrl", "ws:"))
        policy = POLICY.format(chat=f"{chat.scheme}://{chat.netloc}" if chat.netloc else "wss: ws:")
        return {**HEADERS, "Content-Security-Policy": policy}
