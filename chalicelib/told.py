"""What clients are told of what is stored."""

from collections.abc import Sequence

from .storage.messages import Stored
from .wire.events import Event, Message, Messages, Private, frames


def message_of(stored: Stored) -> Message:
    """A message, as its room and its history have it."""
    return Message(
        room=stored.room,
        seq=stored.seq,
        epoch=stored.epoch,
        id=stored.id,
        sender=stored.sender,
        message=stored.text,
        sent_at=stored.sent_at,
    )


def private_of(stored: Stored) -> Private:
    """A private message: the room that it is stored in is the personal one of whom it is for."""
    return Private(
        id=stored.id,
        sender=stored.sender,
        to=stored.room.removeprefix("@"),
        message=stored.text,
        sent_at=stored.sent_at,
    )


def first_event(messages: Sequence[Stored]) -> tuple[Event, int]:
    """The event that tells a room of the first of these messages, and how many of them it has in it."""
    if messages[0].room.startswith("@"):
        return private_of(messages[0]), 1
    event = frames([message_of(stored) for stored in messages])[0]
    return event, len(event.messages) if isinstance(event, Messages) else 1
