"""The app on the rig, and on the local stack for what that can show."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from tests.e2e.local_stack import LocalStack
from tests.e2e.project import Project
from tests.functional.log import Log
from tests.functional.tables import Tables
from tests.rig.clients import Crowd
from tests.rig.clock import Clock
from tests.rig.hooked import HookedDynamoDB
from tests.rig.rig import Rig
from tests.tools import free_port
from tests.waiting import eventually


@pytest.fixture
def tables(ministack_url: str) -> Iterator[Tables]:
    """Empty tables, by the app's own client, which the environments share."""
    tables = Tables(boto3.client("dynamodb", endpoint_url=ministack_url), HookedDynamoDB(ministack_url))
    yield tables
    tables.delete()


@pytest.fixture
def clock() -> Clock:
    """The time; it stands still."""
    return Clock(1_700_000_000)


@pytest.fixture
def log() -> Log:
    """What the app has logged."""
    return Log()


@pytest.fixture
def settings() -> Mapping[str, str]:
    """Variables beside those that name the tables."""
    return {}


@pytest.fixture
def rig(tables: Tables, clock: Clock, log: Log, settings: Mapping[str, str]) -> Iterator[Rig]:
    # The clock stands still: there is no rate to keep.
    env = {"CHAT_RATE_PER_SECOND": "0", **tables.settings(), **settings}
    with Rig(tables.client, env, clock, log.logger) as rig:
        yield rig


@pytest.fixture
def crowd(rig: Rig) -> Iterator[Crowd]:
    """Clients of the app on the rig."""
    with Crowd(rig.url) as crowd:
        yield crowd


@dataclass
class World:
    """Where the app runs.

    Attributes:
        name: ``"rig"`` or ``"stack"``.
        crowd: Makes clients.
        items: Reads all items of a table: ``"connections"``, ``"rooms"`` or ``"messages"``.
    """

    name: str
    crowd: Crowd
    items: Callable[[str], list[dict[str, Any]]]


@pytest.fixture(params=["rig", "stack"])
def world(request: pytest.FixtureRequest, settings: Mapping[str, str]) -> Iterator[World]:
    """The app on the rig and on the local stack, with nobody there: what the one does, the other does."""
    if request.param == "rig":
        tables: Tables = request.getfixturevalue("tables")
        crowd = request.getfixturevalue("crowd")
        yield World("rig", crowd, lambda table: tables.items(getattr(tables, table)))
    elif settings:
        project: Project = request.getfixturevalue("new_project")()
        variables = "".join(f'"{name}": "{value}", ' for name, value in settings.items())
        project.edit(".chalice/config.json", '"CHAT_TABLE"', f'{variables}"CHAT_TABLE"')
        with LocalStack(project, free_port()) as stack:
            yield from _world_of(stack)
    else:
        yield from _world_of(request.getfixturevalue("stack"))


def _world_of(stack: LocalStack) -> Iterator[World]:
    assert eventually(lambda: not stack.items("connections") and not stack.items("rooms"))
    with Crowd(stack.endpoints["websocketUrl"]) as crowd:
        yield World("stack", crowd, stack.items)
