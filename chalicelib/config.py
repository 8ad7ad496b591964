"""Settings, read once from the environment and frozen.

Every setting is a variable that starts with ``CHAT_``; a variable that starts so and is no
setting, or has a value that the setting cannot have, fails by name when the Lambda starts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

PREFIX = "CHAT_"

# Settings that can be 0, which turns something off.
OFF_AT_ZERO = {"history_days", "max_posts_per_second", "members_cache_seconds"}


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
        max_concurrency: Posts to API Gateway under way at once, in one Lambda.
        max_posts_per_second: Posts to API Gateway in a second, from one Lambda; 0 for no limit.
        inline_recipients: Members of a room that are sent to at once; those beyond are left to workers.
        members_cache_seconds: How long a Lambda keeps the members of a room at most; 0 for not at all.
        queue: SQS queue of what is left to workers.
        dead_letter_queue: SQS queue of what they could not send either.
        prune_after_seconds: Age from which a connection that is gone (410) is removed. The socket
            opens after ``$connect`` has written the row, and answers 410 until then.
        connection_seconds: Lifetime of a connection's rows. API Gateway ends a connection after
            two hours; a minute on top.
    """

    table: str = "Chat"
    rooms_table: str = "ChatRooms"
    messages_table: str = "ChatMessages"
    history_days: int = 30
    max_rooms: int = 50
    max_concurrency: int = 256
    max_posts_per_second: int = 0
    inline_recipients: int = 5000
    members_cache_seconds: int = 60
    queue: str = "ChatFanOut"
    dead_letter_queue: str = "ChatFanOut-dead"
    prune_after_seconds: int = 30
    connection_seconds: int = 2 * 60 * 60 + 60

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Read the settings from a mapping such as ``os.environ``.

        Raises:
            ConfigError: A ``CHAT_`` variable is unknown, empty, or no whole number where the
                setting is one.
        """
        known = {PREFIX + field.name.upper(): field for field in fields(cls)}
        values: dict[str, str | int] = {}
        for variable, value in env.items():
            if not variable.startswith(PREFIX):
                continue
            if variable not in known:
                raise ConfigError(f"{variable} is not a setting; known are {', '.join(known)}")
            field = known[variable]
            least = 0 if field.name in OFF_AT_ZERO else 1
            values[field.name] = (
                _whole(variable, value, least) if field.type is int else _text(variable, value)
            )
        return cls(**values)  # type: ignore[arg-type]


def _text(variable: str, value: str) -> str:
    if not value.strip():
        raise ConfigError(f"{variable} is empty")
    return value


def _whole(variable: str, value: str, least: int) -> int:
    if not (value.isascii() and value.isdecimal() and int(value) >= least):
        raise ConfigError(f"{variable} must be a whole number from {least} on, not {value!r}")
    return int(value)
