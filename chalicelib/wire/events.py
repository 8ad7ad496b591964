"""Frames out: what a client is told, one struct per event, and the two forms that it is told in.

A connection that asked for the subprotocol ``chat.v1`` gets JSON objects with a ``type``; one that
asked for none (wscat) gets lines of text, and nothing where an event has no line.
"""

import json
import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar, Literal

import msgspec

from ..errors import TooLarge
from .fields import Field
from .lookalikes import JOINERS, skeleton
from .requests import LOBBY

# API Gateway sends messages of up to 128 KB.
LARGEST = 128 * 1024
# What is left is for the rest of the event.
LARGEST_LIST = LARGEST - 8 * 1024
# API Gateway meters what is sent in units of 32 KB: a frame below that counts once.
METERED = 32 * 1024

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
        return [f"{_where(self.room)}{_sender(self.sender)}: {self.message}"]


class Messages(Event, frozen=True, tag="messages"):
    """Several messages of a room in one frame, ascending in ``seq``: what was said in quick succession.

    They are of one ``room`` and ``epoch``, and each is as in ``message``.
    """

    room: str
    epoch: str
    messages: list[Message]

    def lines(self) -> list[str]:
        return [line for message in self.messages for line in message.lines()]


class Private(Event, frozen=True, tag="private"):
    """Somebody said something to a user; the sender's own connections see it too."""

    id: str
    sender: str | None = msgspec.field(name="from")
    to: str
    message: str
    sent_at: int

    def lines(self) -> list[str]:
        return [f"{_sender(self.sender)} -> {_name(self.to)}: {self.message}"]


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
    ``seq``. ``members`` has names with their numbers of connections; ``count`` is the number of all
    connections there. In a crowd, ``members`` is empty: ask ``who``. A crowd is a room of more than 100
    connections, or however many the chat sets by ``CHAT_PRESENCE_MEMBERS``.
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


class Presence(Event, frozen=True, tag="presence", omit_defaults=True):
    """The first connection of a user came into a room that you are in, or the last one went.

    A crowd is not told: it hears ``occupancy``. ``at`` is the server's clock, in ms: of two of these events
    about the same name in the same room, the one with the smaller ``at`` is outdated. Where several users
    left at once, ``names`` has all of them, and ``name`` is the first; otherwise it is left out.
    """

    room: str
    name: str
    event: Literal["join", "leave"]
    at: int
    names: list[str] | None = None

    def lines(self) -> list[str]:
        who = ", ".join(map(_name, self.names or [self.name]))
        return [f"* {who} {'joined' if self.event == 'join' else 'left'} {self.room}"]


class Occupancy(Event, frozen=True, tag="occupancy"):
    """The number of connections in a crowd that you are in has changed.

    A crowd is told this, once in some seconds at most, in place of ``presence`` and ``typing``.
    """

    passing = True

    room: str
    count: int

    def lines(self) -> list[str]:
        return []


class Typing(Event, frozen=True, tag="typing"):
    """Somebody in a room is typing, or has stopped. A crowd is not told."""

    passing = True

    room: str
    sender: str | None = msgspec.field(name="from")
    typing: bool

    def lines(self) -> list[str]:
        return []


class WhoIsThere(Event, frozen=True, tag="who"):
    """A page of who is in a room: names with their numbers of connections.

    ``nameless`` is the number of connections without a name on this page; ``count`` is the number of all
    connections in the room. ``more`` says that there are further pages: ask again with this ``after``, which
    means nothing else and is null on the last page. A name whose connections are on two pages is on both, and
    its numbers add up.
    """

    room: str
    members: dict[str, int]
    nameless: int
    count: int
    more: bool = False
    after: str | None = None
    ref: str | None = None

    def lines(self) -> list[str]:
        names = [f"{_name(name)} ({number})" for name, number in self.members.items()]
        nameless = [f"{self.nameless} nameless"] if self.nameless else []
        more = f"; more after {self.after}" if self.more else ""
        return [f"In {self.room}: {', '.join(names + nameless) or 'nobody'}{more}"]


class RoomList(Event, frozen=True, tag="rooms"):
    """The rooms that have members, with their numbers of connections: the 1,000 largest at most."""

    rooms: dict[str, int]
    ref: str | None = None

    def lines(self) -> list[str]:
        return [f"Rooms: {', '.join(f'{room} ({count})' for room, count in self.rooms.items()) or 'none'}"]


class StoredMessages(Event, frozen=True, tag="history"):
    """Stored messages of a room, ascending in ``seq``.

    ``seq`` and ``epoch`` are the room's newest. ``through`` is how far the answer reaches: every message up
    to that number that there is, or ever will be, is in the answer or has expired, counted from ``after``,
    or from the first of these messages where no ``after`` was given. A greater number may be in use, and
    its message not stored yet. ``more`` says that there may be further messages in the direction that was
    asked for, even if this answer has none. Ask again: after ``through``, or before the first of these.
    ``complete`` says that nothing is missing from the answer, as far as it reaches: false where part of it
    has expired, was never stored, or the ``epoch`` of the request is not the room's. A ``seq`` that
    a complete answer leaves out was never used, and never will be.
    """

    room: str
    seq: int
    epoch: str | None
    messages: list[Message]
    more: bool
    complete: bool
    through: int
    ref: str | None = None

    def lines(self) -> list[str]:
        told = [line for message in self.messages for line in message.lines()]
        return told or [f"No messages in {self.room}"]


