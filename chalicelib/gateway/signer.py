"""AWS Signature Version 4 for posts to ``@connections``, with all that they have in common done once.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

import hmac
from datetime import UTC, datetime
from hashlib import sha256
from typing import Protocol
from urllib.parse import quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "execute-api"


class Credentials(Protocol):
    """What botocore calls frozen credentials."""

    access_key: str
    secret_key: str
    token: str | None


class SignedPost:
    """One payload, ready to be posted to any connection of an API; good for five minutes.

    Args:
        endpoint: The API's callback URL, such as ``https://{api}.execute-api.{region}.amazonaws.com/dev``.
        payload: The body.
        credentials: Who posts.
        region: The API's region.
        now: Unix time in s.
    """

    def __init__(
        self, endpoint: str, payload: bytes, credentials: Credentials, region: str, now: float
    ) -> None:
        parts = urlsplit(endpoint)
        time = datetime.fromtimestamp(int(now), UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{time[:8]}/{region}/{SERVICE}/aws4_request"
        headers = {"host": parts.netloc, "x-amz-date": time}
        if credentials.token:
            headers["x-amz-security-token"] = credentials.token
        names = ";".join(headers)
        path = f"{quote(parts.path, safe='/~')}/@connections/"

        # What is signed, and what is sent: each up to the connection's id, and on from there.
        self._canonical = f"POST\n{quote(path, safe='/~')}"
        self._canonical_rest = "\n\n{}\n\n{}\n{}".format(
            "\n".join(f"{name}:{value}" for name, value in headers.items()),
            names,
            sha256(payload).hexdigest(),
        )
        self._to_sign = f"{ALGORITHM}\n{time}\n{scope}\n"
        self._request = f"POST {path}"
        self._request_rest = (
            " HTTP/1.1\r\n"
            + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            + f"content-length: {len(payload)}\r\n"
            + f"authorization: {ALGORITHM} Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature="
        )
        self._payload = b"\r\n\r\n" + payload
        key = f"AWS4{credentials.secret_key}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        self._key = key

    def to(self, connection_id: str) -> bytes:
        """Make the whole HTTP request that posts the payload to a connection."""
        quoted = quote(connection_id, safe="-_.~")
        # The path is quoted once more where it is signed; of what quoting makes, that is its % signs.
        canonical = f"{self._canonical}{quoted.replace('%', '%25')}{self._canonical_rest}"
        to_sign = self._to_sign + sha256(canonical.encode()).hexdigest()
        signature = hmac.digest(self._key, to_sign.encode(), "sha256").hex()
        return f"{self._request}{quoted}{self._request_rest}{signature}".encode() + self._payload
