"""Tokens, good ones and others, by issuers of the tests' own."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER = "https://issuer.example"
AUDIENCE = "chat"
SECRET = b"0123456789abcdef0123456789abcdef"
# The clocks of the tests show this.
NOW = 1_700_000_000

# All that was ever signed here, for a look whether any of it was logged.
SIGNED: set[str] = set()


def claims(**changes: Any) -> dict[str, Any]:
    """Those of a token that is good for an hour; None takes one out."""
    whole = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": NOW + 3600, **changes}
    return {name: value for name, value in whole.items() if value is not None}


def signed(
    key: Any = SECRET, algorithm: str = "HS256", header: Mapping[str, Any] = {}, **changes: Any
) -> str:
    """A token."""
    token = jwt.encode(claims(**changes), key, algorithm=algorithm, headers=dict(header))
    SIGNED.add(token)
    return token


def assembled(header: object, payload: object, signature: bytes = b"") -> str:
    """A token of these parts, as no library would make it."""
    parts = (json.dumps(header).encode(), json.dumps(payload).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


class SigningKey:
    """A key pair.

    Args:
        algorithm: ``RS256``, ``ES256`` or ``EdDSA``.
        kid: Its id.
    """

    def __init__(self, algorithm: str, kid: str | None = "k1", bits: int = 2048) -> None:
        self.algorithm = algorithm
        self.kid = kid
        self.private: Any
        match algorithm:
            case "RS256":
                self.private = rsa.generate_private_key(65537, bits)
                jwk = RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
            case "ES256":
                self.private = ec.generate_private_key(ec.SECP256R1())
                jwk = ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
            case _:
                self.private = ed25519.Ed25519PrivateKey.generate()
                jwk = OKPAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        jwk.pop("key_ops", None)
        self.jwk: dict[str, Any] = {**jwk, **({"kid": kid} if kid is not None else {})}

    def signed(self, header: Mapping[str, Any] = {}, **changes: Any) -> str:
        """A token."""
        kid = {"kid": self.kid} if self.kid is not None else {}
        return signed(self.private, self.algorithm, {**kid, **header}, **changes)


def key_set(*keys: SigningKey) -> bytes:
    """The JWKS of these keys."""
    return json.dumps({"keys": [key.jwk for key in keys]}).encode()
