"""Names that pass for another's."""

import pytest

from chalicelib.wire.fields import Name
from chalicelib.wire.lookalikes import skeleton
from tests.functional.clients import People
from tests.functional.tables import Tables

LOOK_THE_SAME = [
    ("alice", "\u0430lice"),  # Cyrillic a
    ("alice", "al\u0456ce"),  # Cyrillic i
    ("alice", "a\u04cfice"),  # Cyrillic palochka
    ("alice", "a1ice"),
    ("alice", "aIice"),
    ("alice", "\u0251lice"),  # Latin alpha
    ("Bob", "\u0392ob"),  # Greek Beta
    ("OTTO", "0TT0"),
    ("paypal", "\u0440\u0430\u0443\u0440\u0430l"),
    ("HOPE", "\u041d\u039f\u0420\u0415"),
    ("i", "\u0131"),
    ("alice", "alice\ufe0f"),  # a selector of a variant that there is not
    ("alice", "a\U000e0100lice"),
]


@pytest.mark.parametrize(("name", "other"), LOOK_THE_SAME)
def test_what_looks_the_same(name: str, other: str) -> None:
    assert skeleton(name) == skeleton(other)


@pytest.mark.parametrize(
    ("name", "other"),
    [("alice", "Alice"), ("ann", "anna"), ("josé", "jose"), ("Анна", "Инна")],
)
def test_what_does_not(name: str, other: str) -> None:
    assert skeleton(name) != skeleton(other)


@pytest.mark.parametrize(("name", "other"), [*LOOK_THE_SAME[:5], *LOOK_THE_SAME[-2:]])
def test_nobody_passes_for_who_is_connected(people: People, tables: Tables, name: str, other: str) -> None:
    people.speaking_json(name)
    before = tables.registry()
    response = people.arriving(name=other).connect()
    assert (response["statusCode"], response["body"]) == (
        403,
        "somebody is here under a name that looks the same",
    )
    assert tables.registry() == before
    eve = people.speaking_json("eve")
    assert eve.ask("setName", name=other)["code"] == "forbidden"
    assert eve.ask("who")["members"] == {name: 1, "eve": 1}


@pytest.mark.parametrize("name", ["\u0307", "\u00b4", "\u0307\u0308", "\ufe0f", "\u2065", "\u20dd", "\u034f"])
def test_a_name_that_shows_nothing_is_none(people: People, tables: Tables, name: str) -> None:
    response = people.arriving(name=name).connect()
    assert (response["statusCode"], response["body"]) == (400, f"name {Name.rule}")
    assert tables.registry() == []
    ann = people.speaking_json("ann")
    for action, field in (("setName", "name"), ("privateMessage", "to")):
        reply = ann.ask(action, **{field: name}, **({"message": "hi"} if field == "to" else {}))
        assert (reply["code"], reply["message"]) == ("bad_request", f"{field} {Name.rule}")
    assert ann.ask("history", room=f"@{name}")["code"] == "bad_request"


def test_a_name_is_free_when_its_like_has_gone(people: People) -> None:
    first = people.speaking_json("\u0430lice")
    second = people.arriving(name="alice")
    assert second.connect()["statusCode"] == 403
    first.disconnect()
    assert second.connect()["statusCode"] == 200
    assert first.connect()["statusCode"] == 403


def test_a_name_that_was_left_is_free(people: People) -> None:
    ann = people.speaking_json("alice")
    ann.ask("setName", name="bob")
    assert people.arriving(name="\u0430lice").connect()["statusCode"] == 200
