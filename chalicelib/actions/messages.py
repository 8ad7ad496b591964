"""Saying something, to a room or to a user, and showing that one is about to."""

from ..errors import NotFound
from ..storage.connection import personal_room
from ..storage.messages import Draft, Receipt
from ..told import private_of
from ..wire.events import Ack, Typing
from ..wire.requests import OnMessage, PrivateMessage, TypingIndicator
from .call import Call


def on_message(request: OnMessage, call: Call) -> Ack:
    """Store a message, and send it to every connection in its room, the sender's included."""
    call.must_be_in(request.room)
    return _ack(call.say(_draft(call, request.room, request.message, request.ref)), request.ref)


def private_message(request: PrivateMessage, call: Call) -> Ack:
    """Store a message, and send it to every connection of a user and of the sender."""
    room = personal_room(request.to)
    if not any(True for _ in call.services.rooms.members(room)):
        raise NotFound(request.to)
    receipt = call.say(_draft(call, room, request.message, request.ref))
    if not receipt.duplicate:
        message = private_of(receipt.stored)
        if call.caller.name is None:
            call.tell_caller(message)
        elif call.caller.name != request.to:
            call.publish(personal_room(call.caller.name), message)
    return _ack(receipt, request.ref)


def typing_indicator(request: TypingIndicator, call: Call) -> Ack:
    """Show the others in a room that the caller is typing, or has stopped. A crowd does not see it."""
    call.must_be_in(request.room)
    # One small read, in place of all members.
    head = call.services.messages.position(request.room)
    if not call.is_crowd(head):
        typing = Typing(room=request.room, sender=call.caller.name, typing=request.typing)
        call.publish_to_others(request.room, typing, head)
    return Ack(room=request.room, ref=request.ref)


def _draft(call: Call, room: str, text: str, ref: str | None) -> Draft:
    # '#' is in no name: a nameless connection's references cannot be taken for a user's.
    user = call.caller.name or f"#{call.caller.id}"
    return Draft(room, call.caller.name, text, call.now_ms, user, ref)


def _ack(receipt: Receipt, ref: str | None) -> Ack:
    stored = receipt.stored
    return Ack(
        room=stored.room,
        seq=stored.seq,
        epoch=stored.epoch,
        id=stored.id,
        duplicate=receipt.duplicate,
        ref=ref,
    )
