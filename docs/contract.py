"""The wire contract, read from the code that serves it: its actions, events, errors and schemas."""

import inspect
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

import msgspec

from chalicelib import errors
from chalicelib.actions.call import Action
from chalicelib.actions.table import ACTIONS
from chalicelib.config import Settings
from chalicelib.handshake import BEARER, SUBPROTOCOL
from chalicelib.wire import events
from chalicelib.wire.events import Event
from chalicelib.wire.fields import Field, Name, Room, Token
from chalicelib.wire.requests import LOBBY, Request

# Another subprotocol that is offered.
PROTOCOL = "[^, ]+"
REF = "#/components/schemas/{name}"


class Undocumented(ValueError):
    """The documentation lacks something. The message says what, and where to put it."""


@dataclass(frozen=True)
class Noun:
    """An action or an event, as it is told of.

    Attributes:
        name: What ``action`` or ``type`` is on the wire.
        key: The name of its struct, which no other action or event has.
        summary: The first paragraph of the struct's docstring, in Markdown.
        description: The other paragraphs, if there are any.
    """

    name: str
    key: str
    summary: str
    description: str

    @classmethod
    def of(cls, struct: type[msgspec.Struct], name: str) -> "Noun":
        """Read the docstring of a struct.

        Raises:
            Undocumented: It has none.
        """
        if not struct.__doc__:
            raise Undocumented(f"{struct.__name__} has no docstring")
        summary, _, description = markdown(struct.__doc__).partition("\n\n")
        return cls(name, struct.__name__, summary.replace("\n", " "), description)

    @property
    def title(self) -> str:
        """The key in words."""
        return re.sub(r"(?<!^)(?=[A-Z])", " ", self.key).capitalize()


@dataclass(frozen=True)
class Contract:
    """What a chat with these actions and a client say to each other."""

    actions: Mapping[str, Action]

    def requests(self) -> list[Noun]:
        """What a client can send."""
        return [Noun.of(action.request, name) for name, action in self.actions.items()]

    def events(self) -> list[Noun]:
        """What a client is told."""
        return [Noun.of(event, tag(event)) for event in self._events()]

    def reply(self, action: str) -> Noun:
        """The event that answers an action where nothing went wrong."""
        event = self._reply(self.actions[action])
        return Noun.of(event, tag(event))

    def error(self) -> Noun:
        """The event that answers an action where something went wrong."""
        return Noun.of(events.Error, tag(events.Error))

    def unasked(self) -> list[Noun]:
        """The events that answer nothing: what others have done, and the server."""
        replies = {self._reply(action) for action in self.actions.values()} | {events.Error}
        return [Noun.of(event, tag(event)) for event in self._events() if event not in replies]

    def schemas(self) -> dict[str, Any]:
        """The JSON Schemas of all requests and events, by their keys."""
        keys = [noun.key for noun in self.requests() + self.events()]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise Undocumented(f"{twice[0]} is the struct of more than one action or event")
        frames = [_frame(name, action.request) for name, action in self.actions.items()]
        _, schemas = msgspec.json.schema_components(
            [*frames, *self._events()], schema_hook=_field, ref_template=REF
        )
        for struct in (*frames, *self._events()):
            schema = schemas[struct.__name__]
            # The message that it is the payload of has these.
            del schema["title"]
            schema.pop("description", None)
            field, config = schema["properties"], struct.__struct_config__
            field[config.tag_field] = {"type": "string", "const": config.tag}
        for event in self._events():
            _whole(schemas[event.__name__], event)
        schemas[events.Error.__name__]["properties"]["code"] = {
            "type": "string",
            "enum": list(error_codes()),
            "description": "\n".join(f"- `{code}`: {meaning}" for code, meaning in error_codes().items()),
        }
        return {key: schemas[key] for key in keys}

    def _events(self) -> list[type[Event]]:
        """Those of the wire, and those that an action of one's own has in its module."""
        modules = [events, *(sys.modules[action.run.__module__] for action in self.actions.values())]
        found = (value for module in modules for value in vars(module).values())
        return list(
            dict.fromkeys(
                value
                for value in found
                if inspect.isclass(value) and issubclass(value, Event) and value is not Event
            )
        )

    def _reply(self, action: Action) -> type[Event]:
        returned: object = get_type_hints(action.run).get("return")
        for event in self._events():
            if event is returned:
                return event
        raise Undocumented(f"the annotation of {action.run.__name__} must be the event that it returns")


CONTRACT = Contract(ACTIONS)


