"""A client of a service that speaks JSON by POST, as DynamoDB and SQS do, with boto3's behaviour."""

import time
from binascii import crc32
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypedDict, TypeVar

import msgspec

from .connection import Answer
from .credentials import credentials
from .credentials import region as environments_region
from .endpoints import endpoint_of
from .errors import ChecksumError, ClientError, ParamValidationError, RequestError, ResponseParserError
from .pool import Pool
from .retries import Retries, cost
from .signature import Signature
from .time_limit import time_limit

T = TypeVar("T")

OK = 200
# Refusals that a wrong clock of this machine can be the reason of, where it is wrong by so much; in s.
# AWS takes signatures that are up to five minutes old, or DynamoDB fifteen.
SKEWED = frozenset(
    {
        "AuthFailure",
        "InvalidSignatureException",
        "RequestExpired",
        "RequestInTheFuture",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)
LEAST_SKEW = 240.0


_ANYTHING: "msgspec.json.Decoder[Any]" = msgspec.json.Decoder()


class Metadata(TypedDict):
    """What boto3 tells of an answer, but for its headers."""

    RequestId: str
    HTTPStatusCode: int
    RetryAttempts: int


class JsonClient:
    """Makes the requests of a service.

    What it needs is looked for at the first request: credentials with each one, as boto3 does, and region and
    endpoint once. Threads may share it.

    Args:
        service: The service's name in hosts and signatures, such as ``"dynamodb"``.
        target: What the header ``x-amz-target`` begins with.
        version: Of the JSON protocol: ``"1.0"``.
        retries: What is tried again.
        errors: Classes of errors, by their codes.
        error_decoder: Reads the body of a refusal.
        endpoint_url: Where the service is; by the environment and the region by default.
        region: The region; the environment's by default.
        headers: Others that each request has.
        clock: Unix time in s.
        sleep: Waits so many s.
    """

    def __init__(
        self,
        service: str,
        target: str,
        version: str,
        retries: Retries,
        errors: Mapping[str, type[ClientError]],
        error_decoder: "msgspec.json.Decoder[Any]",
        endpoint_url: str | None = None,
        region: str | None = None,
        headers: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._service = service
        self._target = target
        self._content_type = f"application/x-amz-json-{version}"
        self._retries = retries
        self._errors = errors
        self._error_decoder = error_decoder
        self._url = endpoint_url.rstrip("/") if endpoint_url else None
        self._region = region
        self._headers = dict(headers or {})
        self._clock = clock
        self._sleep = sleep
        self._encoder = msgspec.json.Encoder(enc_hook=_as_string)
        self._pool: Pool | None = None
        # How much later it is at AWS than here, in s.
        self._skew = 0.0

    def call(
        self, operation: str, request: Mapping[str, Any], decoder: "msgspec.json.Decoder[T]"
    ) -> tuple[T, Metadata]:
        """Make a request, and try it again as ``Retries`` says and the time limit allows.

        Args:
            operation: Such as ``"PutItem"``.
            request: Its arguments.
            decoder: Reads the body of the answer.

        Raises:
            ClientError: AWS refuses it.
            RequestError: There is no answer.
        """
        try:
            body = self._encoder.encode(request)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ParamValidationError(operation) from error
        deadline = time_limit()
        tries = paid = 0
        while True:
            tries += 1
            try:
                answer = self._exchange(operation, body, deadline)
                if answer.status != OK:
                    raise self._refusal(operation, answer, tries)
                content = _read(operation, answer, decoder)
            except (ClientError, RequestError) as error:
                delay = self._retries.delay(error, tries)
                if delay is None or time.monotonic() + delay >= deadline:
                    raise
                paid = cost(error)
                self._sleep(delay)
            else:
                self._retries.succeeded(paid)
                return content, _metadata(answer, tries)

    def close(self) -> None:
        """Close the connections that are idle. A later request opens another one."""
        if self._pool is not None:
            self._pool.close()

    def _exchange(self, operation: str, body: bytes, deadline: float) -> Answer:
        """Make a request once, or twice where the first was refused for the time of this machine."""
        answer = self._send(operation, body, deadline)
        if 400 <= answer.status < 500 and self._learn_skew(operation, answer):
            answer = self._send(operation, body, deadline)
        checksum = answer.headers.get(b"x-amz-crc32")
        if checksum is not None and checksum != b"%d" % crc32(answer.body):
            raise ChecksumError(operation)
        return answer

    def _send(self, operation: str, body: bytes, deadline: float) -> Answer:
        pool = self._pool or self._make_pool()
        region = self._region or ""
        signature = Signature(credentials(), self._service, region, self._clock() + self._skew)
        headers = {
            "content-type": self._content_type,
            "host": pool.host,
            "x-amz-target": f"{self._target}.{operation}",
            **signature.headers,
            **self._headers,
        }
        authorization = signature.authorize("POST", pool.path, headers, body)
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        head = (
            f"POST {pool.path} HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n"
            f"user-agent: chalice-chat\r\nauthorization: {authorization}\r\n\r\n"
        )
        return pool.exchange(head.encode() + body, deadline)

    def _make_pool(self) -> Pool:
        self._region = self._region or environments_region()
        self._pool = Pool(self._url or endpoint_of(self._service, self._region))
        return self._pool

    def _refusal(self, operation: str, answer: Answer, tries: int) -> ClientError:
        """Make the error of an answer that is none."""
        fields, code, message = self._read_refusal(answer)
        error = {"Code": code, "Message": message}
        query = answer.headers.get(b"x-amzn-query-error")
        if query is not None:
            # SQS once spoke another protocol, whose codes boto3 has kept.
            error["QueryErrorCode"] = code
            error["Code"], _, error["Type"] = query.decode("latin-1").partition(";")
        response = {**fields, "Error": error, "ResponseMetadata": _metadata(answer, tries)}
        return self._errors.get(code, ClientError)(response, operation)

    def _read_refusal(self, answer: Answer) -> tuple[dict[str, Any], str, str]:
        """Read the fields of a refusal, its code and its message."""
        fields = self._fields(answer.body)
        if fields is None:
            # Of a proxy, or a load balancer. What it says is not for the log.
            return {}, str(answer.status), f"{len(answer.body)} bytes that are no error of AWS"
        kind = str(fields.pop("__type", answer.status))
        message = fields.pop("message", fields.pop("Message", ""))
        return fields, kind.partition(":")[0].rpartition("#")[2], str(message)

    def _fields(self, body: bytes) -> dict[str, Any] | None:
        """Read the fields of a refusal; None where it is no JSON object."""
        for decoder in (self._error_decoder, _ANYTHING):
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                fields = _without_nulls(decoder.decode(body))
                return fields if isinstance(fields, dict) else None
        return None

    def _learn_skew(self, operation: str, answer: Answer) -> bool:
        """Whether a refusal was for the time of this machine, which is put right."""
        date = answer.headers.get(b"date")
        if date is None or self._read_refusal(answer)[1] not in SKEWED:
            return False
        from email.utils import parsedate_to_datetime

        try:
            skew = parsedate_to_datetime(date.decode("latin-1")).timestamp() - self._clock()
        except (ValueError, OverflowError):
            return False
        wrong = abs(skew - self._skew) >= LEAST_SKEW
        if wrong:
            self._skew = skew
        return wrong


def _as_string(value: object) -> str:
    """Encode what is a string of a class of its own, which msgspec does not know."""
    if isinstance(value, str):
        return str(value)
    raise TypeError


def _read(operation: str, answer: Answer, decoder: "msgspec.json.Decoder[T]") -> T:
    try:
        return decoder.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Its own message may have what is in the body.
        raise ResponseParserError(operation) from None


def _without_nulls(value: Any) -> Any:
    """Leave out the members that are null, as boto3 does."""
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _metadata(answer: Answer, tries: int) -> Metadata:
    request_id = answer.headers.get(b"x-amzn-requestid", b"")
    return {
        "RequestId": request_id.decode("latin-1"),
        "HTTPStatusCode": answer.status,
        "RetryAttempts": tries - 1,
    }
