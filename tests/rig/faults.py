"""Faults of AWS that no emulator shows, put in place of a client's next answers."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session


class Faults:
    """Answers calls of a boto3 client in AWS's place.

    Args:
        client: The client.
        operation: Such as ``"DeleteItem"``.
        answers: Parsed responses for the next calls, in order; None lets the call through. Later
            calls go through.

    Attributes:
        calls: How often the operation was called.
    """

    def __init__(self, client: Any, operation: str, answers: list[dict[str, Any] | None]) -> None:
        self.calls = 0
        self._answers = answers
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register(f"before-call.{service}.{operation}", self._answer)

    def _answer(self, **_: Any) -> tuple[AWSResponse, dict[str, Any]] | None:
        self.calls += 1
        answer = self._answers.pop(0) if self._answers else None
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
