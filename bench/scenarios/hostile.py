"""One client does one thing as often as it may: what that costs the owner, in a small room and a large one.

Nothing is scaled here, and nothing is refused for a quota: it is counted. The clock stands still while the
chat works, so that a slow machine counts the same, and is put on by the time from one frame to the next.
"""

from collections.abc import Callable, Mapping
from typing import Any

from bench.scenarios.calm import costs
from bench.scenarios.effort import Effort
from bench.scenarios.person import Person
from bench.scenarios.stage import Stage
from chalicelib.actions.table import ACTIONS
from chalicelib.config import Settings
from tests.rig.clock import Clock
from tests.rig.faults import counted
from tests.rig.limits import Limits

MEMBERS = (10, 1_000)
ROOM = "lobby"
# Of each action.
FRAMES, QUICK_FRAMES = 20, 5
# After which a client's bucket is full, a Lambda has forgotten the members, and all that was put off is
# done; in s.
LONG = 120.0
AMPLE = 1e12
# The longest text that there can be, of the largest characters.
TEXT = "\N{GRINNING FACE}" * 4_000

# What a frame of each action is, given its number. What can be done once is undone in between.
ACTS: Mapping[str, Callable[[int], tuple[str, dict[str, Any]]]] = {
    "onMessage": lambda number: ("onMessage", {"room": ROOM, "message": f"{number}{TEXT}"}),
    "privateMessage": lambda number: ("privateMessage", {"to": "user1", "message": f"{number}{TEXT}"}),
    "joinRoom": lambda number: ("leaveRoom" if number % 2 else "joinRoom", {"room": ROOM}),
    "leaveRoom": lambda number: ("leaveRoom" if number % 2 else "joinRoom", {"room": ROOM}),
    "typingIndicator": lambda number: ("typingIndicator", {"room": ROOM, "typing": bool(number % 2)}),
    "history": lambda number: ("history", {"room": ROOM, "after": 0, "limit": 100}),
    "setName": lambda number: ("setName", {"name": f"hostile{number % 2}"}),
    "authenticate": lambda number: ("authenticate", {"token": "x.y.z"}),
}


async def play(effort: Effort) -> dict[str, Any]:
    """Play it."""
    limits = Limits(
        requests=AMPLE, request_burst=AMPLE, connections=AMPLE, invocations=1_000, writes=AMPLE, reads=AMPLE
    )
    table: dict[str, dict[str, Any]] = {}
    for members in MEMBERS:
        clock = Clock(1_700_000_000.0)
        async with Stage(limits, clock=clock) as stage:
            people = [stage.person(f"user{number}", ROOM) for number in range(members - 1)]
            await stage.gather(people)
            for action in ACTIONS:
                hostile = stage.person("hostile", ROOM)
                await stage.gather([hostile])
                clock.now += LONG
                await stage.rest()
                row = await act(stage, clock, hostile, action, members, effort)
                table.setdefault(action, {})[str(members)] = row
                hostile.stop()
                hostile.cut()
                clock.now += LONG
                await stage.rest()
    requests = {
        action: [row[str(members)]["requests"] for members in MEMBERS] for action, row in table.items()
    }
    small, large = MEMBERS
    return {
        "table": table,
        "growth": round(max(most / least * small / large for least, most in requests.values()), 3),
        "most_requests_per_s": max(map(max, requests.values())),
        "most_units_per_s": max(cell["units"] for row in table.values() for cell in row.values()),
        "refused": sum(cell["refused"] for row in table.values() for cell in row.values()),
    }


async def act(
    stage: Stage, clock: Clock, hostile: Person, action: str, members: int, effort: Effort
) -> dict[str, Any]:
    """Do one thing as often as it may be done; what that makes in a second."""
    stage.reset()
    began = clock.now
    with counted(stage.dynamodb) as requests:
        for number in range(1, (QUICK_FRAMES if effort.quick else FRAMES) * 2 + 1, 2):
            # In pairs, of which the second undoes the first.
            for each in (number, number + 1):
                name, fields = ACTS[action](each) if action in ACTS else (action, {})
                clock.now += tokens(name, fields, members) / Settings.rate_per_second
                hostile.request(name, **fields)
                await stage.rest()
        seconds = clock.now - began
        # What was put off, such as telling how many there are, is on its account too.
        clock.now += LONG
        await stage.rest()
    account = stage.account
    return {
        "frames": round(account.taken["frame"] / seconds, 1),
        "requests": round(account.taken.total() / seconds, 1),
        "posts": round(account.taken["post"] / seconds, 1),
        "units": round(account.metered.total() / seconds, 1),
        **{kind: round(number / seconds, 1) for kind, number in costs(requests).items()},
        "refused": sum(hostile.errors.get(code, 0) for code in ("rate_limited", "not_in_room")),
    }


def tokens(action: str, fields: dict[str, Any], members: int) -> int:
    """What a frame takes of its sender's bucket."""
    price = getattr(ACTIONS[action], "price", lambda fields, members: 1)
    return min(int(price(fields, lambda room: members)), Settings.rate_burst)
