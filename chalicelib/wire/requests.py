"""Frames in: what a client can ask for, one struct per action, and how a frame becomes one."""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from ..errors import BadJson, BadRequest
from .fields import AnyRoom, Cursor, Epoch, Field, Name, Ref, Room, Text, Token

LOBBY = Room("lobby")
LONGEST_HISTORY = 100
MOST_MEMBERS = 500

_AT_FIELD = re.compile(r"(?P<why>.*) - at `\$\.(?P<field>\w+)`")


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a client can send with every action. Subclasses add the fields of theirs."""

    ref: Ref | None = None


class OnMessage(Request, frozen=True):
    """Say something to every connection in a room, yours included.

    With a ``ref`` it is idempotent: the same ref from the same user in the same room is answered with
    the first ack, and nothing is sent again.
    """

    message: Text
    room: Room = LOBBY


class PrivateMessage(Request, frozen=True):
    """Say something to every connection of a user, and to your own."""

    to: Name
    message: Text


class JoinRoom(Request, frozen=True):
    """Join a room, beside those that you are in. The others in it see you come."""

    room: Room


class LeaveRoom(Request, frozen=True):
    """Leave a room. The others in it see you go."""

    room: Room


class TypingIndicator(Request, frozen=True):
    """Show the others in a room that you are typing, or have stopped. In a crowd nobody is told."""

    room: Room = LOBBY
    typing: bool = True


class Who(Request, frozen=True):
    """Ask who is in a room: for the first page, or for the one ``after`` another.

    ``after`` is what the answer with the other page gave. ``limit`` is the number of connections on a page;
    a page can have fewer and not be the last.
    """

    room: Room = LOBBY
    limit: Annotated[int, Meta(ge=1, le=MOST_MEMBERS)] = MOST_MEMBERS
    after: Cursor | None = None


class ListRooms(Request, frozen=True):
    """Ask which rooms have members."""


class History(Request, frozen=True):
    """Ask for the stored messages of a room: the newest, or those after or before a ``seq``.

    A client that comes back asks for those ``after`` the last it has, with the ``epoch`` that it had; and,
    as long as the answer says ``more``, for those after its ``through``.
    The room can be your own personal one, ``@name``, which has the private messages sent to you.
    """

    room: AnyRoom = AnyRoom(LOBBY)
    after: Annotated[int, Meta(ge=0)] | None = None
    before: Annotated[int, Meta(ge=0)] | None = None
    epoch: Epoch | None = None
    limit: Annotated[int, Meta(ge=1, le=LONGEST_HISTORY)] = 50


class SetName(Request, frozen=True):
    """Take a name, or another one, on this connection; not where names come from tokens."""

    name: Name


class Authenticate(Request, frozen=True):
    """Go on with a newer token, of the same name, before the one that this connection has expires.

    Its rooms count from then on: those that it does not allow are left.
    """

    token: Token


class Ping(Request, frozen=True):
    """Ask for a pong. One in every ten minutes keeps an idle connection open."""


class Help(Request, frozen=True):
    """Ask which actions there are."""


R = TypeVar("R", bound=Request)


def parse_frame(body: str) -> dict[str, Any]:
    """Parse a text frame into the object that it must be.

    Raises:
        BadJson: It is no JSON (``NaN``, lone surrogates, numbers out of range and endless nesting
            are none), is no object, or gives a field twice.
    """
    try:
        frame = msgspec.json.decode(body)
        # msgspec is the stricter parser, but only the standard library's shows a repeated field.
        json.loads(body, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise BadJson("the frame is not valid JSON") from error
    if not isinstance(frame, dict):
        raise BadJson('a frame must be a JSON object, such as {"action": "help"}')
    return frame


def parse_request(action: str, fields: Mapping[str, Any], kind: type[R]) -> R:
    """Turn the fields that came with an action into its request.

    Args:
        action: Name of the action, for the error.
        fields: The frame without ``action``.
        kind: The request that the action takes.

    Raises:
        BadRequest: A field is missing, unknown, or breaks its rule.
    """
    known = _fields(kind)
    for name in fields:
        if name not in known:
            raise BadRequest(shown(name), f"is not a field of {action}")
    for name, field in known.items():
        if field.required and name not in fields:
            raise BadRequest(name, "is missing")
    try:
        return msgspec.convert(fields, kind, dec_hook=_parse_field)
    except msgspec.ValidationError as error:
        # "Expected `int`, got `str`" becomes "must be int, not str", as our own rules are worded.
        why = str(error).replace("Expected", "must be").replace(", got", ", not")
        at = _AT_FIELD.fullmatch(why)
        where, why = (at["field"], at["why"]) if at else (action, why)
        raise BadRequest(where, why.replace("`", "")) from error


def shown(name: str) -> str:
    """Quote what a client made up, so that it is fit for an error line: printable and short."""
    return ascii(name if len(name) <= 40 else name[:40] + "...")


@cache
def _fields(kind: type[Request]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(kind)}


def _parse_field(kind: type[Field], value: object) -> Field:
    return kind.parse(value)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a field is given twice")
    return fields
