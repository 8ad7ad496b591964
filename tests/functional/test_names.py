"""Names that pass for another's."""

import pytest

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


@pytest.mark.parametrize(("name", "other"), LOOK_THE_SAME[:5])
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
