"""What the README shows is so."""

import importlib.util
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from chalicelib.actions.call import Action
from chalicelib.actions.table import ACTIONS
from chalicelib.config import PREFIX, Settings
from tests.functional.clients import People

README = (Path(__file__).parents[2] / "README.md").read_text()


@pytest.fixture
def dice(tmp_path: Path) -> Iterator[ModuleType]:
    """The module of the worked example, as if it were where the README puts it."""
    [source] = re.findall(r"```python\n(# chalicelib/actions/dice.py\n.*?)```", README, re.DOTALL)
    path = tmp_path / "dice.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location("chalicelib.actions.dice", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def actions(dice: ModuleType) -> dict[str, Action]:
    """The table of actions with the row of the worked example."""
    [row] = re.findall(r'```python\n +("rollDice": .*,)\n```', README)
    rows: dict[str, Action] = eval(f"{{{row}}}", {"Action": Action, "dice": dice})
    return {**ACTIONS, **rows}


def test_the_worked_example_works(people: People) -> None:
    alice, bob = people.connected(name="alice"), people.connected()
    alice.send({"action": "rollDice", "sides": 20})
    [line] = alice.lines
    assert re.fullmatch(r"\* alice rolled ([1-9]|1\d|20) of 20", line)
    assert bob.lines == [line]
    bob.send({"action": "rollDice", "sides": 1})
    [told] = re.findall(r"`(Error: sides .*?)`", README)
    assert bob.lines[1] == told
    bob.send({"action": "help"})
    assert "rollDice [room] [sides]" in bob.lines[2]


def rows(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, without its head."""
    section = README.partition(f"\n## {heading}\n")[2]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table[0].splitlines()[2:]]


def test_every_setting_is_there_with_its_default() -> None:
    documented = {
        variable.strip("| `"): default.strip("`| ") for variable, default, _ in rows("Configuration")
    }
    defaults = {PREFIX + field.name.upper(): field.default for field in fields(Settings)}
    assert documented == {variable: shown(default) for variable, default in defaults.items()}


def shown(default: object) -> str:
    """A default as its variable would be written."""
    if isinstance(default, bool):
        return str(default).lower()
    return (",".join(default) if isinstance(default, tuple) else str(default)) or "-"


def test_every_action_is_there() -> None:
    documented: list[Any] = [row[0].strip("| `") for row in rows("The wire")]
    assert documented == list(ACTIONS)
