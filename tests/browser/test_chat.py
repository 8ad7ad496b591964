"""People chat on the page, over the local stack."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.person import SECONDS, Person
from tests.waiting import eventually


@pytest.fixture
def room(request: pytest.FixtureRequest) -> str:
    """A room of the test's own."""
    return str(request.node.name)[5:60]


@pytest.fixture
def people(visit: Visit, page_url: str, room: str) -> tuple[Person, Person]:
    """Two people in it."""
    alice, bob = visit(page_url).enter("alice"), visit(page_url).enter("bob")
    for person in (alice, bob):
        person.join(room)
    return alice, bob


def test_two_pages_chat(people: tuple[Person, Person]) -> None:
    alice, bob = people
    alice.say("Hello bob")
    bob.sees("Hello bob")
    bob.say("Hello alice", "How are you?")
    for person in people:
        person.sees("Hello bob", "Hello alice", "How are you?")
        expect(person.rows.last).to_be_in_viewport(ratio=1)
    expect(alice.page.locator("#messages .author")).to_have_text(["alice", "bob"])
    expect(alice.page.locator(".day")).to_have_text(["Today"])
    expect(alice.page.locator(".mine .state")).to_have_text(["Sent"])
    expect(alice.page.locator("#announcer")).to_contain_text("bob: ")


def test_the_page_shows_who_is_here_and_who_types(people: tuple[Person, Person]) -> None:
    alice, bob = people
    members = alice.page.locator("#members .name")
    expect(members).to_have_text(["alice", "bob"])
    expect(alice.page.locator("#subtitle")).to_have_text("2 people here")
    # He came faster than people do, and may have to wait a little.
    typing = alice.page.locator("#typing")
    assert eventually(
        lambda: bob.field.press_sequentially("I am ") or typing.text_content() == "bob is typing", SECONDS
    )
    bob.say("I am typing")
    expect(typing).to_have_text("")
    bob.page.get_by_role("button", name="Leave").click()
    expect(bob.title).to_have_text("lobby")
    expect(members).to_have_text(["alice"])


def test_what_is_said_elsewhere_is_counted_and_marked(people: tuple[Person, Person], room: str) -> None:
    alice, bob = people
    bob.say("seen")
    alice.sees("seen")
    alice.open("lobby")
    bob.say("new", "newer")
    expect(alice.entry(room).locator(".badge")).to_contain_text("2 unread messages")
    expect(alice.page).to_have_title(re.compile(r"^\(2\) lobby"))
    alice.open(room)
    alice.sees("seen", "new", "newer")
    marker = alice.page.locator(".marker")
    expect(marker.locator("xpath=preceding-sibling::li[1]")).to_contain_text("seen")
    expect(marker.locator("xpath=following-sibling::li[1]")).to_contain_text("new")
    expect(alice.entry(room).locator(".badge")).to_be_hidden()
    alice.say("answered")
    expect(marker).to_have_count(0)


def test_people_write_to_each_other_alone(people: tuple[Person, Person], visit: Visit, page_url: str) -> None:
    alice, bob = people
    alice.page.get_by_role("button", name="Write to bob").click()
    alice.say("Between us")
    alice.sees("Between us")
    expect(bob.entry("alice").locator(".badge")).to_contain_text("1 unread")
    bob.open("alice")
    bob.sees("Between us")
    bob.say("Of course")
    alice.sees("Between us", "Of course")
    again = visit(page_url).enter("bob")
    again.open("alice")
    again.sees("Between us")


def test_over_a_reload_one_stays_in_with_ones_rooms(people: tuple[Person, Person], room: str) -> None:
    alice, bob = people
    bob.say("one")
    alice.sees("one")
    alice.page.reload()
    expect(alice.title).to_have_text(room)
    alice.sees("one")
    expect(alice.entry("lobby")).to_be_visible()
    bob.say("two")
    alice.sees("one", "two")


def test_rooms_with_people_are_listed_and_joined(visit: Visit, page_url: str, room: str) -> None:
    alice, carl = visit(page_url).enter("alice"), visit(page_url).enter("carl")
    alice.join(room)
    carl.page.get_by_role("button", name="Join a room").click()
    carl.page.get_by_role("listitem").get_by_text(room).click()
    expect(carl.title).to_have_text(room)
    carl.say("Found it")
    alice.sees("Found it")


def test_a_name_is_changed_for_all_to_see(people: tuple[Person, Person]) -> None:
    alice, bob = people
    bob.page.get_by_role("button", name="Settings").click()
    bob.page.get_by_role("textbox", name="Your name").fill("rob@home")
    bob.page.get_by_role("button", name="Done").click()
    expect(bob.page.locator("#rename-error")).to_have_text("A name has no @ or # in it.")
    bob.page.get_by_role("textbox", name="Your name").fill("rob")
    bob.page.get_by_role("button", name="Done").click()
    expect(alice.page.locator("#members .name")).to_have_text(["alice", "rob"])
    bob.say("It is me")
    expect(alice.page.locator("#messages .author")).to_have_text(["rob"])


def test_the_connections_figures_are_shown_to_who_wants_them(people: tuple[Person, Person]) -> None:
    alice, bob = people
    expect(alice.page.locator("#operator")).to_be_hidden()
    alice.page.get_by_role("button", name="Settings").click()
    alice.page.get_by_role("switch").check()
    alice.page.get_by_role("button", name="Done").click()
    expect(alice.page.locator("#round-trip")).to_have_text(re.compile(r"^\d+ ms$"))
    expect(alice.page.locator("#sparkline polyline")).to_have_attribute("points", re.compile(r"^240\.0,"))
    bob.say("one", "two")
    expect(alice.page.locator("#rate")).to_have_text(re.compile(r"^0\.[1-9]$"))
    expect(alice.page.locator("#reconnects")).to_have_text("0")
