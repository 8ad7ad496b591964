"""What API Gateway may hand to the handlers, made up: the likely, the odd, and the broken."""

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from chalicelib.actions.table import ACTIONS
from tests.tokens import NOW, assembled, claims, signed

CONNECTIONS = ["c0000000000000=", "c1111111111111=", "c2222222222222="]
ROUTES = ["connect", "message", "disconnect"]

ODD_TEXT = st.one_of(
    st.text(max_size=40),
    st.text(st.characters(), max_size=40),
    st.sampled_from(
        [
            "",
            " ",
            "\0",
            "\r\n",
            "\u2028",
            "\u202e",
            "\u200b",
            "\ud800",
            "\uff20bob",
            "#lobby",
            "@bob",
            "a" * 65,
        ]
    ),
    st.sampled_from(["lobby", "cats", "ann", "bob", "None", "null", "NaN", "<b>", "%00", "../..", "{{1}}"]),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    ODD_TEXT,
    st.sampled_from([0, -1, 2**31, 2**53, 2**63, 10**40, 1e308, 50, 100, 101]),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ODD_TEXT, inner, max_size=4),
    max_leaves=12,
)
FIELDS = sorted({field for action in ACTIONS.values() for field in action.request.__struct_fields__})


def _frame(action: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {"action": action, **fields}


# A frame of an action that there is, with fields that there are.
FRAMES = st.builds(
    _frame,
    st.sampled_from(sorted(ACTIONS)),
    st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5),
)
GOOD_FRAMES = st.sampled_from(
    [
        {"action": "onMessage", "message": "hi", "ref": "r1"},
        {"action": "privateMessage", "to": "bob", "message": "hi"},
        {"action": "joinRoom", "room": "cats"},
        {"action": "leaveRoom", "room": "lobby"},
        {"action": "setName", "name": "bob"},
        {"action": "history", "after": 0, "limit": 3},
        {"action": "authenticate", "token": signed(sub="ann")},
        {"action": "who"},
        {"action": "listRooms"},
    ]
)


def _text(frame: object) -> str:
    return json.dumps(frame)


BODIES = st.one_of(
    GOOD_FRAMES.map(_text),
    FRAMES.map(_text),
    JSON.map(_text),
    st.dictionaries(ODD_TEXT, JSON, max_size=4).map(_text),
    ODD_TEXT,
    st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")),
    st.builds(lambda text, times: text * times, st.sampled_from('[{"a9\0\ud800名'), st.integers(1, 140_000)),
    # A good frame with a piece cut out or put in.
    st.builds(
        lambda frame, at, cut, put: frame[: at % len(frame)] + put + frame[at % len(frame) + cut :],
        GOOD_FRAMES.map(_text),
        st.integers(0, 200),
        st.integers(0, 8),
        ODD_TEXT,
    ),
    st.none(),
)
HEADER = st.dictionaries(ODD_TEXT, JSON, max_size=4)
TOKENS = st.one_of(
    st.sampled_from([signed(), signed(sub="bob"), signed(exp=NOW - 1), signed(aud="x"), "a.b.c", "..", ""]),
    ODD_TEXT,
    st.builds(assembled, HEADER, JSON, st.binary(max_size=8)),
    st.builds(
        lambda header, changes: assembled(header, {**claims(), **changes}, b"x"),
        st.fixed_dictionaries({"alg": st.sampled_from(["HS256", "none", "RS256", "", None, 1, []])}),
        st.dictionaries(
            st.sampled_from(["sub", "iss", "aud", "exp", "nbf", "iat", "rooms"]), JSON, max_size=3
        ),
    ),
)
HEADERS = st.one_of(
    st.none(),
    st.dictionaries(
        st.sampled_from(
            ["Origin", "origin", "Authorization", "authorization", "Sec-WebSocket-Protocol", "Host", "X-Odd"]
        )
        | ODD_TEXT,
        st.one_of(
            ODD_TEXT,
            TOKENS.map("Bearer {}".format),
            TOKENS.map("bearer.{}, chat.v1".format),
            st.just("chat.v1"),
            st.sampled_from(["https://chat.example.com", "null", "HTTPS://CHAT.EXAMPLE.COM"]),
        ),
        max_size=4,
    ),
)
QUERY = st.one_of(
    st.none(),
    st.dictionaries(
        st.sampled_from(["name", "room", "token", "Name"]) | ODD_TEXT,
        st.lists(ODD_TEXT | TOKENS, max_size=4),
        max_size=4,
    ),
)


@dataclass(frozen=True)
class Step:
    """One event for one handler.

    Attributes:
        route: ``connect``, ``message`` or ``disconnect``.
        event: The event.
        seconds: How much later than the one before it comes.
    """

    route: str
    event: dict[str, Any]
    seconds: int = 0

    def encoded(self) -> dict[str, Any]:
        """For the corpus."""
        return {"route": self.route, "event": self.event, "seconds": self.seconds}


def _step(
    route: str, connection: str, body: str | None, headers: Any, query: Any, seconds: int, coded: bool
) -> Step:
    event: dict[str, Any] = {"requestContext": {"connectionId": connection, "requestId": "r"}}
    match route:
        case "connect":
            event |= {"headers": headers, "multiValueQueryStringParameters": query}
        case "message":
            event |= {"body": body, "isBase64Encoded": coded}
    return Step(route, event, seconds)


STEPS = st.lists(
    st.builds(
        _step,
        st.sampled_from([*ROUTES, "connect", *["message"] * 4]),
        st.sampled_from(CONNECTIONS),
        BODIES,
        HEADERS,
        QUERY,
        st.sampled_from([0, 0, 0, 1, 31, 3600, 7300]),
        st.booleans(),
    ),
    min_size=1,
    max_size=15,
)
