"""Saying something, to a room or to a user, and showing that one is about to."""

from ..errors import NotFound
from ..storage.connection import personal_room
from ..storage.messages import Draft, Receipt
from ..wire.events import Ack, Message, Private, Typing
from ..wire.requests import OnMessage, PrivateMessage, TypingIndicator
from .call import Call


def on_message(request: OnMessage, call: Call) -> Ack:
    """Store a message, and send it to every connection in its room, the sender's included."""
    call.must_be_in(request.room)
    draft = _draft(call, request.room, request.message, request.ref)
    receipt = call.services.messages.append(draft)
    if not receipt.duplicate:
        call.publish(request.room, message_of(draft, receipt), receipt.members_version)
    return _ack(request.room, receipt, request.ref)


def private_message(request: PrivateMessage, call: Call) -> Ack:
    """Store a message, and send it to every connection of a user and of the sender."""
    room = personal_room(request.to)
    if not any(True for _ in call.services.rooms.members(room)):
        raise NotFound(request.to)
    receipt = call.services.messages.append(_draft(call, room, request.message, request.ref))
    if not receipt.duplicate:
        message = Private(
            id=receipt.id,
            sender=call.caller.name,
            to=request.to,
            message=request.message,
            sent_at=call.now_ms,
        )
        call.publish(room, message)
        if call.caller.name is None:
            call.tell_caller(message)
        elif call.caller.name != request.to:
            call.publish(personal_room(call.caller.name), message)
    return _ack(room, receipt, request.ref)


def typing_indicator(request: TypingIndicator, call: Call) -> Ack:
    """Show the others in a room that the caller is typing, or has stopped. Nothing is stored."""
    call.must_be_in(request.room)
    typing = Typing(room=request.room, sender=call.caller.name, typing=request.typing)
    # One small read, in place of all members.
    version = call.services.messages.position(request.room).members_version
    call.publish_to_others(request.room, typing, version)
    return Ack(room=request.room, ref=request.ref)


def message_of(draft: Draft, receipt: Receipt) -> Message:
    """What a room is told of a message that has been stored."""
    return Message(
        room=draft.room,
        seq=receipt.seq,
        epoch=receipt.epoch,
        id=receipt.id,
        sender=draft.sender,
        message=draft.text,
        sent_at=draft.sent_at,
    )


def _draft(call: Call, room: str, text: str, ref: str | None) -> Draft:
    # '#' is in no name: a nameless connection's references cannot be taken for a user's.
    user = call.caller.name or f"#{call.caller.id}"
    return Draft(room, call.caller.name, text, call.now_ms, user, ref)


def _ack(room: str, receipt: Receipt, ref: str | None) -> Ack:
    return Ack(
        room=room,
        seq=receipt.seq,
        epoch=receipt.epoch,
        id=receipt.id,
        duplicate=receipt.duplicate,
        ref=ref,
    )
