"""Reading DynamoDB page by page, without what has expired."""

from collections.abc import Callable, Iterator
from typing import Any

from .faults import translated


def live_pages(
    read: Callable[..., dict[str, Any]], clock: Callable[[], float], **arguments: Any
) -> Iterator[list[dict[str, Any]]]:
    """Read the items of a query or scan, a page at a time, as they are at the time of reading.

    Items that have expired are left out: DynamoDB deletes them days later.

    Args:
        read: The client's ``query`` or ``scan``.
        clock: Unix time in s.
        arguments: For ``read``.

    Raises:
        StorageUnavailable: A page could not be read.
    """
    while True:
        with translated():
            page = read(**arguments)
        now = clock()
        yield [item for item in page["Items"] if int(item["expiresAt"]["N"]) > now]
        if "LastEvaluatedKey" not in page:
            return
        arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]
