"""Settings, read once from the environment and frozen.

Every setting is a variable that starts with ``CHAT_``; a variable that starts so and is no
setting, or has a value that the setting cannot have, fails by name when the Lambda starts.
"""

import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from typing import Any

from .storage.bucket import LARGEST_BURST

PREFIX = "CHAT_"

# HMAC takes the secret, the others a key of the JWKS.
HMAC = "HS256"
PUBLIC_KEY = ("RS256", "ES256", "EdDSA")

# No browser sends a scheme's own port.
_ORIGIN = re.compile(
    r"(?!https://[^:]+:443$|http://[^:]+:80$)(https?://[a-z0-9.-]+(:\d+)?|[a-z][a-z0-9+.-]*://[a-z0-9.-]+)"
)
_SECRET_ARN = re.compile(
    r"arn:[a-z-]+:(ssm:[a-z0-9-]+:\d+:parameter/.+/|secretsmanager:[a-z0-9-]+:\d+:secret:).+"
)
_API = re.compile(r"[a-z0-9]+/[A-Za-z0-9_-]+")
# Where keys come from: nobody on the way can change what comes by TLS, or from this machine.
_KEYS = re.compile(r"https://.+|http://(127\.0\.0\.1|localhost)(:\d+)?/.*|(?!\w+://).+")
# From where to where a number may be. 0 turns something off. Each upper bound is where something breaks.
BOUNDS = {
    # A century: expiries stay numbers that DynamoDB's TTL and a client's dates take.
    "history_days": (0, 36_500),
    # A name is changed in one transaction of at most 100 items: these, the connection, the claim of the
    # name, and the personal room before and after.
    "max_rooms": (1, 96),
    # All of them are in one item, some 30 bytes each, that each of their frames writes: at 10 frames a
    # second, that is a third of what a partition of DynamoDB takes.
    "max_connections_per_name": (1, 1000),
    # A frame is a write of the connection's item, and DynamoDB takes 1,000 a second of an item.
    "rate_per_second": (0, 1000),
    "rate_burst": (1, LARGEST_BURST),
    # Each is a socket, and a Lambda has 1,024 files.
    "max_concurrency": (1, 900),
    "max_posts_per_second": (0, 1_000_000),
    "room_posts_per_second": (1, 1_000_000),
    # They are kept in memory while they are sent to.
    "inline_recipients": (1, 100_000),
    # A list of more would not fit the event that tells who is there.
    "presence_members": (1, 500),
    # No connection lives longer than two hours, and nothing that is kept about one is of use after it.
    "members_cache_seconds": (0, 86_400),
    "prune_after_seconds": (1, 86_400),
    "connection_seconds": (1, 86_400),
    # More than that, and an expired token would be as good as a new one.
    "jwt_leeway_seconds": (0, 300),
}


class ConfigError(ValueError):
    """A variable of the environment is wrong. The message names it."""


