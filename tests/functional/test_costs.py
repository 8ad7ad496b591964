"""What the page on storage says each event costs is what it costs."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.functional.clients import ChatClient, People
from tests.functional.tables import Tables
from tests.rig.faults import counted

PAGE = (Path(__file__).parents[2] / "docs/storage.md").read_text()
READS = {"GetItem", "Query", "Scan"}

# What each row of the table is: ann is in the lobby with bob, and has a name.
EVENTS: dict[str, Callable[[People, ChatClient], object]] = {
    "connect, nameless": lambda people, ann: people.speaking_json(),
    "connect, with a name": lambda people, ann: people.speaking_json("eve"),
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
    assert documented().keys() == EVENTS.keys()
