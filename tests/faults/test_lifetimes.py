"""What several connections share lives as long as the one that lives longest."""

import pytest

from tests.faults.town import Town

SECONDS = 7260
HOUR = 3600


@pytest.fixture
def town() -> Town:
    return Town()


def expiry(town: Town, key: str, name: str) -> int:
    """When an item beside the memberships expires, in s from the beginning."""
    item = town.tables.client.get_item(
        TableName=town.tables.rooms, Key={"roomId": {"S": key}, "connectionid": {"S": name}}
    )["Item"]
    return int(item["expiresAt"]["N"]) - 1_700_000_000


def test_a_name_that_an_older_connection_takes_later_is_kept_for_the_younger(town: Town) -> None:
    older = town.arrive("ann")
    town.pass_time(HOUR)
    town.arrive("bob")
    # Its own end is an hour nearer.
    assert town.ask(older, "setName", name="bob")["type"] == "named"
    assert expiry(town, "#lobby", "bob") == HOUR + SECONDS
    assert expiry(town, "#@bob", "bob") >= HOUR + SECONDS


def test_and_so_is_one_that_is_joined_in_a_room(town: Town) -> None:
    older = town.arrive("bob", "cats")
    town.pass_time(HOUR)
    town.arrive("bob", "dogs")
    assert town.ask(older, "joinRoom", room="dogs")["type"] == "joined"
    assert expiry(town, "#dogs", "bob") == HOUR + SECONDS


def test_a_name_is_nobody_elses_while_its_youngest_connection_lives(town: Town) -> None:
    older = town.arrive("ann")
    town.pass_time(HOUR)
    town.arrive("bob")
    town.ask(older, "setName", name="bob")
    town.pass_time(SECONDS - HOUR + 1)
    # What has expired, DynamoDB deletes when it likes.
    now = town.lambdas.clock()
    for item in town.tables.items(town.tables.rooms):
        if int(item["expiresAt"]["N"]) <= now:
            key = {name: item[name] for name in ("roomId", "connectionid")}
            town.tables.client.delete_item(TableName=town.tables.rooms, Key=key)
    assert town.connect("Eve00000000000=", "b\N{CYRILLIC SMALL LETTER O}b") == 409
