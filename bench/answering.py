"""Where the requests of ``requests.py`` end: a server that answers each as DynamoDB or SQS would, over TLS.

It is a process of its own, since what it takes is not to be measured. It keeps connections alive, reads
nothing but lengths and the name of the operation, and answers what it was given for that.
"""

import json
import re
import socket
import ssl
import sys
import threading
from binascii import crc32
from contextlib import suppress
from pathlib import Path

HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"^content-length: *(\d+)\r$", re.IGNORECASE | re.MULTILINE)
_OPERATION = re.compile(rb"^x-amz-target: *\w+\.(\w+)\r$", re.IGNORECASE | re.MULTILINE)


def response(body: bytes) -> bytes:
    """Make the response to a request, with the headers that AWS sends."""
    return (
        b"HTTP/1.1 200 OK\r\n"
        b"Server: Server\r\n"
        b"Date: Fri, 27 Nov 2026 10:07:26 GMT\r\n"
        b"Content-Type: application/x-amz-json-1.0\r\n"
        b"Content-Length: %d\r\n"
        b"Connection: keep-alive\r\n"
        b"x-amzn-RequestId: VVPM5IJ1Q9T6K2H6S1B6JCOJ5NVV4KQNSO5AEMVJF66Q9ASUAAJG\r\n"
        b"x-amz-crc32: %d\r\n\r\n%b" % (len(body), crc32(body), body)
    )


def serve(connection: socket.socket, tls: ssl.SSLContext, responses: dict[bytes, bytes]) -> None:
    """Answer on a connection until the other end closes it."""
    with suppress(OSError), tls.wrap_socket(connection, server_side=True) as secured:
        data = b""
        while True:
            while HEAD_END not in data:
                if not (more := secured.recv(65536)):
                    return
                data += more
            head, _, data = data.partition(HEAD_END)
            head += b"\r\n"
            length = _LENGTH.search(head)
            left = int(length[1]) if length else 0
            while len(data) < left:
                data += secured.recv(65536)
            data = data[left:]
            operation = _OPERATION.search(head)
            secured.sendall(responses[operation[1] if operation else b""])


def main(folder: Path) -> None:
    """Serve with the certificate and the answers in a folder; the first line says the port."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "server.pem", folder / "server.key")
    answers = json.loads((folder / "answers.json").read_text())
    responses = {name.encode(): response(json.dumps(body).encode()) for name, body in answers.items()}
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(connection, tls, responses), daemon=True).start()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
