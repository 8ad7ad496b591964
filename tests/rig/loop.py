"""An event loop in a thread of its own, for what has to be served while a test waits."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")

# For what a test asks of the loop, in s.
WAIT = 30.0


class LoopThread:
    """The loop; a context manager.

    Attributes:
        loop: The event loop.
    """

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self) -> "LoopThread":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.run(self._cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop, from another thread, and return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WAIT)

    def call(self, work: Callable[..., T], *arguments: Any) -> T:
        """Call a function in the loop, from another thread, and return what it returns."""
        return self.start(work, *arguments).result(WAIT)

    def start(self, work: Callable[..., T], *arguments: Any) -> "Future[T]":
        """Call a function in the loop, soon."""

        async def called() -> T:
            return work(*arguments)

        return asyncio.run_coroutine_threadsafe(called(), self.loop)

    async def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.loop.shutdown_default_executor()
