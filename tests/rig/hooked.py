"""The chat's DynamoDB client with the hooks that boto3's has, so that the faults of the rig meet it too."""

from types import SimpleNamespace
from typing import Any

import botocore.exceptions
import msgspec
from botocore.awsrequest import AWSPreparedRequest
from botocore.hooks import HierarchicalEmitter
from botocore.model import ServiceId

from chalicelib.aws.connection import Answer
from chalicelib.aws.dynamodb import ERRORS, DynamoDB
from chalicelib.aws.errors import ClientError, ConnectionClosedError, ReadTimeoutError
from chalicelib.aws.signature import Signature

LOST = {
    botocore.exceptions.ReadTimeoutError: ReadTimeoutError,
    botocore.exceptions.ConnectionClosedError: ConnectionClosedError,
}


class HookedDynamoDB(DynamoDB):
    """Emits ``before-call`` for each call and ``before-send`` for each try, as botocore does.

    Attributes:
        meta: Has ``events``, ``endpoint_url`` and ``service_model``.
    """

    def __init__(self, endpoint_url: str) -> None:
        super().__init__(endpoint_url)
        self.meta = SimpleNamespace(
            events=HierarchicalEmitter(),
            endpoint_url=endpoint_url,
            service_model=SimpleNamespace(service_id=ServiceId("DynamoDB")),
        )
        client = self._client
        self._calls: Any = client.call
        self._sends = client._send
        client.call = self._call_hooked  # type: ignore[method-assign]
        client._send = self._send_hooked  # type: ignore[method-assign]

    def _call_hooked(self, operation: str, request: dict[str, Any], decoder: Any) -> Any:
        body = msgspec.json.encode(request, enc_hook=str)
        _, answer = self.meta.events.emit_until_response(
            f"before-call.dynamodb.{operation}", model=SimpleNamespace(name=operation), params={"body": body}
        )
        if answer is None:
            return self._calls(operation, request, decoder)
        http, parsed = answer
        if http.status_code >= 300:
            raise ERRORS.get(parsed["Error"]["Code"], ClientError)(parsed, operation)
        # As the caller wants it.
        return decoder.decode(msgspec.json.encode(parsed)), parsed["ResponseMetadata"]

    def _send_hooked(self, operation: str, body: bytes, deadline: float) -> Answer:
        headers = {
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": f"DynamoDB_20120810.{operation}",
            "authorization": _AUTHORIZATION,
            "Content-Length": str(len(body)),
        }
        request = AWSPreparedRequest("POST", f"{self.meta.endpoint_url}/", headers, body, stream_output=False)
        try:
            _, answer = self.meta.events.emit_until_response(
                f"before-send.dynamodb.{operation}", request=request
            )
        except tuple(LOST) as error:
            raise LOST[type(error)](self.meta.endpoint_url) from error
        if answer is None:
            return self._sends(operation, body, deadline)
        names = {name.lower().encode(): value.encode() for name, value in answer.headers.items()}
        return Answer(answer.status_code, names, answer.content)


_KEYS = SimpleNamespace(access_key="test", secret_key="test", token=None)
# No emulator looks into it.
_AUTHORIZATION = Signature(_KEYS, "dynamodb", "us-east-1", 0).authorize("POST", "/", {"host": "a"}, b"")
