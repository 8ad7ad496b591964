"""The three handlers, and what must hold whatever they are handed."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import boto3

from chalicelib.bootstrap import build_chat
from chalicelib.gateway.sending import SendResult
from tests.functional.log import Log
from tests.functional.tables import Tables
from tests.fuzz.events import Step
from tests.rig.clock import Clock
from tests.rig.sockets import Sockets
from tests.tokens import AUDIENCE, ISSUER, NOW, SECRET

PARAMETER = "/chat/fuzzed/jwt-secret"
STATUSES = {"connect": {200, 400, 401, 403, 503}, "message": {200}, "disconnect": {200}}
COMMON = {"CHAT_ALLOWED_ORIGINS": "https://chat.example.com"}


class Parsed(Sockets):
    """Sockets that lines of text arrive at too."""

    def start_many(
        self, connection_ids: Sequence[str], payload: str, deadline: float, patient: bool = False
    ) -> Future[SendResult]:
        """Send one payload to each connection."""
        event = payload if payload.startswith("{") else json.dumps({"type": "text", "line": payload})
        return super().start_many(connection_ids, event, deadline)


class Target:
    """A chat of its own, in memory but for its tables.

    Args:
        url: An emulator with DynamoDB and SSM.
        auth: ``"none"`` or ``"jwt"``.
    """

    def __init__(self, url: str, auth: str) -> None:
        self.tables = Tables(boto3.client("dynamodb", endpoint_url=url))
        self._settings = {**COMMON, **self.tables.settings()}
        if auth == "jwt":
            ssm = boto3.client("ssm", endpoint_url=url)
            ssm.put_parameter(Name=PARAMETER, Value=SECRET.decode(), Type="SecureString", Overwrite=True)
            self._settings |= {
                "CHAT_AUTH": "jwt",
                "CHAT_JWT_SECRET_ARN": ssm.get_parameter(Name=PARAMETER)["Parameter"]["ARN"],
                "CHAT_JWT_ISSUER": ISSUER,
                "CHAT_JWT_AUDIENCE": AUDIENCE,
                "CHAT_ROOMS_CLAIM": "rooms",
            }
        self.events = 0
        self.forms: dict[str, bool] = {}

    def run(self, steps: Iterable[Step]) -> None:
        """Hand a chat one event after the other; what must hold is asserted."""
        self.forms.clear()
        clock, sockets, log = Clock(NOW), Parsed(), Log()
        api: Any = sockets
        chat = build_chat(self._settings, api, dynamodb=self.tables.client, clock=clock, logger=log.logger)
        try:
            for step in steps:
                self.events += 1
                clock.now += step.seconds
                self._one(step, chat, sockets)
                assert not re.search(r"[^\n\x20-\x7e]", log.text)
                for line in log.text.splitlines():
                    json.loads(line)
                assert "Traceback" not in log.text
                assert '"outcome": "internal"' not in log.text, log.text
        finally:
            self._clear()

    def _one(self, step: Step, chat: Any, sockets: Sockets) -> None:
        connection: str = step.event["requestContext"]["connectionId"]
        inbox = sockets.inboxes[connection]
        had = len(inbox)
        response: Mapping[str, Any] = getattr(chat, step.route)(step.event, 25.0)
        json.dumps(response)
        assert response["statusCode"] in STATUSES[step.route], response
        match step.route:
            case "connect" if response["statusCode"] == 200:
                sockets.open.add(connection)
                # One that is there already keeps its form.
                self.forms.setdefault(connection, "headers" in response)
            case "message":
                self._answered_once(connection, inbox[had:], sockets)
            case "disconnect":
                sockets.open.discard(connection)
                self.forms.pop(connection, None)

    def _answered_once(self, connection: str, told: list[dict[str, Any]], sockets: Sockets) -> None:
        """Its own messages and what comes of them aside, a frame has one answer."""
        if any(event["type"] == "text" for event in told):
            return
        unasked = {"message", "private", "presence", "typing", "goodbye"}
        # Leaving what a newer token does not allow is told beside the answer to it.
        renewed = any(event["type"] == "authenticated" for event in told)
        answers = [
            event
            for event in told
            if event["type"] not in unasked and not (renewed and event["type"] == "left")
        ]
        json_form = connection in sockets.open and self.forms[connection]
        assert len(answers) == (1 if answers or json_form else 0), told

    def _clear(self) -> None:
        for table, keys in (
            (self.tables.connections, ("connectionid",)),
            (self.tables.rooms, ("roomId", "connectionid")),
            (self.tables.messages, ("roomId", "entry")),
        ):
            for item in self.tables.items(table):
                self.tables.client.delete_item(TableName=table, Key={key: item[key] for key in keys})
