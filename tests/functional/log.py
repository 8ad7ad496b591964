"""The chat's log, kept for a test to read."""

import io
import json
import uuid
from typing import Any

from chalicelib.logs import make_logger


class Log:
    """A logger of this test's own.

    Attributes:
        logger: For ``build_chat``.
    """

    def __init__(self) -> None:
        self._stream = io.StringIO()
        self.logger = make_logger(f"test-{uuid.uuid4().hex}", self._stream)

    @property
    def text(self) -> str:
        """All that was logged."""
        return self._stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines that were logged, parsed."""
        return [json.loads(line) for line in self.text.splitlines()]
