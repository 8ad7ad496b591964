"""What a connection asks about itself and the chat."""

import msgspec

from ..wire.events import HelpText, Named, Pong
from ..wire.requests import Help, Ping, SetName
from .call import Call


def set_name(request: SetName, call: Call) -> Named:
    """Give the caller a name, and tell its rooms: the old name may leave them, the new one join."""
    call.announce(call.services.connections.rename(call.caller, request.name))
    return Named(name=request.name, ref=request.ref)


def ping(request: Ping, call: Call) -> Pong:
    """Answer, and so keep the connection from idling."""
    return Pong(ref=request.ref)


def show_help(request: Help, call: Call) -> HelpText:
    """List the actions with their fields, those that can be left out in brackets."""
    return HelpText(
        actions={
            name: [
                field.name if field.required else f"[{field.name}]"
                for field in msgspec.structs.fields(action.request)
            ]
            for name, action in call.services.actions.items()
        },
        ref=request.ref,
    )
