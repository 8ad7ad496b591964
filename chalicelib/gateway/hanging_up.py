"""Closing connections from this end: rare, so one after another."""

import time
from urllib.parse import quote, urlsplit

from ..aws.credentials import Credentials
from ..aws.errors import RequestError
from ..aws.pool import Pool
from ..aws.retries import pause
from ..aws.signature import Signature
from .signer import SERVICE

TRIES = 3
# What passes.
REFUSED = 429
FAILED = 500


class HangingUp:
    """Closes connections of an API, as ``DeleteConnection`` does.

    Args:
        endpoint: The API's callback URL.
        region: The API's region.
    """

    def __init__(self, endpoint: str, region: str) -> None:
        self._pool = Pool(endpoint)
        self._path = quote(urlsplit(endpoint).path, safe="/~")
        self._region = region

    def close(self, connection_id: str, credentials: Credentials) -> bool:
        """Close a connection; false where API Gateway does not do it. One that is gone is closed."""
        path = f"{self._path}/@connections/{quote(connection_id, safe='-_.~')}"
        for attempt in range(1, TRIES + 1):
            try:
                status = self._pool.exchange(self._request(path, credentials)).status
            except RequestError:
                status = FAILED
            if status < FAILED and status != REFUSED:
                return status in (200, 204, 410)
            if attempt < TRIES:
                pause(attempt)
        return False

    def stop(self) -> None:
        """Close what is open to API Gateway."""
        self._pool.close()

    def _request(self, path: str, credentials: Credentials) -> bytes:
        signature = Signature(credentials, SERVICE, self._region, time.time())
        headers = {"host": self._pool.host, **signature.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        authorization = signature.authorize("DELETE", path, headers, b"")
        return f"DELETE {path} HTTP/1.1\r\n{lines}authorization: {authorization}\r\n\r\n".encode()
