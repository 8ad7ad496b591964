"""The handlers' role: it may do all that they do, and nothing else.

MiniStack enforces the role's policy, down to the ARN.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from infra.stage import Stage
from tests.e2e.local_stack import LocalStack
from tests.e2e.project import ROOT, Project
from tests.functional.tables import DIRECTORY
from tests.tools import free_port
from tests.waiting import eventually

STAGES = ("local", "dev", "prod")
GHOST = "ghost0000000000="


def policy_of(stage: str, project: Path = ROOT) -> dict[str, Any]:
    policy: dict[str, Any] = json.loads((project / ".chalice" / f"policy-{stage}.json").read_text())
    return policy


# The emulator itself writes the logs and polls the queue, and never refuses a post for so long that it
# is given up. A warm Lambda remembers the URL of its queue.
UNSEEN = {
    ("Logs", "logs:CreateLogStream"),
    ("Logs", "logs:PutLogEvents"),
    # Shown needed by test_auth.py, where there are tokens.
    ("Parameter", "ssm:GetParameter"),
    ("Secret", "secretsmanager:GetSecretValue"),
    ("Queue", "sqs:GetQueueUrl"),
    ("Queue", "sqs:ReceiveMessage"),
    ("Queue", "sqs:DeleteMessage"),
    ("Queue", "sqs:GetQueueAttributes"),
    ("DeadLetters", "sqs:GetQueueUrl"),
    ("DeadLetters", "sqs:SendMessage"),
}
# What does not work without a permission.
WITHOUT = {
    ("Connections", "dynamodb:GetItem"): "a socket was refused",
    ("Connections", "dynamodb:PutItem"): "a socket was refused",
    ("Connections", "dynamodb:UpdateItem"): "Error: the chat cannot reach its storage, try again",
    ("Connections", "dynamodb:DeleteItem"): "a ghost stays in its room",
    ("Rooms", "dynamodb:Query"): "a socket was refused",
    ("Rooms", "dynamodb:PutItem"): "Error: the chat cannot reach its storage, try again",
    ("Rooms", "dynamodb:UpdateItem"): "a socket was refused",
    ("Rooms", "dynamodb:DeleteItem"): "a ghost stays in its room",
    ("Rooms", "dynamodb:BatchWriteItem"): "a socket was refused",
    ("Messages", "dynamodb:GetItem"): "Error: the chat cannot reach its storage, try again",
    ("Messages", "dynamodb:PutItem"): "Error: the chat cannot reach its storage, try again",
    ("Messages", "dynamodb:UpdateItem"): "a socket was refused",
    ("Messages", "dynamodb:Query"): "Error: the chat cannot reach its storage, try again",
    ("Send", "execute-api:ManageConnections"): "nobody heard",
    ("Close", "execute-api:ManageConnections"): "a socket that is not registered stays open",
    ("Queue", "sqs:SendMessage"): "nobody heard",
}
PERMISSIONS = [
    (statement["Sid"], action)
    for statement in policy_of("local")["Statement"]
    for action in statement["Action"]
    if (statement["Sid"], action) not in UNSEEN
]


class Restricted:
    """A stack whose policy is changed."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack

    def deploy(self, policy: dict[str, Any]) -> None:
        seen = len(self.stack.output)
        self.stack.project.save(".chalice/policy-local.json", json.dumps(policy))
        self.stack.said("Live after", after=seen)

    def clear(self) -> None:
        """Remove what a chat that was not allowed to has left."""
        dynamodb = self.stack.client("dynamodb")
        for table, keys in (
            ("connections", ("connectionid",)),
            ("rooms", ("roomId", "connectionid")),
            ("messages", ("roomId", "entry")),
        ):
            name = self.stack.endpoints["tables"][table]
            for item in self.stack.items(table):
                dynamodb.delete_item(TableName=name, Key={key: item[key] for key in keys})

    def complaint(self) -> str | None:
        """Use all of the chat, and tell the first thing that does not work."""
        try:
            with self.stack.connect() as one, self.stack.connect("?name=alice") as two:
                self._leave_ghost()
                two.send('{"action": "onMessage", "message": "hi"}')
                if (heard := str(two.recv(timeout=5))) != "alice: hi":
                    return heard
                # A worker tells of her coming, and may do so after she has spoken.
                for heard in {str(one.recv(timeout=5)) for _ in range(2)} - {
                    "* alice joined lobby",
                    "alice: hi",
                }:
                    return heard
                for action, line in (
                    ('"joinRoom", "room": "cats"', "Joined cats (1 here)"),
                    ('"history"', "alice: hi"),
                    ('"listRooms"', "Rooms: "),
                ):
                    two.send(f'{{"action": {action}}}')
                    if not (heard := str(two.recv(timeout=5))).startswith(line):
                        return heard
                if not eventually(lambda: GHOST not in self._in_rooms()):
                    return "a ghost stays in its room"
        except InvalidStatus:
            return "a socket was refused"
        except TimeoutError:
            return "nobody heard"
        if not eventually(lambda: not self.stack.items("connections")):
            return "a closed connection stays"
        if not eventually(lambda: not self._in_rooms()):
            return "a closed connection stays in its room"
        if not self._closes_what_is_not_registered():
            return "a socket that is not registered stays open"
        with self.stack.connect("?name=alice"):
            if self._operate("moderate", {"action": "disconnect", "name": "alice"}) != {"connections": 1}:
                return "an operator cannot disconnect"
        return None

    def _closes_what_is_not_registered(self) -> bool:
        with self.stack.connect() as stranger:
            self.clear()
            stranger.send('{"action": "ping"}')
            try:
                while True:
                    stranger.recv(timeout=2)
            except ConnectionClosed:
                return True
            except TimeoutError:
                return False

    def _operate(self, function: str, event: object) -> object:
        functions = self.stack.client("lambda")
        found = functions.list_functions()["Functions"]
        [name] = [each["FunctionName"] for each in found if each["Handler"] == f"app.{function}"]
        return json.loads(functions.invoke(FunctionName=name, Payload=json.dumps(event))["Payload"].read())

    def _in_rooms(self) -> set[str]:
        items = self.stack.items("rooms")
        return {item["connectionid"]["S"] for item in items if item["roomId"] != DIRECTORY}

    def _leave_ghost(self) -> None:
        """Write a membership that has outlived its connection; a message finds and removes it."""
        nameless = next(
            item for item in self.stack.items("rooms") if "joinedAt" in item and "name" not in item
        )
        membership = {**nameless, "connectionid": {"S": GHOST}, "joinedAt": {"N": "1"}}
        self.stack.client("dynamodb").put_item(
            TableName=self.stack.endpoints["tables"]["rooms"], Item=membership
        )


