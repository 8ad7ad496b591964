"""Chalice's ``WebsocketAPI``, taught to send to many connections at once."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from chalice.app import WebsocketAPI, WebsocketDisconnectedError

from .session import GatewaySession


@dataclass
class SendResult:
    """What became of one payload, by connection id.

    Attributes:
        delivered: Taken by API Gateway.
        gone: Not connected any more, or not yet (410).
        throttled: Refused for the account's or the client's rate, after the retries (429).
        failed: Anything else, with the reason: a status such as ``"403"``,
            ``"unreachable"``, or ``"timeout"``.
    """

    delivered: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    throttled: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def forbidden(self) -> bool:
        """Whether this chat may not send at all: 403 is never the client's fault."""
        return "403" in self.failed.values()


class ManyWebsocketAPI(WebsocketAPI):
    """Sends to one connection as Chalice does, and to many with bounded concurrency.

    Like Chalice's it is made at import and used after ``configure...``; what costs time is made at
    the first use.

    Attributes:
        max_concurrency: Posts under way at once. Set it before the first use.
    """

    max_concurrency = 32

    def send_many(self, connection_ids: Sequence[str], payload: str, deadline: float) -> SendResult:
        """Send one payload to each connection. No failure of one stops the others.

        Args:
            connection_ids: Where to.
            payload: The text frame.
            deadline: ``time.monotonic()`` by which to return. What has no answer by then has
                failed with ``"timeout"``, though it may still arrive.
        """
        result = SendResult()
        self._get_client()
        if len(connection_ids) == 1:
            _add(result, connection_ids[0], self._post(connection_ids[0], payload))
            return result
        posts = {self._pool.submit(self._post, id_, payload): id_ for id_ in connection_ids}
        done, late = wait(posts, timeout=max(0.0, deadline - time.monotonic()))
        for post in done:
            _add(result, posts[post], post.result())
        for post in late:
            post.cancel()
            _add(result, posts[post], "timeout")
        return result

    def hang_up(self, connection_id: str) -> None:
        """Close a connection, where it can be done; API Gateway chooses the close code."""
        with suppress(WebsocketDisconnectedError, ClientError, BotoCoreError):
            self.close(connection_id)

    def _get_client(self) -> Any:
        # Chalice makes its client at the first use and not under a lock: send_many calls this
        # before its threads do.
        if self.session is None:
            self.session = GatewaySession(self.max_concurrency)
        return super()._get_client()

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.max_concurrency, thread_name_prefix="send")

    def _post(self, connection_id: str, payload: str) -> str:
        """Send, and say what came of it: a status code such as ``"200"``, or ``"unreachable"``."""
        try:
            self.send(connection_id, payload)
        except WebsocketDisconnectedError:
            return "410"
        except ClientError as error:
            # A 410 without the x-amzn-ErrorType header is no GoneException, only a status.
            return str(error.response["ResponseMetadata"]["HTTPStatusCode"])
        except BotoCoreError:
            return "unreachable"
        return "200"


def _add(result: SendResult, connection_id: str, outcome: str) -> None:
    match outcome:
        case "200":
            result.delivered.append(connection_id)
        case "410":
            result.gone.append(connection_id)
        case "429":
            result.throttled.append(connection_id)
        case _:
            result.failed[connection_id] = outcome
