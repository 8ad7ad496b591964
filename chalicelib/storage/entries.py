"""Connections in a string set of DynamoDB's, each with the time from which it does not count any more."""


def to_entry(connection_id: str, expires_at: int) -> str:
    """Make an entry; ``expires_at`` is Unix time in s.

    >>> to_entry("L0SM9cOFvHcCIhw=", 1700000000)
    '1700000000#L0SM9cOFvHcCIhw='
    """
    return f"{expires_at}#{connection_id}"


def id_of(entry: str) -> str:
    """The connection of an entry."""
    return entry.partition("#")[2]


def expiry_of(entry: str) -> int:
    """When an entry expires: Unix time in s."""
    return int(entry.partition("#")[0])
