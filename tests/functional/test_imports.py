"""What a Lambda has imported once it is warm: nothing that it does not need."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.functional.queues import Queues
from tests.functional.tables import Tables
from tests.rig.callbacks import Callbacks

PROJECT = Path(__file__).parents[2]
# What a message needs nothing of: boto3 takes longer to import than all the rest.
HEAVY = {"boto3", "botocore", "s3transfer", "urllib3", "dateutil", "certifi", "jwt", "cryptography", "http"}

PROGRAM = """
import json, socket, sys

def nobody(*_):
    raise AssertionError("the app talks to somebody while it is imported")

connect, socket.socket.connect = socket.socket.connect, nobody
import app
socket.socket.connect = connect
assert app.get_chat.cache_info().currsize == 1

ID = "L0SM9cOFvHcCIhw="

def event(route, **fields):
    context = {
        "routeKey": route, "eventType": "", "connectionId": ID, "requestId": "r", "apiId": "a1b2c3d4e5",
        "stage": "test", "domainName": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
    }
    return {"requestContext": context, "isBase64Encoded": False, **fields}

answers = [
    app.connect(event("$connect", multiValueQueryStringParameters={"name": ["ann"]}), None),
    app.message(event("$default", body=json.dumps({"action": "onMessage", "message": "hi"})), None),
    app.message(event("$default", body=json.dumps({"action": "history", "room": "lobby"})), None),
    app.disconnect(event("$disconnect"), None),
]
print(json.dumps([[answer["statusCode"] for answer in answers], list(sys.modules)]))
"""


def test_a_warm_lambda_has_imported_no_boto3(tables: Tables, queues: Queues, callbacks: Callbacks) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if name.startswith("AWS_") or name == "PATH"},
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_FUNCTION_NAME": "chalice-chat-dev-websocket_message",
        "AWS_SESSION_TOKEN": "token",
        "AWS_ENDPOINT_URL": tables.client.meta.endpoint_url,
        "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": callbacks.url,
        **tables.settings(),
        **queues.settings(),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=PROJECT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    statuses, modules = json.loads(done.stdout.splitlines()[-1])
    assert statuses == [200, 200, 200, 200], done.stdout
    # The message has arrived: what sends is imported.
    assert any("hi" in line for line in callbacks.received["L0SM9cOFvHcCIhw="])
    heavy = {module for module in modules if module.partition(".")[0] in HEAVY}
    # Powertools asks whether there is a botocore; of that, it imports a page of constants.
    assert heavy <= {"botocore"}
