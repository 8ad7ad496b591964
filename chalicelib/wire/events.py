"""Frames out: what a client is told, one struct per event, and the two forms that it is told in.

A connection that asked for the subprotocol ``chat.v1`` gets JSON objects with a ``type``; one that
asked for none (wscat) gets lines of text, and nothing where an event has no line.
"""

import re
from enum import StrEnum
from typing import ClassVar, Literal

import msgspec

from ..errors import TooLarge
from .fields import Field
from .requests import LOBBY

# API Gateway sends messages of up to 128 KB.
LARGEST = 128 * 1024
# What is left is for the rest of the event.
LARGEST_LIST = LARGEST - 8 * 1024

_LINE_BREAKS = re.compile(r"[\n\u2028\u2029]")


class Form(StrEnum):
    """How a connection wants its events."""

    TEXT = "text"
    JSON = "json"


class Event(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="type"):
    """Something that a client is told.

    Attributes:
        passing: It is of no use any more when it comes late.
    """

    passing: ClassVar[bool] = False

    def lines(self) -> list[str]:
        """The event in lines of text; none where the text form says nothing."""
        raise NotImplementedError


class Message(Event, frozen=True, tag="message"):
    """Somebody said something in a room.

    ``seq`` grows by one per message of the room and ``epoch``; ``from`` is null for a nameless
    sender; ``sentAt`` is the server's clock, in ms.
    """

    room: str
    seq: int
    epoch: str
    id: str
    sender: str | None = msgspec.field(name="from")
    message: str
    sent_at: int

    def lines(self) -> list[str]:
        return [f"{_where(self.room)}{self.sender or 'Echo'}: {self.message}"]


class Private(Event, frozen=True, tag="private"):
    """Somebody said something to a user; the sender's own connections see it too."""

    id: str
    sender: str | None = msgspec.field(name="from")
    to: str
    message: str
    sent_at: int

    def lines(self) -> list[str]:
        return [f"{self.sender or 'Echo'} -> {self.to}: {self.message}"]


class Ack(Event, frozen=True, tag="ack"):
    """What you sent is stored, or passed on in the case of ``typingIndicator``.

    ``seq``, ``epoch`` and ``id`` are the stored message's, null for ``typingIndicator``. ``duplicate``
    says that the ``ref`` had been used before: the three are of the message that it was used for.
    """

    room: str
    seq: int | None = None
    epoch: str | None = None
    id: str | None = None
    duplicate: bool = False
    ref: str | None = None

    def lines(self) -> list[str]:
        return []


class Joined(Event, frozen=True, tag="joined"):
    """You are in a room.

    Whatever is said from now on has a greater ``seq`` and is sent to you, or is in the history after
    ``seq``. ``members`` has names with their numbers of connections, 500 at most; ``count`` is the
    number of all connections there.
    """

    room: str
    seq: int
    epoch: str | None
    members: dict[str, int]
    count: int
    ref: str | None = None

    def lines(self) -> list[str]:
        return [f"Joined {self.room} ({self.count} here)"]


class Left(Event, frozen=True, tag="left"):
    """You are not in a room any more."""

    room: str
    ref: str | None = None

    def lines(self) -> list[str]:
        return [f"Left {self.room}"]


class Presence(Event, frozen=True, tag="presence"):
    """The first connection of a user came into a room that you are in, or the last one went."""

    room: str
    name: str
    event: Literal["join", "leave"]

    def lines(self) -> list[str]:
        return [f"* {self.name} {'joined' if self.event == 'join' else 'left'} {self.room}"]


class Typing(Event, frozen=True, tag="typing"):
    """Somebody in a room is typing, or has stopped."""

    passing = True

    room: str
    sender: str | None = msgspec.field(name="from")
    typing: bool

    def lines(self) -> list[str]:
        return []


