import json

import pytest

from chalicelib.wire.events import Error, Event, Form, Message, render


def say(**fields: object) -> Message:
    return Message(**{"room": "lobby", "id": "i", "sender": None, "message": "hi", "sent_at": 1, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (say(), "Echo: hi"),
        (say(sender="alice"), "alice: hi"),
        (say(room="cats"), "[cats] Echo: hi"),
        (say(room="cats", sender="alice"), "[cats] alice: hi"),
        (say(message="a\nalice: b\u2028c"), "Echo: a ⏎ alice: b ⏎ c"),
        (Error(code="bad_json", message="no"), "Error: no"),
    ],
)
def test_the_text_form_is_one_line(event: Event, line: str) -> None:
    assert render(event, Form.TEXT) == line


def test_the_json_form_has_the_names_of_the_wire() -> None:
    frame = render(say(room="cats"), Form.JSON)
    assert frame is not None
    assert json.loads(frame) == {
        "type": "message", "room": "cats", "id": "i", "from": None, "message": "hi", "sentAt": 1,
    }  # fmt: skip
