"""The secret that ``HS256`` signs with, from SSM Parameter Store or Secrets Manager."""

from collections.abc import Callable, Iterator
from typing import Any

from ..aws.errors import client_errors
from .refreshed import Refreshed

# As long as what it makes, or it is the part to guess (RFC 7518, 3.2).
SHORTEST = 32


class WeakSecret(ValueError):
    """The secret is shorter than ``SHORTEST`` bytes."""


class Secret:
    """The key of all tokens, which the issuer has too.

    Args:
        arn: Its ARN, in either service.
        clock: Unix time in s.
        client: Makes boto3's client of a service.
    """

    def __init__(
        self, arn: str, clock: Callable[[], float], client: Callable[..., Any] | None = None
    ) -> None:
        self._arn = arn
        self._client = client or _client
        self._secret = Refreshed(self._read, lambda: (*client_errors(), WeakSecret), clock)

    def keys(self, algorithm: str, kid: str | None) -> Iterator[bytes]:
        """The key as it was last read, and then as it is now if it has changed.

        Raises:
            KeysUnavailable: It cannot be read.
        """
        known = self._secret.get()
        yield known
        if (now := self._secret.again()) != known:
            yield now

    def _read(self) -> bytes:
        _, _, service, region, _, resource = self._arn.split(":", 5)
        client = self._client(service, region_name=region)
        if service == "ssm":
            # Not by its ARN, whose permission emulators do not find.
            name = resource.removeprefix("parameter")
            answer = client.get_parameter(Name=name, WithDecryption=True)
            secret = str(answer["Parameter"]["Value"]).encode()
        else:
            answer = client.get_secret_value(SecretId=self._arn)
            secret = bytes(answer.get("SecretBinary") or answer["SecretString"].encode())
        if len(secret) < SHORTEST:
            raise WeakSecret(f"the secret must have {SHORTEST} bytes at least")
        return secret


def _client(service: str, region_name: str) -> Any:
    """Make boto3's client, which is imported for that: it takes long, and the secret is read rarely."""
    import boto3
    from botocore.config import Config

    retries = {"mode": "standard", "total_max_attempts": 2}
    config = Config(connect_timeout=1, read_timeout=2, retries=retries)
    return boto3.client(service, region_name=region_name, config=config)