class WhoIsThere(Event, frozen=True, tag="who"):
    """Who is in a room: names with their numbers of connections, 500 at most.

    ``nameless`` is the number of connections without a name, ``count`` that of all.
    """

    room: str
    members: dict[str, int]
    nameless: int
    count: int
    ref: str | None = None

    def lines(self) -> list[str]:
        names = [f"{name} ({number})" for name, number in self.members.items()]
        nameless = [f"{self.nameless} nameless"] if self.nameless else []
        return [f"In {self.room}: {', '.join(names + nameless) or 'nobody'}"]


class RoomList(Event, frozen=True, tag="rooms"):
    """The rooms that have members, with their numbers of connections: the 1,000 largest at most."""

    rooms: dict[str, int]
    ref: str | None = None

    def lines(self) -> list[str]:
        return [f"Rooms: {', '.join(f'{room} ({count})' for room, count in self.rooms.items()) or 'none'}"]


class StoredMessages(Event, frozen=True, tag="history"):
    """Stored messages of a room, ascending in ``seq``.

    ``seq`` and ``epoch`` are the room's newest. ``more`` says that there are further messages in the
    direction that was asked for: ask again, after the last or before the first of these. ``complete``
    says that nothing that was asked for is missing: false where part of it has expired, was never
    stored, or the ``epoch`` of the request is not the room's. A ``seq`` that a complete answer leaves
    out was never used, and never will be.
    """

    room: str
    seq: int
    epoch: str | None
    messages: list[Message]
    more: bool
    complete: bool
    ref: str | None = None

    def lines(self) -> list[str]:
        told = [line for message in self.messages for line in message.lines()]
        return told or [f"No messages in {self.room}"]


class Named(Event, frozen=True, tag="named"):
    """This connection has the name that it asked for, in its normal form."""

    name: str
    ref: str | None = None

    def lines(self) -> list[str]:
        return [f"You are {self.name}"]


class Authenticated(Event, frozen=True, tag="authenticated"):
    """This connection goes on under its name, until the token expires: ``expiresAt`` is Unix time in s."""

    name: str
    expires_at: int
    ref: str | None = None

    def lines(self) -> list[str]:
        return [f"You are {self.name} for longer"]


class Pong(Event, frozen=True, tag="pong"):
    """This connection is open, both ways."""

    ref: str | None = None

    def lines(self) -> list[str]:
        return ["pong"]


class HelpText(Event, frozen=True, tag="help"):
    """The actions, each with its fields, those that can be left out in brackets."""

    actions: dict[str, list[str]]
    ref: str | None = None

    def lines(self) -> list[str]:
        return ["; ".join(" ".join([action, *fields]) for action, fields in self.actions.items())]


class Goodbye(Event, frozen=True, tag="goodbye"):
    """The server is about to close this connection.

    ``retryAfter`` is the time in s after which to connect again, null where that would not help.
    """

    code: str
    reason: str
    retry_after: int | None

    def lines(self) -> list[str]:
        return [self.reason]


class Error(Event, frozen=True, tag="error"):
    """A frame was not done. ``action`` and ``ref`` are the frame's, where it had them.

    ``retryAfter`` is the time in s after which to try again, with ``rate_limited``; null otherwise.
    """

    code: str
    message: str
    action: str | None = None
    retry_after: int | None = None
    ref: str | None = None

    def lines(self) -> list[str]:
        return [f"Error: {self.message}"]


def render(event: Event, form: Form) -> str | None:
    """Render an event for the wire; None where this form says nothing.

    Raises:
        TooLarge: It is more than API Gateway sends.
    """
    if form is Form.JSON:
        payload = _ENCODER.encode(event)
    else:
        # A message of two lines must not look like two messages.
        payload = "\n".join(_LINE_BREAKS.sub(" ⏎ ", line) for line in event.lines()).encode()
    if len(payload) > LARGEST:
        raise TooLarge(len(payload), LARGEST)
    return payload.decode() or None


def _where(room: str) -> str:
    return "" if room == LOBBY else f"[{room}] "


def _plain(value: object) -> str:
    if isinstance(value, Field):
        return str(value)
    raise NotImplementedError(f"{type(value)} has no place in an event")


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)
