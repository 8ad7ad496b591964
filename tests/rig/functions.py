"""A stand-in for Lambda: the handlers of ``app.py``, in environments that come and go."""

import importlib.util
import itertools
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import chalicelib
from chalicelib.chat import Chat
from chalicelib.gateway.sending import SendResult
from chalicelib.gateway.websocket_api import ManyWebsocketAPI
from tests.rig.crashes import Crash, Crashes
from tests.rig.limits import Account

# Beside the chat that is imported, which may be another checkout's.
APP = Path(chalicelib.__file__).parents[1] / "app.py"
# The time-out of .chalice/config.json.
SECONDS = 28.0

# A handler, after how many requests it is to die, and for which events.
Order = tuple[str, int, Callable[[dict[str, Any]], bool]]
Build = Callable[[ManyWebsocketAPI], Chat]
StartMany = Callable[..., "Future[SendResult]"]


class Failed(Exception):
    """A handler has raised, or its process has died."""


class Throttled(Failed):
    """A handler is not run: there are as many invocations as there can be."""


class Context:
    """What Lambda hands a handler beside the event.

    Attributes:
        ends_at: When the handler is ended, by ``time.monotonic``.
    """

    def __init__(self) -> None:
        self.ends_at = time.monotonic() + SECONDS

    def get_remaining_time_in_millis(self) -> float:
        """What is left of the time-out."""
        return (self.ends_at - time.monotonic()) * 1000


class Functions:
    """Runs each event in an environment that runs no other meanwhile, a new one where all are busy.

    An environment is the module ``app`` anew, with a chat and a ``websocket_api`` of its own. It serves one
    handler only, because each handler is a Lambda function of its own. One whose process dies is used no
    more.

    Args:
        build: Makes the chat of an environment.
        crashes: Where the deaths of processes are ordered.
        most: Environments that there can be; further events wait.

    Attributes:
        account: Says how many invocations there can be, beyond which they fail, and lets them be ended at
            their time-out; None for any number, however long they take.
        begins: Called with the handler and the event of each invocation, in the thread that it runs in.
        made: How many environments there have been.
        crashed: How many of them have died.
        invocations: How often each handler was invoked.
        running: How many events are being dealt with, or wait for an environment.
    """

    def __init__(self, build: Build, crashes: Crashes, most: int) -> None:
        self.account: Account | None = None
        self.begins: Callable[[str, dict[str, Any]], None] = lambda handler, event: None
        self.made = 0
        self.crashed = 0
        self.invocations: Counter[str] = Counter()
        self.running = 0
        self._build = build
        self._crashes = crashes
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="lambda")
        self._lock = threading.Lock()
        self._idle: defaultdict[str, list[ModuleType]] = defaultdict(list)
        self._orders: list[Order] = []
        self._closed = False

    def crash(
        self, handler: str, *, after: int, when: Callable[[dict[str, Any]], bool] = lambda event: True
    ) -> None:
        """Let the next invocation of a handler die after so many requests to DynamoDB and SQS, and posts.

        Ordered again, the one after it likewise.

        Args:
            handler: The handler.
            after: How many requests it still makes.
            when: Whether it is to be an invocation with this event.
        """
        with self._lock:
            self._orders.append((handler, after, when))

    def call_off(self) -> None:
        """Let no more die."""
        with self._lock:
            self._orders.clear()

    def invoke(self, handler: str, event: dict[str, Any]) -> "Future[Any]":
        """Run a handler of ``app.py``: ``connect``, ``message``, ``disconnect`` or ``deliver``.

        Returns:
            Its response. The future raises ``Failed`` where it raises or dies.
        """
        with self._lock:
            if self._closed:
                return _failed(Failed(handler))
            if self.account is not None and not self.account.begin():
                return _failed(Throttled(handler))
            self.invocations[handler] += 1
            self.running += 1
            after = self._ordered(handler, event)
            invocation = self._threads.submit(self._run, handler, event, after)
        invocation.add_done_callback(self._done)
        return invocation

    def forget(self) -> None:
        """End the environments that are idle: the next events meet cold starts."""
        with self._lock:
            idle = [environment for each in self._idle.values() for environment in each]
            self._idle.clear()
        for environment in idle:
            environment.websocket_api.stop()

    def close(self) -> None:
        """Wait for what runs, and end: what waits for an environment, and what comes later, fails."""
        with self._lock:
            self._closed = True
        self._threads.shutdown(cancel_futures=True)
        self.forget()

    def _run(self, handler: str, event: dict[str, Any], after: int | None) -> Any:
        environment = self._take(handler)
        self.begins(handler, event)
        context = Context()
        # What takes longer is ended where there are limits: a test may stop for a while.
        self._crashes.after(after, context.ends_at if self.account is not None else float("inf"))
        try:
            response = getattr(environment, handler)(event, context)
        except Crash as crash:
            environment.websocket_api.stop()
            with self._lock:
                self.crashed += 1
            raise Failed(handler) from crash
        except Exception as error:
            self._give_back(handler, environment)
            raise Failed(handler) from error
        finally:
            self._crashes.after(None)
        self._give_back(handler, environment)
        return response

    def _ordered(self, handler: str, event: dict[str, Any]) -> int | None:
        for order in self._orders:
            if order[0] == handler and order[2](event):
                self._orders.remove(order)
                return order[1]
        return None

    def _done(self, invocation: "Future[Any]") -> None:
        with self._lock:
            self.running -= 1
        if self.account is not None:
            self.account.end()

    def _take(self, handler: str) -> ModuleType:
        with self._lock:
            if self._idle[handler]:
                return self._idle[handler].pop()
            self.made += 1
        return self._make()

    def _give_back(self, handler: str, environment: ModuleType) -> None:
        with self._lock:
            self._idle[handler].append(environment)

    def _make(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"app_{next(_NUMBERS)}", APP)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        with self._lock:
            # Chalice adds itself to it each time.
            ran_by = os.environ.get("AWS_EXECUTION_ENV")
            spec.loader.exec_module(module)
            os.environ.pop("AWS_EXECUTION_ENV", None)
            if ran_by is not None:
                os.environ["AWS_EXECUTION_ENV"] = ran_by
        api: ManyWebsocketAPI = module.websocket_api
        chat = self._build(api)
        module.get_chat = lambda: chat  # type: ignore[attr-defined]
        api.start_many = self._counting_posts(api.start_many)  # type: ignore[method-assign]
        return module

    def _counting_posts(self, start_many: StartMany) -> StartMany:
        """Each post is a point at which the process can die: those before it have been sent."""

        def start_counted(connection_ids: Sequence[str], *given: Any, **named: Any) -> Future[SendResult]:
            left = self._crashes.left
            if left is not None and left < len(connection_ids):
                start_many(connection_ids[:left], *given, **named).result()
            for _ in connection_ids:
                self._crashes.point()
            return start_many(connection_ids, *given, **named)

        return start_counted


def _failed(error: Failed) -> "Future[Any]":
    failed: Future[Any] = Future()
    failed.set_exception(error)
    return failed


_NUMBERS = itertools.count()
