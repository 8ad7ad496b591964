"""The chat as API Gateway sees it: a connection comes, speaks, and goes.

Each method takes the event of a WebSocket route and the time that is left, answers with the response
that API Gateway wants, and raises nothing. ``deliver`` is SQS's, with rules of its own.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from aws_lambda_powertools import Logger

from .actions.call import Call, Services
from .auth.identity import Identity
from .aws.time_limit import done_by
from .broadcaster import Delivery
from .deadline import deadline_in, last_moment
from .dispatcher import Frame, Outcome, dispatch, refuse
from .errors import (
    BadRequest,
    BadToken,
    ChatError,
    Flooding,
    Forbidden,
    NameTaken,
    RateLimited,
    ServerError,
    TokenExpired,
    TooLarge,
    TooManyConnections,
)
from .handshake import SUBPROTOCOL, Handshake
from .logs import Record, logged
from .storage.connection import Connection
from .tasks import AnyTask, Chunk, Prune, PumpRoom, RestOfRoom, TellOccupancy, TellPresence, decode
from .wire.events import Form, Goodbye

UNREGISTERED = Goodbye(
    code="not_registered", reason="This connection is not registered any more, connect again", retry_after=0
)
OUTDATED = Goodbye(
    code="token_expired", reason="Your token has expired, connect again with a new one", retry_after=0
)
# For how long who is closed for sending too fast is asked to stay away, in s.
FLOODING_SECONDS = 60
FLOODING = Goodbye(
    code=RateLimited.code,
    reason=f"You are too fast, connect again in {FLOODING_SECONDS} s",
    retry_after=FLOODING_SECONDS,
)
# What refuses a handshake, the first that fits.
STATUSES = (
    (BadToken, 401),
    (TokenExpired, 401),
    (TooManyConnections, 429),
    (NameTaken, 409),
    (Forbidden, 403),
    (BadRequest, 400),
    (ChatError, 503),
)

Response = dict[str, Any]


@dataclass(frozen=True)
class Chat:
    """The handlers of the three routes.

    Attributes:
        services: What the chat is made of.
        logger: Takes one line for each invocation.
        clock: Unix time in s.
        members: Gives the connections in a room as far as this Lambda remembers, 0 where it does not.
    """

    services: Services
    logger: Logger
    clock: Callable[[], float] = time.time
    members: Callable[[str], int] = lambda room: 0

    def connect(self, event: Mapping[str, Any], remaining_seconds: float) -> Response:
        """Register a connection: 200, or the status that refuses it.

        - 401 without a good token, where one is needed.
        - 403 for a page or a name that it may not have, and where none of its rooms is open to it. A client
          that is let in hears ``left`` for each of its rooms that is not.
        - 409 where somebody has a name that looks the same.
        - 429 where its name has too many connections.
        - 400 for a bad name or room; 503 without storage or keys.

        Nothing stays of a client that is refused.

        The socket opens after this has returned, so nothing can be sent to it here. Workers tell the others
        in its rooms.
        """
        with self._logged("connect", event) as record, done_by(last_moment(remaining_seconds)):
            try:
                handshake = Handshake.of(event)
                identity = self.services.door.admit(handshake)
                connection, closed = self._arriving(event, handshake, identity)
                changes = self.services.connections.add(connection)
            except ChatError as error:
                record.fail(error)
                status = next(status for kind, status in STATUSES if isinstance(error, kind))
                return {"statusCode": status, "body": str(error)}
            self.services.announcer.tell_later(changes, but=connection.id)
            self.services.announcer.tell_left_out(connection, closed)
            # A browser closes a socket whose subprotocol is not confirmed.
            confirmed = {"Sec-WebSocket-Protocol": SUBPROTOCOL} if connection.form is Form.JSON else {}
            return {"statusCode": 200, **({"headers": confirmed} if confirmed else {})}

    def message(self, event: Mapping[str, Any], remaining_seconds: float) -> Response:
        """Serve a frame. Whatever is in it, the sender gets a reply and the answer is 200.

        A sender that is being closed for its rate gets none.
        """
        deadline = deadline_in(remaining_seconds)
        with self._logged("message", event) as record, done_by(last_moment(remaining_seconds)):
            request_id = event["requestContext"].get("requestId", "")
            frame = Frame.parse(event.get("body") or "")
            # Stands for a connection that is not registered: it is in no room.
            stranger = self._connection(event, frozenset(), Form.TEXT)
            call = Call(stranger, self.services, int(self.clock() * 1000), deadline, record.delivery)
            outcome = self._serve(frame, call, request_id)
            record.action, record.outcome, record.error = outcome.action, outcome.code, outcome.error
            flooding = outcome.error if isinstance(outcome.error, Flooding) else None
            if flooding and flooding.told:
                return {"statusCode": 200}
            is_stranger = call.caller is stranger
            if is_stranger and getattr(outcome.reply, "ref", None) is not None:
                # Its form is not known, but a ref is of use in JSON alone.
                call.caller = replace(stranger, form=Form.JSON)
            try:
                call.tell_caller(outcome.reply)
            except TooLarge as error:
                record.fail(error)
                call.tell_caller(refuse(frame, error, request_id).reply)
            if not isinstance(outcome.error, ServerError):
                # Nothing reaches it any more; connecting again puts that right.
                goodbye = (
                    OUTDATED if self._is_outdated(call.caller) else UNREGISTERED if is_stranger else None
                )
                goodbye = FLOODING if flooding else goodbye
                if goodbye:
                    self.services.broadcaster.dismiss(call.caller, goodbye, deadline, record.delivery)
            for work in call.afterwards:
                self._do_without_fail(work, record)
            self.services.pruner.sweep(deadline, record.delivery)
            return {"statusCode": 200}

    def disconnect(self, event: Mapping[str, Any], remaining_seconds: float) -> Response:
        """Remove a connection, registered or not: 200. API Gateway may call this late, or never."""
        deadline = deadline_in(remaining_seconds)
        with self._logged("disconnect", event) as record, done_by(last_moment(remaining_seconds)):
            try:
                changes = self.services.connections.remove(event["requestContext"]["connectionId"])
                self.services.announcer.tell(changes or [], deadline, record.delivery)
            except ChatError as error:
                record.fail(error)
            self.services.pruner.sweep(deadline, record.delivery)
            return {"statusCode": 200}

    def _serve(self, frame: Frame, call: Call, request_id: str) -> Outcome:
        """Serve a frame of whoever it is from, if it may be served."""
        price = frame.price(self.services.actions, self.members)
        try:
            arrival = self.services.connections.serve(call.caller.id, price)
        except ChatError as error:
            return refuse(frame, error, request_id)
        call.caller, call.is_registered = arrival.connection or call.caller, arrival.connection is not None
        if arrival.closing or arrival.one_too_many:
            return refuse(frame, Flooding(FLOODING_SECONDS, told=arrival.closing), request_id)
        if self._is_outdated(call.caller):
            return refuse(frame, TokenExpired(), request_id)
        if arrival.wait_seconds:
            return refuse(frame, RateLimited(arrival.wait_seconds), request_id)
        return dispatch(frame, call, request_id)

    def _is_outdated(self, connection: Connection) -> bool:
        return connection.token_expires_at is not None and connection.token_expires_at <= self.clock()

    def deliver(self, event: Mapping[str, Any], remaining_seconds: float) -> None:
        """Do what another Lambda has left: the tasks in an event of SQS.

        Raises:
            ServerError: It is no task, or it could neither be done nor put back: SQS gives it again, and
                after some times to the dead letters.
        """
        deadline, late = deadline_in(remaining_seconds), last_moment(remaining_seconds)
        for message in event["Records"]:
            with logged(self.logger, "deliver", message_id=message["messageId"]) as record, done_by(late):
                task = decode(message["body"])
                record.action = str(type(task).__struct_config__.tag)
                record.age_ms = int(self.clock() * 1000) - task.born_ms if task.born_ms else None
                self._do(task, deadline, record.delivery)
                self.services.pruner.sweep(deadline, record.delivery)

    def _do(self, task: AnyTask, deadline: float, delivery: Delivery) -> None:
        services = self.services
        services.broadcaster.use(task.endpoint)
        match task:
            case Chunk():
                services.broadcaster.deliver(task, deadline, delivery)
            case RestOfRoom():
                services.broadcaster.deliver_rest(task, deadline, delivery)
            case PumpRoom():
                services.pump.work(task, deadline, delivery)
            case TellPresence():
                services.announcer.tell_presence(task, deadline, delivery)
            case TellOccupancy():
                services.announcer.tell_occupancy(task, deadline, delivery)
            case Prune():
                services.pruner.prune(task, deadline, delivery)

    def _do_without_fail(self, work: Callable[[], None], record: Record) -> None:
        """Do what nobody waits for; who has had a reply is not held up by a fault in that."""
        try:
            work()
        except ChatError as error:
            record.error = record.error or error

    def _logged(self, route: str, event: Mapping[str, Any]) -> AbstractContextManager[Record]:
        context = event["requestContext"]
        return logged(
            self.logger,
            route,
            connection_id=context["connectionId"],
            request_id=context.get("requestId", ""),
        )

    def _arriving(
        self, event: Mapping[str, Any], handshake: Handshake, identity: Identity | None
    ) -> tuple[Connection, frozenset[str]]:
        """Make the connection of a handshake: ``?name=alice&room=a&room=b``, both optional.

        Returns:
            The connection, and those of its rooms that it is left out of.

        Raises:
            BadRequest: A parameter breaks its rule.
            Forbidden: It may not have that name, or be in any of those rooms.
            StorageUnavailable: It is not known whether it may.
        """
        name, rooms = handshake.name, handshake.rooms
        if len(rooms) > self.services.settings.max_rooms:
            raise BadRequest("room", f"must be given {self.services.settings.max_rooms} times at most")
        connection = self._connection(event, rooms, handshake.form)
        if identity is not None:
            if name not in (None, identity.name):
                raise Forbidden("your name is that of your token")
            connection = connection.identified(identity)
        elif name is not None:
            connection = connection.named(name)
        closed = frozenset(room for room in rooms if not connection.may_enter(room))
        if closed == rooms:
            raise Forbidden("the token allows none of these rooms")
        if connection.name is not None:
            closed |= self.services.bans.rooms(connection.name) & rooms
        if closed == rooms:
            raise Forbidden("you are banned from these rooms")
        return replace(connection, rooms=connection.rooms - closed), closed

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
