"""Reading what was said."""

from ..errors import BadRequest
from ..told import message_of
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
    call.rescue(request.room, page.position)
    messages = [message_of(stored) for stored in page.messages]
    fitting = _fitting(messages, newest=request.after is None)
    is_cut = len(fitting) < len(messages)
    return StoredMessages(
        room=request.room,
        seq=page.position.seq,
        epoch=page.position.epoch,
        messages=fitting,
        through=fitting[-1].seq if is_cut and request.after is not None else page.through,
        more=page.more or is_cut,
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
