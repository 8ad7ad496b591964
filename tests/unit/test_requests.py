import pytest

from chalicelib.errors import BadJson, BadRequest
from chalicelib.wire.requests import OnMessage, Ping, Request, parse_frame, parse_request

NOT_JSON = {
    "empty": "",
    "words": "hello",
    "cut off": '{"action": "ping"',
    "NaN": "NaN",
    "NaN inside": '{"action": NaN}',
    "huge number": "9" * 5000,
    "huge number inside": '{"action": ' + "9" * 5000 + "}",
    "infinite number": '{"action": 1e999}',
    "deep nesting": "[" * 60_000,
    "deep nesting inside": '{"action": ' + '{"a":' * 20_000,
    "repeated field": '{"action": "ping", "action": "help"}',
    "repeated field inside": '{"action": "ping", "x": {"a": 1, "a": 2}}',
    "escaped lone surrogate": r'{"action": "\ud800"}',
    "raw lone surrogate": '{"action": "\ud800"}',
    "raw control": '{"action": "\x01"}',
    "byte order mark": "\ufeff{}",
}

NO_OBJECT = ["[]", "[1]", "3", "-1.5", "null", "true", '"None"', '"ping"']


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_what_is_not_json(body: str) -> None:
    with pytest.raises(BadJson, match="not valid JSON"):
        parse_frame(body)


@pytest.mark.parametrize("body", NO_OBJECT)
def test_json_that_is_no_object(body: str) -> None:
    with pytest.raises(BadJson, match="must be a JSON object"):
        parse_frame(body)


def test_a_frame_keeps_its_fields() -> None:
    assert parse_frame('{"action": "ping", "ref": "\\ud83d\\ude00"}') == {"action": "ping", "ref": "😀"}


def test_a_request_has_its_defaults() -> None:
    request = parse_request("onMessage", {"message": "hi"}, OnMessage)
    assert (request.message, request.room, request.ref) == ("hi", "lobby", None)


def test_the_fields_are_normalised() -> None:
    request = parse_request("onMessage", {"message": "e\u0301\r\n", "ref": "r1", "room": "cats"}, OnMessage)
    assert (request.message, request.room, request.ref) == ("é\n", "cats", "r1")


@pytest.mark.parametrize(
    ("fields", "kind", "told"),
    [
        ({}, OnMessage, "message is missing"),
        ({"message": ""}, OnMessage, "message must be 1-4096 characters of text"),
        ({"message": 3}, OnMessage, "message must be 1-4096 characters of text"),
        ({"message": None}, OnMessage, "message must be 1-4096 characters of text"),
        ({"message": ["a"]}, OnMessage, "message must be 1-4096 characters of text"),
        ({"message": "a" * 4097}, OnMessage, "message must be 1-4096 characters of text"),
        ({"message": "a\x00"}, OnMessage, "message must be 1-4096 characters of text"),
        ({"message": "a", "room": "a b"}, OnMessage, "room must be 1-64 letters"),
        ({"message": "a", "room": "a\n"}, OnMessage, "room must be 1-64 letters"),
        ({"message": "a", "room": None}, OnMessage, "room must be 1-64 letters"),
        ({"message": "a", "ref": 5}, OnMessage, "ref must be 1-64 characters"),
        ({"message": "a", "rom": "cats"}, OnMessage, "'rom' is not a field of onMessage"),
        ({"connectionid": "x"}, Ping, "'connectionid' is not a field of onMessage"),
        ({"é\n\u202e": 1}, Ping, r"'\\xe9\\n\\u202e' is not a field of onMessage"),
        ({"x" * 500: 1}, Ping, "'" + "x" * 40 + "...' is not a field of onMessage"),
    ],
)
def test_a_bad_field_is_named_with_its_rule(
    fields: dict[str, object], kind: type[Request], told: str
) -> None:
    with pytest.raises(BadRequest, match=told):
        parse_request("onMessage", fields, kind)
