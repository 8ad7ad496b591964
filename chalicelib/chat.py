"""The chat as API Gateway sees it: a connection comes, speaks, and goes.

Each method takes the event of a WebSocket route and the time that is left, answers with the response
that API Gateway wants, and raises nothing. ``deliver`` is SQS's, with rules of its own.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from aws_lambda_powertools import Logger

from .actions.call import Call, Services
from .chunks import Chunk
from .dispatcher import dispatch, refuse
from .errors import BadRequest, ChatError, ServerError, TooLarge
from .logs import Record, logged
from .storage.connections import Connection
from .storage.presence import Crossing
from .wire.events import Form, Goodbye
from .wire.fields import Field, Name, Room
from .wire.requests import LOBBY

# Kept back of the time that is left: to reply, and to write the log line.
RESERVE_SECONDS = 1.0
SUBPROTOCOL = "chat.v1"
UNREGISTERED = Goodbye(
    code="not_registered", reason="This connection is not registered any more, connect again", retry_after=0
)

Response = dict[str, Any]
F = TypeVar("F", bound=Field)


@dataclass(frozen=True)
class Chat:
    """The handlers of the three routes.

    Attributes:
        services: What the chat is made of.
        logger: Takes one line for each invocation.
        clock: Unix time in s.
    """

    services: Services
    logger: Logger
    clock: Callable[[], float] = time.time

    def connect(self, event: Mapping[str, Any], remaining_seconds: float) -> Response:
        """Register a connection: 200, or 400 for a bad name or room, or 503 without storage.

        The socket opens after this has returned, so nothing can be sent to it here; the others in its
        rooms are told.
        """
        deadline = _deadline(remaining_seconds)
        with self._logged("connect", event) as record:
            try:
                protocols = _protocols(event)
                connection = self._arriving(event, Form.JSON if SUBPROTOCOL in protocols else Form.TEXT)
                crossings = self.services.connections.add(connection)
            except ChatError as error:
                record.fail(error)
                return {"statusCode": 400 if isinstance(error, BadRequest) else 503, "body": str(error)}
            self._announce(crossings, deadline, record, but=connection.id)
            # A browser closes a socket whose subprotocol is not confirmed.
            confirmed = {"Sec-WebSocket-Protocol": SUBPROTOCOL} if connection.form is Form.JSON else {}
            return {"statusCode": 200, **({"headers": confirmed} if confirmed else {})}

    def message(self, event: Mapping[str, Any], remaining_seconds: float) -> Response:
        """Serve a frame. Whatever is in it, the sender gets a reply and the answer is 200."""
        deadline = _deadline(remaining_seconds)
        with self._logged("message", event) as record:
            request_id = event["requestContext"].get("requestId", "")
            body = event.get("body") or ""
            # Stands for a connection that is not registered: it is in no room.
            stranger = self._connection(event, frozenset(), Form.TEXT)
            call = Call(stranger, self.services, int(self.clock() * 1000), deadline, record.delivery)
            try:
                call.caller = self.services.connections.get(stranger.id) or stranger
            except ChatError as error:
                outcome = refuse(body, error, request_id)
            else:
                outcome = dispatch(body, call, request_id)
            record.action, record.outcome, record.error = outcome.action, outcome.code, outcome.error
            registered = call.caller is not stranger
            if not registered and getattr(outcome.reply, "ref", None) is not None:
                # Its form is not known, but a ref is of use in JSON alone.
                call.caller = replace(stranger, form=Form.JSON)
            try:
                call.tell_caller(outcome.reply)
            except TooLarge as error:
                record.fail(error)
                call.tell_caller(refuse(body, error, request_id).reply)
            if not registered and not isinstance(outcome.error, ServerError):
                # Nothing reaches it any more; connecting again puts that right.
                self.services.broadcaster.dismiss(call.caller, UNREGISTERED, deadline, record.delivery)
            return {"statusCode": 200}

    def disconnect(self, event: Mapping[str, Any], remaining_seconds: float) -> Response:
        """Remove a connection, registered or not: 200. API Gateway may call this late, or never."""
        deadline = _deadline(remaining_seconds)
        with self._logged("disconnect", event) as record:
            try:
                crossings = self.services.connections.remove(event["requestContext"]["connectionId"])
            except ChatError as error:
                record.fail(error)
            else:
                self._announce(crossings or [], deadline, record)
            return {"statusCode": 200}

    def deliver(self, event: Mapping[str, Any], remaining_seconds: float) -> None:
        """Send what another Lambda has left: the chunks of recipients in an event of SQS.

        Raises:
            ServerError: It is no chunk, or what is left of it could not be put back: SQS gives it again,
                and after some times to the dead letters.
        """
        deadline = _deadline(remaining_seconds)
        for message in event["Records"]:
            with logged(self.logger, "deliver", message_id=message["messageId"]) as record:
                chunk = Chunk.decode(message["body"])
                self.services.broadcaster.deliver(chunk, deadline, record.delivery)

    def _announce(
        self, crossings: list[Crossing], deadline: float, record: Record, but: str | None = None
    ) -> None:
        """Tell rooms who came and went; who connects or goes is not held up by a fault in that."""
        try:
            self.services.broadcaster.announce(crossings, deadline, record.delivery, but=but)
        except ChatError as error:
            record.fail(error)

    def _logged(self, route: str, event: Mapping[str, Any]) -> AbstractContextManager[Record]:
        context = event["requestContext"]
        return logged(
            self.logger,
            route,
            connection_id=context["connectionId"],
            request_id=context.get("requestId", ""),
        )

    def _arriving(self, event: Mapping[str, Any], form: Form) -> Connection:
        """Read a connection from ``$connect``: ``?name=alice&room=a&room=b``, both optional."""
        query = event.get("multiValueQueryStringParameters") or {}
        names = [_parameter("name", Name, value) for value in query.get("name", [])]
        rooms = frozenset(_parameter("room", Room, value) for value in query.get("room", [LOBBY]))
        if len(names) > 1:
            raise BadRequest("name", "must be given once")
        if len(rooms) > self.services.settings.max_rooms:
            raise BadRequest("room", f"must be given {self.services.settings.max_rooms} times at most")
        nameless = self._connection(event, rooms, form)
        return nameless.named(names[0]) if names else nameless

    def _connection(self, event: Mapping[str, Any], rooms: frozenset[str], form: Form) -> Connection:
        """A nameless connection that begins now."""
        now = self.clock()
        return Connection(
            id=event["requestContext"]["connectionId"],
            name=None,
            form=form,
            rooms=rooms,
            connected_at=int(now * 1000),
            expires_at=int(now) + self.services.settings.connection_seconds,
        )


def _deadline(remaining_seconds: float) -> float:
    return time.monotonic() + remaining_seconds - RESERVE_SECONDS


def _protocols(event: Mapping[str, Any]) -> list[str]:
    """The subprotocols that the client offers; the case of a header's name is the client's choice."""
    headers = event.get("headers") or {}
    offers = [value for name, value in headers.items() if name.lower() == "sec-websocket-protocol"]
    return [protocol.strip() for offer in offers for protocol in offer.split(",")]


def _parameter(name: str, kind: type[F], value: str) -> F:
    try:
        return kind.parse(value)
    except ValueError as error:
        raise BadRequest(name, str(error)) from error
