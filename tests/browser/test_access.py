"""The page for everybody: by keyboard, by ear, on a phone, in the dark."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import axe
from tests.browser.conftest import Visit
from tests.browser.person import Person
from tests.browser.served import Served
from tests.rig.chat_server import Fault

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}
LOOKS: list[dict[str, Any]] = [
    {"color_scheme": "light"},
    {"color_scheme": "dark"},
    {"color_scheme": "light", **PHONE},
    {"color_scheme": "dark", **PHONE},
]
TEXTS = [
    "Hello everyone",
    "a" * 500,
    "a line\nand another\n\n\tand a tab",
    "שלום לכולם, מה שלומכם היום?",
    "مرحبا بالجميع 👋 كيف حالكم",
    "👩‍👩‍👧‍👦🎉",
    "https://example.com/" + "long/" * 60,
    "Z̸͎̟̭̪̋͆͂̊͝a̵̛͕̟͖̘l̴̢̰̲̦͐̄͘g̶͓̲̃͒̃̕ǫ̷̛̦̤",
    "lots\n" * 60,
]


@pytest.mark.parametrize("look", LOOKS, ids=["light", "dark", "light phone", "dark phone"])
def test_axe_finds_nothing_in_any_state(look: dict[str, Any], visit: Visit) -> None:
    source = axe()
    with Served(answerSeconds=2) as served:
        served.server.open_rooms = {"cats": 3, "dogs": 1}
        served.server.members = {"ann": 2, "bob": 1}
        served.publish("one", "two", sent_at=1_700_000_000_000)
        # Its colours are looked at as they are in the end.
        bob = visit(served.url, reduced_motion="reduce", **look)
        expect(bob.page.locator("#welcome")).to_be_visible()
        found = {"welcome": bob.axe(source)}
        bob.page.keyboard.press("Enter")
        expect(bob.page.locator("#name-error")).not_to_be_empty()
        found["a bad name"] = bob.axe(source)
        bob.enter("bob")
        served.server.faults["onMessage"] = [Fault.REFUSED]
        bob.say("fails", "https://example.com")
        expect(bob.page.locator(".failure")).to_be_visible()
        found["a room"] = bob.axe(source)
        people = bob.page.locator("#people-open")
        if people.is_visible():
            people.click()
            found["people"] = bob.axe(source)
        bob.page.get_by_role("button", name="Write to ann").click()
        found["two people"] = bob.axe(source)
        conversations = bob.page.locator("#sidebar-open")
        if conversations.is_visible():
            conversations.click()
            found["conversations"] = bob.axe(source)
        bob.page.get_by_role("button", name="Settings").click()
        bob.page.get_by_role("switch").check()
        found["settings"] = bob.axe(source)
        bob.page.get_by_role("button", name="Done").click()
        bob.page.get_by_role("button", name="Join a room").click()
        expect(bob.page.locator("#open-rooms li")).to_have_count(2)
        found["joining"] = bob.axe(source)
        bob.page.keyboard.press("Escape")
        if conversations.is_visible():
            bob.page.keyboard.press("Escape")
        served.server.statuses = [503] * 100
        served.cut(1)
        expect(bob.banner).to_be_visible()
        found["not connected"] = bob.axe(source)
    assert {state: trouble for state, trouble in found.items() if trouble} == {}


def test_the_keyboard_is_enough(visit: Visit) -> None:
    with Served() as served:
        served.server.open_rooms = {"cats": 3}
        served.publish("one")
        served.publish("a cat", room="cats")
        bob = visit(served.url)
        keys = bob.page.keyboard
        expect(bob.page.locator("#name")).to_be_focused()
        keys.type("bob")
        keys.press("Enter")
        bob.connected()
        # One is where one writes.
        keys.type("from the keyboard")
        keys.press("Enter")
        keys.type("two lines:")
        keys.press("Shift+Enter")
        keys.type("this is the second")
        keys.press("Enter")
        bob.sees("one", "from the keyboard", "two lines:\nthis is the second")
        tab_to(bob, "Join a room", back=True)
        keys.press("Enter")
        expect(bob.page.locator("#room")).to_be_focused()
        expect(bob.page.locator("#open-rooms li")).to_have_count(1)
        keys.press("Tab")
        expect(bob.page.locator("#open-rooms button")).to_be_focused()
        keys.press("Enter")
        expect(bob.title).to_have_text("cats")
        bob.sees("a cat")
        expect(bob.field).to_be_focused()
        tab_to(bob, "lobby", back=True)
        keys.press("ArrowDown")
        expect(bob.entry("cats")).to_be_focused()
        keys.press("ArrowDown")
        keys.press("Enter")
        expect(bob.title).to_have_text("lobby")
        tab_to(bob, "Write to ann")
        keys.press("Enter")
        expect(bob.title).to_have_text("ann")
        expect(bob.field).to_be_focused()
        tab_to(bob, "Settings", back=True)
        keys.press("Enter")
        expect(bob.page.locator("#settings")).to_be_visible()
        keys.press("Escape")
        expect(bob.page.locator("#settings")).to_be_hidden()
        expect(bob.page.locator("#settings-open")).to_be_focused()


def tab_to(person: Person, name: str, back: bool = False) -> None:
    """Press Tab until the focus is on that button; wherever it comes by, it can be seen."""
    focused = person.page.locator(":focus")
    for _ in range(30):
        person.page.keyboard.press("Shift+Tab" if back else "Tab")
        # The field has its box around it.
        outlines = focused.evaluate(
            "at => [at, at.closest('.box')].map((each) => each && getComputedStyle(each).outline)"
        )
        assert any("solid" in each and " 0px" not in each for each in outlines if each), outlines
        if person.page.get_by_role("button", name=name).and_(focused).count():
            return
    pytest.fail(f"no {name} for the keyboard")


def test_new_messages_are_read_aloud_and_old_ones_are_not(served: Served, visit: Visit) -> None:
    served.publish("old")
    bob = visit(served.url)
    bob.page.evaluate(
        """() => {
          window.aloud = [];
          const said = (changes) => changes.forEach(({addedNodes}) => addedNodes.forEach((each) => {
            window.aloud.push(each.textContent);
          }));
          new MutationObserver(said).observe(document.getElementById("announcer"), {childList: true});
        }"""
    )
    bob.enter("bob")
    bob.sees("old")
    announcer = bob.page.get_by_role("log")
    served.publish("new")
    expect(announcer).to_have_text("ann: new")
    assert bob.page.evaluate("window.aloud") == ["ann: new"]
    served.publish(*[f"{number}" for number in range(50)])
    expect(bob.rows).to_have_count(52)
    assert announcer.locator("p").count() <= 3


@pytest.mark.parametrize("width", [320, 360, 768, 1024, 1280])
def test_nothing_is_wider_than_the_page(width: int, served: Served, visit: Visit) -> None:
    served.publish(*TEXTS)
    bob = visit(served.url, viewport={"width": width, "height": 700}).enter("W" * 32)
    expect(bob.rows).to_have_count(len(TEXTS))
    too_wide = bob.page.evaluate(
        """() => [...document.querySelectorAll("main, main *")].filter((each) => {
          const {right, width} = each.getBoundingClientRect();
          return width > 1 && right > innerWidth + 1;
        }).map((each) => each.outerHTML.slice(0, 80))"""
    )
    assert too_wide == []
    assert bob.page.evaluate("document.documentElement.scrollWidth") == width
    bob.page.get_by_role("button", name="Show all").first.scroll_into_view_if_needed()
    bob.page.get_by_role("button", name="Show all").first.click()


def test_text_has_its_own_direction(served: Served, visit: Visit) -> None:
    served.publish(*TEXTS)
    bob = visit(served.url).enter("bob")
    expect(bob.rows).to_have_count(len(TEXTS))
    directions = bob.page.locator("#messages .text").evaluate_all(
        "texts => texts.map((text) => getComputedStyle(text).direction)"
    )
    assert directions[:5] == ["ltr", "ltr", "ltr", "rtl", "rtl"]
    expect(bob.page.locator(".text.emoji")).to_have_text([TEXTS[5]])


def test_on_a_phone_panels_are_drawers(served: Served, visit: Visit) -> None:
    bob = visit(served.url, **PHONE).enter("bob")
    sidebar, people = bob.page.locator("#sidebar"), bob.page.locator("#people")
    expect(sidebar).to_be_hidden()
    expect(people).to_be_hidden()
    bob.page.get_by_role("button", name="Conversations").tap()
    expect(bob.entry("lobby")).to_be_focused()
    # What is behind it is out of reach.
    bob.page.keyboard.press("Tab")
    bob.page.keyboard.press("Tab")
    expect(bob.page.locator("main :focus")).to_have_count(0)
    bob.page.keyboard.press("Escape")
    expect(sidebar).to_be_hidden()
    expect(bob.page.locator("#sidebar-open")).to_be_focused()
    bob.page.get_by_role("button", name="People").tap()
    bob.page.get_by_role("button", name="Write to ann").tap()
    expect(people).to_be_hidden()
    expect(bob.title).to_have_text("ann")
    # The keyboard does not cover what one came to read.
    expect(bob.title).to_be_focused()
    served.publish("said elsewhere")
    expect(bob.page.locator("#sidebar-open .badge")).to_contain_text("1 unread")


def test_who_wants_no_motion_has_none(served: Served, visit: Visit) -> None:
    bob = visit(served.url, reduced_motion="reduce", **PHONE).enter("bob")
    moving = "each => [getComputedStyle(each).transitionDuration, getComputedStyle(each).animationName]"
    assert bob.page.locator("#sidebar").evaluate(moving) == ["0s", "none"]
    assert bob.page.locator("#banner").evaluate(moving) == ["0s", "none"]
