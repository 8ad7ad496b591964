"""Who is let in: whoever comes from a place that is allowed, with a token where one is needed."""

from collections.abc import Callable
from dataclasses import dataclass

from ..config import HMAC, Settings
from ..errors import BadToken, Forbidden
from ..handshake import Handshake
from .identity import Identity
from .tokens import Keys, Tokens


@dataclass(frozen=True)
class Door:
    """Looks at who wants to connect.

    Attributes:
        origins: Those that are allowed; empty for all.
        origin_required: Whether one must be given.
        tokens: What verifies tokens; None where none is needed.
    """

    origins: frozenset[str]
    origin_required: bool
    tokens: Tokens | None

    @classmethod
    def of(cls, settings: Settings, clock: Callable[[], float]) -> "Door":
        """Make the door that the settings ask for."""
        tokens = None
        if settings.auth == "jwt":
            tokens = Tokens(settings, _keys(settings, clock), clock)
        return cls(frozenset(settings.allowed_origins), settings.require_origin, tokens)

    def admit(self, handshake: Handshake) -> Identity | None:
        """Let somebody in; as nobody in particular where no token is needed.

        Raises:
            Forbidden: The page that connects is none of those that may.
            BadToken: There is no token, or a bad one.
            TokenExpired: The token was good once.
            KeysUnavailable: Tokens cannot be verified.
        """
        # A program sends what origin it likes, so this protects the users of browsers, and nobody else.
        if self.origins and (
            self.origin_required if (o := handshake.origin) is None else o not in self.origins
        ):
            raise Forbidden("this origin is not allowed")
        if self.tokens is None:
            return None
        if handshake.token is None:
            raise BadToken("a token is needed")
        return self.tokens.verify(handshake.token)

    def renew(self, token: str) -> Identity:
        """Verify the token that a connection goes on with; raises as ``admit`` does."""
        if self.tokens is None:
            raise Forbidden("this chat takes no tokens")
        return self.tokens.verify(token)


def _keys(settings: Settings, clock: Callable[[], float]) -> Keys:
    """Where the keys are; a chat without tokens does not wait until these are imported."""
    if HMAC in settings.jwt_algorithms:
        from .secret import Secret

        return Secret(settings.jwt_secret_arn, clock)
    from .jwks import Jwks

    return Jwks(settings.jwks, clock)
