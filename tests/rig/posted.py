"""An HTTP server that answers with whatever bytes a test wants: ``@connections`` at its worst."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from urllib.parse import unquote

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class PostServer:
    """Takes posts in a thread for each connection; a context manager.

    Args:
        answer: Given the connection's number, the post's number on it and the id posted to, what to send
            back; None to close the connection.
        tls: To speak TLS.

    Attributes:
        url: Where it is, by its address.
        posts: Ids that were posted to, in order.
        heads: The head of each post.
        opened: How many connections there were.
    """

    def __init__(
        self,
        answer: Callable[[int, int, str], bytes | None] = lambda *_: OK,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.posts: list[str] = []
        self.heads: list[str] = []
        self.opened = 0
        self._answer = answer
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> "PostServer":
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
        with suppress(OSError):
            connection.settimeout(30)
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._open.append(connection)
            with connection, connection.makefile("rb") as stream:
                post = 0
                while connection_id := self._take(stream.readline, stream.read):
                    post += 1
                    answer = self._answer(number, post, connection_id)
                    if answer is None:
                        return
                    connection.sendall(answer)

    def _take(self, readline: Callable[[], bytes], read: Callable[[int], bytes]) -> str:
        lines = []
        while (line := readline()) not in (b"\r\n", b""):
            lines.append(line.decode().rstrip())
        if not lines:
            return ""
        length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
        read(length)
        self.heads.append("\n".join(lines))
        self.posts.append(unquote(lines[0].split(" ")[1].rpartition("/")[2]))
        return self.posts[-1]
