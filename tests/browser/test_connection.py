"""The page when the network does what networks do."""

import asyncio
import base64
import json
import re
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Error as BrowserError
from playwright.sync_api import expect

from local.page import Page
from tests.browser.background import Background
from tests.browser.conftest import Visit
from tests.browser.person import SECONDS
from tests.browser.served import WEB, Served
from tests.e2e.local_stack import LocalStack
from tests.rig.chat_server import Fault, Visitor
from tests.rig.line import Line
from tests.waiting import eventually

TWENTY = [f"message {number}" for number in range(1, 21)]


def token(seconds: float) -> str:
    """A JWT of bob's that expires in so long. The rig looks at no signature."""
    parts = [{"alg": "none"}, {"sub": "bob", "exp": time.time() + seconds}]
    return (
        ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().strip("=") for part in parts)
        + "."
    )


def visited(served: Served, number: int, action: str = "history", times: int = 1) -> Visitor:
    """Wait for the connection of this number, and what it asks for."""
    return served.do(served.server.until(number, action, times), SECONDS)


@pytest.fixture
def line(stack: LocalStack) -> Iterator[tuple[Callable[[], None], str]]:
    """What cuts a line to the local stack, and mends it; and the page over it."""
    with Background() as background:
        line = Line(stack.endpoints["websocketUrl"])
        background.do(line.__aenter__())

        async def cut() -> None:
            line.cut()
            line.mend()

        with Page(WEB, lambda: {"websocketUrl": line.url}, 0) as page:
            # By the line's own thread: a transport that another one aborts may not notice.
            yield lambda: background.do(cut()), page.url
        background.do(line.__aexit__(None, None, None))


def test_the_server_goes_away_and_comes_back(served: Served, visit: Visit) -> None:
    served.publish("before")
    bob = visit(served.url).enter("bob")
    bob.sees("before")
    served.server.statuses = [503] * 4
    served.cut(1)
    expect(bob.banner).to_contain_text("The connection was lost. Trying again")
    expect(bob.state).to_have_text("Not connected")
    served.publish("meanwhile", "and again")
    bob.say("written meanwhile")
    expect(bob.page.locator(".sending .state")).to_have_text("Sending")
    expect(bob.banner).to_contain_text("The chat cannot be reached. Trying again", timeout=SECONDS * 1000)
    expect(bob.state).to_have_text("Connected", timeout=SECONDS * 1000)
    expect(bob.banner).to_be_hidden()
    bob.sees("before", "meanwhile", "and again", "written meanwhile")
    assert served.said() == ["before", "meanwhile", "and again", "written meanwhile"]


def test_a_socket_is_killed_while_20_messages_are_sent(served: Served, visit: Visit) -> None:
    bob = visit(served.url).enter("bob")
    served.server.faults["onMessage"] = [Fault.UNANSWERED, Fault.UNSEEN, Fault.UNANSWERED]
    bob.say(*TWENTY)
    bob.sees(*TWENTY)
    assert served.said() == TWENTY
    assert len(served.server.visitors) == 4
    expect(bob.page.locator("#messages .sending")).to_have_count(0)


def test_what_is_said_stays_in_order_where_the_server_is_quick_and_slow(served: Served, visit: Visit) -> None:
    bob = visit(served.url).enter("bob")
    served.server.faults["onMessage"] = [Fault.SLOW]
    bob.say("one", "two", "three")
    bob.sees("one", "two", "three")


def test_a_line_is_cut_while_20_messages_are_sent(line: tuple[Callable[[], None], str], visit: Visit) -> None:
    cut, url = line
    alice, bob = visit(url).enter("alice"), visit(url).enter("bob")
    for person in (alice, bob):
        person.join("line")
    for number, text in enumerate(TWENTY):
        bob.say(text)
        if number in (5, 12):
            cut()
    alice.sees(*TWENTY)
    bob.sees(*TWENTY)


def test_a_connection_that_died_silently_is_noticed(visit: Visit) -> None:
    with Served(pingSeconds=0.5, answerSeconds=1) as served:
        bob = visit(served.url).enter("bob")

        async def deafen() -> None:
            served.server.visitors[0].socket.transport.pause_reading()

        served.do(deafen())
        visited(served, 2)
        served.publish("heard")
        bob.sees("heard")


def test_a_message_that_gets_lost_is_asked_for(served: Served, visit: Visit) -> None:
    bob = visit(served.url).enter("bob")
    served.publish("one")
    served.publish("two", lost=True)
    served.publish("three", "four")
    bob.sees("one", "two", "three", "four")


