"""Everything that a client can ask for. An action that is not here does not exist."""

from collections.abc import Mapping
from types import MappingProxyType

from ..wire.requests import Help, OnMessage, Ping
from . import messages, session
from .call import Action

ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "onMessage": Action(OnMessage, messages.on_message),
        "ping": Action(Ping, session.ping),
        "help": Action(Help, session.show_help),
    }
)
