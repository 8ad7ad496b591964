"""AWS Signature Version 4: what signs a request of any service.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

import hashlib
import hmac
import time
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote

from .credentials import Credentials

ALGORITHM = "AWS4-HMAC-SHA256"


class Signature:
    """Signs requests of one moment; AWS takes them for five minutes.

    Args:
        credentials: Who asks.
        service: The service's name in signatures, such as ``dynamodb`` or ``execute-api``.
        region: Its region.
        now: Unix time in s.

    Attributes:
        time: The moment, as the header ``x-amz-date`` has it.
        headers: Headers that are to be sent and signed in any case, beside ``host``.
    """

    def __init__(self, credentials: Credentials, service: str, region: str, now: float) -> None:
        self.time = amz_date(int(now))
        scope = f"{self.time[:8]}/{region}/{service}/aws4_request"
        self.headers = {"x-amz-date": self.time}
        if credentials.token:
            self.headers["x-amz-security-token"] = credentials.token
        self._prefix = f"{ALGORITHM}\n{self.time}\n{scope}\n"
        self._by = f"{ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders="
        self._inner, self._outer = _keyed(_signing_key(credentials.secret_key, scope))

    def of(self, canonical_request: str) -> str:
        """Sign a canonical request."""
        # The two hashes of an HMAC. The key is in both already, which hmac would hash in again each time.
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update((self._prefix + sha256(canonical_request.encode()).hexdigest()).encode())
        outer.update(inner.digest())
        return outer.hexdigest()

    def authorization(self, signed_headers: str) -> str:
        """The header ``authorization`` up to the signature, for these headers, with ``;`` between them."""
        return f"{self._by}{signed_headers}, Signature="

    def authorize(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> str:
        """Make the header ``authorization`` of a request without a query.

        Args:
            method: Such as ``"POST"``.
            path: As it is sent: quoted, where it has to be.
            headers: What is signed, ``host`` and ``headers`` among it; names in lower case.
            body: The body.
        """
        names = sorted(headers)
        lines = "".join([f"{name}:{headers[name]}\n" for name in names])
        signed = ";".join(names)
        # All services but S3 sign it quoted once more.
        canonical = f"{method}\n{quote(path, safe='/~')}\n\n{lines}\n{signed}\n{sha256(body).hexdigest()}"
        return self.authorization(signed) + self.of(canonical)


@lru_cache(maxsize=4)
def amz_date(now: int) -> str:
    """Write a Unix time in s as AWS does."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))


@lru_cache(maxsize=16)
def _keyed(key: bytes) -> "tuple[hashlib._Hash, hashlib._Hash]":
    """Begin the inner and the outer hash of an HMAC (RFC 2104) with a key of up to 64 bytes."""
    block = key.ljust(64, b"\0")
    return sha256(bytes(byte ^ 0x36 for byte in block)), sha256(bytes(byte ^ 0x5C for byte in block))


@lru_cache(maxsize=16)
def _signing_key(secret_key: str, scope: str) -> bytes:
    """The key of a day, a region and a service."""
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
