import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from chalicelib.actions.call import Action, Call
from chalicelib.actions.table import ACTIONS
from chalicelib.errors import BadRequest
from chalicelib.wire import events
from chalicelib.wire.events import Event, Form, render
from chalicelib.wire.requests import Ping, Request, parse_request
from docs.contract import CONTRACT, Contract, Undocumented, error_codes
from docs.examples import EVENTS, FRAMES, events_of, frames_of, payload
from docs.generate import PROJECT, document, files, page

ALL_EVENTS = [
    value
    for value in vars(events).values()
    if isinstance(value, type) and issubclass(value, Event) and value is not Event
]
# The fields that an event can be without.
OPTIONAL: dict[type[Event], set[str]] = {events.Presence: {"names"}}
LONG = {"message": 4096, "to": 64, "name": 64, "ref": 64, "room": 64, "epoch": 64, "after": 64}

# Frames that have one thing wrong each.
BAD_FRAMES: list[dict[str, Any]] = [
    {"action": "onMessage"},
    {"action": "onMessage", "message": ""},
    {"action": "onMessage", "message": "a" * 4097},
    {"action": "onMessage", "message": 3},
    {"action": "onMessage", "message": None},
    {"action": "onMessage", "message": "a", "room": "my cats"},
    {"action": "onMessage", "message": "a", "room": "a" * 65},
    {"action": "onMessage", "message": "a", "room": ".cats"},
    {"action": "onMessage", "message": "a", "room": ""},
    {"action": "onMessage", "message": "a", "room": None},
    {"action": "onMessage", "message": "a", "ref": ""},
    {"action": "onMessage", "message": "a", "ref": "a" * 65},
    {"action": "onMessage", "message": "a", "rom": "cats"},
    {"action": "privateMessage", "message": "a"},
    {"action": "privateMessage", "to": "bob"},
    {"action": "privateMessage", "to": "@bob", "message": "a"},
    {"action": "joinRoom"},
    {"action": "leaveRoom"},
    {"action": "typingIndicator", "typing": "yes"},
    {"action": "who", "limit": 0},
    {"action": "who", "limit": 501},
    {"action": "who", "after": ""},
    {"action": "who", "after": "a" * 65},
    {"action": "who", "after": 5},
    {"action": "history", "room": ""},
    {"action": "history", "room": "a" * 65},
    {"action": "history", "after": -1},
    {"action": "history", "before": -1},
    {"action": "history", "after": "1"},
    {"action": "history", "epoch": ""},
    {"action": "history", "epoch": "a" * 65},
    {"action": "history", "limit": 0},
    {"action": "history", "limit": 101},
    {"action": "history", "limit": None},
    {"action": "setName"},
    {"action": "setName", "name": ""},
    {"action": "setName", "name": "a" * 65},
    {"action": "setName", "name": "a#b"},
    {"action": "ping", "pong": True},
]


@cache
def whole() -> dict[str, Any]:
    """The document as it is generated now, whatever is in the file."""
    return document()


def parse(frame: dict[str, Any]) -> Request:
    """Parse a frame as the dispatcher does."""
    fields = {name: value for name, value in frame.items() if name != "action"}
    return parse_request(frame["action"], fields, ACTIONS[frame["action"]].request)


def validator(key: str) -> Draft7Validator:
    """What checks a payload against the generated schema of an action or event."""
    return Draft7Validator({"$ref": f"#/components/schemas/{key}", "components": whole()["components"]})


def of_frame(frame: dict[str, Any]) -> Draft7Validator:
    return validator(ACTIONS[frame["action"]].request.__name__)


@pytest.mark.parametrize("name", ["docs/asyncapi.yaml", "docs/wire.md"])
def test_the_files_are_what_make_docs_writes(name: str) -> None:
    assert (PROJECT / name).read_text() == files()[PROJECT / name], "stale: run `make docs`"


def test_a_stale_file_is_named_and_written_anew(tmp_path: Path) -> None:
    for folder in ("docs", "chalicelib"):
        shutil.copytree(PROJECT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)

    def generate(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "docs.generate", *arguments]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        return run.returncode, run.stderr

    assert generate() == (0, "")
    stale = tmp_path / "docs/wire.md"
    stale.write_text("edited by hand")
    assert generate("--check") == (1, "stale: docs/wire.md; run `make docs`\n")
    assert stale.read_text() == "edited by hand"
    assert generate() == (0, "")
    assert generate("--check") == (0, "")
    (tmp_path / "docs/asyncapi.yaml").unlink()
    assert generate("--check") == (1, "stale: docs/asyncapi.yaml; run `make docs`\n")


def test_every_action_and_every_event_has_an_example() -> None:
    assert {frame["action"] for frame in FRAMES} == set(ACTIONS)
    assert {type(event) for event in EVENTS} == set(ALL_EVENTS)


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame["action"])
def test_an_example_of_an_action_is_served(frame: dict[str, Any]) -> None:
    parse(frame)
    of_frame(frame).validate(frame)


