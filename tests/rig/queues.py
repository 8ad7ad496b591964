"""A stand-in for SQS and the mapping that hands its messages to a function."""

import asyncio
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from tests.rig.functions import Failed, Functions, Throttled

T = TypeVar("T")

ACCOUNT = "123456789012"
# SQS takes no more in one request, and none that is larger, in bytes.
BATCH = 10
LARGEST = 1024 * 1024
LONGEST_DELAY = 900
# After which a message is received again whose function could not be invoked, in s.
THROTTLED_SECONDS = 1.0


@dataclass
class Queued:
    """A message in a queue.

    Attributes:
        body: What it says.
        visible_at: When it can be received (again), by the rig's clock.
        receives: How often it has been.
        copies: How often it comes, at least.
        id: SQS's id.
    """

    body: str
    visible_at: float
    receives: int = 0
    copies: int = 1
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


class Queues:
    """A queue with its function, and the dead-letter queue behind it; stands for boto3's client too.

    All of it happens in one event loop, apart from the client's methods.

    Args:
        loop: The loop.
        functions: What ``deliver`` is a handler of.
        clock: By it messages become visible.
        visibility_seconds: How long a message that was received is not received again.
        most_receives: How often one is received before it goes to the dead-letter queue.
        point: Called before each request.
        name: The queue.
        dead: The dead-letter queue.
        most_workers: How many invocations of its function there are at once, at most; None for any number.

    Attributes:
        waiting: What is to be received, or is being dealt with.
        dead_letters: The bodies in the dead-letter queue.
        bodies: All bodies that were sent to the queue, in order.
        failing: How the next writes fail: an error code, or ``"partly"`` for one entry of each request.
        repeats: How many of the next messages come twice.
        shuffle: Puts what is received at once in another order; that of arrival by default.
        held: Whether nothing is received now.
        injected: How often SQS did what it may do, by what it was.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        functions: Functions,
        clock: Callable[[], float],
        *,
        visibility_seconds: float,
        most_receives: int,
        point: Callable[[], None],
        name: str = "ChatFanOut",
        dead: str = "ChatFanOut-dead",
        most_workers: int | None = None,
    ) -> None:
        self.waiting: list[Queued] = []
        self.dead_letters: list[str] = []
        self.bodies: list[str] = []
        self.failing: list[str] = []
        self.repeats = 0
        self.shuffle: Callable[[list[Queued]], None] | None = None
        self.held = False
        self.injected: Counter[str] = Counter()
        self._loop = loop
        self._functions = functions
        self._clock = clock
        self._name = name
        self._dead = dead
        self._visibility = visibility_seconds
        self._most_receives = most_receives
        self._point = point
        self._most_workers = most_workers
        self._lock = threading.Lock()
        self._running = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def get_queue_url(self, QueueName: str) -> dict[str, str]:  # noqa: N803
        """Look a queue up, as boto3 does."""
        self._point()
        if QueueName not in (self._name, self._dead):
            raise _error("AWS.SimpleQueueService.NonExistentQueue", "GetQueueUrl")
        return {"QueueUrl": f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/{QueueName}"}

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Take messages, as boto3 does."""
        self._point()
        if not 1 <= len(Entries) <= BATCH:
            raise _error("AWS.SimpleQueueService.TooManyEntriesInBatchRequest", "SendMessageBatch")
        if sum(len(entry["MessageBody"].encode()) for entry in Entries) > LARGEST:
            raise _error("AWS.SimpleQueueService.BatchRequestTooLong", "SendMessageBatch")
        if any(not 0 <= entry.get("DelaySeconds", 0) <= LONGEST_DELAY for entry in Entries):
            raise _error("InvalidParameterValue", "SendMessageBatch")
        with self._lock:
            fault = self.failing.pop(0) if self.failing else None
            if fault is not None:
                self.injected[fault] += 1
        if fault not in (None, "partly"):
            raise _error(fault, "SendMessageBatch")
        refused = Entries[:1] if fault == "partly" else []
        for entry in Entries[len(refused) :]:
            self._take(QueueUrl.rpartition("/")[2], entry)
        return {
            "Successful": [{"Id": entry["Id"], "MessageId": "m"} for entry in Entries[len(refused) :]],
            "Failed": [
                {"Id": entry["Id"], "Code": "InternalError", "SenderFault": False} for entry in refused
            ],
        }

    def tasks(self, kind: type[T]) -> list[T]:
        """The tasks of a kind that were sent to the queue, in order."""
        # Not above: the bench runs the app before too, which has no such module.
        from chalicelib.tasks import decode

        return [task for body in list(self.bodies) if isinstance(task := decode(body), kind)]

    def put(self, body: str) -> None:
        """Send a message from somewhere else."""
        self._take(self._name, {"MessageBody": body})

    def hold(self) -> None:
        """Receive nothing until ``release``."""
        self.held = True

    def release(self) -> None:
        """Receive what is visible."""
        self.held = False
        self._loop.call_soon_threadsafe(self.pump)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to be received, now or later."""
        return not self.waiting and not self._running

    @property
    def settled(self) -> bool:
        """Whether there is nothing to be received now."""
        now = self._clock()
        with self._lock:
            due = not self.held and any(message.visible_at <= now for message in self.waiting)
            return not self._running and not due

    def pump(self) -> None:
        """Receive what is visible, in the loop."""
        if self.held:
            return
        now = self._clock()
        with self._lock:
            visible = [message for message in self.waiting if message.visible_at <= now]
            if self.shuffle is not None and len(visible) > 1:
                self.injected["reordered"] += 1
                self.shuffle(visible)
            for message in visible:
                if self._most_workers is not None and self._running >= self._most_workers:
                    break
                self._receive(message)

    def _take(self, queue: str, entry: dict[str, Any]) -> None:
        body = entry["MessageBody"]
        with self._lock:
            if queue == self._dead:
                self.dead_letters.append(body)
                return
            self.bodies.append(body)
            message = Queued(body, self._clock() + entry.get("DelaySeconds", 0))
            if self.repeats:
                self.repeats -= 1
                self.injected["repeated"] += 1
                message.copies = 2
            self.waiting.append(message)
        self._loop.call_soon_threadsafe(self.pump)

    def _receive(self, message: Queued) -> None:
        message.receives += 1
        message.visible_at = self._clock() + self._visibility
        if message.receives > self._most_receives:
            self.waiting.remove(message)
            self.dead_letters.append(message.body)
            return
        self._running += 1
        task = self._loop.create_task(self._deliver(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, message: Queued) -> None:
        try:
            await asyncio.wrap_future(self._functions.invoke("deliver", self._event(message)))
        except Throttled:
            with self._lock:
                message.receives -= 1
                message.visible_at = self._clock() + THROTTLED_SECONDS
        except Failed:
            # It comes again when its visibility runs out.
            pass
        else:
            with self._lock:
                message.copies -= 1
                if message.copies > 0:
                    message.visible_at = self._clock()
                elif message in self.waiting:
                    self.waiting.remove(message)
        finally:
            with self._lock:
                self._running -= 1
        self.pump()

    def _event(self, message: Queued) -> dict[str, Any]:
        sent = str(int(self._clock() * 1000))
        return {
            "Records": [
                {
                    "messageId": message.id,
                    "receiptHandle": uuid.uuid4().hex,
                    "body": message.body,
                    "attributes": {
                        "ApproximateReceiveCount": str(message.receives),
                        "SentTimestamp": sent,
                        "SenderId": ACCOUNT,
                        "ApproximateFirstReceiveTimestamp": sent,
                    },
                    "messageAttributes": {},
                    "md5OfBody": "",
                    "eventSource": "aws:sqs",
                    "eventSourceARN": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{self._name}",
                    "awsRegion": "us-east-1",
                }
            ]
        }


def _error(code: str | None, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code or "", "Message": "as it was told"}}, operation)
