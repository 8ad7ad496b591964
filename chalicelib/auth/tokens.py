"""From a token to the identity of its bearer, or to a refusal.

PyJWT is imported at the first token: a chat without tokens need not wait for it.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from ..config import Settings
from ..errors import BadToken, TokenExpired
from ..wire.fields import LONGEST_TOKEN, Name
from .identity import Identity


class Keys(Protocol):
    """Where the keys are."""

    def keys(self, algorithm: str, kid: str | None) -> Iterator[Any]:
        """The keys that may have signed a token, the likeliest first; none is fine.

        Raises:
            KeysUnavailable: They cannot be read.
        """


class Tokens:
    """Verifies tokens.

    Args:
        settings: Which algorithms, issuer, audience and claims.
        keys: Where the keys are.
        clock: Unix time in s.
    """

    def __init__(self, settings: Settings, keys: Keys, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._keys = keys
        self._clock = clock

    def verify(self, token: str) -> Identity:
        """Verify a token.

        Raises:
            BadToken: It is not signed as it must be, or does not say what it must.
            TokenExpired: It was good once.
            KeysUnavailable: The keys cannot be read.
        """
        claims = self._claims(token)
        leeway = self._settings.jwt_leeway_seconds
        now = self._clock()
        expires_at, begins_at = _time(claims, "exp"), _time(claims, "nbf")
        if expires_at is None:
            raise BadToken(reason="exp")
        if begins_at is not None and begins_at > now + leeway:
            raise BadToken(reason="nbf")
        if expires_at + leeway <= now:
            raise TokenExpired
        return Identity(self._name(claims), int(expires_at + leeway), self._rooms(claims))

    def _claims(self, token: str) -> dict[str, Any]:
        """The claims of a token that is signed, and is from our issuer and for us."""
        import jwt

        if len(token) > LONGEST_TOKEN:
            raise BadToken(reason="length")
        try:
            header = jwt.get_unverified_header(token)
            algorithm, kid = header.get("alg"), header.get("kid")
            if algorithm not in self._settings.jwt_algorithms:
                raise BadToken(reason="alg")
            reason = "kid"
            for key in self._keys.keys(algorithm, kid):
                try:
                    claims: dict[str, Any] = jwt.decode(
                        token,
                        key,
                        algorithms=[algorithm],
                        issuer=self._settings.jwt_issuer,
                        audience=self._settings.jwt_audience,
                        # The times are checked by our clock, in verify. Of sub and jti nothing is asked here:
                        # some issuers have numbers there.
                        options={
                            "verify_exp": False,
                            "verify_nbf": False,
                            "verify_iat": False,
                            "verify_sub": False,
                            "verify_jti": False,
                        },
                    )
                except jwt.InvalidSignatureError:
                    reason = "signature"
                    continue
                return claims
        except jwt.InvalidIssuerError as error:
            raise BadToken(reason="iss") from error
        except jwt.InvalidAudienceError as error:
            raise BadToken(reason="aud") from error
        except jwt.MissingRequiredClaimError as error:
            raise BadToken(reason=error.claim) from error
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise BadToken(reason="form") from error
        raise BadToken(reason=reason)

    def _name(self, claims: Mapping[str, Any]) -> str:
        claim = self._settings.jwt_name_claim
        name = claims.get(claim)
        # In its normal form already: two users of the issuer's must not become one here.
        if not isinstance(name, str) or Name.clean(name) != name:
            raise BadToken(
                f"the token's {claim} is no name: it {Name.rule}, and in its normal form", f"name: {claim}"
            )
        return name

    def _rooms(self, claims: Mapping[str, Any]) -> tuple[str, ...] | None:
        claim = self._settings.rooms_claim
        if not claim:
            return None
        patterns = claims.get(claim, [])
        if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
            raise BadToken(f"the token's {claim} is no list of rooms", f"rooms: {claim}")
        return tuple(patterns)


def _time(claims: Mapping[str, Any], claim: str) -> float | None:
    """A claim that is a Unix time in s; None where there is none.

    Raises:
        BadToken: It is something else.
    """
    value = claims.get(claim)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadToken(reason=claim)
    if not 0 <= value < 2**53:
        raise BadToken(reason=claim)
    return value
