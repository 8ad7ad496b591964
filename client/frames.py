"""Frames as a client sends and gets them."""

import json
import logging
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

from .errors import Unsendable

# API Gateway takes no larger frame, in bytes.
LARGEST_FRAME = 32 * 1024

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


_log = logging.getLogger(__name__)


class GatewayError(msgspec.Struct, rename="camel"):
    """API Gateway's own answer to a frame that did not reach the chat, or came to nothing there.

    It does not say which frame that was.

    Attributes:
        message: What went wrong, such as ``"Internal server error"`` or ``"Too Many Requests"``.
        request_id: API Gateway's id of the request.
    """

    message: str
    request_id: str


class _Kind(msgspec.Struct, rename="camel"):
    type: str | None = None
    request_id: str | None = None


_KNOWN = {event.__struct_config__.tag for event in (*get_args(Reply), *get_args(Told))}
_KIND = msgspec.json.Decoder(_Kind)
_EVENT: msgspec.json.Decoder[Reply | Told] = msgspec.json.Decoder(Reply | Told)
_GATEWAY_ERROR = msgspec.json.Decoder(GatewayError)


def decode(frame: str | bytes) -> Reply | Told | GatewayError | None:
    """Read an event.

    Returns:
        The event. None for one of a type that this client does not know, as later servers may send, and for a
        frame that is not an event at all, which is logged without its contents.
    """
    try:
        kind = _KIND.decode(frame)
        if kind.type in _KNOWN:
            return _EVENT.decode(frame)
        return _GATEWAY_ERROR.decode(frame) if kind.type is None and kind.request_id else None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        _log.warning("a frame of %d bytes is ignored: %s", len(frame), type(error).__name__)
        return None


def encode(action: str, ref: str, fields: Mapping[str, object]) -> str:
    """Write a request; a field that is None is left out.

    Raises:
        Unsendable: It is too large, or not text: it has one half of a surrogate pair.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    frame = json.dumps({"action": action, **given, "ref": ref}, ensure_ascii=False)
    try:
        size = len(frame.encode())
    except UnicodeEncodeError:
        raise Unsendable(f"{action}: the text has one half of a surrogate pair, which has no UTF-8") from None
    if size > LARGEST_FRAME:
        raise Unsendable(f"{action}: the frame has {size:,} bytes, and at most {LARGEST_FRAME:,} are sent")
    return frame
