"""The queue of tasks, in a test's hands: nothing is done before the test says so."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import EndpointConnectionError

from tests.rig.clock import Clock


@dataclass
class Waiting:
    """A task in the queue.

    Attributes:
        body: What it says.
        due: Unix time in s from which a worker gets it.
    """

    body: str
    due: float


class Worklist:
    """Stands for boto3's SQS client; keeps what is put on the queue.

    Args:
        clock: By it tasks are due.
        point: Called before each request; what it raises ends the sender.

    Attributes:
        waiting: The tasks that nobody has done, those of the dead letters left out.
        dead_letters: The bodies of those.
        is_down: Whether SQS cannot be reached.
    """

    def __init__(self, clock: Clock, point: Callable[[], None] = lambda: None) -> None:
        self.waiting: list[Waiting] = []
        self.dead_letters: list[str] = []
        self.is_down = False
        self._clock = clock
        self._point = point

    def get_queue_url(self, QueueName: str) -> dict[str, str]:  # noqa: N803
        """Look a queue up, as boto3 does."""
        self._begin()
        return {"QueueUrl": QueueName}

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Take messages, as boto3 does."""
        self._begin()
        for entry in Entries:
            if QueueUrl.endswith("-dead"):
                self.dead_letters.append(entry["MessageBody"])
            else:
                self.waiting.append(Waiting(entry["MessageBody"], self._clock() + entry["DelaySeconds"]))
        return {"Successful": [{"Id": entry["Id"], "MessageId": "m"} for entry in Entries]}

    @property
    def due(self) -> list[Waiting]:
        """The tasks that workers get now, in the order of their coming."""
        return [task for task in self.waiting if task.due <= self._clock()]

    def _begin(self) -> None:
        self._point()
        if self.is_down:
            raise EndpointConnectionError(endpoint_url="https://sqs.us-east-1.amazonaws.com")
