"""The chat as API Gateway sees it: a connection comes, speaks, and goes.

Each method takes the event of a WebSocket route and the time that is left, answers with the response
that API Gateway wants, and raises nothing.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from aws_lambda_powertools import Logger

from .actions.call import Action, Call
from .broadcaster import Broadcaster
from .config import Settings
from .dispatcher import Outcome, dispatch, explain
from .errors import BadRequest, ChatError
from .logs import Record, logged
from .storage.connections import Connection, Connections
from .wire.events import Form
from .wire.fields import Field, Name, Room
from .wire.requests import LOBBY

# Kept back of the time that is left: to reply, and to write the log line.
RESERVE_SECONDS = 1.0

Response = dict[str, Any]
F = TypeVar("F", bound=Field)


@dataclass(frozen=True)
class Chat:
    """The handlers of the three routes.

    Attributes:
        settings: The settings of this deployment.
        actions: What a client can ask for, by name.
        connections: The registry of live connections.
        broadcaster: Sends events.
        logger: Takes one line for each invocation.
        clock: Unix time in s.
    """

    settings: Settings
    actions: Mapping[str, Action]
    connections: Connections
    broadcaster: Broadcaster
    logger: Logger
    clock: Callable[[], float] = time.time

    def connect(self, event: Mapping[str, Any]) -> Response:
        """Register a connection: 200, or 400 for a bad name or room, or 503 without storage.

        The socket opens after this has returned, so nothing can be sent to it here.
        """
        with self._logged("connect", event) as record:
            try:
                self.connections.add(self._arriving(event))
            except ChatError as error:
                record.outcome, record.error = error.code, error
                return {"statusCode": 400 if isinstance(error, BadRequest) else 503, "body": str(error)}
            return {"statusCode": 200}

    def message(self, event: Mapping[str, Any], remaining_seconds: float) -> Response:
        """Serve a frame. Whatever is in it, the sender gets a reply and the answer is 200."""
        deadline = time.monotonic() + remaining_seconds - RESERVE_SECONDS
        with self._logged("message", event) as record:
            request_id = event["requestContext"].get("requestId", "")
            call = Call(
                # Stands for a connection that is not registered: it is in no room.
                caller=self._connection(event, name=None, rooms=frozenset()),
                actions=self.actions,
                broadcaster=self.broadcaster,
                now_ms=int(self.clock() * 1000),
                deadline=deadline,
                delivery=record.delivery,
            )
            try:
                call.caller = self.connections.get(call.caller.id) or call.caller
            except ChatError as error:
                outcome = Outcome(explain(error, request_id), error=error)
            else:
                outcome = dispatch(event.get("body") or "", call, request_id)
            record.action, record.outcome, record.error = outcome.action, outcome.code, outcome.error
            if outcome.reply is not None:
                self.broadcaster.send(call.caller, outcome.reply, deadline, record.delivery)
            return {"statusCode": 200}

    def disconnect(self, event: Mapping[str, Any]) -> Response:
        """Remove a connection, registered or not: 200. API Gateway may call this late, or never."""
        with self._logged("disconnect", event) as record:
            try:
                self.connections.remove(event["requestContext"]["connectionId"])
            except ChatError as error:
                record.outcome, record.error = error.code, error
            return {"statusCode": 200}

    def _logged(self, route: str, event: Mapping[str, Any]) -> AbstractContextManager[Record]:
        context = event["requestContext"]
        return logged(self.logger, route, context["connectionId"], context.get("requestId", ""))

    def _arriving(self, event: Mapping[str, Any]) -> Connection:
        """Read a connection from ``$connect``: ``?name=alice&room=a&room=b``, both optional."""
        query = event.get("multiValueQueryStringParameters") or {}
        names = [_parameter("name", Name, value) for value in query.get("name", [])]
        rooms = frozenset(_parameter("room", Room, value) for value in query.get("room", [LOBBY]))
        if len(names) > 1:
            raise BadRequest("name", "must be given once")
        if len(rooms) > self.settings.max_rooms:
            raise BadRequest("room", f"must be given {self.settings.max_rooms} times at most")
        return self._connection(event, name=names[0] if names else None, rooms=rooms)

    def _connection(self, event: Mapping[str, Any], name: str | None, rooms: frozenset[str]) -> Connection:
        now = self.clock()
        return Connection(
            id=event["requestContext"]["connectionId"],
            name=name,
            form=Form.TEXT,
            rooms=rooms,
            connected_at=int(now * 1000),
            expires_at=int(now) + self.settings.connection_seconds,
        )


def _parameter(name: str, kind: type[F], value: str) -> F:
    try:
        return kind.parse(value)
    except ValueError as error:
        raise BadRequest(name, str(error)) from error
