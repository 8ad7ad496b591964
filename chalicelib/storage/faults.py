"""Where botocore's errors end: above storage there is only ``StorageUnavailable``."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ..errors import StorageUnavailable

TRIES = 5
CONDITION_FAILED = "ConditionalCheckFailed"


@contextmanager
def translated(*but: type[Exception]) -> Iterator[None]:
    """Raise ``StorageUnavailable`` for whatever DynamoDB or the way to it did not do.

    Args:
        but: Errors that the caller handles itself.
    """
    try:
        yield
    except but:
        raise
    except (ClientError, BotoCoreError) as error:
        raise StorageUnavailable from error


def transact(client: Any, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write up to 100 items all or none, again while another transaction has them.

    Returns:
        Nothing where it was done. Where a condition did not hold, the reason for each item, such as
        ``[{"Code": "ConditionalCheckFailed", "Item": {...}}, {"Code": "None"}]``.

    Raises:
        ClientError: It failed otherwise, or still conflicts after ``TRIES``.
    """
    try:
        write(client.transact_write_items, TransactItems=list(items))
    except client.exceptions.TransactionCanceledException as error:
        reasons: list[dict[str, Any]] = error.response["CancellationReasons"]
        if CONDITION_FAILED not in _codes(reasons):
            raise
        return reasons
    return []


def write(request: Callable[..., dict[str, Any]], **arguments: Any) -> dict[str, Any]:
    """Write, again while a transaction has what is written: botocore does not try that again.

    Args:
        request: Such as the client's ``put_item``.
        arguments: For it.

    Raises:
        ClientError: It failed, or still conflicts after ``TRIES``.
    """
    for attempt in range(1, TRIES):
        try:
            return request(**arguments)
        except ClientError as error:
            if not _passes(error):
                raise
        pause(attempt)
    return request(**arguments)


def _passes(error: ClientError) -> bool:
    """Whether a write met nothing but a transaction, or a throttle within its own."""
    codes = _codes(error.response.get("CancellationReasons", []))
    if codes:
        return codes <= {"None", "TransactionConflict", "ThrottlingError"}
    code: str = error.response["Error"]["Code"]
    return code == "TransactionConflictException"


def _codes(reasons: Sequence[dict[str, Any]]) -> set[str]:
    return {reason["Code"] for reason in reasons}


def pause(attempt: int) -> None:
    """Wait before trying again: full jitter, up to 50 ms doubled with each attempt."""
    time.sleep(random.uniform(0, 0.05 * 2 ** (attempt - 1)))