def test_what_is_not_kept_any_more_leaves_a_note(served: Served, visit: Visit) -> None:
    served.publish("one")
    bob = visit(served.url).enter("bob")
    bob.sees("one")
    served.server.statuses = [503]
    served.cut(1)
    served.publish("two", "three")
    served.server.expired = 2
    bob.sees("one", "three")
    expect(bob.page.locator(".notice")).to_have_text("Some messages are not kept any more.")


def test_before_two_hours_a_second_socket_takes_over(visit: Visit) -> None:
    # An hour is 2 s.
    with Served(rolloverSeconds=3.6, pingSeconds=0.6) as served:
        server = served.server
        server.longest_seconds = 4
        bob = visit(served.url).enter("bob")
        bob.page.evaluate(
            "window.states = []; new MutationObserver(() => states.push(state.textContent))"
            ".observe(document.getElementById('state'), {childList: true})"
        )
        texts = [f"at {number}" for number in range(80)]

        async def talk() -> None:
            for text in texts:
                await server.publish(text)
                await asyncio.sleep(0.1)

        async def talk_on() -> None:
            talking = asyncio.create_task(talk())
            await server.visitors[0].socket.wait_closed()
            # By then, the second had asked for what was said.
            assert server.visitors[1].asked("history")
            await talking

        served.do(talk_on(), 40)
        bob.sees(*texts)
        assert len(server.visitors) >= 3
        closed = [visitor.socket.close_code for visitor in server.visitors[:2]]
        assert closed == [1000, 1000], "the server had to end it"
        assert bob.page.evaluate("states.filter((state) => state !== 'Connected')") == []


def test_what_both_sockets_of_a_rollover_get_is_shown_once(visit: Visit) -> None:
    with Served(rolloverSeconds=2, answerSeconds=3) as served:
        bob = visit(served.url).enter("bob")
        # While the first socket owes an answer, both are open.
        served.server.faults["onMessage"] = [Fault.IGNORED]
        bob.say("said again")
        visited(served, 2)

        async def whisper() -> list[object]:
            server = served.server
            assert [visitor.socket.close_code for visitor in server.visitors] == [None, None]
            await server.publish("to both")
            return [await server._whisper(server.visitors[0], "bob", "for bob alone", "r1")]

        served.do(whisper())
        bob.page.get_by_role("button", name="Try again").click()
        bob.sees("to both", "said again")
        assert served.said() == ["to both", "said again"]
        bob.open("bob")
        bob.sees("for bob alone")


def test_by_default_it_pings_in_time_and_rolls_over_in_time(served: Served, visit: Visit) -> None:
    bob = visit("about:blank")
    bob.page.clock.install()
    # The time of the rollover is jittered: at its middle, 104.5 minutes.
    bob.page.add_init_script("Math.random = () => 0.5")
    bob.page.goto(served.url)
    bob.enter("bob")
    began = bob.page.evaluate("Date.now()")
    # Half of API Gateway's ten idle minutes.
    bob.page.clock.run_for("04:30")
    assert served.server.visitors[0].asked("ping") == []
    bob.page.clock.run_for("00:30")
    visited(served, 1, "ping")
    # And ten minutes short of its two hours. Small steps: what is on its way takes no time here.
    bob.page.clock.fast_forward("01:38:00")
    visited(served, 1, "ping", 2)
    bob.say("still here")
    bob.sees("still here")
    assert len(served.server.visitors) == 1
    assert eventually(lambda: bob.page.clock.run_for(2000) or len(served.server.visitors) == 2, SECONDS)
    assert bob.page.evaluate("Date.now()") - began < 110 * 60_000
    assert eventually(lambda: bob.page.clock.run_for(100) or _closed(served, 1), SECONDS)
    served.publish("here too")
    bob.sees("still here", "here too")


def _closed(served: Served, number: int) -> bool:
    return served.server.visitors[number - 1].socket.close_code == 1000


def test_when_the_network_is_back_it_connects_at_once(served: Served, visit: Visit) -> None:
    bob = visit("about:blank")
    bob.page.clock.install()
    bob.page.goto(served.url)
    bob.enter("bob")
    # From here on, no timer ends.
    bob.page.clock.pause_at(time.time() + 60)
    served.cut(1)
    expect(bob.state).to_have_text("Not connected")
    bob.context.set_offline(True)
    expect(bob.banner).to_contain_text("You are offline.")
    bob.context.set_offline(False)
    visited(served, 2)


def test_after_a_sleep_it_makes_sure_of_its_connection(served: Served, visit: Visit) -> None:
    bob = visit("about:blank")
    bob.page.clock.install()
    bob.page.goto(served.url)
    bob.enter("bob")
    bob.page.clock.fast_forward("04:00")
    visited(served, 1, "ping")


