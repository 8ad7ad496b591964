"""A Lambda authorizer of API Gateway, for who wants the door before the house: REQUEST, on ``$connect``."""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger

from ..errors import BadToken, Forbidden, TokenExpired
from ..handshake import Handshake
from ..logs import logged
from .door import Door


class Unauthorized(Exception):
    """No token, or a bad one. API Gateway makes 401 of an error with this word, and 500 of any other."""

    def __init__(self) -> None:
        super().__init__("Unauthorized")


def authorize(event: Mapping[str, Any], door: Door, logger: Logger) -> dict[str, Any]:
    """Let a handshake through to ``$connect``, or not.

    Returns:
        The policy: allowed under the token's name, or denied, which API Gateway makes 403 of.

    Raises:
        Unauthorized: See there.
        KeysUnavailable: Tokens cannot be verified.
    """
    effect, name = "Allow", ""
    with logged(logger, "authorize") as record:
        try:
            identity = door.admit(Handshake.of(event))
            name = identity.name if identity else ""
        except (BadToken, TokenExpired) as error:
            record.fail(error)
        except Forbidden as error:
            record.fail(error)
            effect = "Deny"
    if isinstance(record.error, BadToken | TokenExpired):
        raise Unauthorized
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": event["methodArn"]}
    return {
        "principalId": name or "nobody",
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": {"name": name},
    }
