"""Reading what was said."""

from ..errors import BadRequest
from ..wire.events import LARGEST_LIST, Form, Message, StoredMessages, render
from ..wire.requests import History
from .call import Call


def history(request: History, call: Call) -> StoredMessages:
    """Give a part of a room's log, as much of it as one event can hold."""
    call.must_be_in(request.room)
    if request.after is not None and request.before is not None:
        raise BadRequest("before", "cannot be given with after")
    page = call.services.messages.page(
        request.room, request.limit, after=request.after, before=request.before, epoch=request.epoch
    )
    messages = [
        Message(
            room=stored.room,
            seq=stored.seq,
            epoch=stored.epoch,
            id=stored.id,
            sender=stored.sender,
            message=stored.text,
            sent_at=stored.sent_at,
        )
        for stored in page.messages
    ]
    fitting = _fitting(messages, newest=request.after is None)
    return StoredMessages(
        room=request.room,
        seq=page.position.seq,
        epoch=page.position.epoch,
        messages=fitting,
        more=page.more or len(fitting) < len(messages),
        complete=page.complete,
        ref=request.ref,
    )


def _fitting(messages: list[Message], newest: bool) -> list[Message]:
    """Keep as many messages as one event can hold: the last of them, or the first."""
    ordered = messages[::-1] if newest else messages
    room = LARGEST_LIST
    kept = 0
    for message in ordered:
        room -= len((render(message, Form.JSON) or "").encode()) + 1
        if room < 0:
            break
        kept += 1
    return ordered[:kept][::-1] if newest else ordered[:kept]