def test_a_token_is_renewed_in_time(visit: Visit) -> None:
    with Served(token=token(3), renewSeconds=2) as served:
        visitor = None
        bob = visit(served.url).connected()
        served.config["token"] = later = token(3600)
        visitor = served.server.visitors[0]
        assert eventually(lambda: visitor.token == later, SECONDS)
        bob.say("still here")
        bob.sees("still here")
        assert len(served.server.visitors) == 1
        assert visitor.name is None, "the token has the name"
        expect(bob.page.locator("#me-name")).to_have_text("bob")
        bob.page.get_by_role("button", name="Settings").click()
        expect(bob.page.locator("#rename")).to_be_hidden()


def test_with_another_token_it_comes_back_after_the_end_of_one(visit: Visit) -> None:
    with Served(token=token(3600)) as served:
        bob = visit(served.url).connected()
        served.server.visitors[0].expired = True
        served.config["token"] = later = token(7200)
        bob.say("said once")
        bob.sees("said once")
        assert served.said() == ["said once"]
        assert served.server.visitors[-1].token == later


def test_a_token_that_is_over_when_one_connects_ends_it(visit: Visit) -> None:
    with Served(token=token(-10)) as served:
        served.server.statuses = [401]
        bob = visit(served.url)
        expect(bob.banner).to_contain_text("Your session has ended.")
        expect(bob.page.get_by_role("button", name="Connect again")).to_be_visible()


def test_without_another_token_it_says_that_the_session_is_over(visit: Visit) -> None:
    with Served(token=token(3600)) as served:
        bob = visit(served.url).connected()
        served.server.visitors[0].expired = True
        bob.say("too late")
        expect(bob.banner).to_contain_text("Your token has expired.")
        expect(bob.page.get_by_role("button", name="Connect again")).to_be_visible()
        expect(bob.page.locator(".failure")).to_contain_text("Not sent.")


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Fault.REFUSED, "The chat could not do that just now."),
        (Fault.IGNORED, "The chat did not answer in time."),
    ],
)
def test_what_is_not_sent_says_why_and_is_sent_when_tried_again(fault: Fault, why: str, visit: Visit) -> None:
    with Served(answerSeconds=1) as served:
        bob = visit(served.url).enter("bob")
        served.server.faults["onMessage"] = [fault]
        bob.say("hi")
        expect(bob.page.locator(".failure")).to_contain_text(f"Not sent. {why}")
        bob.page.get_by_role("button", name="Try again").click()
        expect(bob.page.locator(".failure")).to_have_count(0)
        bob.sees("hi")
        assert served.said() == ["hi"]


def test_to_who_is_not_there_nothing_is_sent(served: Served, visit: Visit) -> None:
    bob = visit(served.url).enter("bob")
    bob.page.get_by_role("button", name="Write to ann").click()
    bob.say("Are you there?")
    expect(bob.page.locator(".failure")).to_contain_text("Not sent. ann is not here right now.")
    bob.page.get_by_role("button", name="Delete").click()
    bob.sees()


def test_a_chat_that_is_not_there_is_waited_for(visit: Visit) -> None:
    with Served() as served:
        served.server.statuses = [503] * 5
        bob = visit(served.url)
        bob.page.get_by_role("textbox", name="Your name").fill("bob")
        bob.page.keyboard.press("Enter")
        expect(bob.banner).to_contain_text("The chat cannot be reached. Trying again", timeout=SECONDS * 1000)
        for _ in range(5):
            try:
                bob.page.get_by_role("button", name="Try now").click(timeout=1000)
            except BrowserError:
                break  # It was quicker.
        bob.connected()


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https://example.com/", "wss://bob:pass@example.com/"]
)
def test_the_address_of_a_chat_is_checked(url: str, visit: Visit) -> None:
    with Served() as served:
        del served.config["websocketUrl"]
        bob = visit(f"{served.url}?url={url}")
        expect(bob.page.get_by_role("textbox", name="Address of the chat")).to_be_visible()
        bob.page.get_by_role("textbox", name="Your name").fill("bob")
        bob.page.get_by_role("textbox", name="Address of the chat").fill(url)
        bob.page.keyboard.press("Enter")
        expect(bob.page.locator("#url-error")).to_have_text(re.compile("begins with wss://"))


def test_a_page_without_a_configuration_takes_the_address_in_its_own(served: Served, visit: Visit) -> None:
    elsewhere = served.config.pop("websocketUrl")
    bob = visit(f"{served.url}?url={elsewhere}").enter("bob")
    bob.say("hi")
    bob.sees("hi")


def test_a_link_does_not_lead_away_from_the_configured_chat(served: Served, visit: Visit) -> None:
    bob = visit(f"{served.url}?url=wss://127.0.0.1:1/").enter("bob")
    bob.say("hi")
    bob.sees("hi")