@pytest.fixture(scope="module")
def restricted(new_project: Callable[[], Project]) -> Iterator[Restricted]:
    project = new_project()
    # All others are left to the worker.
    project.edit(
        ".chalice/config.json",
        '"CHAT_QUEUE": "ChatFanOut"',
        '"CHAT_INLINE_RECIPIENTS": "1", "CHAT_QUEUE": "ChatFanOut"',
    )
    with LocalStack(project, free_port()) as stack:
        yield Restricted(stack)


def test_the_whole_policy_is_enough(restricted: Restricted) -> None:
    assert restricted.complaint() is None


@pytest.mark.parametrize(
    ("statement", "action"), PERMISSIONS, ids=[f"{action} of {sid}" for sid, action in PERMISSIONS]
)
def test_each_permission_is_needed(restricted: Restricted, statement: str, action: str) -> None:
    policy = policy_of("local")
    for each in policy["Statement"]:
        if each["Sid"] == statement:
            each["Action"].remove(action)
    policy["Statement"] = [each for each in policy["Statement"] if each["Action"]]
    restricted.deploy(policy)
    try:
        assert restricted.complaint() == WITHOUT[statement, action]
    finally:
        restricted.deploy(policy_of("local"))
        restricted.clear()


PROBE = """
import os
import boto3
from botocore.exceptions import ClientError

def handler(event, context):
    url = os.environ["AWS_ENDPOINT_URL"] + event.get("path", "")
    client = boto3.client(event["service"], endpoint_url=url)
    try:
        getattr(client, event["operation"])(**event["arguments"])
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "allowed"
"""


