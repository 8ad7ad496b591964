"""Clients of a chat that is not deployed: their events go to the decorated handlers."""

import json
import secrets
from collections.abc import Sequence
from typing import Any

from chalice.test import Client

from tests.rig.callbacks import Callbacks


class ChatClient:
    """One connection. What it sends is an event for the handler; what it gets was posted to it."""

    def __init__(
        self, handlers: Client, callbacks: Callbacks, connection_id: str, query: dict[str, list[str]]
    ):
        self.id = connection_id
        self.query = query
        self._handlers = handlers
        self._callbacks = callbacks

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
        """Run the handler of ``$connect`` and return its response."""
        query = self.query or None
        return self._invoke("connect", self.event("$connect", multiValueQueryStringParameters=query))

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

    def _invoke(self, handler: str, event: dict[str, Any]) -> dict[str, Any]:
        response: dict[str, Any] = self._handlers.lambda_.invoke(handler, event).payload
        return response


class People:
    """Makes the clients of a test."""

    def __init__(self, handlers: Client, callbacks: Callbacks) -> None:
        self._handlers = handlers
        self._callbacks = callbacks

    def arriving(self, *, name: str | None = None, rooms: Sequence[str] = ()) -> ChatClient:
        """Make a client that has not connected yet."""
        query = ({"name": [name]} if name is not None else {}) | ({"room": list(rooms)} if rooms else {})
        # Never the id of another test: a post that ran out of time there may arrive here.
        return ChatClient(self._handlers, self._callbacks, secrets.token_urlsafe(11) + "=", query)

    def connected(self, *, name: str | None = None, rooms: Sequence[str] = ()) -> ChatClient:
        """Make a client and connect it."""
        client = self.arriving(name=name, rooms=rooms)
        assert client.connect() == {"statusCode": 200}
        return client
