"""AWS Signature Version 4 for posts to ``@connections``, with all that they have in common done once."""

import re
from hashlib import sha256
from urllib.parse import quote, urlsplit

from ..aws.credentials import Credentials
from ..aws.signature import Signature

SERVICE = "execute-api"
# What API Gateway makes as an id: base64. Only its = has to be quoted, which quote takes longer to find out.
_IS_ID = re.compile("[A-Za-z0-9_-]+=*", re.ASCII).fullmatch


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
        signature = self._signature = Signature(credentials, SERVICE, region, now)
        headers = {"host": parts.netloc, **signature.headers}
        names = ";".join(headers)
        path = f"{quote(parts.path, safe='/~')}/@connections/"

        # What is signed, and what is sent: each up to the connection's id, and on from there.
        self._canonical = f"POST\n{quote(path, safe='/~')}"
        self._canonical_rest = "\n\n{}\n\n{}\n{}".format(
            "\n".join(f"{name}:{value}" for name, value in headers.items()),
            names,
            sha256(payload).hexdigest(),
        )
        self._request = f"POST {path}"
        self._request_rest = (
            " HTTP/1.1\r\n"
            + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            + f"content-length: {len(payload)}\r\n"
            + f"authorization: {signature.authorization(names)}"
        )
        self._payload = b"\r\n\r\n" + payload

    def to(self, connection_id: str) -> bytes:
        """Make the whole HTTP request that posts the payload to a connection."""
        quoted = (
            connection_id.replace("=", "%3D") if _IS_ID(connection_id) else quote(connection_id, safe="-_.~")
        )
        # The path is quoted once more where it is signed; of what quoting makes, that is its % signs.
        canonical = f"{self._canonical}{quoted.replace('%', '%25')}{self._canonical_rest}"
        signature = self._signature.of(canonical)
        return f"{self._request}{quoted}{self._request_rest}{signature}".encode() + self._payload
