"""A handler's log line, made readable: one line in, one line out."""

import json
from typing import Any

# Said by the rest of the line, or the same in all of them.
HIDDEN = {"level", "location", "message", "timestamp", "service", "request_id", "xray_trace_id"}


def readable(function: str, line: str) -> str:
    """Render a line that a function has logged; one that is no JSON object stays as it is.

    >>> readable("WebsocketMessage-1A2B", '{"level": "INFO", "message": "message", "ms": 3}')
    'INFO  message     ms=3'
    """
    try:
        fields = json.loads(line)
    except ValueError:
        fields = None
    if not isinstance(fields, dict) or "message" not in fields:
        return f"{function}: {line}"
    rest = [f"{name}={_shown(value)}" for name, value in fields.items() if name not in HIDDEN]
    return f"{fields.get('level', ''):5} {fields['message']:11} {' '.join(rest)}"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