@dataclass(frozen=True)
class Settings:
    """The settings of one deployment; the field ``table`` is the variable ``CHAT_TABLE``.

    Attributes:
        table: DynamoDB table of the live connections.
        rooms_table: DynamoDB table of the memberships.
        messages_table: DynamoDB table of the rooms' messages.
        history_days: How long messages are stored; 0 for not at all.
        max_rooms: Rooms that one connection can be in, its personal room not counted.
        max_connections_per_name: Connections that one name can have at once.
        rate_per_second: Tokens that a connection, and a name over all its connections, gets each second
            for its frames; 0 for any number of frames. What costs more than one is in actions/table.py.
        rate_burst: Tokens that they have after a silence.
        max_concurrency: Posts to API Gateway under way at once, in one Lambda.
        max_posts_per_second: Posts to API Gateway in a second, from one Lambda; 0 for no limit.
        room_posts_per_second: Posts to API Gateway in a second that the messages of one room may take.
        inline_recipients: Members of a room that are sent to at once; those beyond are left to workers.
        presence_members: Connections up to which a room hears who joins, leaves and types; a larger one
            hears only how many there are.
        members_cache_seconds: How long a Lambda keeps the members of a room at most; 0 for not at all.
        queue: SQS queue of what is left to workers.
        dead_letter_queue: SQS queue of what they could not send either.
        prune_after_seconds: Age from which a connection that is gone (410) is removed. The socket
            opens after ``$connect`` has written the row, and answers 410 until then.
        connection_seconds: Lifetime of a connection's rows. API Gateway ends a connection after
            two hours; a minute on top.
        auth: ``"none"``, or ``"jwt"`` for a name from a token.
        jwt_algorithms: Those that are taken: ``HS256``, or some of ``RS256``, ``ES256`` and ``EdDSA``.
        jwt_secret_arn: Of the secret for ``HS256``, in SSM Parameter Store or Secrets Manager.
        jwks: URL or file of the keys for the other algorithms.
        jwt_issuer: What ``iss`` must be.
        jwt_audience: What ``aud`` must be or have.
        jwt_leeway_seconds: How far the issuer's clock may be off.
        jwt_name_claim: The claim that is the name.
        rooms_claim: The claim that lists the rooms, as patterns with ``*``; without it all are allowed.
        allowed_origins: Origins that a browser may connect from; without it all are allowed.
        require_origin: Whether who sends no origin is refused.
        api: ``<API id>/<stage>``, for the functions that no socket calls.
    """

    table: str = "Chat"
    rooms_table: str = "ChatRooms"
    messages_table: str = "ChatMessages"
    history_days: int = 30
    max_rooms: int = 50
    max_connections_per_name: int = 20
    rate_per_second: int = 10
    rate_burst: int = 20
    max_concurrency: int = 256
    max_posts_per_second: int = 0
    room_posts_per_second: int = 5000
    inline_recipients: int = 5000
    presence_members: int = 100
    members_cache_seconds: int = 60
    queue: str = "ChatFanOut"
    dead_letter_queue: str = "ChatFanOut-dead"
    prune_after_seconds: int = 30
    connection_seconds: int = 2 * 60 * 60 + 60
    auth: str = "none"
    jwt_algorithms: tuple[str, ...] = (HMAC,)
    jwt_secret_arn: str = ""
    jwks: str = ""
    jwt_issuer: str = ""
    jwt_audience: str = ""
    jwt_leeway_seconds: int = 0
    jwt_name_claim: str = "sub"
    rooms_claim: str = ""
    allowed_origins: tuple[str, ...] = ()
    require_origin: bool = False
    api: str = ""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Read the settings from a mapping such as ``os.environ``.

        Raises:
            ConfigError: A ``CHAT_`` variable is unknown, has a value that it cannot have, or does not
                go together with the others.
        """
        known = {PREFIX + field.name.upper(): field for field in fields(cls)}
        values: dict[str, Any] = {}
        for variable, value in env.items():
            if not variable.startswith(PREFIX):
                continue
            if variable not in known:
                raise ConfigError(f"{variable} is not a setting; known are {', '.join(known)}")
            field = known[variable]
            values[field.name] = _parse(variable, value, field)
        settings = cls(**values)
        _check(settings, set(values))
        return settings


def _parse(variable: str, value: str, field: Field[Any]) -> object:
    kind: type = type(field.default)
    if kind is bool:
        if value not in ("true", "false"):
            raise ConfigError(f"{variable} must be true or false, not {value!r}")
        return value == "true"
    if kind is int:
        least, most = BOUNDS[field.name]
        # Python reads no number of thousands of digits.
        digits = value.isascii() and value.isdecimal() and len(value) <= 20
        if not digits or not least <= int(value) <= most:
            raise ConfigError(f"{variable} must be a whole number from {least} to {most}, not {value[:40]!r}")
        return int(value)
    if not value.strip():
        raise ConfigError(f"{variable} is empty")
    if kind is tuple:
        return tuple(part.strip() for part in value.split(","))
    return value


def _check(settings: Settings, given: set[str]) -> None:
    """Make sure of what a setting must be, and of those that only make sense together."""
    rules = [
        (settings.auth in ("none", "jwt"), f"CHAT_AUTH must be none or jwt, not {settings.auth!r}"),
        (not settings.api or _API.fullmatch(settings.api), "CHAT_API must be <API id>/<stage>"),
        (
            all(_ORIGIN.fullmatch(origin) for origin in settings.allowed_origins),
            "CHAT_ALLOWED_ORIGINS must be origins as browsers send them, such as https://chat.example.com,"
            " without :443 or :80, and with commas between them",
        ),
        (
            settings.allowed_origins or not settings.require_origin,
            "CHAT_REQUIRE_ORIGIN needs CHAT_ALLOWED_ORIGINS",
        ),
        *(_jwt_rules(settings) if settings.auth == "jwt" else _no_jwt_rules(given)),
    ]
    for holds, told in rules:
        if not holds:
            raise ConfigError(told)


def _jwt_rules(settings: Settings) -> list[tuple[object, str]]:
    algorithms = set(settings.jwt_algorithms)
    hmac = algorithms == {HMAC}
    return [
        (
            hmac or algorithms <= set(PUBLIC_KEY),
            f"CHAT_JWT_ALGORITHMS must be {HMAC} alone, or some of {', '.join(PUBLIC_KEY)}",
        ),
        (not hmac or settings.jwt_secret_arn, f"CHAT_JWT_SECRET_ARN is missing: {HMAC} needs it"),
        (not hmac or not settings.jwks, f"CHAT_JWKS cannot be given with {HMAC}: a public key is no secret"),
        (hmac or settings.jwks, "CHAT_JWKS is missing: all algorithms but HS256 need it"),
        (hmac or not settings.jwt_secret_arn, f"CHAT_JWT_SECRET_ARN goes with {HMAC} alone"),
        (
            not settings.jwt_secret_arn or _SECRET_ARN.fullmatch(settings.jwt_secret_arn),
            "CHAT_JWT_SECRET_ARN must be the ARN of a secret of Secrets Manager, or of a parameter of SSM"
            " whose name is a path, such as /chalice-chat/dev/jwt-secret",
        ),
        (not settings.jwks or _KEYS.fullmatch(settings.jwks), "CHAT_JWKS must be an https:// URL or a file"),
        (settings.jwt_issuer, "CHAT_JWT_ISSUER is missing"),
        (settings.jwt_audience, "CHAT_JWT_AUDIENCE is missing"),
    ]


def _no_jwt_rules(given: set[str]) -> list[tuple[object, str]]:
    """A setting of tokens without CHAT_AUTH=jwt would look like protection."""
    return [
        (name not in given, f"{PREFIX}{name.upper()} needs CHAT_AUTH=jwt")
        for name in (field.name for field in fields(Settings))
        if name.startswith("jw") or name == "rooms_claim"
    ]
