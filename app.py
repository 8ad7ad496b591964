"""Chalice Chat: the WebSocket API, the worker and the operator's functions, handed on to chalicelib."""

import os
from functools import cache
from typing import Any

from chalice.app import Chalice, SQSEvent, WebsocketEvent

from chalicelib.auth.authorizer import authorize as authorize_handshake
from chalicelib.aws.tls import tls
from chalicelib.bootstrap import build_chat, build_operations
from chalicelib.chat import Chat
from chalicelib.config import Settings
from chalicelib.gateway.websocket_api import ManyWebsocketAPI
from chalicelib.operations import Operations

# Where there is no Lambda context, as in a test that calls a handler.
UNBOUNDED_SECONDS = 28.0
# Workers at once: enough that those who send for busy rooms leave some for the chunks of large ones.
MOST_WORKERS = 20

app = Chalice(app_name="chalice-chat")
app.experimental_feature_flags.update(["WEBSOCKETS"])
# Before the decorators: each handler keeps the one that is here when it is decorated.
app.websocket_api = websocket_api = ManyWebsocketAPI()


@cache
def get_chat() -> Chat:
    """Make the chat once: at its start in Lambda, elsewhere at the first event."""
    return build_chat(os.environ, websocket_api)


@cache
def get_operations() -> Operations:
    """Make the operator's functions, likewise."""
    return build_operations(get_chat(), websocket_api)


def remaining_seconds(context: Any) -> float:
    """How long the invocation can still take."""
    return context.get_remaining_time_in_millis() / 1000 if context else UNBOUNDED_SECONDS


@app.on_ws_connect()
def connect(event: WebsocketEvent) -> dict[str, Any]:
    return get_chat().connect(event.to_dict(), remaining_seconds(event.context))


@app.on_ws_message()
def message(event: WebsocketEvent) -> dict[str, Any]:
    return get_chat().message(event.to_dict(), remaining_seconds(event.context))


@app.on_ws_disconnect()
def disconnect(event: WebsocketEvent) -> dict[str, Any]:
    return get_chat().disconnect(event.to_dict(), remaining_seconds(event.context))


# Chalice needs the name when it packages, with the stage's variables in the environment.
@app.on_sqs_message(
    queue=os.environ.get("CHAT_QUEUE", Settings.queue), batch_size=1, maximum_concurrency=MOST_WORKERS
)
def deliver(event: SQSEvent) -> None:
    get_chat().deliver(event.to_dict(), remaining_seconds(event.context))


# Nobody may invoke these but by IAM: they have no URL.
@app.lambda_function(name="moderate")
def moderate(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return get_operations().moderate(event, remaining_seconds(context))


@app.lambda_function(name="publish")
def publish(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return get_operations().publish(event, remaining_seconds(context))


# Used where infra/authorizer.json is merged into the stack.
@app.lambda_function(name="authorize")
def authorize(event: dict[str, Any], context: Any) -> dict[str, Any]:
    chat = get_chat()
    return authorize_handshake(event, chat.services.door, chat.logger)


# Lambda says how it initialises, and nobody else does. There, the CPU is full until the first event comes.
if "AWS_LAMBDA_INITIALIZATION_TYPE" in os.environ:
    get_chat()
    tls()
