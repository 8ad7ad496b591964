"""Frames as a client sends and gets them."""

import json
from collections.abc import Mapping
from typing import TypeAlias, get_args

import msgspec

from chalicelib.wire.events import (
    Ack,
    Authenticated,
    Error,
    Goodbye,
    HelpText,
    Joined,
    Left,
    Message,
    Messages,
    Named,
    Occupancy,
    Pong,
    Presence,
    Private,
    RoomList,
    StoredMessages,
    Typing,
    WhoIsThere,
)

Reply: TypeAlias = (
    Ack
    | Authenticated
    | Error
    | HelpText
    | Joined
    | Left
    | Named
    | Pong
    | RoomList
    | StoredMessages
    | WhoIsThere
)
Told: TypeAlias = Message | Messages | Private | Presence | Occupancy | Typing | Goodbye


class _Kind(msgspec.Struct):
    type: str | None = None


_KNOWN = {event.__struct_config__.tag for event in (*get_args(Reply), *get_args(Told))}
_KIND = msgspec.json.Decoder(_Kind)
_EVENT: msgspec.json.Decoder[Reply | Told] = msgspec.json.Decoder(Reply | Told)


def decode(frame: str | bytes) -> Reply | Told | None:
    """Read an event; None for one of a type that this client does not know, as later servers may send.

    Raises:
        msgspec.DecodeError: It is no JSON, or not what its type promises.
    """
    return _EVENT.decode(frame) if _KIND.decode(frame).type in _KNOWN else None


def encode(action: str, ref: str, fields: Mapping[str, object]) -> str:
    """Write a request; a field that is None is left out."""
    given = {name: value for name, value in fields.items() if value is not None}
    return json.dumps({"action": action, **given, "ref": ref}, ensure_ascii=False)
