"""What the page on storage says each event costs is what it costs."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.functional.clients import ChatClient, People
from tests.functional.tables import Tables
from tests.rig.callbacks import Callbacks
from tests.rig.faults import counted

PAGE = (Path(__file__).parents[2] / "docs/storage.md").read_text()
READS = {"GetItem", "Query", "Scan"}

# What each row of the table is: ann is in the lobby with bob, and has a name.
EVENTS: dict[str, Callable[[People, ChatClient], object]] = {
    "connect, nameless": lambda people, ann: people.speaking_json(),
    "connect, with a name": lambda people, ann: people.speaking_json("eve"),
    "connect, with a name that is connected": lambda people, ann: people.speaking_json("bob"),
    "disconnect, with a name": lambda people, ann: ann.disconnect(),
    "`onMessage`": lambda people, ann: ann.say("hi"),
    "`onMessage` with a `ref`": lambda people, ann: ann.ask("onMessage", message="hi"),
    "`privateMessage` with a `ref`": lambda people, ann: ann.ask("privateMessage", to="bob", message="hi"),
    "`joinRoom`": lambda people, ann: ann.ask("joinRoom", room="cats"),
    "`leaveRoom`": lambda people, ann: ann.ask("leaveRoom", room="lobby"),
    "`typingIndicator`": lambda people, ann: ann.ask("typingIndicator"),
    "`who`": lambda people, ann: ann.ask("who"),
    "`listRooms`": lambda people, ann: ann.ask("listRooms"),
    "`history`": lambda people, ann: ann.ask("history", after=0),
    "`setName`": lambda people, ann: ann.ask("setName", name="anna"),
    "`ping`, `help`, or a bad frame": lambda people, ann: ann.ask("ping"),
}
# What costs a frame more or less, whatever is in it.
FRAMES = {
    "a frame too fast",
    "a frame of who is being closed for that",
    "any frame of a name that has several connections",
}


@pytest.fixture
def settings() -> Mapping[str, str]:
    """As deployed: with the rates."""
    return {}


def documented() -> dict[str, tuple[int, int]]:
    rows = re.findall(r"^\| (.*?) \| (\d+) \| (\d+) \|", PAGE, re.MULTILINE)
    return {event: (int(reads), int(writes)) for event, reads, writes in rows}


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_costs_what_is_documented(people: People, tables: Tables, event: str) -> None:
    ann = people.speaking_json("ann")
    people.speaking_json("bob")
    ann.say("first")
    with counted(tables.client) as requests:
        EVENTS[event](people, ann)
    reads = sum(number for operation, number in requests.items() if operation in READS)
    assert (reads, requests.total() - reads) == documented()[event], requests


def test_the_table_has_no_other_rows() -> None:
    assert documented().keys() == EVENTS.keys() | FRAMES


def cost_of_a_ping(ann: ChatClient, tables: Tables) -> tuple[int, int]:
    with counted(tables.client) as requests:
        ann.ask("ping")
    reads = sum(number for operation, number in requests.items() if operation in READS)
    return reads, requests.total() - reads


def test_a_frame_too_fast_is_read_and_counted(people: People, tables: Tables) -> None:
    ann = people.speaking_json("ann")
    while ann.ask("ping")["type"] == "pong":
        pass
    assert cost_of_a_ping(ann, tables) == documented()["a frame too fast"]


def test_who_is_being_closed_costs_no_more_than_it_is_read_by(
    people: People, tables: Tables, callbacks: Callbacks
) -> None:
    ann = people.speaking_json("ann")
    while not callbacks.closed:
        ann.send({"action": "ping"})
    posts = callbacks.posts
    with counted(tables.client) as requests:
        ann.send({"action": "ping"})
    assert (0, requests.total()) == documented()["a frame of who is being closed for that"]
    assert callbacks.posts == posts


def test_a_name_with_several_connections_costs_a_write_more(people: People, tables: Tables) -> None:
    ann, tab, bob = people.speaking_json("ann"), people.speaking_json("ann"), people.speaking_json("bob")
    reads, writes = cost_of_a_ping(bob, tables)
    more = documented()["any frame of a name that has several connections"]
    assert cost_of_a_ping(ann, tables) == cost_of_a_ping(tab, tables) == (reads + more[0], writes + more[1])