@pytest.mark.parametrize("frame", BAD_FRAMES, ids=str)
def test_a_frame_that_is_refused_is_against_the_schema(frame: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        parse(frame)
    assert not of_frame(frame).is_valid(frame)


@pytest.mark.parametrize(("field", "longest"), LONG.items())
def test_what_is_as_long_as_can_be_is_in_the_schema(field: str, longest: int) -> None:
    for frame in FRAMES:
        if isinstance(frame.get(field), str):
            longer = {**frame, field: "a" * longest}
            parse(longer)
            of_frame(longer).validate(longer)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_example_of_an_event_is_as_its_schema_says(event: Event) -> None:
    schema = validator(type(event).__name__)
    told = payload(event)
    schema.validate(told)
    for field in told.keys() - OPTIONAL.get(type(event), set()):
        assert not schema.is_valid({name: value for name, value in told.items() if name != field})
    assert not schema.is_valid({**told, "type": "other"})


def test_a_field_that_can_be_left_out_is_not_null() -> None:
    told = payload(events.Presence(room="cats", name="ann", event="leave", at=1, names=["ann", "bob"]))
    schema = validator("Presence")
    assert schema.is_valid({field: value for field, value in told.items() if field != "names"})
    assert not schema.is_valid({**told, "names": None})
    assert "`names` (array of strings, optional)" in page()


def test_the_goodbyes_of_the_examples_have_codes_that_are_explained() -> None:
    [goodbye] = [event for event in CONTRACT.events() if event.name == "goodbye"]
    codes = {event.code for event in EVENTS if isinstance(event, events.Goodbye)}
    assert codes >= {"not_registered", "token_expired", "slow_reader", "rate_limited"}
    for code in codes:
        assert f"- `{code}`: " in goodbye.description


def test_the_schemas_have_the_defaults_of_the_requests() -> None:
    for name, action in ACTIONS.items():
        fields = whole()["components"]["schemas"][action.request.__name__]["properties"]
        defaults = {field: schema["default"] for field, schema in fields.items() if "default" in schema}
        [frame] = frames_of(name)[:1]
        request = parse({**frame, **defaults})
        assert {field: getattr(request, field) for field in defaults} == defaults


def test_an_action_is_answered_by_what_its_function_returns_or_an_error() -> None:
    operations = whole()["operations"]
    replies = {
        name: [message["$ref"].rpartition("/")[2] for message in operations[name]["reply"]["messages"]]
        for name in ACTIONS
    }
    assert replies["onMessage"] == ["Ack", "Error"]
    assert replies["history"] == ["StoredMessages", "Error"]
    assert replies["help"] == ["HelpText", "Error"]


def test_the_other_events_come_unasked() -> None:
    assert [event.name for event in CONTRACT.unasked()] == [
        "message", "messages", "private", "presence", "occupancy", "typing", "goodbye",
    ]  # fmt: skip


def test_every_error_code_is_there_with_its_meaning() -> None:
    codes = whole()["components"]["schemas"]["Error"]["properties"]["code"]
    assert codes["enum"] == list(error_codes())
    assert {"bad_json", "bad_request", "not_found", "unavailable", "internal"} <= set(codes["enum"])
    for code, meaning in error_codes().items():
        assert f"- `{code}`: {meaning}" in codes["description"]
        assert f"| `{code}` | {meaning} |" in page()


@pytest.mark.parametrize("event", ALL_EVENTS, ids=lambda event: event.__name__)
def test_the_page_shows_what_a_terminal_shows(event: type[Event]) -> None:
    section = page().partition(f'<a id="event-{event.__struct_config__.tag}"></a>')[2].partition("<a id=")[0]
    for example in events_of(str(event.__struct_config__.tag)):
        assert (render(example, Form.TEXT) or "In text: nothing.") in section


class Shout(Request, frozen=True):
    """Say it louder."""


class Echo(Event, frozen=True, tag="echo"):
    """It was loud."""


class Silent(Request, frozen=True):
    pass


def shout(request: Shout, call: Call) -> Echo:
    raise NotImplementedError


def whisper(request: Shout, call: Call) -> None:
    raise NotImplementedError


def answer(request: Ping, call: Call) -> events.Pong:
    raise NotImplementedError


def test_an_action_without_an_example_is_named() -> None:
    with pytest.raises(Undocumented, match="no example of Shout, Echo: add one to docs/examples"):
        document(Contract({**ACTIONS, "shout": Action(Shout, shout)}))


def test_a_request_of_two_actions_is_named() -> None:
    with pytest.raises(Undocumented, match="Ping is the struct of more than one action or event"):
        document(Contract({**ACTIONS, "pang": ACTIONS["ping"]}))


def test_an_action_without_a_docstring_is_named() -> None:
    with pytest.raises(Undocumented, match="Silent has no docstring"):
        document(Contract({**ACTIONS, "silent": Action(Silent, answer)}))


def test_an_action_that_does_not_say_its_reply_is_named() -> None:
    with pytest.raises(Undocumented, match="the annotation of whisper must be the event that it returns"):
        Contract({"whisper": Action(Shout, whisper)}).reply("whisper")  # type: ignore[arg-type]
