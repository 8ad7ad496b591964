"""AsyncAPI's own parser, from npm, takes the document of the wire."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.tools import missing

PROJECT = Path(__file__).parents[2]
DOCUMENT = (PROJECT / "docs/asyncapi.yaml").read_text()
SCRIPT = Path(__file__).with_name("asyncapi.cjs")
# The parser's numbers: 0 is an error, 1 a warning. 2 is information: that 3.0.0 is not the newest AsyncAPI.
GRAVE = (0, 1)


def complaints(document: str) -> list[dict[str, Any]]:
    """The errors and warnings of the parser."""
    if shutil.which("node") is None:
        missing("AsyncAPI's parser needs Node.js: install it with npm, on Debian by 'apt-get install npm'")
    if not (PROJECT / "node_modules/@asyncapi/parser").is_dir():
        missing("AsyncAPI's parser is not installed: run 'make node'")
    run = subprocess.run(["node", SCRIPT], input=document, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return [said for said in json.loads(run.stdout) if said["severity"] in GRAVE]


def test_the_parser_takes_the_document() -> None:
    assert complaints(DOCUMENT) == []


@pytest.mark.parametrize(
    ("good", "broken", "why"),
    [
        ("      OnMessage:\n        $ref: '#/components/messages/OnMessage'\n", "", "does not exist"),
        ("    protocol: wss\n", "", 'must have required property "protocol"'),
        ("maxLength: 4096", "maxLength: long", "must be integer"),
    ],
    ids=["dangling reference", "no protocol", "bad schema"],
)
def test_a_broken_document_is_reported(good: str, broken: str, why: str) -> None:
    assert good in DOCUMENT
    found = complaints(DOCUMENT.replace(good, broken, 1))
    assert any(why in said["message"] for said in found), found
