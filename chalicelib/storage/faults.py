"""Where the errors of AWS's clients end: above storage there is only ``StorageUnavailable``."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..aws.errors import client_errors, refusals
from ..aws.retries import pause
from ..errors import StorageUnavailable

TRIES = 5
# What a single write gets, in some 1.6 s.
WRITE_TRIES = 7
# After so long no other try of it begins, in s: each may have taken long.
PATIENCE = 3.0
CONDITION_FAILED = "ConditionalCheckFailed"

# What passes: a transaction has the item, or there are more requests than the table or the account takes.
# Alone they are exceptions, in a transaction the reasons of its items.
_PASSING = {
    "TransactionConflictException",
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
}
_PASSING_REASONS = {
    "None",
    "TransactionConflict",
    "ProvisionedThroughputExceeded",
    "ThrottlingError",
    "RequestLimitExceeded",
}


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
    except client_errors() as error:
        raise StorageUnavailable from error


def transact(
    client: Any, items: Sequence[dict[str, Any]], sleep: Callable[[float], None] = time.sleep
) -> list[dict[str, Any]]:
    """Write up to 100 items all or none, as ``write`` does.

    Returns:
        Nothing where it was done. Where a condition did not hold, the reason for each item, such as
        ``[{"Code": "ConditionalCheckFailed", "Item": {...}}, {"Code": "None"}]``.

    Raises:
        ClientError: It failed otherwise, or still does after all tries.
    """
    try:
        write(client.transact_write_items, sleep, TransactItems=list(items))
    except client.exceptions.TransactionCanceledException as error:
        reasons: list[dict[str, Any]] = error.response["CancellationReasons"]
        if CONDITION_FAILED not in _codes(reasons):
            raise
        return reasons
    return []


def write(
    request: Callable[..., dict[str, Any]],
    sleep: Callable[[float], None] = time.sleep,
    patience: float = PATIENCE,
    **arguments: Any,
) -> dict[str, Any]:
    """Write, again while a transaction has what is written or DynamoDB has too much to do.

    The client does not try conflicts and cancelled transactions again. Where it has tried a throttled request
    again, that is enough. There are ``WRITE_TRIES`` at the most.

    Args:
        request: Such as the client's ``put_item``.
        sleep: Waits so many s between two tries.
        patience: Time in s after which no other try begins.
        arguments: For the request.

    Raises:
        ClientError: It failed otherwise, or still does after all tries.
    """
    began = time.monotonic()
    for attempt in range(1, WRITE_TRIES):
        try:
            return request(**arguments)
        except refusals() as error:
            if not _passes(error) or time.monotonic() - began >= patience:
                raise
        pause(attempt, sleep)
    return request(**arguments)


def _passes(error: Any) -> bool:
    """Whether a write that was refused met only what does not last, and was tried once."""
    codes = _codes(error.response.get("CancellationReasons", []))
    if codes:
        return codes <= _PASSING_REASONS
    tried_again = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0) > 0
    return error.response["Error"]["Code"] in _PASSING and not tried_again


def _codes(reasons: Sequence[dict[str, Any]]) -> set[str]:
    return {reason["Code"] for reason in reasons}
