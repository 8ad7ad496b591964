"""Who a token says its bearer is."""

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Identity:
    """What a connection is let in as.

    Attributes:
        name: The user's name.
        expires_at: Unix time in s, from which the token does not count any more.
        rooms: Patterns of the rooms that it may enter; None for all.
    """

    name: str
    expires_at: int
    rooms: tuple[str, ...] | None


def allows(patterns: tuple[str, ...] | None, room: str) -> bool:
    """Whether a room is one of those that the patterns allow; a user's own personal room always is.

    >>> allows(("cats", "team-*"), "team-7"), allows(("cats",), "dogs"), allows(None, "dogs")
    (True, False, True)
    """
    if patterns is None or room.startswith("@"):
        return True
    return any(fnmatchcase(room, pattern) for pattern in patterns)
