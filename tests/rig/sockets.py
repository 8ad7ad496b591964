"""The sockets of API Gateway, without the network: who is open, and what arrived."""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from chalicelib.gateway.sending import SendResult


class Sockets:
    """Stands for ``ManyWebsocketAPI``: a socket that is not open, or not yet, is gone.

    Attributes:
        open: Ids of the open sockets.
        inboxes: The events that each socket got, in order.
        before_post: Called before each post; what it raises ends the sender.
    """

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.inboxes: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.before_post: Callable[[], None] = lambda: None

    endpoint = "https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com/test"

    def start_many(
        self, connection_ids: Sequence[str], payload: str, deadline: float, patient: bool = False
    ) -> Future[SendResult]:
        """Send one payload to each connection."""
        result = SendResult()
        for connection_id in connection_ids:
            self.before_post()
            if connection_id in self.open:
                self.inboxes[connection_id].append(json.loads(payload))
                result.delivered.append(connection_id)
            else:
                result.gone.append(connection_id)
        sent: Future[SendResult] = Future()
        sent.set_result(result)
        return sent

    def use(self, endpoint: str) -> None:
        """Send to the API of a task: there is only one."""
        assert endpoint == self.endpoint

    def hang_up(self, connection_id: str) -> None:
        """Close a connection."""
        self.before_post()
        self.open.discard(connection_id)
