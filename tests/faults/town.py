"""A chat and its people, on a DynamoDB of the tests' own: all that happens is in a test's hands."""

from collections.abc import Iterable
from itertools import count
from typing import Any

from chalicelib.config import Settings
from chalicelib.tasks import decode
from tests.functional.tables import Tables
from tests.rig.clients import messages_of
from tests.rig.crashes import Crashes
from tests.rig.dynamodb import DynamoDB
from tests.rig.lambdas import Lambdas

# Older than a connection that may be opening still, in s.
GRACE = 31


class Town:
    """A chat and its people.

    Args:
        page_size: Memberships that are read at once.
        number: How many Lambdas there are.
        after: The same chat with other settings, before this.
        settings: Of the chat; without them it has no rates.

    Attributes:
        tables: Where the chat keeps what it knows.
        lambdas: The chat.
    """

    def __init__(
        self, *, page_size: int = 1000, number: int = 1, after: "Town | None" = None, **settings: Any
    ) -> None:
        self.tables = after.tables if after else Tables(DynamoDB())
        self.lambdas = Lambdas(
            self.tables,
            Crashes(self.tables.client),
            Settings(**{"rate_per_second": 0, **settings}),
            number=number,
            page_size=page_size,
        )
        self.sockets, self.worklist = self.lambdas.sockets, self.lambdas.worklist
        self._ids = after._ids if after else (f"c{number:013}=" for number in count())
        if after:
            self.lambdas.clock.now = after.lambdas.clock.now
        self._refs = (f"r{number}" for number in count())

    def arrive(self, name: str | None = None, *rooms: str, **run: Any) -> str:
        """Connect somebody, and tell the others of it; the connection's id."""
        connection_id = next(self._ids)
        assert self.connect(connection_id, name, *rooms, **run) == 200
        self.lambdas.work_off()
        return connection_id

    def arrive_many(self, number: int, *rooms: str) -> list[str]:
        """Connect so many nameless ones."""
        return [self.arrive(None, *rooms) for _ in range(number)]

    def connect(self, connection_id: str, name: str | None, *rooms: str, **run: Any) -> int:
        """Run ``$connect``; the status of its answer."""
        response = self.lambdas.connect(connection_id, list(rooms or ("lobby",)), name, **run)
        assert response is not None
        if response["statusCode"] == 200:
            self.sockets.open.add(connection_id)
        return int(response["statusCode"])

    def die(self, *connection_ids: str) -> None:
        """Let sockets end without a word."""
        self.sockets.open.difference_update(connection_ids)

    def ask(self, connection_id: str, action: str, **fields: Any) -> dict[str, Any]:
        """Send a frame, and give the reply."""
        run = {name: fields.pop(name) for name in ("on", "seconds", "meanwhile") if name in fields}
        frame = {"action": action, "ref": next(self._refs), **fields}
        reply = self.lambdas.ask(connection_id, frame, **run)
        assert reply is not None
        return reply

    def say(self, connection_id: str, text: str, **fields: Any) -> dict[str, Any]:
        """Send an ``onMessage``."""
        return self.ask(connection_id, "onMessage", message=text, **fields)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and do what is due meanwhile."""
        until = self.lambdas.clock() + seconds
        while (due := min((each.due for each in self.worklist.waiting), default=until)) < until:
            self.lambdas.clock.now = max(due, self.lambdas.clock())
            self.lambdas.work_off()
        self.lambdas.clock.now = until
        self.lambdas.work_off()

    def events(self, connection_id: str, kind: str) -> list[dict[str, Any]]:
        """What somebody has got, of a kind."""
        return [event for event in self.sockets.inboxes[connection_id] if event["type"] == kind]

    def texts(self, connection_id: str) -> list[str]:
        """The messages that somebody has got, alone or several in a frame."""
        events = self.sockets.inboxes[connection_id]
        return [message["message"] for event in events for message in messages_of(event)]

    def tasks(self, kind: type[Any]) -> list[Any]:
        """The tasks of a kind that are waiting."""
        found = (decode(each.body) for each in self.worklist.waiting)
        return [task for task in found if isinstance(task, kind)]

    def rows_of(self, connection_ids: Iterable[str]) -> list[str]:
        """The items that tell of connections."""
        return [row for row in self.tables.registry() if any(each in row for each in connection_ids)]

    def members(self, room: str = "lobby") -> int:
        """How many are in a room, as its head has it."""
        key = {"roomId": {"S": room}, "entry": {"S": "head"}}
        head = self.tables.client.get_item(TableName=self.tables.messages, Key=key)["Item"]
        return int(head["members"]["N"])
