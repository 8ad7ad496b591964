"""What is whose: labels, what a browser keeps, and what is being sent."""

from playwright.sync_api import expect

from chalicelib.wire.events import Private
from tests.browser.conftest import Visit
from tests.browser.served import Served
from tests.rig.chat_server import Fault
from tests.waiting import eventually


def test_a_label_is_no_address(served: Served, visit: Visit) -> None:
    nadia = visit(served.url).enter("Nadia")
    served.tell(Private(id="p1", sender=None, to="Nadia", message="guess who", sent_at=1))
    nadia.open("Somebody")
    nadia.sees("guess who")
    nadia.say("who are you")
    expect(nadia.toasts).to_contain_text("You cannot answer")
    # It is not lost, and goes to nobody.
    expect(nadia.field).to_have_value("who are you")
    assert not served.server.visitors[0].asked("privateMessage")


def test_what_one_user_leaves_is_not_the_next_ones(served: Served, visit: Visit) -> None:
    person = visit(served.url).enter("ann")
    person.join("cats")
    person.page.get_by_role("button", name="Settings").click()
    person.page.get_by_role("button", name="Sign out").click()
    kept = person.page.evaluate("[...Object.keys(localStorage), ...Object.keys(sessionStorage)]")
    assert not [key for key in kept if "ann" in key or key.endswith(("rooms", "read", "active", ":name"))]
    person.enter("bob")
    expect(person.entry("lobby")).to_be_visible()
    expect(person.entry("cats")).to_have_count(0)
    assert served.server.visitors[-1].rooms == ["lobby"]


def test_over_a_renaming_ones_rooms_are_kept(served: Served, visit: Visit) -> None:
    person = visit(served.url).enter("ann")
    person.join("cats")
    person.page.get_by_role("button", name="Settings").click()
    person.page.get_by_label("Your name").last.fill("anna")
    person.page.keyboard.press("Enter")
    assert eventually(lambda: served.server.visitors[0].asked("setName") == [{"name": "anna"}])
    expect(person.page.locator("#me-name")).to_have_text("anna")
    person.page.reload()
    expect(person.entry("cats")).to_be_visible()


def test_the_same_text_of_another_tab_takes_the_place_of_none(served: Served, visit: Visit) -> None:
    ann = visit(served.url).enter("ann")
    served.server.faults["onMessage"] = [Fault.IGNORED]
    ann.say("ok")
    served.publish("ok", sender="ann")
    served.publish("and now", sender="bob")
    ann.sees("ok", "and now")
    served.server.faults["onMessage"].clear()
    # What was not acknowledged is sent again by the next connection.
    served.cut(1)
    assert eventually(lambda: served.said() == ["ok", "and now", "ok"])
    ann.sees("ok", "and now", "ok")


def test_without_tokens_the_page_does_not_promise_privacy(served: Served, visit: Visit) -> None:
    ann = visit(served.url).enter("ann")
    served.tell(Private(id="p1", sender="bob", to="ann", message="psst", sent_at=1))
    ann.open("bob")
    expect(ann.page.locator("#empty-text")).to_contain_text("Names are not protected in this chat")
