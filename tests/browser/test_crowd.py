"""The page in rooms of few and of very many."""

from typing import Any

from playwright.sync_api import expect

from chalicelib.wire.events import Presence, Typing
from tests.browser.conftest import Visit
from tests.browser.person import SECONDS, Person
from tests.browser.served import Served
from tests.rig.chat_server import Fault

NARROW: dict[str, Any] = {"viewport": {"width": 800, "height": 800}}


def members(person: Person, count: int) -> None:
    """Wait until so many people are listed."""
    expect(person.page.locator("#members li")).to_have_count(count, timeout=SECONDS * 1000)


def here(person: Person, words: str) -> None:
    """Wait until it says who is here."""
    expect(person.page.locator("#subtitle")).to_have_text(words, timeout=SECONDS * 1000)


def fill(served: Served) -> None:
    """A crowd of 450 names, and some more connections."""
    served.server.members = {f"person {number:03}": 1 for number in range(450)}
    served.server.count = 1234


def test_what_is_said_in_quick_succession_is_shown_in_order(served: Served, visit: Visit) -> None:
    bob = visit(served.url).enter("bob")
    served.publish_round("one", "two", "three")
    served.publish_round("four", "five", lost=True)
    served.publish_round("six", "seven")
    bob.sees("one", "two", "three", "four", "five", "six", "seven")


def test_few_are_shown_as_they_come_and_go(served: Served, visit: Visit) -> None:
    served.server.members = {"ann": 1, "bob": 1}
    bob = visit(served.url).enter("bob")
    here(bob, "2 people here")
    served.tell(Presence(room="lobby", name="carol", event="join", at=5))
    here(bob, "3 people here")
    served.tell(
        # Outdated: she came later.
        Presence(room="lobby", name="carol", event="leave", at=4),
        Presence(room="lobby", name="dave", event="join", at=4),
    )
    here(bob, "4 people here")
    served.tell(Presence(room="lobby", name="ann", event="leave", at=6, names=["ann", "carol", "dave"]))
    here(bob, "1 person here")
    expect(bob.page.locator("#members .name")).to_have_text(["bob"])
    assert len(served.server.visitors[0].asked("who")) == 1
    expect(bob.page.get_by_role("button", name="Show more")).to_be_hidden()


def test_the_people_of_a_room_are_asked_for_once_with_each_connection(served: Served, visit: Visit) -> None:
    served.server.members = {"ann": 2, "bob": 1}
    bob = visit(served.url).enter("bob")
    here(bob, "2 people here")
    # Whoever joins is told.
    bob.join("cats")
    here(bob, "2 people here")
    bob.open("lobby")
    bob.open("cats")
    bob.say("hi")
    bob.sees("hi")
    assert served.server.visitors[0].asked("who") == [{"room": "lobby", "limit": 200}]
    served.server.members = {"ann": 2, "bob": 1, "carol": 1}
    served.cut(1)
    here(bob, "3 people here")
    bob.open("lobby")
    here(bob, "3 people here")
    again = served.do(served.server.until(2, "who", 2), SECONDS)
    assert [question["room"] for question in again.asked("who")] == ["cats", "lobby"]


def test_what_one_sends_says_that_one_types_no_more(served: Served, visit: Visit) -> None:
    bob = visit(served.url).enter("bob")
    bob.field.press_sequentially("a")
    bob.field.press("Enter")
    bob.sees("a")
    bob.field.press_sequentially("b")
    bob.field.fill("")
    served.do(served.server.until(1, "typingIndicator", 3), SECONDS)
    typing = [frame["typing"] for frame in served.server.visitors[0].asked("typingIndicator")]
    assert typing == [True, True, False]


def test_of_a_crowd_the_number_is_shown_and_the_people_page_by_page(served: Served, visit: Visit) -> None:
    fill(served)
    bob = visit(served.url).enter("bob")
    here(bob, "1,234 here")
    expect(bob.page.locator("#people-heading")).to_have_text("People · 1,234")
    [visitor] = served.server.visitors
    more = bob.page.get_by_role("button", name="Show more")
    for shown in (200, 400, 450):
        members(bob, shown)
        expect(more).to_be_visible(visible=shown < 450)
        if shown < 450:
            more.click()
    assert [question.get("after") for question in visitor.asked("who")] == [None, "200", "400"]
    served.occupy(1240)
    here(bob, "1,240 here")
    members(bob, 450)
    assert len(visitor.asked("who")) == 3


def test_who_comes_back_into_a_crowd_does_not_ask_for_its_people(served: Served, visit: Visit) -> None:
    fill(served)
    bob = visit(served.url).enter("bob")
    members(bob, 200)
    served.occupy(1240)
    here(bob, "1,240 here")
    bob.join("cats")
    bob.open("lobby")
    served.cut(1)
    again = served.do(served.server.until(2, "history", 2), SECONDS)
    bob.say("back again")
    bob.sees("back again")
    assert again.asked("who") == []
    here(bob, "1,240 here")


def test_on_a_narrow_page_a_crowd_is_asked_for_when_its_people_are_opened(
    served: Served, visit: Visit
) -> None:
    fill(served)
    # It is not known to be a crowd yet, and so it was tried.
    served.server.faults["who"] = [Fault.REFUSED]
    bob = visit(served.url, **NARROW).enter("bob")
    served.occupy(1240)
    here(bob, "1,240 here")
    bob.join("cats")
    served.do(served.server.until(1, "who", 2), SECONDS)
    bob.open("lobby")
    here(bob, "1,240 here")
    bob.say("hi")
    bob.sees("hi")
    asked = served.server.visitors[0].asked("who")
    assert [question["room"] for question in asked] == ["lobby", "cats"]
    bob.page.get_by_role("button", name="People").click()
    members(bob, 200)


def test_in_a_crowd_nobody_types(served: Served, visit: Visit) -> None:
    bob = visit(served.url).enter("bob")
    served.tell(Typing(room="lobby", sender="ann", typing=True))
    expect(bob.page.locator("#typing")).to_have_text("ann is typing")
    bob.field.press_sequentially("a")
    served.do(served.server.until(1, "typingIndicator"), SECONDS)
    served.occupy(1234)
    expect(bob.page.locator("#typing")).to_be_empty()
    served.tell(Typing(room="lobby", sender="carol", typing=True))
    bob.field.press("Enter")
    bob.field.press_sequentially("b")
    bob.field.press("Enter")
    bob.sees("a", "b")
    expect(bob.page.locator("#typing")).to_be_empty()
    assert len(served.server.visitors[0].asked("typingIndicator")) == 1


def test_a_crowd_that_has_shrunk_is_looked_at_anew(served: Served, visit: Visit) -> None:
    fill(served)
    bob = visit(served.url).enter("bob")
    served.occupy(1240)
    here(bob, "1,240 here")
    served.server.members = {"ann": 1, "bob": 1}
    served.server.count = None
    served.tell(Presence(room="lobby", name="carol", event="leave", at=5))
    here(bob, "2 people here")
    members(bob, 2)
