"""What a client says to connect: the query, the headers, the subprotocols of its WebSocket handshake."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from .errors import BadRequest, BadToken
from .wire.events import Form
from .wire.fields import Field, Name, Room
from .wire.requests import LOBBY

SUBPROTOCOL = "chat.v1"
BEARER = "bearer."

F = TypeVar("F", bound=Field)


@dataclass(frozen=True)
class Handshake:
    """The handshake that a ``$connect`` event is of.

    Attributes:
        headers: The values of each, by its name in lower case.
        query: The values of each parameter.
    """

    headers: Mapping[str, Sequence[str]]
    query: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> "Handshake":
        """Read an event.

        The case of a header's name is the client's choice. A header that comes several times is whole in
        ``multiValueHeaders`` alone: ``headers`` has the last of its values.
        """
        several = event.get("multiValueHeaders") or {}
        headers: dict[str, list[str]] = {}
        for name, values in several.items():
            headers.setdefault(name.lower(), []).extend(values)
        for name, value in (event.get("headers") or {}).items():
            headers.setdefault(name.lower(), [value])
        return cls(headers, event.get("multiValueQueryStringParameters") or {})

    @property
    def protocols(self) -> list[str]:
        """The subprotocols that it offers."""
        offers = ",".join(self.headers.get("sec-websocket-protocol", ())).split(",")
        return [offer.strip() for offer in offers if offer.strip()]

    @property
    def form(self) -> Form:
        """How the client wants its events."""
        return Form.JSON if SUBPROTOCOL in self.protocols else Form.TEXT

    @property
    def origin(self) -> str | None:
        """The page that connects, as its browser says; of several, which no browser sends, all."""
        origins = self.headers.get("origin")
        return ", ".join(origins) if origins else None

    @property
    def token(self) -> str | None:
        """The token, from ``Authorization``, else from a subprotocol, else from the query.

        Raises:
            BadToken: There are several in one of them.
        """
        authorizations = [each.partition(" ") for each in self.headers.get("authorization", ())]
        header = [value.strip() for scheme, _, value in authorizations if scheme.lower() == "bearer"]
        offered = [each.removeprefix(BEARER) for each in self.protocols if each.startswith(BEARER)]
        for found in (header, offered, self.query.get("token", ())):
            if len(found) > 1:
                raise BadToken("the token must be given once")
            if found:
                return found[0]
        return None

    @property
    def name(self) -> str | None:
        """The name that it asks for.

        Raises:
            BadRequest: It is none, or there are two.
        """
        names = [_parameter("name", Name, value) for value in self.query.get("name", ())]
        if len(names) > 1:
            raise BadRequest("name", "must be given once")
        return names[0] if names else None

    @property
    def rooms(self) -> frozenset[str]:
        """The rooms that it wants to be in.

        Raises:
            BadRequest: One of them is no room.
        """
        return frozenset(_parameter("room", Room, value) for value in self.query.get("room", (LOBBY,)))


def _parameter(name: str, kind: type[F], value: str) -> F:
    try:
        return kind.parse(value)
    except ValueError as error:
        raise BadRequest(name, str(error)) from error
