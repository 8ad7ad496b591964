"""Clients of a chat that is not deployed: their events go to the decorated handlers."""

import json
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from chalice.test import Client

from tests.functional.queues import Queues
from tests.rig.callbacks import Callbacks


class ChatClient:
    """One connection. What it sends is an event for the handler; what it gets was posted to it."""

    def __init__(
        self,
        handlers: Client,
        callbacks: Callbacks,
        connection_id: str,
        query: dict[str, list[str]],
        subprotocols: Sequence[str],
        work: Callable[[], None],
    ) -> None:
        self.id = connection_id
        self.query = query
        self.headers = {"Sec-WebSocket-Protocol": ", ".join(subprotocols)} if subprotocols else {}
        self._handlers = handlers
        self._callbacks = callbacks
        self._work = work

    def event(self, route: str, **fields: Any) -> dict[str, Any]:
        """Make the event that API Gateway would make of this connection."""
        context = {
            "routeKey": route,
            "connectionId": self.id,
            "requestId": f"request-of-{self.id}",
            "apiId": "a1b2c3d4e5",
            "stage": "test",
            "domainName": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
        }
        return {"requestContext": context, "isBase64Encoded": False, **fields}

    def connect(self) -> dict[str, Any]:
        """Run the handler of ``$connect`` and return its response; workers tell the others of it."""
        query = self.query or None
        event = self.event("$connect", multiValueQueryStringParameters=query, headers=self.headers)
        response = self._invoke("connect", event)
        self._work()
        return response

    def disconnect(self) -> dict[str, Any]:
        """Run the handler of ``$disconnect`` and return its response."""
        return self._invoke("disconnect", self.event("$disconnect"))

    def send(self, frame: Any) -> dict[str, Any]:
        """Send a frame, a string or None as it is and anything else as JSON; return the response."""
        body = frame if isinstance(frame, str | None) else json.dumps(frame)
        return self._invoke("message", self.event("$default", body=body))

    def say(self, message: str, **fields: Any) -> None:
        """Send an ``onMessage``."""
        self.send({"action": "onMessage", "message": message, **fields})

    @property
    def lines(self) -> list[str]:
        """What was posted to this connection so far."""
        return self._callbacks.received[self.id]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The same, parsed: for a client of the JSON form."""
        return [json.loads(line) for line in self.lines]

    def take(self) -> list[dict[str, Any]]:
        """The events that have come since the last ``take``."""
        events = self.events
        self.lines.clear()
        return events

    def ask(self, action: str, **fields: Any) -> dict[str, Any]:
        """Send a request and return the one reply to it, told by its ref."""
        ref = secrets.token_hex(4)
        self.send({"action": action, "ref": ref, **fields})
        [reply] = [event for event in self.events if event.get("ref") == ref]
        return reply

    def _invoke(self, handler: str, event: dict[str, Any]) -> dict[str, Any]:
        response: dict[str, Any] = self._handlers.lambda_.invoke(handler, event).payload
        return response


class People:
    """Makes the clients of a test."""

    def __init__(self, handlers: Client, callbacks: Callbacks, queues: Queues) -> None:
        self._handlers = handlers
        self._callbacks = callbacks
        self._queues = queues

    def work(self) -> None:
        """Let a worker do what is on the queue now."""
        while bodies := self._queues.take():
            for body in bodies:
                record = {"messageId": "m", "body": body, "receiptHandle": "r"}
                self._handlers.lambda_.invoke("deliver", {"Records": [record]})

    def operate(self, function: str, event: Any) -> Any:
        """Invoke a function of the operator's, and return what it says."""
        return self._handlers.lambda_.invoke(function, event).payload

    def arriving(
        self, *, name: str | None = None, rooms: Sequence[str] = (), subprotocols: Sequence[str] = ()
    ) -> ChatClient:
        """Make a client that has not connected yet."""
        query = ({"name": [name]} if name is not None else {}) | ({"room": list(rooms)} if rooms else {})
        # Never the id of another test: a post that ran out of time there may arrive here.
        connection_id = secrets.token_urlsafe(11) + "="
        return ChatClient(self._handlers, self._callbacks, connection_id, query, subprotocols, self.work)

    def connected(self, *, name: str | None = None, rooms: Sequence[str] = ()) -> ChatClient:
        """Make a client and connect it."""
        client = self.arriving(name=name, rooms=rooms)
        assert client.connect() == {"statusCode": 200}
        return client

    def speaking_json(self, name: str | None = None, *rooms: str) -> ChatClient:
        """Make a client of the JSON form and connect it."""
        client = self.arriving(name=name, rooms=rooms, subprotocols=["chat.v1"])
        assert client.connect()["statusCode"] == 200
        return client