def query() -> dict[str, Any]:
    """The JSON Schema of the parameters that a client can connect with."""
    [most_rooms] = [field.default for field in fields(Settings) if field.name == "max_rooms"]
    return {
        "type": "object",
        "properties": {
            "name": {
                **Name.schema,
                "description": f"Your name; without it you are nameless. It {Name.rule}.",
            },
            "room": {
                "type": "array",
                "items": dict(Room.schema),
                "default": [str(LOBBY)],
                "description": "A room to be in from the start. Can be given more than once: "
                f"{most_rooms} times, if the chat does not set `CHAT_MAX_ROOMS`. It {Room.rule}.",
            },
            "token": {
                **Token.schema,
                "description": "Your token, where the chat wants one and you can set neither the header "
                f"`Authorization` nor a subprotocol. It {Token.rule}.",
            },
        },
    }


def headers() -> dict[str, Any]:
    """The JSON Schema of the headers that a client can connect with."""
    return {
        "type": "object",
        "properties": {
            "Sec-WebSocket-Protocol": {
                "type": "string",
                "pattern": rf"^({PROTOCOL}, ?)*{re.escape(SUBPROTOCOL)}(, ?{PROTOCOL})*$",
                "examples": [SUBPROTOCOL, f"{SUBPROTOCOL}, {BEARER}<token>"],
                "description": "The subprotocol whose events are JSON. Browsers, which cannot set other "
                f"headers, offer their token beside it, as `{BEARER}<token>`.",
            },
            "Authorization": {
                "type": "string",
                "pattern": "^Bearer .+$",
                "description": "Your token, where the chat wants one.",
            },
        },
    }


def kind_of(field: dict[str, Any], plural: str = "") -> str:
    """The type of a field in words, from its JSON Schema."""
    if "anyOf" in field:
        kinds = sorted(field["anyOf"], key=lambda kind: kind.get("type") == "null")
        return " or ".join(kind_of(kind) for kind in kinds)
    if "$ref" in field:
        return f"`{field['$ref'].rpartition('/')[2].lower()}`"
    if "enum" in field and "description" not in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    kind: str = field["type"]
    if kind == "null":
        return kind
    inner = {"array": "items", "object": "additionalProperties"}.get(kind)
    return f"{kind}{plural} of {kind_of(field[inner], 's')}" if inner else f"{kind}{plural}"


def default_of(name: str, schema: dict[str, Any]) -> str:
    """The default of a field of a JSON Schema, in Markdown; empty for null."""
    if name in schema.get("required", ()):
        return "required"
    default = schema["properties"][name]["default"]
    if default is None:
        return ""
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def rule_of(field: dict[str, Any]) -> str:
    """What a field must be beside its type, in words."""
    for kind in field.get("anyOf", [field]):
        if "description" in kind:
            return str(kind["description"]).removeprefix("It must be ").removesuffix(".")
        if "maximum" in kind:
            return f"{kind['minimum']} to {kind['maximum']}"
        if "minimum" in kind:
            return f"{kind['minimum']} or more"
    return ""


def error_codes() -> dict[str, str]:
    """What each code of an ``error`` event means."""
    return {
        code: markdown(error.__doc__)
        for error in vars(errors).values()
        if inspect.isclass(error) and error.__doc__ and (code := vars(error).get("code"))
    }


def tag(event: type[Event]) -> str:
    """The ``type`` of an event."""
    return str(event.__struct_config__.tag)


def markdown(docstring: str) -> str:
    """A docstring with its code in Markdown's way."""
    return inspect.cleandoc(docstring).replace("``", "`")


def _frame(name: str, request: type[Request]) -> type[msgspec.Struct]:
    """A request as a frame is: with its action, and with its own fields before those of every action."""
    common = Request.__struct_fields__
    fields = sorted(msgspec.structs.fields(request), key=lambda field: field.name in common)
    return msgspec.defstruct(
        request.__name__,
        [(field.encode_name, field.type, _plain_default(field)) for field in fields],
        tag_field="action",
        tag=name,
        kw_only=True,
        forbid_unknown_fields=request.__struct_config__.forbid_unknown_fields,
    )


def _plain_default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.field(default_factory=field.default_factory)
    # msgspec puts no subclass of str into a schema.
    return str(field.default) if isinstance(field.default, Field) else msgspec.field(default=field.default)


def _field(kind: type) -> dict[str, Any]:
    if not issubclass(kind, Field):
        raise NotImplementedError
    return {**kind.schema, "description": f"It {kind.rule}."}


def _whole(schema: dict[str, Any], event: type[Event]) -> None:
    """Say that an event has all its fields, as msgspec writes those with a default too.

    In an event that leaves out its defaults, a field that can be null is never written as null.
    """
    fields = schema["properties"]
    optional = set()
    if event.__struct_config__.omit_defaults:
        optional = {name for name, field in fields.items() if "default" in field and field["default"] is None}
    for name in optional:
        [fields[name]] = [kind for kind in fields[name]["anyOf"] if kind["type"] != "null"]
    schema["required"] = [name for name in fields if name not in optional]
    for field in fields.values():
        field.pop("default", None)
