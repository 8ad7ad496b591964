"""What actions cost, and what a client makes the owner pay by them."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from chalicelib.actions import table
from chalicelib.actions.table import ACTIONS
from chalicelib.config import Settings
from chalicelib.dispatcher import Frame

SECURITY = (Path(__file__).parents[2] / "docs/security.md").read_text()
# Requests a second that API Gateway gives an account, callbacks and frames together.
QUOTA = 10_000
NAME = Settings.max_connections_per_name
CROWD = Settings.presence_members


def told(connections: int) -> int:
    """Others in the room that hear who comes, goes and types."""
    return connections - 1 if connections <= CROWD else 0


# The requests, or metered units of 32 KB, that an action makes in a room of n: frame and reply, and the rest.
PAID: dict[str, Callable[[int], int]] = {
    "onMessage": lambda n: 2 + n,
    "privateMessage": lambda n: 2 + 2 * NAME,
    "joinRoom": lambda n: 2 + told(n),
    "leaveRoom": lambda n: 2 + told(n),
    "typingIndicator": lambda n: 2 + told(n),
    "who": lambda n: 1 + 3,
    "listRooms": lambda n: 1 + 3,
    "history": lambda n: 1 + 4,
    "setName": lambda n: 2 + 2 * told(n),
    "authenticate": lambda n: 2,
    "ping": lambda n: 2,
    "help": lambda n: 2,
}


def paid(action: str, connections: int) -> float:
    """Requests a second that a client at its full rate makes the owner pay."""
    price = min(ACTIONS[action].price({}, lambda room: connections), Settings.rate_burst)
    return Settings.rate_per_second / price * PAID[action](connections)


def test_every_action_is_reckoned() -> None:
    assert PAID.keys() == ACTIONS.keys()


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("connections", [10, 1000])
def test_no_action_takes_over_a_tenth_of_the_quota(action: str, connections: int) -> None:
    assert paid(action, connections) <= QUOTA / 10


@pytest.mark.parametrize("action", ACTIONS)
def test_none_grows_faster_than_the_room(action: str) -> None:
    for connections in (10, 50, 99, 100, 101, 500, 1000, 5000):
        assert paid(action, 10 * connections) <= 10 * paid(action, connections)


@pytest.mark.parametrize(
    ("action", "connections", "a_second"),
    [
        ("onMessage", 99, 1010),
        ("onMessage", 1000, 911),
        ("privateMessage", 2, 210),
        ("joinRoom", 100, 337),
        ("leaveRoom", 100, 337),
        ("typingIndicator", 100, 505),
        ("who", 1000, 8),
        ("listRooms", 1000, 8),
        ("history", 1000, 25),
        ("setName", 100, 200),
        ("authenticate", 1000, 20),
        ("ping", 1000, 20),
        ("help", 1000, 20),
    ],
)
def test_the_table_of_costs_tells_the_truth(action: str, connections: int, a_second: int) -> None:
    assert round(paid(action, connections)) == a_second


def test_the_pages_have_the_costs() -> None:
    costs = {name: str(action.cost) for name, action in ACTIONS.items()}
    rows = re.findall(r"^(\w+(?:, \w+)*) +(\d+) ", table.__doc__ or "", re.MULTILINE)
    assert {name: cost for names, cost in rows for name in names.split(", ")} == costs
    [section] = re.findall(r"### What an action costs\n(.*?)\n### ", SECURITY, re.DOTALL)
    lists = re.findall(r"((?:`\w+`(?:,\s|\sand\s)?)+)\s(\d+)[,;]", section)
    told = {name: cost for names, cost in lists for name in re.findall(r"`(\w+)`", names)}
    assert {**told, "onMessage": "1"} == costs


@pytest.mark.parametrize(
    ("body", "price"),
    [
        ('{"action": "ping"}', 1),
        ('{"action": "who"}', 5),
        ('{"action": "onMessage", "message": "hi"}', 2),
        ('{"action": "onMessage", "message": "hi", "room": "cats"}', 11),
        ('{"action": "onMessage", "message": "hi", "room": "nobody knows"}', 1),
        ('{"action": "onMessage", "message": "hi", "room": ["cats"]}', 1),
        ('{"action": "onMessage", "message": "hi", "room": null}', 1),
        ('{"action": "onMessage", "room": "cats"}', 11),
        ('{"action": "typingIndicator", "room": "cats"}', 2),
        ('{"action": "shout"}', 1),
        ('{"action": ["who"]}', 1),
        ('{"room": "cats"}', 1),
        ('{"action": "who", "action": "who"}', 1),
        ("[]", 1),
        ("no JSON", 1),
        ("x" * 200_000, 1),
        ("\ud800", 1),
    ],
)
def test_the_price_of_a_frame(body: str, price: int) -> None:
    members = {"lobby": 199, "cats": 1000}
    assert Frame.parse(body).price(ACTIONS, lambda room: members.get(room, 0)) == price
