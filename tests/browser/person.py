"""Somebody at the page."""

from typing import Any

from playwright.sync_api import BrowserContext, Locator, Page, expect

# Loaded machines are slow; nothing is waited for that is there.
SECONDS = 15
VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`);
});
"""


class Person:
    """A browser of one's own, on the page.

    Attributes:
        page: The page, for what has no name here.
        troubles: Dialogs that have opened, and errors that nobody caught.
    """

    def __init__(self, context: BrowserContext, url: str) -> None:
        context.set_default_timeout(SECONDS * 1000)
        context.add_init_script(VIOLATIONS)
        self.context = context
        self.page: Page = context.new_page()
        self.troubles: list[str] = []
        self.page.on("dialog", self._dialog)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.goto(url)

    def _dialog(self, dialog: Any) -> None:
        self.troubles.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def must_be_well(self) -> None:
        """Nothing has run that should not, and the policy has forbidden nothing."""
        assert self.troubles == []
        assert self.page.evaluate("window.violations") == []

    def enter(self, name: str) -> "Person":
        """Come in under a name, and wait until the chat is there."""
        self.page.get_by_role("textbox", name="Your name").fill(name)
        self.page.get_by_role("button", name="Enter").click()
        return self.connected()

    def connected(self) -> "Person":
        """Wait until the connection is open, and the first messages are there."""
        expect(self.state).to_have_text("Connected", timeout=SECONDS * 1000)
        expect(self.page.locator("#older")).not_to_have_text("Loading messages…", timeout=SECONDS * 1000)
        return self

    def say(self, *texts: str) -> None:
        """Write something, and press Enter."""
        for text in texts:
            self.field.fill(text)
            self.field.press("Enter")

    def join(self, room: str) -> None:
        """Join a room by its name."""
        self.page.get_by_role("button", name="Join a room").click()
        self.page.get_by_role("textbox", name="Name of the room").fill(room)
        self.page.get_by_role("button", name="Join", exact=True).click()
        expect(self.title).to_have_text(room)

    def open(self, conversation: str) -> None:
        """Go to a conversation in the list."""
        self.entry(conversation).click()
        expect(self.title).to_have_text(conversation)

    def sees(self, *texts: str) -> None:
        """Wait until the messages are these and no others, from the top, and none waits to be sent."""
        expect(self.page.locator("#messages .text")).to_have_text(list(texts), timeout=SECONDS * 1000)
        expect(self.page.locator("#messages .sending")).to_have_count(0, timeout=SECONDS * 1000)

    @property
    def field(self) -> Locator:
        return self.page.locator("#text")

    @property
    def title(self) -> Locator:
        return self.page.get_by_role("heading", level=1).and_(self.page.locator("#title"))

    @property
    def state(self) -> Locator:
        return self.page.locator("#state")

    @property
    def banner(self) -> Locator:
        return self.page.locator("#banner")

    @property
    def toasts(self) -> Locator:
        return self.page.locator("#toasts")

    def entry(self, conversation: str) -> Locator:
        """A conversation in the list."""
        return self.page.locator("#conversations .entry").filter(
            has=self.page.get_by_text(conversation, exact=True)
        )

    @property
    def rows(self) -> Locator:
        """The rows of the messages."""
        return self.page.locator("#messages .message")

    def axe(self, source: str) -> list[str]:
        """What axe-core has to say against the page as it is: its rules, and where."""
        self.page.evaluate(source)
        found = self.page.evaluate("axe.run(document)")
        return [
            f"{violation['id']}: {node['target']} {node['failureSummary']}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]
