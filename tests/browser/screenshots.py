"""Makes docs/screenshots/, the page's main states: ``python -m tests.browser.screenshots``."""

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect

from chalicelib.wire.events import Typing
from tests.browser.chromium import chromium
from tests.browser.person import Person
from tests.browser.served import Served
from tests.rig.chat_server import Fault

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
WIDE: dict[str, Any] = {"viewport": {"width": 1200, "height": 720}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 760}, "has_touch": True, "is_mobile": True}
# A Tuesday, in UTC.
NOON = 1_790_683_200_000
MINUTE = 60_000

TALK = [
    (
        -1500,
        "Ines",
        "The new build of the ferry timetable is up: https://ferries.example/timetable?season=autumn",
    ),
    (-1499, "Ines", "Would somebody look at it before it goes to print?"),
    (-1440, "Tomás", "Looks right to me. The 17:40 is missing on Sundays, but that was so last year too."),
    (-1438, "Ines", "It was, and three people wrote to us 🙈"),
    (-34, "Noa", "בוקר טוב! אני על המעבורת עכשיו, הים שקט."),
    (-33, "Noa", "(Good morning! I am on the ferry, the sea is calm.)"),
    (-31, "Yuki", "Wonderful. Take a picture of the new pier?"),
    (-12, "Noa", "🌊⛴️"),
    (
        -11,
        "Noa",
        "No picture, my hands are cold. Here is what the board says:\n\n"
        "08:15  Harbour\n09:30  Lighthouse\n11:00  Harbour",
    ),
    (-4, "Tomás", "So the 09:30 runs. Then the timetable is wrong twice."),
]


def talk(served: Served) -> None:
    """What has been said until noon."""
    served.server.clock = lambda: NOON / 1000
    served.server.members = {"Ines": 1, "Noa": 2, "Tomás": 1, "Yuki": 1, "Mara": 1}
    served.server.open_rooms = {"harbour": 12, "lobby": 7, "timetable": 3, "weather": 2}
    for minutes, sender, text in TALK:
        served.publish(text, sender=sender, sent_at=NOON + minutes * MINUTE)


def visitor(browser: Browser, served: Served, scheme: str, look: dict[str, Any]) -> Person:
    """Somebody at noon, in English, wherever this runs."""
    context = browser.new_context(
        color_scheme=scheme, reduced_motion="reduce", locale="en-GB", timezone_id="UTC", **look
    )
    context.clock.set_fixed_time(NOON / 1000)
    return Person(context, served.url)


def shoot(person: Person, name: str) -> None:
    """Take a picture of the page as it is."""
    person.page.mouse.move(0, 0)
    person.page.evaluate("document.fonts.ready")
    person.page.screenshot(path=FOLDER / f"{name}.png", animations="disabled", caret="hide")
    print(f"{name}.png")


def wide(browser: Browser, scheme: str) -> None:
    """The states of a wide page."""
    with Served() as served:
        talk(served)
        mara = visitor(browser, served, scheme, WIDE)
        expect(mara.page.locator("#name")).to_be_focused()
        shoot(mara, f"welcome-{scheme}")
        mara.enter("Mara")
        mara.join("weather")
        mara.open("lobby")
        served.publish("Wind from the west, five to six.", room="weather", sender="Yuki", sent_at=NOON)
        mara.say("I will add the 17:40 and the 09:30, and send it round again.")
        expect(mara.page.locator("#messages .sending")).to_have_count(0)

        async def type() -> None:
            await served.server.visitors[0].tell(Typing(room="lobby", sender="Ines", typing=True))

        served.do(type())
        expect(mara.page.locator("#typing")).to_have_text("Ines is typing")
        shoot(mara, f"room-{scheme}")
        mara.page.get_by_role("button", name="Join a room").click()
        expect(mara.page.locator("#open-rooms li")).to_have_count(4)
        shoot(mara, f"join-{scheme}")
        mara.page.keyboard.press("Escape")
        mara.page.get_by_role("button", name="Settings").click()
        mara.page.get_by_role("switch").check()
        mara.page.get_by_role("button", name="Done").click()
        # A line of a few of them; the figures are what they were.
        line = mara.page.locator("#sparkline polyline")
        expect(line).to_have_attribute("points", re.compile("( .*){5}"), timeout=60_000)
        served.server.faults["onMessage"] = [Fault.REFUSED]
        mara.say("Printed by Friday, I hope.")
        expect(mara.page.locator(".failure")).to_be_visible()
        served.server.statuses = [503] * 1000
        served.cut(1)
        expect(mara.banner).to_be_visible()
        mara.say("Or by Monday.")
        expect(mara.rows.last).to_be_in_viewport()
        shoot(mara, f"trouble-{scheme}")
        mara.context.close()


def phone(browser: Browser, scheme: str) -> None:
    """The states of a phone."""
    with Served() as served:
        talk(served)
        mara = visitor(browser, served, scheme, PHONE).enter("Mara")
        mara.page.locator("#title").focus()
        shoot(mara, f"phone-{scheme}")
        mara.page.get_by_role("button", name="People").tap()
        mara.page.get_by_role("button", name="Write to Noa").tap()
        expect(mara.page.locator("#empty")).to_be_visible()
        shoot(mara, f"phone-private-{scheme}")
        mara.context.close()


def main() -> None:
    """Take them all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for scheme in ("light", "dark"):
            wide(browser, scheme)
            phone(browser, scheme)


if __name__ == "__main__":
    main()
