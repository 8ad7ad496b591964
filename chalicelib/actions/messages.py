"""Saying something to a room."""

import secrets

from ..wire.events import Message
from ..wire.requests import OnMessage
from .call import Call


def on_message(request: OnMessage, call: Call) -> None:
    """Send a message to every connection in its room, the sender's included."""
    call.must_be_in(request.room)
    message = Message(
        room=request.room,
        id=secrets.token_hex(8),
        sender=call.caller.name,
        message=request.message,
        sent_at=call.now_ms,
    )
    call.publish(request.room, message)
