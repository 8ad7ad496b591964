"""Frames out: what a client is told, one struct per event, and the two forms that it is told in.

A connection that asked for the subprotocol ``chat.v1`` gets JSON objects with a ``type``; one that
asked for none (wscat) gets lines of text, and nothing where an event has no line.
"""

import re
from enum import StrEnum

import msgspec

from .fields import Field
from .requests import LOBBY

_LINE_BREAKS = re.compile(r"[\n\u2028\u2029]")


class Form(StrEnum):
    """How a connection wants its events."""

    TEXT = "text"
    JSON = "json"


class Event(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="type"):
    """Something that a client is told."""

    def line(self) -> str | None:
        """The event as one line of text, None where the text form says nothing."""
        raise NotImplementedError


class Message(Event, frozen=True, tag="message"):
    """Somebody said something in a room. ``sent_at`` is the server's clock, in ms."""

    room: str
    id: str
    sender: str | None = msgspec.field(name="from")
    message: str
    sent_at: int

    def line(self) -> str:
        where = "" if self.room == LOBBY else f"[{self.room}] "
        return f"{where}{self.sender or 'Echo'}: {self.message}"


class Pong(Event, frozen=True, tag="pong"):
    """The answer to ``ping``."""

    ref: str | None = None

    def line(self) -> str:
        return "pong"


class HelpText(Event, frozen=True, tag="help"):
    """The answer to ``help``: each action with its fields, those with a default in brackets."""

    actions: dict[str, list[str]]
    ref: str | None = None

    def line(self) -> str:
        return "; ".join(f"{action} {' '.join(fields)}".strip() for action, fields in self.actions.items())


class Error(Event, frozen=True, tag="error"):
    """A frame was not done. ``action`` and ``ref`` are the frame's, where it had them."""

    code: str
    message: str
    action: str | None = None
    ref: str | None = None

    def line(self) -> str:
        return f"Error: {self.message}"


def render(event: Event, form: Form) -> str | None:
    """Render an event for the wire; None where this form says nothing."""
    if form is Form.JSON:
        return _ENCODER.encode(event).decode()
    line = event.line()
    # A message of two lines must not look like two messages.
    return None if line is None else _LINE_BREAKS.sub(" ⏎ ", line)


def _plain(value: object) -> str:
    if isinstance(value, Field):
        return str(value)
    raise NotImplementedError(f"{type(value)} has no place in an event")


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)
