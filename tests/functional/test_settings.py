"""Every setting works at both of its ends, on every DynamoDB that there is."""

from typing import Any

import pytest

from chalicelib.auth.identity import Identity
from chalicelib.config import BOUNDS
from chalicelib.storage.connection import Connection
from chalicelib.storage.connections import Connections
from chalicelib.storage.heads import Heads
from chalicelib.wire.events import Form
from tests.functional.clients import ChatClient, People
from tests.functional.tables import Tables
from tests.rig.clock import Clock

MOST_ROOMS = BOUNDS["max_rooms"][1]
ROOMS = [f"room{number}" for number in range(MOST_ROOMS)]
# It needs tokens: see test_auth.py.
OF_TOKENS = {"jwt_leeway_seconds"}
ENDS = [
    (setting, value) for setting, ends in BOUNDS.items() if setting not in OF_TOKENS for value in sorted(ends)
]
NO_RATE = {"CHAT_RATE_PER_SECOND": "0"}


@pytest.fixture
def tables(tables_anywhere: Tables) -> Tables:
    return tables_anywhere


def ask(client: ChatClient, clock: Clock, action: str, **fields: Any) -> dict[str, Any]:
    """Ask as a client does that waits where it is told to."""
    for _ in range(9):
        reply = client.ask(action, **fields)
        if reply.get("code") != "rate_limited":
            return reply
        clock.now += reply["retryAfter"]
    raise AssertionError(reply)


def environment(setting: str, value: int) -> dict[str, str]:
    others = {} if setting.startswith("rate") else NO_RATE
    return {**others, f"CHAT_{setting.upper()}": str(value)}


@pytest.mark.parametrize(
    ("settings", "rooms"),
    [(environment(setting, value), value if setting == "max_rooms" else 50) for setting, value in ENDS],
    ids=[f"{setting}={value}" for setting, value in ENDS],
)
def test_people_talk(people: People, clock: Clock, tables: Tables, rooms: int) -> None:
    ann, bob = people.speaking_json("ann", "lobby"), people.speaking_json("bob", "lobby")
    assert ask(ann, clock, "onMessage", message="hi")["seq"] == 1
    # Of two, a worker may have to send to one.
    assert "hi" in [event.get("message") for event in ann.events + bob.events]
    assert ask(ann, clock, "typingIndicator")["type"] == "ack"
    assert ask(ann, clock, "history", after=0)["type"] == "history"
    assert ask(ann, clock, "who")["members"] == {"ann": 1, "bob": 1}
    assert ask(ann, clock, "listRooms")["rooms"] == {"lobby": 2}
    assert ask(ann, clock, "privateMessage", to="bob", message="psst")["type"] == "ack"
    joined = ask(ann, clock, "joinRoom", room="cats")
    assert joined.get("code", joined["type"]) == ("joined" if rooms > 1 else "forbidden")
    assert ask(ann, clock, "setName", name="anna")["type"] == "named"
    assert ask(bob, clock, "leaveRoom", room="lobby")["type"] == "left"
    ann.disconnect(), bob.disconnect()
    assert tables.registry() == []


@pytest.mark.parametrize("settings", [{**NO_RATE, "CHAT_MAX_ROOMS": str(MOST_ROOMS)}])
class TestTheMostRooms:
    def test_all_by_the_url(self, people: People, tables: Tables) -> None:
        ann = people.speaking_json("ann", *ROOMS)
        assert ann.ask("onMessage", message="hi", room=ROOMS[-1])["type"] == "ack"
        assert ann.ask("setName", name="anna")["type"] == "named"
        ann.disconnect()
        assert tables.registry() == []
        assert people.arriving(name="ann", rooms=[*ROOMS, "one-more"]).connect()["statusCode"] == 400

    def test_one_by_one(self, people: People, tables: Tables) -> None:
        ann = people.speaking_json("ann", ROOMS[0])
        for room in ROOMS[1:]:
            assert ann.ask("joinRoom", room=room)["type"] == "joined"
        refused = ann.ask("joinRoom", room="one-more")
        assert (refused["code"], refused["message"]) == (
            "forbidden",
            f"you are in {MOST_ROOMS} rooms, and cannot be in more",
        )
        assert ann.ask("setName", name="anna")["type"] == "named"
        assert ann.ask("who", room=ROOMS[-1])["members"] == {"anna": 1}
        ann.disconnect()
        assert tables.registry() == []


def test_a_token_is_renewed_in_the_most_rooms(tables: Tables, clock: Clock) -> None:
    connections = Connections(
        tables.client,
        tables.connections,
        tables.rooms,
        Heads(tables.client, tables.messages, 30, clock),
        clock,
    )
    now = int(clock())
    ann = Connection("c1=", "ann", Form.JSON, frozenset([*ROOMS, "@ann"]), now * 1000, now + 7260, now + 60)
    connections.add(ann)
    connections.renew(ann, Identity("ann", now + 600, None))
    expiries = {row["expiresAt"]["N"] for row in tables.items(tables.rooms) if "joinedAt" in row}
    assert expiries == {str(now + 600)}
    connections.remove(ann.id)
    assert tables.registry() == []
