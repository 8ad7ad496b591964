"""The boto3 session behind ``app.websocket_api``: bounded, and redirected for a local AWS.

Only what is rare needs it, and boto3 takes long to import: nothing imports this before it is needed.
"""

from typing import Any

import boto3
from botocore.config import Config

from .callback_url import redirected


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
