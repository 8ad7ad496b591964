"""The chat's log, kept for a test to read."""

import io
import json
import re
import uuid
from typing import Any

from chalicelib.logs import make_logger
from tests.tokens import SIGNED

# What tests say where it is to be seen that nobody logs it.
PLANTED = "the-planted-secret"


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

    def must_be_clean(self) -> None:
        """Make sure that there is no token, no planted text, and no control character but line feeds."""
        tokens = {token for token in SIGNED if token.rpartition(".")[2] in self.text}
        assert not tokens
        assert PLANTED not in self.text
        assert not re.search(r"[^\n\x20-\x7e]", self.text)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines that were logged, parsed."""
        return [json.loads(line) for line in self.text.splitlines()]
