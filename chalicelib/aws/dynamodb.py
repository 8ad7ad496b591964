"""DynamoDB under the interface of boto3's client, as far as the chat uses it.

Methods, arguments, answers and exceptions are boto3's: storage runs on either. Answers are plain dicts, with
numbers as strings, sets as lists and binary values as bytes.
"""

import secrets
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypedDict, TypeVar

import msgspec

from .errors import ClientError
from .json_client import JsonClient
from .retries import Retries

T = TypeVar("T")

# Four tries of up to 3 s each: an invocation must be over within 29 s.
TRIES = 4
FAILURE_DELAY = 0.025


class AttributeValue(TypedDict, total=False):
    """A value with its type, of which there is one."""

    S: str
    N: str
    B: bytes
    SS: list[str]
    NS: list[str]
    BS: list[bytes]
    M: "dict[str, AttributeValue]"
    L: "list[AttributeValue]"
    NULL: bool
    BOOL: bool


Item = dict[str, AttributeValue]


class Costs(TypedDict, total=False):
    """What any answer has beside, where it is asked for."""

    ConsumedCapacity: Any
    ItemCollectionMetrics: Any


class ItemAnswer(Costs, total=False):
    """The answer to a request for one item."""

    Item: Item
    Attributes: Item


class QueryAnswer(Costs, total=False):
    """The answer to a query."""

    Items: list[Item]
    Count: int
    ScannedCount: int
    LastEvaluatedKey: Item


class WriteRequest(TypedDict, total=False):
    """One write of a batch."""

    PutRequest: dict[str, Item]
    DeleteRequest: dict[str, Item]


class BatchAnswer(Costs, total=False):
    """The answer to a batch."""

    UnprocessedItems: dict[str, list[WriteRequest]]


class Reason(TypedDict, total=False):
    """Why an item of a transaction was not written."""

    Code: str | None
    Message: str | None
    Item: Item | None


Refusal = TypedDict(  # its first field cannot be written as one of a class
    "Refusal",
    {
        "__type": str,
        "message": str | None,
        "Message": str | None,
        "Item": Item | None,
        "CancellationReasons": list[Reason] | None,
    },
    total=False,
)


class ConditionalCheckFailedException(ClientError):
    """A condition does not hold."""


class IdempotentParameterMismatchException(ClientError):
    """A token was used for another transaction."""


class InternalServerError(ClientError):
    """DynamoDB has failed."""


class ItemCollectionSizeLimitExceededException(ClientError):
    """Too much has the same partition key."""


class ProvisionedThroughputExceededException(ClientError):
    """The table or a partition of it is throttled."""


class ReplicatedWriteConflictException(ClientError):
    """Another region writes the item."""


class RequestLimitExceeded(ClientError):
    """The account is throttled."""


class ResourceNotFoundException(ClientError):
    """There is no such table."""


class ThrottlingException(ClientError):
    """The table is throttled."""


class TransactionCanceledException(ClientError):
    """Nothing of a transaction was done; ``response["CancellationReasons"]`` says why."""


class TransactionConflictException(ClientError):
    """A transaction has the item."""


class TransactionInProgressException(ClientError):
    """The same transaction is under way."""


ERRORS: dict[str, type[ClientError]] = {
    kind.__name__: kind
    for kind in (
        ConditionalCheckFailedException,
        IdempotentParameterMismatchException,
        InternalServerError,
        ItemCollectionSizeLimitExceededException,
        ProvisionedThroughputExceededException,
        ReplicatedWriteConflictException,
        RequestLimitExceeded,
        ResourceNotFoundException,
        ThrottlingException,
        TransactionCanceledException,
        TransactionConflictException,
        TransactionInProgressException,
    )
}

_ITEM = msgspec.json.Decoder(ItemAnswer)
_QUERY = msgspec.json.Decoder(QueryAnswer)
_BATCH = msgspec.json.Decoder(BatchAnswer)
_REFUSAL: "msgspec.json.Decoder[Any]" = msgspec.json.Decoder(Refusal)
_NOTHING: "msgspec.json.Decoder[dict[str, Any]]" = msgspec.json.Decoder(dict[str, Any])


class DynamoDB:
    """A client; made at import or later, it talks to nobody before its first request.

    Args:
        endpoint_url: Where DynamoDB is; by the environment and the region by default.
        region_name: The region; the environment's by default.
        retries: What is tried again.
        clock: Unix time in s.
        sleep: Waits so many s.

    Attributes:
        exceptions: The classes of refusals, as boto3's clients have them.
    """

    exceptions = SimpleNamespace(ClientError=ClientError, **ERRORS)

    def __init__(
        self,
        endpoint_url: str | None = None,
        region_name: str | None = None,
        retries: Retries | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        retries = retries or Retries(TRIES, FAILURE_DELAY)
        self._client = JsonClient(
            service="dynamodb",
            target="DynamoDB_20120810",
            version="1.0",
            retries=retries,
            errors=ERRORS,
            error_decoder=_REFUSAL,
            endpoint_url=endpoint_url,
            region=region_name,
            clock=clock,
            sleep=sleep,
        )

    def get_item(self, **request: Any) -> dict[str, Any]:
        """Read an item: ``Item``, where it is there."""
        return self._call("GetItem", request, _ITEM)

    def put_item(self, **request: Any) -> dict[str, Any]:
        """Write an item."""
        return self._call("PutItem", request, _ITEM)

    def update_item(self, **request: Any) -> dict[str, Any]:
        """Change an item: ``Attributes``, where they are asked for."""
        return self._call("UpdateItem", request, _ITEM)

    def delete_item(self, **request: Any) -> dict[str, Any]:
        """Delete an item."""
        return self._call("DeleteItem", request, _ITEM)

    def query(self, **request: Any) -> dict[str, Any]:
        """Read a page of items: ``Items``, and ``LastEvaluatedKey`` where there are more."""
        return self._call("Query", request, _QUERY)

    def batch_write_item(self, **request: Any) -> dict[str, Any]:
        """Write up to 25 items, each for itself: ``UnprocessedItems`` are left."""
        return self._call("BatchWriteItem", request, _BATCH)

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        """Write up to 100 items, all or none. All tries of it are one transaction to DynamoDB."""
        request.setdefault("ClientRequestToken", secrets.token_hex(16))
        return self._call("TransactWriteItems", request, _NOTHING)

    def query_as(self, decoder: "msgspec.json.Decoder[T]", **request: Any) -> T:
        """Do what ``query`` does, and decode the answer as the caller wants it: boto3 has no such method.

        Args:
            decoder: Reads the body of the answer.
            request: The arguments of ``query``.
        """
        return self._client.call("Query", request, decoder)[0]

    def close(self) -> None:
        """Close the connections that are idle."""
        self._client.close()

    def _call(
        self, operation: str, request: dict[str, Any], decoder: "msgspec.json.Decoder[Any]"
    ) -> dict[str, Any]:
        answer: dict[str, Any]
        answer, metadata = self._client.call(operation, request, decoder)
        answer["ResponseMetadata"] = metadata
        return answer
