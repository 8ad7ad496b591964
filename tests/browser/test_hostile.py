"""What others say, call themselves, and call their rooms is text on the page, and nothing else."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.served import Served

NAME = "<img src=x onerror=alert(1)>"
MARKUP = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    '"><iframe srcdoc="<script>parent.alert(1)</script>">',
    "javascript:alert(1)",
    "{{constructor.constructor('alert(1)')()}}",
    "&lt;b&gt; is not <b>bold</b>",
    '<a href="https://example.com" onclick="alert(1)">x',
]
# Under a link, none but these may lead anywhere.
LINKS = {
    "see https://example.com/a_(b)?c=d&e=[f]. And (http://example.org/x)!": [
        ("https://example.com/a_(b)?c=d&e=[f]", "https://example.com/a_(b)?c=d&e=[f]"),
        ("http://example.org/x", "http://example.org/x"),
    ],
    'https://example.com/"onmouseover="alert(1)': [("https://example.com/", "https://example.com/")],
    "https://bank.example@evil.example/": [],
    "https://evil.example/\u202egnp.exe": [("https://evil.example/", "https://evil.example/")],
    "javascript:alert(1)//https://example.com": [("https://example.com", "https://example.com/")],
    "HTTPS://EXAMPLE.COM": [("HTTPS://EXAMPLE.COM", "https://example.com/")],
    "data:text/html,<script>alert(1)</script> vbscript:x file:///etc/passwd": [],
    "https:// http://": [],
}


def test_markup_in_names_and_messages_is_shown_as_text(visit: Visit, page_url: str) -> None:
    mallory, bob = visit(page_url).enter(NAME), visit(page_url).enter("bob")
    for person in (mallory, bob):
        person.join("hostile")
    mallory.say(*MARKUP)
    for person in (mallory, bob):
        person.sees(*MARKUP)
        expect(person.page.locator("#messages .author").first).to_have_text(NAME)
        expect(person.page.locator("#members .name").filter(has_text=NAME)).to_be_visible()
        made = person.page.locator("#messages").locator(
            "script, img, iframe, b, [onerror], [onload], [onclick]"
        )
        expect(made).to_have_count(0)
    bob.page.get_by_role("button", name=f"Write to {NAME}").click()
    expect(bob.title).to_have_text(NAME)
    bob.say("<b>hi</b>")
    mallory.open("bob")
    mallory.sees("<b>hi</b>")


def test_markup_in_what_a_server_says_is_shown_as_text(served: Served, visit: Visit) -> None:
    served.server.open_rooms = {"<img src=x onerror=alert(1)>": 3}
    served.server.members = {"<script>alert(1)</script>": 1}
    bob = visit(served.url).enter("bob")
    expect(bob.page.locator("#members .name")).to_have_text("<script>alert(1)</script>")
    bob.page.get_by_role("button", name="Join a room").click()
    expect(bob.page.locator("#open-rooms .name")).to_have_text("<img src=x onerror=alert(1)>")
    bob.page.locator("#open-rooms button").click()
    expect(bob.page.locator("#room-error")).to_contain_text("must be 1-64 letters")


@pytest.mark.parametrize("text", LINKS, ids=lambda text: text[:20])
def test_links_lead_where_they_say_or_nowhere(text: str, served: Served, visit: Visit) -> None:
    bob = visit(served.url).enter("bob")
    served.publish(text)
    bob.sees(text)
    links = bob.page.locator("#messages a")
    shown = links.evaluate_all("links => links.map((a) => [a.textContent, a.getAttribute('href')])")
    assert [tuple(link) for link in shown] == LINKS[text]
    for link in links.all():
        expect(link).to_have_attribute("rel", "noopener noreferrer nofollow ugc")
        expect(link).to_have_attribute("target", "_blank")


PLANTED = """
() => [
  () => { document.body.innerHTML = "<img src=x onerror=alert(1)>"; },
  () => { document.createElement("script").src = "app.js"; },
  () => { document.createElement("script").text = "alert(1)"; },
  () => { document.createElement("b").setAttribute("onclick", "alert(1)"); },
].map((attempt) => {
  try { return attempt() ?? "done"; } catch (error) { return error.name; }
})
"""
FETCHED = """
async () => {
  const image = document.createElement("img");
  image.src = "https://evil.example/x.png";
  document.body.append(image);
  const answers = [fetch("https://evil.example/"), fetch("http://127.0.0.1:1/")];
  return (await Promise.allSettled(answers)).map(({status}) => status);
}
"""


def test_were_there_a_hole_nothing_would_come_through_it(served: Served, visit: Visit) -> None:
    bob = visit(served.url).enter("bob")
    assert bob.page.evaluate(PLANTED) == ["TypeError"] * 4
    assert bob.page.evaluate(FETCHED) == ["rejected"] * 2
    violations = " ".join(bob.page.evaluate("window.violations"))
    for directive in ("require-trusted-types-for", "img-src", "connect-src"):
        assert directive in violations
    bob.page.evaluate("window.violations = []")


def test_nothing_comes_from_another_host(served: Served, visit: Visit) -> None:
    bob = visit("about:blank")
    asked: list[str] = []
    bob.page.on("request", lambda request: asked.append(request.url))
    bob.page.goto(served.url)
    bob.enter("bob")
    bob.say("https://example.com/picture.png")
    bob.sees("https://example.com/picture.png")
    assert asked
    assert {url.startswith(served.url) for url in asked} == {True}
