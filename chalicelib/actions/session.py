"""What a connection asks about itself and the chat."""

import msgspec

from ..errors import Forbidden
from ..wire.events import Authenticated, HelpText, Left, Named, Pong
from ..wire.requests import Authenticate, Help, Ping, SetName
from .call import Call


def set_name(request: SetName, call: Call) -> Named:
    """Give the caller a name, and tell its rooms: the old name may leave them, the new one join."""
    call.must_be_registered()
    if call.caller.token_expires_at is not None:
        raise Forbidden("your name is that of your token")
    call.must_not_be_banned(request.name, call.caller.public_rooms)
    call.announce(call.services.connections.rename(call.caller, request.name))
    return Named(name=request.name, ref=request.ref)


def authenticate(request: Authenticate, call: Call) -> Authenticated:
    """Let the caller go on by another token, and make it leave what that one does not allow."""
    call.must_be_registered()
    identity = call.services.door.renew(request.token)
    if identity.name != call.caller.name:
        raise Forbidden("the token is of another name")
    connections = call.services.connections
    call.announce(connections.renew(call.caller, identity))
    call.caller = call.caller.identified(identity)
    for room in call.caller.public_rooms:
        if not call.caller.may_enter(room):
            call.announce([connections.leave(call.caller, room)])
            call.tell_caller(Left(room=room))
    return Authenticated(name=identity.name, expires_at=identity.expires_at, ref=request.ref)


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
