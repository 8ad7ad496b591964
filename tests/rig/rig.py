"""AWS as it is on a bad day, for the app as it is: sockets, functions, a queue, a clock, and real tables."""

import json
import os
import random
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from types import TracebackType
from typing import Any, TypeVar

from aws_lambda_powertools import Logger

from chalicelib.bootstrap import build_chat
from chalicelib.chat import Chat
from chalicelib.gateway.websocket_api import ManyWebsocketAPI
from tests.functional.tables import TEMPLATE
from tests.rig.callbacks import Callbacks
from tests.rig.clock import Clock
from tests.rig.crashes import Crashes
from tests.rig.functions import Functions
from tests.rig.gateway import Gateway
from tests.rig.limits import Account, Limits
from tests.rig.loop import LoopThread
from tests.rig.partitions import Partitions, Throttle
from tests.rig.queues import Queues
from tests.waiting import eventually

T = TypeVar("T")

ENDPOINT = "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"


class Rig:
    """Runs the app; a context manager.

    Args:
        dynamodb: boto3's client, for as many threads as there are environments.
        env: The settings; they name the tables.
        clock: The time of everything that grows old. It stands still; see ``advance``.
        logger: Takes the app's log.
        seed: Of the connection ids.
        most_environments: Of Lambda, at the same time.
        limits: The account's, by the rig's clock; None for none.

    Attributes:
        account: What API Gateway and Lambda have done, and refused; None without limits.
        partitions: Likewise for DynamoDB.
        url: Where to connect.
        callbacks: ``@connections``, where faults of posts are ordered.
        crashes: Where the deaths of processes are ordered, beside ``functions``.
        functions: Lambda.
        gateway: The sockets.
        queues: SQS.
    """

    def __init__(
        self,
        dynamodb: Any,
        env: Mapping[str, str],
        clock: Clock,
        logger: Logger,
        seed: int = 0,
        most_environments: int = 64,
        limits: Limits | None = None,
    ) -> None:
        self.clock = clock
        self.dynamodb = dynamodb
        self._env = env
        self._logger = logger
        self._thread = LoopThread()
        self.callbacks = Callbacks(self._thread.loop)
        self.crashes = Crashes(dynamodb)
        self.functions = Functions(self._build, self.crashes, most_environments)
        self.gateway = Gateway(self.functions, self.callbacks, clock, random.Random(seed))
        queue = json.loads(TEMPLATE.read_text())["Resources"]["FanOut"]["Properties"]
        self.queues = Queues(
            self._thread.loop,
            self.functions,
            clock,
            visibility_seconds=queue["VisibilityTimeout"],
            most_receives=queue["RedrivePolicy"]["maxReceiveCount"],
            point=self.crashes.point,
        )
        self.account: Account | None = None
        self.partitions: Partitions | None = None
        if limits is not None:
            self._limit(limits)

    def __enter__(self) -> "Rig":
        with ExitStack() as starting:
            starting.enter_context(self._thread)
            self._thread.run(self.callbacks.start())
            starting.callback(lambda: self._thread.run(self.callbacks.stop()))
            self._thread.run(self.gateway.start())
            starting.callback(self._stop)
            self._ending = starting.pop_all()
        self._before = os.environ.get(ENDPOINT)
        os.environ[ENDPOINT] = self.callbacks.url
        self.url = self.gateway.url
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        try:
            self._ending.close()
        finally:
            os.environ.pop(ENDPOINT)
            if self._before is not None:
                os.environ[ENDPOINT] = self._before

    @property
    def injected(self) -> Counter[str]:
        """How often each fault has happened."""
        counts = Counter({"crash": self.functions.crashed})
        parts = {
            "post: ": self.callbacks.injected,
            "": self.gateway.injected,
            "SQS: ": self.queues.injected,
        }
        for kind, faults in parts.items():
            # A copy: it changes meanwhile.
            counts.update({f"{kind}{fault}": times for fault, times in dict(faults).items()})
        if self.account is not None:
            counts.update({f"quota: {kind}": times for kind, times in dict(self.account.refused).items()})
        if self.partitions is not None:
            counts["quota: partition"] = sum(list(self.partitions.throttled.values()))
        return counts

    @property
    def settled(self) -> bool:
        """Whether nothing runs, and nothing is due now."""
        return not self.functions.running and not self.gateway.busy and self.queues.settled

    def settle(self, seconds: float = 30.0) -> None:
        """Wait until nothing runs, and nothing is due now."""
        assert eventually(lambda: self.settled, seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.do(self.pass_time, seconds).result()

    def do(self, work: Callable[..., T], *arguments: Any) -> "Future[T]":
        """Do something in the event loop of the sockets and the queue."""
        return self._thread.start(work, *arguments)

    def hold_opening(self) -> None:
        """Let no socket open until ``release_opening``: its ``$connect`` is done, its upgrade is not."""
        self._thread.call(self.gateway.may_open.clear)

    def release_opening(self) -> None:
        """Let those sockets open, and those to come."""
        self._thread.call(self.gateway.may_open.set)

    def connection_id(self, port: int) -> str:
        """The id of the client that connects from this port."""
        [socket] = [
            each for each in list(self.gateway.sockets.values()) if each.connection.remote_address[1] == port
        ]
        return socket.id

    def pass_time(self, seconds: float) -> None:
        """What ``advance`` does, in the event loop."""
        self.clock.now += seconds
        self.gateway.tick()
        self.queues.pump()

    def _limit(self, limits: Limits) -> None:
        self.account = Account(limits, self.clock)
        self.callbacks.account = self.gateway.account = self.functions.account = self.account
        self.partitions = Partitions(limits, self.clock)
        self.partitions.crowded.add(self._env["CHAT_ROOMS_TABLE"])
        self.functions.begins = self.partitions.weigh_event
        keys = {
            self._env["CHAT_TABLE"]: "connectionid",
            self._env["CHAT_ROOMS_TABLE"]: "roomId",
            self._env["CHAT_MESSAGES_TABLE"]: "roomId",
        }
        Throttle(self.dynamodb, self.partitions, keys)

    def _stop(self) -> None:
        self._thread.call(self.gateway.may_open.set)
        self.callbacks.release()
        self.queues.hold()
        self.functions.close()
        self._thread.run(self.gateway.stop())

    def _build(self, api: ManyWebsocketAPI) -> Chat:
        return build_chat(
            self._env,
            api,
            dynamodb=self.dynamodb,
            sqs=self.queues,
            clock=self.clock,
            logger=self._logger,
        )
