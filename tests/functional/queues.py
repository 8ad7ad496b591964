"""The queues of one test, on any SQS."""

import uuid
from typing import Any


class Queues:
    """A queue and its dead letters, of this test's own.

    Attributes:
        client: boto3's SQS client.
        queue: Name of the queue; likewise ``dead_letters``.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self.queue = f"T{uuid.uuid4().hex[:12]}"
        self.dead_letters = f"{self.queue}-dead"
        for name in (self.queue, self.dead_letters):
            client.create_queue(QueueName=name)

    def settings(self) -> dict[str, str]:
        """The environment variables that name these queues."""
        return {"CHAT_QUEUE": self.queue, "CHAT_DEAD_LETTER_QUEUE": self.dead_letters}

    def take(self) -> list[str]:
        """Take what can be received from the queue now."""
        url = self.client.get_queue_url(QueueName=self.queue)["QueueUrl"]
        messages = self.client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", ())
        for message in messages:
            self.client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [message["Body"] for message in messages]

    def delete(self) -> None:
        """Delete the queues."""
        for name in (self.queue, self.dead_letters):
            self.client.delete_queue(QueueUrl=self.client.get_queue_url(QueueName=name)["QueueUrl"])
