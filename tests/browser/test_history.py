"""Scrolling in what has been said."""

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.person import SECONDS, Person
from tests.browser.served import Served

DAY = 24 * 60 * 60 * 1000
# A Monday morning.
MONDAY = 1_700_474_400_000
TWO_FRAMES = "new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))"
LAID_OUT = """
rows => rows.filter((row) => row.lastElementChild.checkVisibility({contentVisibilityAuto: true})).length
"""


def fill(served: Served, number: int) -> list[str]:
    """Let a room have so many messages, 100 a day."""
    texts = [f"message {each}" for each in range(1, number + 1)]
    for each, text in enumerate(texts):
        sent_at = MONDAY + each // 100 * DAY + each * 1000
        served.publish(text, sender=("ann", "carl", None)[each // 7 % 3], sent_at=sent_at)
    return texts


def scroll_up(person: Person, times: int) -> None:
    """Go to the top so many times, and let older messages come."""
    for _ in range(times):
        before = person.rows.count()
        person.page.locator("#scroller").evaluate("scroller => (scroller.scrollTop = 0)")
        expect(person.rows.nth(before)).to_be_attached(timeout=SECONDS * 1000)


def test_older_messages_come_when_one_scrolls_up(served: Served, visit: Visit) -> None:
    texts = fill(served, 230)
    bob = visit(served.url).enter("bob")
    expect(bob.rows.nth(49)).to_be_attached()
    bob.page.locator("#scroller").hover()
    top = "document.elementFromPoint(600, 120).closest('li')?.innerText"
    bob.page.locator("#scroller").evaluate("scroller => (scroller.scrollTop = 620)")
    seen = bob.page.evaluate(top)
    bob.page.locator("#scroller").evaluate("scroller => (scroller.scrollTop -= 30)")
    expect(bob.rows.nth(149)).to_be_attached()
    # What was in sight is where it was, for those 30 pixels.
    again = [bob.page.evaluate(top.replace("120", str(120 + shift))) for shift in (0, 30)]
    assert seen in again
    scroll_up(bob, 1)
    bob.sees(*texts)
    expect(bob.page.locator("#older")).to_have_text("This is the beginning.")
    expect(bob.page.locator(".day")).to_have_count(3)
    expect(bob.page.locator(".day").first).to_have_text("November 20, 2023")
    served.publish("new")
    jump = bob.page.get_by_role("button", name="1 new message")
    expect(jump).to_be_visible()
    jump.click()
    expect(jump).to_be_hidden()
    bob.sees(*texts, "new")


def test_an_answer_without_older_messages_ends_the_asking(served: Served, visit: Visit) -> None:
    fill(served, 3)
    served.server.skip(1500)
    texts = fill(served, 60)
    bob = visit(served.url).enter("bob")
    expect(bob.rows).to_have_count(50)
    scroll_up(bob, 1)
    bob.sees(*texts)
    bob.page.locator("#scroller").evaluate("scroller => (scroller.scrollTop = 0)")
    expect(bob.page.locator("#older")).to_have_text("This is the beginning.")
    bob.say("hi")
    bob.sees(*texts, "hi")
    # The newest, those before them, and before those none of a thousand numbers.
    [visitor] = served.server.visitors
    assert len([each for each in visitor.asked("history") if each["room"] == "lobby"]) == 3


def test_what_is_in_sight_stays_in_sight_at_the_very_top_too(served: Served, visit: Visit) -> None:
    texts = fill(served, 230)
    bob = visit(served.url).enter("bob")
    expect(bob.rows).to_have_count(50)
    scroll_up(bob, 1)
    at = bob.page.get_by_text(texts[-50], exact=True).bounding_box()
    bar = bob.page.locator(".bar").bounding_box()
    assert at
    assert bar
    assert bar["height"] <= at["y"] <= bar["height"] + 150


def test_of_1000_messages_only_those_in_sight_are_laid_out(served: Served, visit: Visit) -> None:
    texts = fill(served, 1000)
    bob = visit(served.url).enter("bob")
    expect(bob.rows.nth(49)).to_be_attached()
    scroll_up(bob, 10)
    bob.sees(*texts)
    for place in (0, 0.5, 1):
        bob.page.locator("#scroller").evaluate(
            f"scroller => (scroller.scrollTop = scroller.scrollHeight * {place})"
        )
        bob.page.evaluate(TWO_FRAMES)
        laid_out = bob.rows.evaluate_all(LAID_OUT)
        assert 5 <= laid_out <= 200


def test_a_room_that_nobody_scrolls_in_keeps_no_more_than_it_needs(served: Served, visit: Visit) -> None:
    bob = visit(served.url).enter("bob")
    texts = fill(served, 600)
    expect(bob.rows.last).to_contain_text("message 600")
    assert 300 <= bob.rows.count() <= 400
    scroll_up(bob, 1)
    shown = bob.page.locator("#messages .text").all_text_contents()
    assert shown == texts[-len(shown) :]


def test_what_was_read_is_known_at_the_next_visit(served: Served, visit: Visit) -> None:
    served.publish("one", "two")
    bob = visit(served.url).enter("bob")
    bob.sees("one", "two")
    bob.page.close()
    served.publish("three", "four")
    bob.page = bob.context.new_page()
    bob.page.goto(served.url)
    bob.enter("bob")
    bob.sees("one", "two", "three", "four")
    expect(bob.page.locator(".marker + li .text")).to_have_text("three")