@pytest.fixture(scope="module")
def probe(stack: LocalStack) -> Iterator[Callable[..., str]]:
    """Calls an operation in the role of the message handler; the error code, or ``allowed``."""
    functions = stack.client("lambda")
    role = next(
        each["Role"] for each in functions.list_functions()["Functions"] if "Message" in each["FunctionName"]
    )
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("probe.py", PROBE)
    functions.create_function(
        FunctionName="probe",
        Runtime="python3.11",
        Handler="probe.handler",
        Role=role,
        Code={"ZipFile": code.getvalue()},
        Timeout=20,
    )

    def call(service: str, operation: str, path: str = "", **arguments: Any) -> str:
        event = {"service": service, "operation": operation, "path": path, "arguments": arguments}
        answer = functions.invoke(FunctionName="probe", Payload=json.dumps(event).encode())
        return str(json.loads(answer["Payload"].read()))

    yield call
    functions.delete_function(FunctionName="probe")


def test_no_other_table_is_reached(stack: LocalStack, probe: Callable[..., str]) -> None:
    dynamodb = stack.client("dynamodb")
    dynamodb.create_table(
        TableName="Chat-prod",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "connectionid", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "connectionid", "KeyType": "HASH"}],
    )
    key = {"connectionid": {"S": "x"}}
    assert probe("dynamodb", "get_item", TableName="Chat", Key=key) == "allowed"
    assert probe("dynamodb", "get_item", TableName="Chat-prod", Key=key) == "AccessDeniedException"
    assert probe("dynamodb", "put_item", TableName="Chat-prod", Item=key) == "AccessDeniedException"
    assert probe("dynamodb", "delete_item", TableName="Chat-prod", Key=key) == "AccessDeniedException"
    dynamodb.delete_table(TableName="Chat-prod")


@pytest.mark.parametrize("operation", ["scan", "delete_table", "describe_table"])
def test_nothing_else_is_done_to_the_tables(probe: Callable[..., str], operation: str) -> None:
    assert probe("dynamodb", operation, TableName="Chat") == "AccessDeniedException"


def test_no_other_stage_or_api_is_sent_to(stack: LocalStack, probe: Callable[..., str]) -> None:
    base = "/_aws/execute-api"
    api = stack.endpoints["apiId"]

    def post(path: str) -> str:
        nobody = "AAAAAAAAAAAAAAA="
        return probe("apigatewaymanagementapi", "post_to_connection", path, ConnectionId=nobody, Data="hi")

    assert post(f"{base}/{api}/local") == "GoneException"
    assert post(f"{base}/{api}/dev") == "AccessDeniedException"
    gateway = stack.client("apigatewayv2")
    other = gateway.create_api(
        Name="other", ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action"
    )["ApiId"]
    gateway.create_stage(ApiId=other, StageName="local")
    assert post(f"{base}/{other}/local") == "AccessDeniedException"
    gateway.delete_api(ApiId=other)


@pytest.mark.parametrize("stage", STAGES)
def test_a_policy_names_its_own_stage_tables_and_queues_alone(stage: str) -> None:
    resources = [statement["Resource"] for statement in policy_of(stage)["Statement"]]
    environment = Stage.load(ROOT, stage).environment
    assert set(resources) == {
        *(f"arn:*:dynamodb:*:*:table/{environment[name]}" for name in environment if "TABLE" in name),
        *(f"arn:*:sqs:*:*:{environment[name]}" for name in environment if "QUEUE" in name),
        f"arn:*:execute-api:*:*:*/{stage}/POST/@connections/*",
        f"arn:*:execute-api:*:*:*/{stage}/DELETE/@connections/*",
        f"arn:*:ssm:*:*:parameter/chalice-chat/{stage}/*",
        f"arn:*:secretsmanager:*:*:secret:chalice-chat/{stage}/*",
        f"arn:*:logs:*:*:log-group:/aws/lambda/chalice-chat-{stage}-*:*",
    }


def test_the_stages_policies_differ_in_nothing_but_names() -> None:
    def shape(stage: str) -> list[tuple[str, tuple[str, ...]]]:
        return [(each["Sid"], tuple(each["Action"])) for each in policy_of(stage)["Statement"]]

    assert shape("local") == shape("dev") == shape("prod")
