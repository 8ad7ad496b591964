"""Faults of AWS that no emulator shows, put in place of a client's next answers."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from botocore.httpsession import URLLib3Session

Answer = dict[str, Any] | None


class Faults:
    """Answers calls of a boto3 client in AWS's place.

    Args:
        client: The client.
        operation: Such as ``"DeleteItem"``.
        answers: Parsed responses for the next calls, in order, or functions that give them; None lets the
            call through. Later calls go through.

    Attributes:
        calls: How often the operation was called.
    """

    def __init__(self, client: Any, operation: str, answers: Sequence[Answer | Callable[[], Answer]]) -> None:
        self.calls = 0
        self._answers = list(answers)
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register(f"before-call.{service}.{operation}", self._answer)

    def _answer(self, **_: Any) -> tuple[AWSResponse, dict[str, Any]] | None:
        self.calls += 1
        answer = self._answers.pop(0) if self._answers else None
        if callable(answer):
            answer = answer()
        if answer is None:
            return None
        status = 400 if "Error" in answer else 200
        answer.setdefault("ResponseMetadata", {"HTTPStatusCode": status})
        return AWSResponse("", status, {}, None), answer


class LostAnswer:
    """Lets the first request of an operation through, and loses the answer to it.

    Args:
        client: boto3's client, which tries again.
        operation: Such as ``"PutItem"``.

    Attributes:
        requests: How many there were.
    """

    def __init__(self, client: Any, operation: str) -> None:
        self.requests = 0
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register(f"before-send.{service}.{operation}", self._send)

    def _send(self, request: AWSPreparedRequest, **_: Any) -> None:
        self.requests += 1
        if self.requests == 1:
            URLLib3Session().send(request)
            raise ConnectionClosedError(endpoint_url=request.url)


class StorageFault(Enum):
    """What can become of one request to DynamoDB. botocore sees it as it would see AWS's."""

    THROTTLED = "the partition is hot"
    CONFLICT = "another transaction has one of the items"
    LOST = "it is done, and no answer comes in time"
    PARTLY = "of a batch, only the first item is done"


class StorageFaults:
    """Lets a client's requests, tries of botocore's own included, meet faults.

    Args:
        client: boto3's DynamoDB client.
        choose: Called with the operation of each request and its body; says what becomes of it, None where
            all is well. A fault that the operation cannot have does not happen.

    Attributes:
        injected: How often each has happened.
    """

    def __init__(self, client: Any, choose: Callable[[str, bytes], StorageFault | None]) -> None:
        self.injected: Counter[str] = Counter()
        self._choose = choose
        self._session = URLLib3Session()
        client.meta.events.register("before-send.dynamodb", self._send)

    def _send(self, event_name: str, request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        operation = event_name.rpartition(".")[2]
        fault = self._choose(operation, request.body)
        answer = None if fault is None else self._answer(fault, operation, request)
        if fault is not None and answer is not None:
            self.injected[fault.name.lower()] += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _answer(
        self, fault: StorageFault, operation: str, request: AWSPreparedRequest
    ) -> AWSResponse | Exception | None:
        match fault:
            case StorageFault.THROTTLED if operation == "TransactWriteItems":
                return _cancellation(request, "ProvisionedThroughputExceeded")
            case StorageFault.THROTTLED:
                return refusal(request, "ProvisionedThroughputExceededException")
            case StorageFault.CONFLICT if operation == "TransactWriteItems":
                return _cancellation(request, "TransactionConflict")
            case StorageFault.CONFLICT if operation in ("PutItem", "UpdateItem", "DeleteItem"):
                return refusal(request, "TransactionConflictException")
            case StorageFault.LOST:
                self._session.send(request)
                return ReadTimeoutError(endpoint_url=request.url)
            case StorageFault.PARTLY if operation == "BatchWriteItem":
                return self._do_first(request)
        return None

    def _do_first(self, request: AWSPreparedRequest) -> AWSResponse | None:
        body = json.loads(request.body)
        [(table, writes)] = body["RequestItems"].items()
        if len(writes) < 2:
            return None
        done = json.dumps({**body, "RequestItems": {table: writes[:1]}}).encode()
        headers = {**request.headers, "Content-Length": str(len(done))}
        partly = AWSPreparedRequest(request.method, request.url, headers, done, stream_output=False)
        assert self._session.send(partly).status_code == 200
        return _response(request, 200, {"UnprocessedItems": {table: writes[1:]}})


def in_turn(operation: str, *faults: StorageFault | None) -> Callable[[str, bytes], StorageFault | None]:
    """Choose these for the next requests of one operation; all is well after them."""
    left = list(faults)
    return lambda requested, body: left.pop(0) if left and requested == operation else None


@contextmanager
def counted(client: Any) -> Iterator[Counter[str]]:
    """Count the requests of a DynamoDB client by operation, a transaction as often as it has items."""
    requests: Counter[str] = Counter()

    def count(model: Any, params: dict[str, Any], **_: Any) -> None:
        items = json.loads(params["body"]).get("TransactItems", [None])
        requests[model.name] += len(items)

    client.meta.events.register("before-call.dynamodb", count)
    try:
        yield requests
    finally:
        client.meta.events.unregister("before-call.dynamodb", count)


def cancelled(*codes: str) -> dict[str, Any]:
    """The answer to a transaction that did not happen, for these reasons."""
    return {
        "Error": {"Code": "TransactionCanceledException", "Message": f"cancelled [{', '.join(codes)}]"},
        "CancellationReasons": [{"Code": code} for code in codes],
    }


def _cancellation(request: AWSPreparedRequest, reason: str) -> AWSResponse:
    """Cancel a transaction for its first item."""
    others = len(json.loads(request.body)["TransactItems"]) - 1
    codes = [reason, *["None"] * others]
    return refusal(
        request, "TransactionCanceledException", CancellationReasons=[{"Code": code} for code in codes]
    )


def refusal(request: AWSPreparedRequest, code: str, **fields: Any) -> AWSResponse:
    """What DynamoDB answers a request with that it does not do."""
    return _response(
        request, 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "as told", **fields}
    )


def _response(request: AWSPreparedRequest, status: int, body: dict[str, Any]) -> AWSResponse:
    class Raw:
        """What botocore reads a body from."""

        def stream(self) -> Iterator[bytes]:
            yield json.dumps(body).encode()

    return AWSResponse(request.url, status, {"Content-Type": "application/x-amz-json-1.0"}, Raw())
