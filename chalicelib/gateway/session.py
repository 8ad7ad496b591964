"""The boto3 session behind ``app.websocket_api``: bounded, and redirected for a local AWS."""

import os
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

# botocore's own names for these: the one of the service wins over the general one.
_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", "AWS_ENDPOINT_URL")


class GatewaySession(boto3.Session):
    """Makes the client that Chalice's ``WebsocketAPI`` asks for.

    Chalice names ``https://{api}.execute-api.{region}.amazonaws.com/{stage}`` as the endpoint, and an
    endpoint that is named wins over ``AWS_ENDPOINT_URL``. Here the variable wins, as everywhere else.

    """

    def __init__(self) -> None:
        super().__init__()
        # Three tries of up to 3 s each: well within the integration's 29 s.
        self._config = Config(
            connect_timeout=1,
            read_timeout=2,
            retries={"mode": "standard", "total_max_attempts": 3},
        )

    def client(self, service_name: str, **kwargs: Any) -> Any:
        """Make a client as ``boto3.Session.client`` does."""
        if "endpoint_url" in kwargs:
            kwargs["endpoint_url"] = redirected(kwargs["endpoint_url"])
        return super().client(service_name, config=self._config, **kwargs)


def redirected(endpoint: str) -> str:
    """Where the posts for a callback endpoint go: there, or to the local AWS of the environment."""
    local = next((os.environ[name] for name in _ENDPOINT_VARIABLES if os.environ.get(name)), None)
    return endpoint if local is None else local_endpoint(local, endpoint)


def local_endpoint(base: str, endpoint: str) -> str:
    """Move a WebSocket API's callback endpoint to a local AWS.

    >>> local_endpoint("http://localhost:4566", "https://a1b2.execute-api.us-east-1.amazonaws.com/dev")
    'http://localhost:4566/_aws/execute-api/a1b2/dev'
    """
    parts = urlsplit(endpoint)
    api_id = parts.netloc.partition(".")[0]
    return f"{base.rstrip('/')}/_aws/execute-api/{api_id}{parts.path}"
