"""SQS under the interface of boto3's client, as far as the chat uses it."""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec

from .errors import ClientError
from .json_client import JsonClient
from .retries import Retries

# It is given what is left after the time for sending: that must not take long.
TRIES = 2


class QueueDoesNotExist(ClientError):
    """There is no such queue."""


class RequestThrottled(ClientError):
    """The queue is throttled."""


ERRORS: dict[str, type[ClientError]] = {kind.__name__: kind for kind in (QueueDoesNotExist, RequestThrottled)}

_ANSWER: "msgspec.json.Decoder[dict[str, Any]]" = msgspec.json.Decoder(dict[str, Any])


class Sqs:
    """A client; the arguments and ``exceptions`` are as those of ``DynamoDB``."""

    exceptions = SimpleNamespace(ClientError=ClientError, **ERRORS)

    def __init__(
        self,
        endpoint_url: str | None = None,
        region_name: str | None = None,
        retries: Retries | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        retries = retries or Retries(TRIES)
        self._client = JsonClient(
            service="sqs",
            target="AmazonSQS",
            version="1.0",
            retries=retries,
            errors=ERRORS,
            error_decoder=_ANSWER,
            endpoint_url=endpoint_url,
            region=region_name,
            # The codes of errors are those of before.
            headers={"x-amzn-query-mode": "true"},
            clock=clock,
            sleep=sleep,
        )

    def get_queue_url(self, **request: Any) -> dict[str, Any]:
        """Find a queue: its ``QueueUrl``."""
        return self._call("GetQueueUrl", request)

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        """Put up to 10 messages on a queue: ``Failed`` has those that were not."""
        return self._call("SendMessageBatch", request)

    def close(self) -> None:
        """Close the connections that are idle."""
        self._client.close()

    def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        answer, metadata = self._client.call(operation, request, _ANSWER)
        return {**answer, "ResponseMetadata": metadata}
