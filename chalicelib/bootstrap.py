"""The one place where objects are made and handed to each other."""

import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from .actions.call import Action, Services
from .actions.table import ACTIONS
from .announcer import Announcer
from .auth.door import Door
from .aws.dynamodb import DynamoDB
from .aws.sqs import Sqs
from .broadcaster import Broadcaster
from .chat import Chat
from .config import ConfigError, Settings
from .gateway.websocket_api import ManyWebsocketAPI
from .logs import make_logger
from .operations import Operations
from .pruner import Pruner
from .pump import Pump
from .storage.bans import Bans
from .storage.bucket import Bucket
from .storage.connections import Connections
from .storage.heads import Heads
from .storage.member_cache import MemberCache
from .storage.messages import Messages
from .storage.rooms import Rooms
from .tasks import TaskQueue


def build_chat(
    env: Mapping[str, str],
    websocket_api: ManyWebsocketAPI,
    *,
    actions: Mapping[str, Action] = ACTIONS,
    dynamodb: Any = None,
    sqs: Any = None,
    clock: Callable[[], float] = time.time,
    logger: Logger | None = None,
) -> Chat:
    """Make the chat.

    Args:
        env: The environment, for the settings.
        websocket_api: The app's, which Chalice tells the API that it serves.
        actions: What a client can ask for, by name.
        dynamodb: A client with boto3's interface of DynamoDB; ours by default, of the environment's account.
        sqs: A client with boto3's interface of SQS; likewise, made at the first use.
        clock: Unix time in s.
        logger: Takes one line for each invocation; standard output by default.

    Raises:
        ConfigError: A setting is wrong.
    """
    settings = Settings.from_env(env)
    websocket_api.max_concurrency = settings.max_concurrency
    websocket_api.max_posts_per_second = settings.max_posts_per_second
    dynamodb = dynamodb or DynamoDB()
    bucket = Bucket(settings.rate_per_second, settings.rate_burst) if settings.rate_per_second else None
    heads = Heads(dynamodb, settings.messages_table, settings.history_days, clock, settings.inline_recipients)
    connections = Connections(
        dynamodb,
        settings.table,
        settings.rooms_table,
        heads,
        clock,
        settings.max_connections_per_name,
        bucket,
        settings.connection_seconds,
        settings.presence_members,
        settings.max_rooms,
    )
    rooms = Rooms(dynamodb, settings.rooms_table, clock)
    messages = Messages(dynamodb, settings.messages_table, heads, settings.history_days, clock)
    make_sqs = cache(lambda: sqs or Sqs())
    queue = TaskQueue(make_sqs, settings.queue, clock)
    broadcaster = Broadcaster(
        websocket_api,
        MemberCache(rooms, settings.members_cache_seconds, settings.inline_recipients, clock),
        connections,
        queue,
        TaskQueue(make_sqs, settings.dead_letter_queue, clock),
        settings.inline_recipients,
        settings.prune_after_seconds,
        clock,
    )
    announcer = Announcer(
        broadcaster, heads, queue, settings.presence_members, settings.room_posts_per_second, clock
    )
    services = Services(
        settings=settings,
        actions=actions,
        door=Door.of(settings, clock),
        connections=connections,
        rooms=rooms,
        bans=Bans(dynamodb, settings.rooms_table, clock),
        messages=messages,
        broadcaster=broadcaster,
        announcer=announcer,
        pump=Pump(heads, messages, broadcaster, queue, settings.room_posts_per_second, clock),
        pruner=Pruner(connections, announcer, broadcaster, queue),
    )
    return Chat(services, logger or make_logger(), clock, heads.remembered_members)


def build_operations(chat: Chat, websocket_api: ManyWebsocketAPI) -> Operations:
    """Make the functions of the operator, which no event of a socket tells where the API is.

    Raises:
        ConfigError: ``CHAT_API`` does not say it either.
    """
    api = chat.services.settings.api
    if not api:
        raise ConfigError("CHAT_API is missing: <API id>/<stage>, as in the URL of the WebSocket")
    websocket_api.configure_from_api_id(*api.split("/"))
    return Operations(chat.services, chat.logger, chat.clock)
