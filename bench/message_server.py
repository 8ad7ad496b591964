"""DynamoDB and SQS for ``message.py``: the tests' DynamoDB in memory, over TLS; a process of its own."""

import json
import re
import socket
import ssl
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from botocore.exceptions import ClientError

from bench.answering import HEAD_END, response
from tests.rig.dynamodb import DynamoDB

KEYS = {
    "Chat": ["connectionid"],
    "ChatRooms": ["roomId", "connectionid"],
    "ChatMessages": ["roomId", "entry"],
}
BIG_ROOM, SENDER = "big", "Sender00000000A="
_PAGES: dict[bytes, bytes] = {}
_LENGTH = re.compile(rb"^content-length: *(\d+)\r$", re.IGNORECASE | re.MULTILINE)
_TARGET = re.compile(rb"^x-amz-target: *(\w+)\.(\w+)\r$", re.IGNORECASE | re.MULTILINE)
_SNAKE = re.compile(r"(?<!^)(?=[A-Z])")


def filled(members: int) -> DynamoDB:
    """Make the tables, and a room of so many with somebody who speaks in it."""
    dynamodb = DynamoDB()
    for table, names in KEYS.items():
        kinds = zip(("HASH", "RANGE"), names, strict=False)
        keys = [{"KeyType": kind, "AttributeName": name} for kind, name in kinds]
        dynamodb.create_table(TableName=table, KeySchema=keys)
    later = {"N": "9999999999"}
    for number in range(members):
        item = {
            "roomId": {"S": BIG_ROOM},
            "connectionid": {"S": SENDER if not number else f"L0SM9cOF{number:07}="},
            "form": {"S": "json"},
            "joinedAt": {"N": "1760000000000"},
            "expiresAt": later,
        }
        dynamodb.put_item(TableName="ChatRooms", Item=item)
    sender = {
        "connectionid": {"S": SENDER},
        "form": {"S": "json"},
        "connectedAt": {"N": "1760000000000"},
        "expiresAt": later,
        "rooms": {"SS": [BIG_ROOM]},
    }
    dynamodb.put_item(TableName="Chat", Item=sender)
    return dynamodb


def answer(dynamodb: DynamoDB, service: str, operation: str, body: bytes) -> bytes:
    """Do what a request asks for."""
    request: dict[str, Any] = json.loads(body)
    if service == "AmazonSQS":
        successful = [{"Id": each["Id"], "MessageId": "m"} for each in request.get("Entries", ())]
        return response(json.dumps({"QueueUrl": "https://queue/", "Successful": successful}).encode())
    request.pop("ClientRequestToken", None)
    # The members of the room stay the same, and to find them is slow here: it is found once.
    if operation == "Query" and request["ExpressionAttributeValues"].get(":room") == {"S": BIG_ROOM}:
        if body not in _PAGES:
            _PAGES[body] = response(msgspec.json.encode(dynamodb.query(**request)))
        return _PAGES[body]
    try:
        done = getattr(dynamodb, _SNAKE.sub("_", operation).lower())(**request)
    except ClientError as error:
        fields = {name: value for name, value in error.response.items() if name != "ResponseMetadata"}
        code = fields.pop("Error")["Code"]
        refused = response(msgspec.json.encode({"__type": f"dynamodb#{code}", "message": "", **fields}))
        return refused.replace(b"200 OK", b"400 Bad Request", 1)
    return response(msgspec.json.encode(done))


def serve(connection: socket.socket, tls: ssl.SSLContext, dynamodb: DynamoDB) -> None:
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
            length, target = _LENGTH.search(head), _TARGET.search(head)
            left = int(length[1]) if length else 0
            while len(data) < left:
                data += secured.recv(65536)
            body, data = data[:left], data[left:]
            assert target
            secured.sendall(answer(dynamodb, target[1].decode(), target[2].decode(), body))


def main(folder: Path, members: int) -> None:
    """Serve with the certificate in a folder; the first line says the port."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "server.pem", folder / "server.key")
    dynamodb = filled(members)
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(connection, tls, dynamodb), daemon=True).start()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
