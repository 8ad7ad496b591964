"""A connection as the registry knows it, and its item in ``Chat``."""

from dataclasses import dataclass, replace
from typing import Any

from ..auth.identity import Identity, allows
from ..wire.events import Form


@dataclass(frozen=True)
class Connection:
    """A connection as the registry knows it.

    Attributes:
        id: API Gateway's connection id.
        name: The user's name; None for a nameless connection.
        form: How it wants its events.
        rooms: Rooms that it is in, its personal room among them.
        connected_at: Unix time in ms.
        expires_at: Unix time in s, from which API Gateway has ended it for sure.
        token_expires_at: Unix time in s, from which it may not speak or hear any more; None without a token.
        allowed: Patterns of the rooms that it may enter; None for all.
        shared: Whether its name has had other connections beside it.
    """

    id: str
    name: str | None
    form: Form
    rooms: frozenset[str]
    connected_at: int
    expires_at: int
    token_expires_at: int | None = None
    allowed: tuple[str, ...] | None = None
    shared: bool = False

    @property
    def counts_until(self) -> int:
        """Unix time in s, from which it is in no room any more."""
        return min(self.expires_at, self.token_expires_at or self.expires_at)

    @property
    def public_rooms(self) -> list[str]:
        """The rooms that others can be in too."""
        return [room for room in sorted(self.rooms) if not room.startswith("@")]

    def named(self, name: str) -> "Connection":
        """The same connection under a name, moved to that name's personal room."""
        return replace(self, name=name, rooms=frozenset([*self.public_rooms, personal_room(name)]))

    def identified(self, identity: Identity) -> "Connection":
        """The same connection by the word of a token."""
        connection = self if self.name == identity.name else self.named(identity.name)
        return replace(connection, token_expires_at=identity.expires_at, allowed=identity.rooms)

    def may_enter(self, room: str) -> bool:
        """Whether its token allows it a room."""
        return allows(self.allowed, room)


def personal_room(name: str) -> str:
    """The room that all connections of a user are in, and nobody else."""
    return f"@{name}"


def to_attributes(connection: Connection) -> dict[str, Any]:
    """What its owner can change of a connection's item, where there is something to say."""
    item: dict[str, Any] = {}
    if connection.name is not None:
        item["name"] = {"S": connection.name}
    if connection.rooms:
        item["rooms"] = {"SS": sorted(connection.rooms)}
    if connection.token_expires_at is not None:
        item["tokenExpiresAt"] = {"N": str(connection.token_expires_at)}
    if connection.allowed is not None:
        item["allowed"] = {"L": [{"S": pattern} for pattern in connection.allowed]}
    return item


def from_item(item: dict[str, Any]) -> Connection:
    """Read a connection from its item."""
    return Connection(
        id=item["connectionid"]["S"],
        name=item["name"]["S"] if "name" in item else None,
        form=Form(item["form"]["S"]),
        rooms=frozenset(item["rooms"]["SS"] if "rooms" in item else ()),
        connected_at=int(item["connectedAt"]["N"]),
        expires_at=int(item["expiresAt"]["N"]),
        token_expires_at=int(item["tokenExpiresAt"]["N"]) if "tokenExpiresAt" in item else None,
        allowed=tuple(pattern["S"] for pattern in item["allowed"]["L"]) if "allowed" in item else None,
        shared=item.get("shared", {}).get("BOOL", False),
    )
