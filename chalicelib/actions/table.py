"""Everything that a client can ask for. An action that is not here does not exist."""

from collections.abc import Mapping
from types import MappingProxyType

from ..wire import requests
from . import history, messages, rooms, session
from .call import Action

ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "onMessage": Action(requests.OnMessage, messages.on_message),
        "privateMessage": Action(requests.PrivateMessage, messages.private_message),
        "joinRoom": Action(requests.JoinRoom, rooms.join_room),
        "leaveRoom": Action(requests.LeaveRoom, rooms.leave_room),
        "typingIndicator": Action(requests.TypingIndicator, messages.typing_indicator),
        "who": Action(requests.Who, rooms.who),
        "listRooms": Action(requests.ListRooms, rooms.list_rooms),
        "history": Action(requests.History, history.history),
        "setName": Action(requests.SetName, session.set_name),
        "authenticate": Action(requests.Authenticate, session.authenticate),
        "ping": Action(requests.Ping, session.ping),
        "help": Action(requests.Help, session.show_help),
    }
)
