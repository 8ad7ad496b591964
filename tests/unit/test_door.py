"""The handshake: where the token is taken from, and which pages may connect."""

from typing import Any

import pytest

from chalicelib.auth.door import Door
from chalicelib.config import Settings
from chalicelib.errors import BadToken, Forbidden
from chalicelib.handshake import Handshake
from chalicelib.wire.events import Form
from tests.rig.clock import Clock
from tests.tokens import NOW

PAGE = "https://chat.example.com"


def handshake(headers: dict[str, str] | None = None, **query: list[str]) -> Handshake:
    return Handshake.of({"headers": headers, "multiValueQueryStringParameters": query or None})


@pytest.mark.parametrize(
    ("headers", "query", "token"),
    [
        ({}, {}, None),
        (None, {}, None),
        ({"Authorization": "Bearer a.b.c"}, {}, "a.b.c"),
        ({"authorization": "bearer  a.b.c "}, {}, "a.b.c"),
        ({"AUTHORIZATION": "BEARER a.b.c"}, {}, "a.b.c"),
        ({"Authorization": "Basic a.b.c"}, {}, None),
        ({"Sec-WebSocket-Protocol": "chat.v1, bearer.a.b.c"}, {}, "a.b.c"),
        ({"Sec-WebSocket-Protocol": "bearer.a.b.c,chat.v1"}, {}, "a.b.c"),
        ({"Sec-WebSocket-Protocol": "chat.v1"}, {"token": ["a.b.c"]}, "a.b.c"),
        ({"Authorization": "Bearer 1", "Sec-WebSocket-Protocol": "bearer.2"}, {"token": ["3"]}, "1"),
        ({"Sec-WebSocket-Protocol": "bearer.2"}, {"token": ["3"]}, "2"),
        ({"Authorization": "Bearer"}, {"token": ["3"]}, ""),
        ({"Sec-WebSocket-Protocol": "bearer."}, {}, ""),
    ],
)
def test_where_the_token_is_taken_from(headers: Any, query: dict[str, list[str]], token: str | None) -> None:
    assert handshake(headers, **query).token == token


@pytest.mark.parametrize("offers", [["chat.v1", "bearer.a.b.c"], ["bearer.a.b.c", "chat.v1"]])
@pytest.mark.parametrize(
    "name", ["Sec-WebSocket-Protocol", "sec-websocket-protocol", "SEC-WEBSOCKET-PROTOCOL"]
)
def test_a_header_can_come_twice(name: str, offers: list[str]) -> None:
    twice = Handshake.of({"headers": {name: offers[-1]}, "multiValueHeaders": {name: offers}})
    assert (twice.form, twice.token) == (Form.JSON, "a.b.c")
    cases = Handshake.of({"multiValueHeaders": {name: offers[:1], name.swapcase(): offers[1:]}})
    assert (cases.form, cases.token) == (Form.JSON, "a.b.c")


def test_two_authorizations_are_none() -> None:
    for name in ("Authorization", "authorization"):
        with pytest.raises(BadToken):
            _ = Handshake.of({"multiValueHeaders": {name: ["Bearer 1", "Bearer 2"]}}).token
    other = Handshake.of({"multiValueHeaders": {"Authorization": ["Basic 1", "Bearer 2"]}})
    assert other.token == "2"


def test_of_two_origins_none_is_allowed() -> None:
    shown = {"headers": {"Origin": PAGE}, "multiValueHeaders": {"Origin": ["https://evil.example", PAGE]}}
    with pytest.raises(Forbidden):
        door(allowed_origins=PAGE).admit(Handshake.of(shown))


@pytest.mark.parametrize(
    ("headers", "query"),
    [({"Sec-WebSocket-Protocol": "bearer.1, bearer.2"}, {}), ({}, {"token": ["1", "2"]})],
)
def test_two_tokens_are_none(headers: dict[str, str], query: dict[str, list[str]]) -> None:
    with pytest.raises(BadToken):
        _ = handshake(headers, **query).token


def test_only_the_chats_own_subprotocol_counts() -> None:
    assert handshake({"Sec-WebSocket-Protocol": "bearer.a, chat.v1"}).form is Form.JSON
    assert handshake({"Sec-WebSocket-Protocol": "bearer.a"}).form is Form.TEXT
    assert handshake().form is Form.TEXT


def door(**settings: str) -> Door:
    return Door.of(Settings.from_env({f"CHAT_{k.upper()}": v for k, v in settings.items()}), Clock(NOW))


@pytest.mark.parametrize("origin", [PAGE, "http://localhost:8000", None])
def test_an_origin_that_is_allowed(origin: str | None) -> None:
    allowing = door(allowed_origins=f"{PAGE}, http://localhost:8000")
    assert allowing.admit(handshake({"Origin": origin} if origin else {})) is None


FOREIGN = {
    "foreign": "https://evil.example",
    "null": "null",
    "empty": "",
    "look-alike before": "https://chat.example.com.evil.example",
    "look-alike behind": "https://evilchat.example.com",
    "with a user": "https://chat.example.com@evil.example",
    "of another scheme": "http://chat.example.com",
    "of another port": "https://chat.example.com:8443",
    "with its port": "https://chat.example.com:443",
    "upper case": "HTTPS://CHAT.EXAMPLE.COM",
    "some upper case": "https://Chat.example.com",
    "with a slash": "https://chat.example.com/",
    "with a dot": "https://chat.example.com.",
    "homoglyph": "https://ch\u0430t.example.com",
    "two": f"{PAGE}, https://evil.example",
    "with blanks": f" {PAGE}",
    "with a line feed": f"{PAGE}\n",
    "a star": "*",
}


@pytest.mark.parametrize("origin", FOREIGN.values(), ids=FOREIGN)
def test_an_origin_that_is_not(origin: str) -> None:
    for allowing in (door(allowed_origins=PAGE), door(allowed_origins=PAGE, require_origin="true")):
        with pytest.raises(Forbidden):
            allowing.admit(handshake({"origin": origin}))


def test_no_origin_is_no_browser_and_can_be_refused() -> None:
    assert door(allowed_origins=PAGE).admit(handshake()) is None
    with pytest.raises(Forbidden):
        door(allowed_origins=PAGE, require_origin="true").admit(handshake())


def test_without_the_setting_all_may() -> None:
    assert door().admit(handshake({"Origin": "https://anywhere.example"})) is None
