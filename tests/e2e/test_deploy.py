"""The two ways to AWS, on the emulator: ``make deploy``, and ``make tables`` with ``chalice deploy``."""

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore
import jwt
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from infra.template import THROTTLE
from local.account import environment
from local.emulator import Emulator
from tests.e2e.project import Project
from tests.tokens import AUDIENCE, ISSUER, SECRET
from tests.tools import free_port, missing

DEPLOYED = re.compile(r"wss://(\w+)\.execute-api\.us-east-1\.amazonaws\.com/(\w+)/")
TABLES = {"Chat", "ChatRooms", "ChatMessages"}
QUEUES = {"ChatFanOut", "ChatFanOut-dead"}


class Account:
    """An AWS account on the emulator, and a copy of the project to deploy to it."""

    def __init__(self, project: Project, emulator: Emulator, waiters: Path) -> None:
        self.project = project
        self.url = emulator.url
        self._env = {
            **environment(os.environ),
            "AWS_ENDPOINT_URL": emulator.url,
            "AWS_DATA_PATH": str(waiters),
        }

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.project.folder, env=self._env, capture_output=True, text=True, timeout=120
        )

    def make(self, *arguments: str) -> str:
        """Run a target, which must work; its output."""
        done = self.run(*self.project.make(*arguments))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def chalice(self, *arguments: str) -> str:
        """Run Chalice, which must work; its output."""
        done = self.run(str(Path(sys.executable).with_name("chalice")), *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            endpoint_url=self.url,
        )

    def stacks(self) -> set[str]:
        return {stack["StackName"] for stack in self.client("cloudformation").describe_stacks()["Stacks"]}

    def tables(self) -> set[str]:
        return set(self.client("dynamodb").list_tables()["TableNames"])

    def queues(self) -> set[str]:
        urls = self.client("sqs").list_queues().get("QueueUrls", ())
        return {url.rpartition("/")[2] for url in urls}

    def converse(self, output: str) -> None:
        """Talk to what was deployed, by the URL in the output."""
        api, stage = DEPLOYED.findall(output)[-1]
        url = f"ws{self.url.removeprefix('http')}/_aws/execute-api/{api}/{stage}"
        with connect(url) as one, connect(f"{url}?name=alice") as two:
            two.send('{"action": "onMessage", "message": "hi"}')
            assert two.recv(timeout=10) == "alice: hi"
            heard = one.recv(timeout=10)
            # Unless an alice of the conversation before has not gone yet, she is seen to come.
            assert (one.recv(timeout=10) if heard == "* alice joined lobby" else heard) == "alice: hi"


@pytest.fixture(scope="module")
def waiters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lambda's waiters for botocore, to ask each 0.1 s in place of 5: `chalice deploy` waits often."""
    data = tmp_path_factory.mktemp("botocore")
    source = next((Path(botocore.__file__).parent / "data" / "lambda").glob("*/waiters-2.json*"))
    original = botocore.loaders.create_loader().load_service_model("lambda", "waiters-2")
    for waiter in original["waiters"].values():
        waiter["delay"] = 0.1
    target = data / "lambda" / source.parent.name / "waiters-2.json"
    target.parent.mkdir(parents=True)
    target.write_text(json.dumps(original))
    return data


@pytest.fixture
def account(new_project: Callable[[], Project], waiters: Path, tmp_path: Path) -> Iterator[Account]:
    if sys.platform != "linux":
        missing("the emulator runs Lambda's Linux packages here: on Linux alone")
    project = new_project()
    # MiniStack's workers run on this processor, whatever the function's architecture is.
    here = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    project.edit(".chalice/config.json", '"arm64"', f'"{here}"')
    # Of two who talk, a worker sends to one.
    queue = '"CHAT_QUEUE": "ChatFanOut"'
    project.edit(".chalice/config.json", queue, f'"CHAT_INLINE_RECIPIENTS": "1", {queue}')
    with Emulator(free_port(), tmp_path / "emulator") as emulator:
        yield Account(project, emulator, waiters)


def test_one_stack_with_everything(account: Account) -> None:
    output = account.make("deploy", "STAGE=dev")
    assert account.stacks() == {"chalice-chat-dev"}
    assert (account.tables(), account.queues()) == (TABLES, QUEUES)
    account.converse(output)

    # Not as MiniStack's API shows it, which has its names wrong.
    template = account.client("cloudformation").get_template(StackName="chalice-chat-dev")["TemplateBody"]
    resources = (json.loads(template) if isinstance(template, str) else template)["Resources"]
    assert resources["WebsocketAPIStage"]["Properties"]["DefaultRouteSettings"] == THROTTLE

    again = account.make("deploy", "STAGE=dev")
    assert DEPLOYED.findall(again) == DEPLOYED.findall(output)
    account.converse(again)

    (bucket,) = account.client("s3").list_buckets()["Buckets"]
    access = account.client("s3").get_public_access_block(Bucket=bucket["Name"])
    assert all(access["PublicAccessBlockConfiguration"].values())

    account.make("destroy", "STAGE=dev")
    assert account.stacks() == set()
    assert (account.tables(), account.queues()) == (set(), set())
    assert account.client("lambda").list_functions()["Functions"] == []
    assert account.client("s3").list_buckets()["Buckets"] == []
    # Once more: there is nothing, and that is fine.
    account.make("destroy", "STAGE=dev")


