"""The log: one line for each invocation, with what happened and never what was said."""

import json
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TextIO

from aws_lambda_powertools import Logger

from .aws.errors import client_errors, request_id
from .broadcaster import Delivery
from .errors import BadToken, ChatError, Internal, RequestError


def make_logger(service: str = "chat", stream: TextIO | None = None) -> Logger:
    """Make a logger whose lines are JSON in ASCII, so that nothing in a line can break it in two.

    Args:
        service: Its name, in each line. Not the app's: Chalice has a logger of that name, which would
            write each line once more.
        stream: Where it writes; standard output by default.
    """
    return Logger(service=service, stream=stream, json_serializer=partial(json.dumps, default=repr))


@dataclass
class Record:
    """What is known of an invocation when it ends.

    Attributes:
        outcome: ``"ok"``, a wire code, or a status.
        action: The action that ran, if one did.
        error: What went wrong, if anything did.
        delivery: What was sent.
        age_ms: How long a task has waited for a worker, and for those before it.
    """

    outcome: str = "ok"
    action: str | None = None
    error: Exception | None = None
    delivery: Delivery = field(default_factory=Delivery)
    age_ms: int | None = None

    def fail(self, error: Exception) -> None:
        """Note that this is how it ended."""
        self.outcome, self.error = error.code if isinstance(error, ChatError) else Internal.code, error


@contextmanager
def logged(logger: Logger, route: str, **about: str) -> Iterator[Record]:
    """Write the line of an invocation when the block ends; what is our fault is at level ERROR.

    Args:
        logger: Takes the line.
        route: What was invoked.
        about: What it was invoked for, such as ``connection_id``; in the line as it is.
    """
    started = time.monotonic()
    record = Record()
    try:
        yield record
    except Exception as error:
        record.fail(error)
        raise
    finally:
        _write(logger, route, about, record, started)


def _write(logger: Logger, route: str, about: dict[str, str], record: Record, started: float) -> None:
    fields: dict[str, Any] = {
        **about,
        "action": record.action,
        "outcome": record.outcome,
        **_counts(record.delivery),
        **({"age_ms": record.age_ms} if record.age_ms is not None else {}),
        "ms": round((time.monotonic() - started) * 1000, 1),
    }
    ours = record.error is not None and not isinstance(record.error, RequestError)
    missed = record.delivery.forbidden or record.delivery.given_up
    log = logger.error if ours or missed else logger.info
    log(route, **fields, **(_details(record.error, ours) if record.error else {}))


def _counts(delivery: Delivery) -> dict[str, Any]:
    """The numbers of a delivery, and no connection."""
    return {name: value for name, value in vars(delivery).items() if isinstance(value, int)}


def _details(error: Exception, ours: bool) -> dict[str, Any]:
    """Describe an error without its values: a message of Python's may quote what a user said."""
    if not ours:
        reason = {"reason": error.reason} if isinstance(error, BadToken) else {}
        return {"error": type(error).__name__, **reason}
    cause = error.__cause__ or error
    details: dict[str, Any] = {
        "error": type(cause).__name__,
        "stack": traceback.format_tb(cause.__traceback__),
    }
    if isinstance(cause, client_errors()):
        details["cause"] = str(cause)
        if (asked := request_id(cause)) is not None:
            details["aws_request_id"] = asked
    return details