class Named(Event, frozen=True, tag="named"):
    """This connection has the name that it asked for, in its normal form."""

    name: str
    ref: str | None = None

    def lines(self) -> list[str]:
        return [f"You are {_name(self.name)}"]


class Authenticated(Event, frozen=True, tag="authenticated"):
    """This connection goes on under its name, until the token expires: ``expiresAt`` is Unix time in s."""

    name: str
    expires_at: int
    ref: str | None = None

    def lines(self) -> list[str]:
        return [f"You are {_name(self.name)} for longer"]


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

    ``retryAfter`` is the time in s after which to connect again, null where that would not help. ``code`` is
    one of these, or one that later versions add:

    - ``not_registered``: the server does not know this connection any more.
    - ``token_expired``: the token of this connection has expired.
    - ``disconnected``: an operator ends it.
    - ``slow_reader``: it does not read what it is sent. What it has missed is in the history.
    - ``rate_limited``: it went on sending although it was told that it is too fast.
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


def frames(messages: Sequence[Message]) -> list[Event]:
    """Pack messages into as few frames as can be, each below ``METERED`` bytes in both forms.

    Args:
        messages: In the order in which they are to be sent. Those that follow each other in one room and
            epoch can share a frame.

    Returns:
        For each frame the event that it is: a ``Message`` where one is alone, otherwise ``Messages``.
    """
    if len(messages) == 1:
        return [messages[0]]
    packed: list[Event] = []
    batch: list[Message] = []
    left = dict.fromkeys(Form, 0)
    for message in messages:
        sizes = {form: len(_payload(message, form)) + 1 for form in Form}
        mixed = batch and (message.room, message.epoch) != (batch[0].room, batch[0].epoch)
        if mixed or any(sizes[form] > left[form] for form in Form):
            packed += _frame(batch)
            batch = []
            empty = Messages(room=message.room, epoch=message.epoch, messages=[])
            left = {form: METERED - len(_payload(empty, form)) for form in Form}
        batch.append(message)
        left = {form: left[form] - sizes[form] for form in Form}
    return packed + _frame(batch)


def render(event: Event, form: Form) -> str | None:
    """Render an event for the wire; None where this form says nothing.

    Raises:
        TooLarge: It is more than API Gateway sends.
    """
    payload = _payload(event, form)
    if len(payload) > LARGEST:
        raise TooLarge(len(payload), LARGEST)
    return payload.decode() or None


def _payload(event: Event, form: Form) -> bytes:
    if form is Form.JSON:
        return _ENCODER.encode(event)
    # A message of two lines must not look like two messages.
    return "\n".join(_LINE_BREAKS.sub(" ⏎ ", line) for line in event.lines()).encode()


def _frame(batch: Sequence[Message]) -> list[Event]:
    if len(batch) <= 1:
        return list(batch)
    return [Messages(room=batch[0].room, epoch=batch[0].epoch, messages=list(batch))]


def _name(name: str) -> str:
    r"""A name as a line has it: in quotes where it could be taken for anything else in a line.

    >>> print(_name("Zoë O'Neill"), _name("[cats] bob"), _name('a "b"'), _name("Error"))
    Zoë O'Neill "[cats] bob" "a \"b\"" "Error"
    """
    return name if _is_plain(name) else json.dumps(name, ensure_ascii=False)


def _is_plain(name: str) -> bool:
    """Whether no part of a name can be taken for another part of a line, or for its beginning."""
    words = _SIGNS.split(JOINERS.sub("", name))
    return all(
        word and all(unicodedata.category(letter)[0] in "LMN" and letter not in _COLONS for letter in word)
        for word in words
    ) and not any(skeleton(word).casefold() in _FIRST_WORDS for word in words[:1])


def _sender(name: str | None) -> str:
    return "Echo" if name is None else _name(name)


def _where(room: str) -> str:
    return "" if room == LOBBY else f"[{room}] "


def _plain(value: object) -> str:
    if isinstance(value, Field):
        return str(value)
    raise NotImplementedError(f"{type(value)} has no place in an event")


# Signs that part the words of a plain name, one between two of them, and mean nothing else in a line.
_SIGNS = re.compile("[ ._'\u2019-]")
# Letters that look like a colon.
_COLONS = "\u02d0\u02d1\ua789"
# What other lines begin with, and what the nameless are called.
_FIRST_WORDS = {
    skeleton(word).casefold()
    for word in ("Echo", "Error", "In", "Joined", "Left", "No", "Rooms", "You", "Your", "This", "pong")
}

_ENCODER = msgspec.json.Encoder(enc_hook=_plain)
