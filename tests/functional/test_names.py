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
    ("\u2764", "\u2764\ufe0f"),  # one that there is
    ("\u0645\u06cc\u062e", "\u0645\u06cc\u200c\u062e"),  # with a joiner, and without
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
        409,
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
    assert second.connect()["statusCode"] == 409
    first.disconnect()
    assert second.connect()["statusCode"] == 200
    assert first.connect()["statusCode"] == 409


def test_a_name_that_was_left_is_free(people: People) -> None:
    ann = people.speaking_json("alice")
    ann.ask("setName", name="bob")
    assert people.arriving(name="\u0430lice").connect()["statusCode"] == 200


def test_ones_own_name_is_nobody_elses(people: People, tables: Tables) -> None:
    oliver, eve = people.speaking_json("0liver"), people.speaking_json("eve")
    before = len(tables.registry())
    assert oliver.ask("setName", name="Oliver")["name"] == "Oliver"
    assert eve.ask("who")["members"] == {"Oliver": 1, "eve": 1}
    assert len(tables.registry()) == before
    assert eve.ask("setName", name="0liver")["code"] == "forbidden"
    assert oliver.ask("setName", name="0liver")["name"] == "0liver"
    oliver.disconnect()
    assert eve.ask("setName", name="Oliver")["name"] == "Oliver"
    eve.disconnect()
    assert tables.registry() == []


def test_a_name_of_several_connections_is_still_theirs(people: People) -> None:
    oliver, _ = people.speaking_json("0liver"), people.speaking_json("0liver")
    assert oliver.ask("setName", name="Oliver")["code"] == "forbidden"


def test_selectors_of_variants_are_in_no_name(people: People) -> None:
    assert people.speaking_json("eve").ask("setName", name="al\ufe0fice\u180b")["name"] == "alice"


@pytest.mark.parametrize(
    "name", ["\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0915\u094d\u200d\u0937"]
)
def test_joiners_are_where_a_script_needs_them(people: People, name: str) -> None:
    assert people.speaking_json("eve").ask("setName", name=name)["name"] == name
    refused = people.speaking_json("ann").ask("setName", name="al\u200dice")
    assert "but a joiner where its script needs it" in refused["message"]
