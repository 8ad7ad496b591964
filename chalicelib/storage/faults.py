"""Where botocore's errors end: above storage there is only ``StorageUnavailable``."""

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ..errors import StorageUnavailable

TRIES = 5


@contextmanager
def translated() -> Iterator[None]:
    """Raise ``StorageUnavailable`` for whatever DynamoDB or the way to it did not do."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise StorageUnavailable from error


def transact(client: Any, items: Sequence[dict[str, Any]]) -> list[str]:
    """Write up to 100 items all or none, again while another transaction has them.

    Returns:
        Nothing where it was done, else for each item the code that stopped it or ``None``, such
        as ``["ConditionalCheckFailed", "None"]``.

    Raises:
        ClientError: It failed otherwise, or still conflicts after ``TRIES``.
    """
    for attempt in range(1, TRIES + 1):
        try:
            client.transact_write_items(TransactItems=list(items))
            return []
        except client.exceptions.TransactionCanceledException as error:
            codes = [reason["Code"] for reason in error.response["CancellationReasons"]]
            if "ConditionalCheckFailed" in codes:
                return codes
            if attempt == TRIES or set(codes) - {"None", "TransactionConflict", "ThrottlingError"}:
                raise
        pause(attempt)
    raise AssertionError("unreachable")


def pause(attempt: int) -> None:
    """Wait before trying again: full jitter, up to 50 ms doubled with each attempt."""
    time.sleep(random.uniform(0, 0.05 * 2 ** (attempt - 1)))
