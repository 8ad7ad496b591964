"""Everything that a client can ask for, and what it costs. An action that is not here does not exist.

A frame takes its cost from a bucket that gets ``CHAT_RATE_PER_SECOND`` tokens. The costs keep two bounds,
at the default rate of 10: a client that does nothing else makes the owner pay about a tenth of what an
account has at most, 1,000 of 10,000 requests a second, likewise in metered units of 32 KB; and an honest
client is not held up. In the table, n is the connections in a room; the frame itself and its reply count
too. In rooms above ``CHAT_PRESENCE_MEMBERS``, here 100, nobody is told who comes, goes or types.

=============== ======= ===================== ============================ =============================
Action          Tokens  Requests or units     A second, at the most        An honest client
=============== ======= ===================== ============================ =============================
onMessage       1 and   n + 2                 1,010 for 99, 911 for 1,000  10 a second, 5 in a room of
                n / 100                                                    100, nearly 1 in one of 1,000
privateMessage  2       2 * 20 + 2            210                          5 a second
joinRoom        3       n + 1, 2 above 100    337 for 100                  50 rooms in 13 s; those of the
                                                                           URL cost no tokens
leaveRoom       3       n + 1, 2 above 100    337 for 100
typingIndicator 2       n + 1, 2 above 100    505 for 100                  one in some seconds
who             5       4, for 500 names      8                            one for each room looked at
listRooms       5       4, for 1,000 rooms    8                            one for each look around
history         2       5                     25                           the logs of 50 rooms in 8 s,
                                                                           after a connection was lost
setName         10      2 * n, 2 above 100    200 for 100                  once
authenticate    1       2                     20                           once for each token, and it
                                                                           must not fail
ping, help      1       2                     20                           one in some minutes
=============== ======= ===================== ============================ =============================

``history`` is not as cheap as its answer: it reads up to 1 MB of a room's log, whose partition gives 12 MB
a second. No cost is above the whole burst: from 2,000 connections on, a client can say something each 2 s.
A name is changed in all rooms of a connection, so 50 rooms of 100 take 50 times as much.
"""

from collections.abc import Mapping
from types import MappingProxyType

from ..wire import requests
from . import history, messages, rooms, session
from .call import Action

ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "onMessage": Action(requests.OnMessage, messages.on_message, cost=1, crowd=100),
        "privateMessage": Action(requests.PrivateMessage, messages.private_message, cost=2),
        "joinRoom": Action(requests.JoinRoom, rooms.join_room, cost=3),
        "leaveRoom": Action(requests.LeaveRoom, rooms.leave_room, cost=3),
        "typingIndicator": Action(requests.TypingIndicator, messages.typing_indicator, cost=2),
        "who": Action(requests.Who, rooms.who, cost=5),
        "listRooms": Action(requests.ListRooms, rooms.list_rooms, cost=5),
        "history": Action(requests.History, history.history, cost=2),
        "setName": Action(requests.SetName, session.set_name, cost=10),
        "authenticate": Action(requests.Authenticate, session.authenticate, cost=1),
        "ping": Action(requests.Ping, session.ping, cost=1),
        "help": Action(requests.Help, session.show_help, cost=1),
    }
)
