"""The chat as Chalice's test client sees it, on a real DynamoDB."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
import pytest
from botocore.config import Config
from chalice.test import Client

import app
from chalicelib.actions.call import Action
from chalicelib.actions.table import ACTIONS
from chalicelib.aws.dynamodb import DynamoDB
from chalicelib.bootstrap import build_chat, build_operations
from tests.functional.clients import People
from tests.functional.dynamodb_local import dynamodb_local
from tests.functional.log import Log
from tests.functional.queues import Queues
from tests.functional.tables import Tables
from tests.rig.callbacks import Callbacks, serving
from tests.rig.clock import Clock
from tests.rig.dynamodb import DynamoDB as RigsDynamoDB
from tests.rig.hooked import HookedDynamoDB

# boto3's client of DynamoDB, which is the reference, and ours.
CLIENTS: Mapping[str, Callable[[str], Any]] = {
    "boto3": lambda url: boto3.client("dynamodb", endpoint_url=url),
    "ours": DynamoDB,
}


@pytest.fixture(scope="session")
def dynamodb_local_url() -> Iterator[str]:
    with dynamodb_local() as url:
        yield url


@pytest.fixture(scope="session")
def callbacks_server() -> Iterator[Callbacks]:
    with serving() as callbacks:
        yield callbacks


@pytest.fixture
def callbacks(callbacks_server: Callbacks) -> Iterator[Callbacks]:
    """``@connections``, with nothing posted yet."""
    callbacks_server.reset()
    yield callbacks_server
    callbacks_server.release()


@pytest.fixture(params=["ministack_url", "dynamodb_local_url", "rig"])
def tables_everywhere(request: pytest.FixtureRequest) -> Iterator[Tables]:
    """Empty tables on every DynamoDB that there is, and on the rig's own, by boto3."""
    if request.param == "rig":
        yield Tables(RigsDynamoDB())
        return
    url = request.getfixturevalue(request.param)
    tables = Tables(boto3.client("dynamodb", endpoint_url=url, config=Config(max_pool_connections=50)))
    yield tables
    tables.delete()


@pytest.fixture(params=["ministack_url", "dynamodb_local_url"])
def tables_anywhere(request: pytest.FixtureRequest) -> Iterator[Tables]:
    """Empty tables on every DynamoDB that there is, for the chat's own client."""
    url = request.getfixturevalue(request.param)
    tables = Tables(boto3.client("dynamodb", endpoint_url=url), HookedDynamoDB(url))
    yield tables
    tables.delete()


@pytest.fixture
def tables(ministack_url: str) -> Iterator[Tables]:
    """Empty tables on MiniStack, for the chat's own client."""
    tables = Tables(boto3.client("dynamodb", endpoint_url=ministack_url), HookedDynamoDB(ministack_url))
    yield tables
    tables.delete()


@pytest.fixture
def queues(ministack_url: str) -> Iterator[Queues]:
    """Empty queues on MiniStack."""
    queues = Queues(boto3.client("sqs", endpoint_url=ministack_url))
    yield queues
    queues.delete()


@pytest.fixture
def clock() -> Clock:
    """The chat's clock. It stands still, so that connections grow old only where a test says so."""
    return Clock(1_700_000_000)


@pytest.fixture
def log() -> Iterator[Log]:
    """What the chat has logged; it must not have logged any of what no log may have."""
    log = Log()
    yield log
    log.must_be_clean()


@pytest.fixture
def actions() -> Mapping[str, Action]:
    """What the people can ask for."""
    return ACTIONS


@pytest.fixture
def settings() -> Mapping[str, str]:
    """Variables beside those that name the tables. The clock stands still, so there is no rate to keep."""
    return {"CHAT_RATE_PER_SECOND": "0"}


@pytest.fixture
def people(
    tables: Tables,
    queues: Queues,
    callbacks: Callbacks,
    clock: Clock,
    log: Log,
    actions: Mapping[str, Action],
    settings: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[People]:
    """Whoever uses a chat on those tables, whose posts go to ``callbacks``."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", callbacks.url)
    env = {"CHAT_API": "a1b2c3d4e5/test", **tables.settings(), **queues.settings(), **settings}
    chat = build_chat(
        env,
        app.websocket_api,
        actions=actions,
        dynamodb=tables.client,
        sqs=queues.client,
        clock=clock,
        logger=log.logger,
    )
    monkeypatch.setattr(app, "get_chat", lambda: chat)
    monkeypatch.setattr(app, "get_operations", lambda: build_operations(chat, app.websocket_api))
    # No stage of the configuration: its environment would name the tables of that stage.
    yield People(Client(app.app, stage_name="functional-test"), callbacks, queues)
    app.websocket_api.stop()
