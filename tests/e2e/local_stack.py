"""``make up``, as a process of its own."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import boto3
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.e2e.project import Project
from tests.waiting import eventually

# Whoever runs the tests: none of it may be used, or nothing here would work.
SOMEBODY = {
    "AWS_PROFILE": "somebody",
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_DEFAULT_REGION": "eu-south-2",
    "AWS_REGION": "eu-south-2",
    "CHAT_TABLE": "Somebodys",
}


class LocalStack:
    """A running ``make up``; a context manager.

    Args:
        project: The copy of the project to run.
        port: The emulator's.
        arguments: Others of ``make``'s, such as ``AUTH=jwt``.

    Attributes:
        project: The copy of the project that runs.
        started_in: Seconds from the command to the URL.
    """

    def __init__(self, project: Project, port: int, *arguments: str) -> None:
        self.project = project
        self._arguments = arguments
        self.started_in = 0.0
        self._port = port
        self._log = project.folder.with_suffix(".log")

    def __enter__(self) -> "LocalStack":
        started = time.monotonic()
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                self.project.make("up", f"PORT={self._port}", *self._arguments),
                cwd=self.project.folder,
                env={**os.environ, **SOMEBODY},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.said("A saved change is live at once", seconds=60)
        self.started_in = time.monotonic() - started
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.end(signal.SIGTERM)

    def end(self, by: signal.Signals, group: bool = False) -> None:
        """End it by a signal to ``make``, or to its group as a terminal does."""
        if self.process.poll() is None:
            (os.killpg if group else os.kill)(self.process.pid, by)
        self.process.wait(timeout=30)

    @property
    def output(self) -> str:
        """What it has printed."""
        return self._log.read_text()

    def said(self, text: str, after: int = 0, seconds: float = 10) -> None:
        """Wait until it has printed a text, at the earliest so many characters in."""
        found = eventually(lambda: text in self.output[after:] or self.process.poll() is not None, seconds)
        assert found, f"no {text!r} in:\n{self.output[after:]}"
        assert text in self.output[after:], f"it ended without {text!r}:\n{self.output}"

    @property
    def endpoints_file(self) -> Path:
        return self.project.folder / ".local" / "endpoints.json"

    @property
    def endpoints(self) -> dict[str, Any]:
        endpoints: dict[str, Any] = json.loads(self.endpoints_file.read_text())
        return endpoints

    @property
    def page_url(self) -> str:
        """Where it says that the page is."""
        found = re.search(r"^ +(http://127\.0\.0\.1:\d+/)$", self.output, re.MULTILINE)
        assert found, f"no page in:\n{self.output}"
        return found[1]

    def connect(self, query: str = "", *subprotocols: Subprotocol) -> ClientConnection:
        """A WebSocket client."""
        return connect(self.endpoints["websocketUrl"] + query, subprotocols=subprotocols or None)

    def client(self, service: str, **options: Any) -> Any:
        """boto3's client of a service, as the administrator."""
        return boto3.client(
            service,
            region_name=self.endpoints["region"],
            aws_access_key_id="test",
            aws_secret_access_key="test",
            **{"endpoint_url": self.endpoints["awsEndpointUrl"], **options},
        )

    def items(self, table: str) -> list[dict[str, Any]]:
        """All items of a table: ``connections``, ``rooms`` or ``messages``."""
        items: list[dict[str, Any]] = self.client("dynamodb").scan(TableName=self.endpoints["tables"][table])[
            "Items"
        ]
        return items
