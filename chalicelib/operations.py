"""What the operator of a chat can have done, by functions that nobody else may invoke (IAM).

Each takes an event in JSON, and answers in JSON: what was done, or an ``error`` as a client gets it where
the event is not right. Where storage or gateway fail, the function fails, and can be invoked again.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from aws_lambda_powertools import Logger
from msgspec import Meta

from .actions.call import Services
from .aws.time_limit import done_by
from .broadcaster import Delivery
from .deadline import deadline_in, last_moment
from .dispatcher import explain
from .errors import BadRequest, RequestError
from .logs import Record, logged
from .storage.connection import Connection, personal_room
from .storage.messages import Draft
from .wire.events import Goodbye, Left
from .wire.fields import ConnectionId, Name, Room, Text
from .wire.requests import Request, parse_request

LONGEST_BAN_SECONDS = 10 * 365 * 24 * 60 * 60
# No user has it, as '#' is in no name: the operator's references are its own.
OPERATOR = "#operator"


class Disconnect(Request, frozen=True):
    """Disconnect a name from everywhere, or one connection."""

    name: Name | None = None
    connection: ConnectionId | None = None
    reason: Text = Text("You were disconnected by an operator")


class Ban(Request, frozen=True):
    """Keep a name out of a room for so long from now on, and take it out now; 0 s lets it in again."""

    name: Name
    room: Room
    seconds: Annotated[int, Meta(ge=0, le=LONGEST_BAN_SECONDS)]


class Publish(Request, frozen=True):
    """Say something in a room; the same ``ref`` again in the same room says nothing twice."""

    room: Room
    message: Text
    sender: Name | None = None


@dataclass(frozen=True)
class Operations:
    """The functions.

    Attributes:
        services: What the chat is made of.
        logger: Takes one line for each invocation.
        clock: Unix time in s.
    """

    services: Services
    logger: Logger
    clock: Callable[[], float] = time.time

    def moderate(self, event: Mapping[str, Any], remaining_seconds: float) -> dict[str, Any]:
        """Do what ``{"action": "disconnect", ...}`` or ``{"action": "ban", ...}`` asks for.

        Returns:
            ``{"connections": ...}``: how many there were.

        Raises:
            ServerError: It may not be done, or in part.
        """
        deadline = deadline_in(remaining_seconds)
        actions = {"disconnect": self._disconnect, "ban": self._ban}
        with logged(self.logger, "moderate") as record, done_by(last_moment(remaining_seconds)):
            name = event.get("action") if isinstance(event, dict) else None
            if not isinstance(name, str) or name not in actions:
                known = ", ".join(actions)
                return _refuse(record, event, BadRequest("action", f"must be one of {known}"))
            record.action = name
            fields = {field: value for field, value in event.items() if field != "action"}
            try:
                count = actions[name](fields, deadline, record.delivery)
            except RequestError as error:
                return _refuse(record, event, error)
            self.services.pruner.sweep(deadline, record.delivery)
            return {"connections": count}

    def publish(self, event: Mapping[str, Any], remaining_seconds: float) -> dict[str, Any]:
        """Say something in a room, as ``Publish`` has it.

        Returns:
            ``room``, ``seq``, ``epoch``, ``id`` and ``duplicate``, as in an ``ack``.

        Raises:
            ServerError: It may not be stored, or not be sent to all.
        """
        deadline = deadline_in(remaining_seconds)
        with logged(self.logger, "publish") as record, done_by(last_moment(remaining_seconds)):
            try:
                request = parse_request("publish", event if isinstance(event, dict) else {}, Publish)
            except RequestError as error:
                return _refuse(record, event, error)
            now_ms = int(self.clock() * 1000)
            draft = Draft(request.room, request.sender, request.message, now_ms, OPERATOR, request.ref)
            pump = self.services.pump
            receipt = pump.append(draft)
            turn = pump.hand_on(receipt, deadline, record.delivery)
            if turn is not None:
                pump.go_on(turn, deadline, record.delivery)
            self.services.pruner.sweep(deadline, record.delivery)
            return {
                "room": request.room,
                "seq": receipt.stored.seq,
                "epoch": receipt.stored.epoch,
                "id": receipt.stored.id,
                "duplicate": receipt.duplicate,
            }

    def _disconnect(self, fields: Mapping[str, Any], deadline: float, delivery: Delivery) -> int:
        request = parse_request("disconnect", fields, Disconnect)
        if (request.name is None) == (request.connection is None):
            raise BadRequest("name", "or connection must be given, and not both")
        # Coming back at once is not asked for; who has a token can.
        goodbye = Goodbye(code="disconnected", reason=request.reason, retry_after=None)
        found = self._found(request)
        for connection in found:
            broadcaster = self.services.broadcaster
            broadcaster.dismiss(connection, goodbye, deadline, delivery)
            changes = self.services.connections.remove(connection.id)
            self.services.announcer.tell(changes or [], deadline, delivery)
        return len(found)

    def _ban(self, fields: Mapping[str, Any], deadline: float, delivery: Delivery) -> int:
        request = parse_request("ban", fields, Ban)
        self.services.bans.impose(request.name, request.room, request.seconds)
        if not request.seconds:
            return 0
        there = [each for each in self._of_name(request.name) if request.room in each.rooms]
        for connection in there:
            change = self.services.connections.leave(connection, request.room)
            self.services.announcer.tell([change], deadline, delivery)
            self.services.broadcaster.send(connection, Left(room=request.room), deadline, delivery)
        return len(there)

    def _found(self, request: Disconnect) -> list[Connection]:
        if request.name is not None:
            return self._of_name(request.name)
        connection = self.services.connections.get(str(request.connection))
        return [connection] if connection else []

    def _of_name(self, name: str) -> list[Connection]:
        members = self.services.rooms.members(personal_room(name))
        found = (self.services.connections.get(member.id) for member in members)
        return [connection for connection in found if connection is not None]


def _refuse(record: Record, event: object, error: RequestError) -> dict[str, Any]:
    record.fail(error)
    told: dict[str, Any] = msgspec.to_builtins(explain(error, "", event if isinstance(event, dict) else {}))
    return told