def test_a_change_is_deployed(account: Account) -> None:
    account.make("deploy", "STAGE=dev")
    account.project.edit("chalicelib/wire/events.py", 'return ["pong"]', 'return ["PONG, as edited"]')
    api, stage = DEPLOYED.findall(account.make("deploy", "STAGE=dev"))[-1]
    with connect(f"ws{account.url.removeprefix('http')}/_aws/execute-api/{api}/{stage}") as client:
        client.send('{"action": "ping"}')
        assert client.recv(timeout=10) == "PONG, as edited"


def test_tables_first_and_then_chalice_deploy(account: Account) -> None:
    account.make("tables", "STAGE=dev")
    assert account.stacks() == {"chalice-chat-dev-tables"}
    assert (account.tables(), account.queues()) == (TABLES, QUEUES)
    account.converse(account.chalice("deploy", "--stage", "dev"))
    account.chalice("delete", "--stage", "dev")
    account.make("destroy", "STAGE=dev")
    assert account.tables() == set()


def test_prod_is_not_destroyed(account: Account) -> None:
    account.make("tables", "STAGE=prod")
    tables = {f"{table}-prod" for table in TABLES}
    assert account.tables() == tables
    dynamodb = account.client("dynamodb")
    for table in tables:
        assert dynamodb.describe_table(TableName=table)["Table"]["DeletionProtectionEnabled"]

    done = account.run(*account.project.make("destroy", "STAGE=prod"))
    assert done.returncode != 0
    assert "Chat-prod, ChatMessages-prod, ChatRooms-prod are protected from deletion" in done.stderr
    assert "Traceback" not in done.stderr
    assert account.tables() == tables
    assert account.stacks() == {"chalice-chat-prod-tables"}


def test_what_failed_is_told_and_can_be_mended(account: Account) -> None:
    sound = '"Resources": {'
    broken = (
        f'{sound}"Odd": {{"Type": "AWS::SSM::Parameter", "Properties": {{"Type": "Odd", "Value": "1"}}}},'
    )
    account.project.edit("resources.json", sound, broken)
    done = account.run(*account.project.make("tables", "STAGE=dev"))
    assert done.returncode != 0
    assert re.search(r"Odd \(AWS::SSM::Parameter\): .*Odd", done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    account.project.edit("resources.json", broken, sound)
    account.make("tables", "STAGE=dev")
    assert account.tables() == TABLES


def test_an_unknown_stage_is_told(account: Account) -> None:
    done = account.run(*account.project.make("deploy", "STAGE=staging"))
    assert done.returncode != 0
    assert "there is no stage 'staging'; there are local, dev, prod" in done.stderr


def test_an_authorizer_stands_before_the_chat(account: Account, tmp_path: Path) -> None:
    ran = tmp_path / "connect-ran"
    account.project.edit(
        "app.py",
        "    return get_chat().connect(",
        f"    open({str(ran)!r}, 'w')\n    return get_chat().connect(",
    )
    name = "/chalice-chat/dev/jwt-secret"
    ssm = account.client("ssm")
    ssm.put_parameter(Name=name, Value=SECRET.decode(), Type="SecureString")
    alone = account.run(*account.project.make("deploy", "STAGE=dev", "AUTHORIZER=Authorization"))
    assert alone.returncode != 0
    assert "set CHAT_AUTH=jwt" in alone.stderr
    variables = {
        "CHAT_AUTH": "jwt",
        "CHAT_JWT_SECRET_ARN": ssm.get_parameter(Name=name)["Parameter"]["ARN"],
        "CHAT_JWT_ISSUER": ISSUER,
        "CHAT_JWT_AUDIENCE": AUDIENCE,
        "CHAT_ALLOWED_ORIGINS": "https://chat.example.com",
    }
    config = json.loads((account.project.folder / ".chalice/config.json").read_text())
    config["stages"]["dev"]["environment_variables"].update(variables)
    account.project.save(".chalice/config.json", json.dumps(config))
    output = account.make("deploy", "STAGE=dev", "AUTHORIZER=Authorization")
    api, stage = DEPLOYED.findall(output)[-1]
    url = f"ws{account.url.removeprefix('http')}/_aws/execute-api/{api}/{stage}"
    token = jwt.encode({"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": 2**33}, SECRET)

    def status(**headers: str) -> int:
        with pytest.raises(InvalidStatus) as refused:
            connect(url, additional_headers=headers)
        return refused.value.response.status_code

    # MiniStack answers 500 where the authorizer fails with "Unauthorized", and AWS 401.
    assert status() == 401
    assert status(Authorization="Bearer a.b.c") in (401, 500)
    assert status(Authorization=f"Bearer {token}", Origin="https://evil.example") == 403
    assert not ran.exists()
    with connect(url, additional_headers={"Authorization": f"Bearer {token}"}) as alice:
        alice.send('{"action": "onMessage", "message": "hi"}')
        assert alice.recv(timeout=10) == "alice: hi"
    assert ran.exists()
    # A route that is deployed again keeps it.
    account.make("deploy", "STAGE=dev", "AUTHORIZER=Authorization")
    assert status() == 401
    account.make("deploy", "STAGE=dev")
    account.make("destroy", "STAGE=dev")
