"""What can go wrong with a request to AWS. The classes are named as botocore's that mean the same.

AwsError
├── ClientError                   AWS refuses the request       .response .operation_name
│   ├── ConditionalCheckFailedException, ...                    one for each code that a caller catches
└── RequestError                  there is no answer, or none that can be read
    ├── NoCredentialsError
    ├── NoRegionError
    ├── ParamValidationError
    ├── EndpointConnectionError
    │   └── ConnectTimeoutError
    ├── ConnectionClosedError
    ├── ReadTimeoutError
    ├── ResponseParserError
    └── ChecksumError

No message of a ``RequestError`` has anything of the request or of its answer: both may be what a user said.
"""

import sys
from typing import Any


class AwsError(Exception):
    """Root of the errors of this package's clients."""


class ClientError(AwsError):
    """AWS refuses a request.

    Attributes:
        response: As in boto3: ``Error`` with ``Code`` and ``Message``, ``ResponseMetadata`` with
            ``RequestId``, ``HTTPStatusCode`` and ``RetryAttempts``, and what else the body has, such as
            ``Item`` or ``CancellationReasons``.
        operation_name: Such as ``"PutItem"``.
    """

    def __init__(self, response: dict[str, Any], operation_name: str) -> None:
        error = response["Error"]
        super().__init__(
            f"An error occurred ({error['Code']}) when calling the {operation_name} operation: "
            f"{error['Message']}"
        )
        self.response = response
        self.operation_name = operation_name


class RequestError(AwsError):
    """A request has no answer, or none that can be read. It may have been done all the same."""


class NoCredentialsError(RequestError):
    """Neither the environment nor botocore knows who asks."""

    def __init__(self) -> None:
        super().__init__("Unable to locate credentials")


class NoRegionError(RequestError):
    """Neither the environment nor botocore knows the region."""

    def __init__(self) -> None:
        super().__init__("You must specify a region.")


class ParamValidationError(RequestError):
    """The arguments of a request cannot be written as JSON."""

    def __init__(self, operation_name: str) -> None:
        super().__init__(f"The parameters of {operation_name} cannot be sent")


class EndpointConnectionError(RequestError):
    """The host cannot be found or reached, or is not who it must be."""

    def __init__(self, url: str) -> None:
        super().__init__(f'Could not connect to the endpoint URL: "{url}"')


class ConnectTimeoutError(EndpointConnectionError):
    """The host does not take the connection in time."""

    def __init__(self, url: str) -> None:
        RequestError.__init__(self, f'Connect timeout on endpoint URL: "{url}"')


class ConnectionClosedError(RequestError):
    """The connection has ended before there was a whole answer."""

    def __init__(self, url: str) -> None:
        super().__init__(f'Connection was closed before we received a valid response from "{url}"')


class ReadTimeoutError(RequestError):
    """The answer has not come in time."""

    def __init__(self, url: str) -> None:
        super().__init__(f'Read timeout on endpoint URL: "{url}"')


class ResponseParserError(RequestError):
    """The answer is none that the service can have given."""

    def __init__(self, operation_name: str) -> None:
        super().__init__(f"The answer to {operation_name} cannot be read")


class ChecksumError(RequestError):
    """The answer has been damaged on its way."""

    def __init__(self, operation_name: str) -> None:
        super().__init__(f"The answer to {operation_name} does not have its checksum")


def client_errors() -> tuple[type[Exception], ...]:
    """The errors of AWS's clients, ours and boto3's, for an ``except`` clause.

    An ``except`` clause is evaluated when there is an error. One of botocore's cannot be there unless
    somebody has imported botocore: this does not.
    """
    botocore = sys.modules.get("botocore.exceptions")
    return (AwsError, botocore.ClientError, botocore.BotoCoreError) if botocore else (AwsError,)


def refusals() -> tuple[type[Exception], ...]:
    """Those of them that have a ``response``: what AWS has refused."""
    botocore = sys.modules.get("botocore.exceptions")
    return (ClientError, botocore.ClientError) if botocore else (ClientError,)


def request_id(error: BaseException) -> str | None:
    """The id under which AWS knows the request that an error is of; None where there is none."""
    response = getattr(error, "response", None)
    found = response.get("ResponseMetadata", {}).get("RequestId") if isinstance(response, dict) else None
    return str(found) if found else None
