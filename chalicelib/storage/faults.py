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
def translated() -> Iterator[None]:
    """Raise ``StorageUnavailable`` for whatever DynamoDB or the way to it did not do."""
    try:
        yield
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
    attempt = 0
    while True:
        attempt += 1
        try:
            client.transact_write_items(TransactItems=list(items))
            return []
        except client.exceptions.TransactionCanceledException as error:
            reasons: list[dict[str, Any]] = error.response["CancellationReasons"]
            codes = {reason["Code"] for reason in reasons}
            if CONDITION_FAILED in codes:
                return reasons
            if attempt == TRIES or codes - {"None", "TransactionConflict", "ThrottlingError"}:
                raise
        pause(attempt)


def write(request: Callable[..., dict[str, Any]], **arguments: Any) -> dict[str, Any]:
    """Make a single write, again while a transaction has its item: botocore does not try that again.

    Args:
        request: Such as the client's ``put_item``.
        arguments: For it.

    Raises:
        ClientError: It failed, or still conflicts after ``TRIES``.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            return request(**arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] != "TransactionConflictException" or attempt == TRIES:
                raise
        pause(attempt)


def pause(attempt: int) -> None:
    """Wait before trying again: full jitter, up to 50 ms doubled with each attempt."""
    time.sleep(random.uniform(0, 0.05 * 2 ** (attempt - 1)))
