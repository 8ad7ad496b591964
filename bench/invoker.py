"""Invokes the handlers of an ``app.py`` for ``message.py``, as Lambda would; a process of its own.

It is started in the folder of the app, which may be of another commit: nothing of this one is imported. It is
told what to invoke, and how often, and answers with wall and CPU times in s, one of each for an invocation.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[0] = str(Path.cwd())

BIG_ROOM, SENDER = "big", "Sender00000000A="
MEMBERS = 20
Invoke = Callable[[int], Any]


def event(route: str, connection_id: str, **fields: Any) -> dict[str, Any]:
    """Make the event of a route."""
    context = {
        "routeKey": route,
        "connectionId": connection_id,
        "requestId": "request",
        "apiId": "a1b2c3d4e5",
        "stage": os.environ["BENCH_STAGE"],
        "domainName": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
    }
    return {"requestContext": context, "isBase64Encoded": False, **fields}


def invocations(app: Any) -> dict[str, Invoke]:
    """What can be invoked, by its name; each takes the number of the invocation."""

    def connect(connection_id: str, room: str) -> Any:
        query = {"room": [room]}
        headers = {"Sec-WebSocket-Protocol": "chat.v1"}
        connecting = event("$connect", connection_id, multiValueQueryStringParameters=query, headers=headers)
        answer = app.connect(connecting, None)
        assert answer["statusCode"] == 200, answer
        return answer

    def send(connection_id: str, **frame: Any) -> Any:
        answer = app.message(event("$default", connection_id, body=json.dumps(frame)), None)
        assert answer["statusCode"] == 200, answer
        return answer

    members = [f"Member{each:09}=" for each in range(MEMBERS)]
    if os.environ.get("BENCH_BIG"):
        return {"onMessage": lambda number: send(SENDER, action="onMessage", room=BIG_ROOM, message="hi")}
    for member in members:
        connect(member, "cats")
    for number in range(60):
        send(members[0], action="onMessage", room="cats", message=f"Hello everyone, this is {number}")
    return {
        "$connect": lambda number: connect(f"New{number:012}=", "dogs"),
        "onMessage": lambda number: send(
            members[0], action="onMessage", room="cats", message="hi", ref=str(number)
        ),
        "joinRoom": lambda number: send(
            members[1 + number % 19], action="joinRoom", room=f"room{number // 19}"
        ),
        "history": lambda number: send(members[2], action="history", room="cats", limit=50),
    }


def main() -> None:
    """Invoke when told to."""
    # What is logged is none of the answers.
    out, sys.stdout = sys.stdout, open(os.devnull, "w")  # noqa: SIM115, PTH123
    import app

    known = invocations(app)
    counts = dict.fromkeys(known, 0)
    print("ready", file=out, flush=True)
    for line in sys.stdin:
        name, number = line.split()
        walls, cpus = [], []
        for _ in range(int(number)):
            counts[name] += 1
            wall, cpu = time.perf_counter(), time.process_time()
            known[name](counts[name])
            cpus.append(time.process_time() - cpu)
            walls.append(time.perf_counter() - wall)
        print(json.dumps({"wall": walls, "cpu": cpus}), file=out, flush=True)


if __name__ == "__main__":
    main()
