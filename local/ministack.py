"""MiniStack, taught what it lacks to stand for AWS here: ``python -m local.ministack``.

MiniStack sends the log of an HTTP invocation to its CloudWatch Logs, and drops that of a WebSocket
event. It is shown here on stdout, for both; MiniStack's own log is on stderr.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterable
from typing import Any

from ministack.app import main  # type: ignore[import-untyped]
from ministack.core import lambda_runtime  # type: ignore[import-untyped]
from ministack.core.lambda_runtime import Worker  # type: ignore[import-untyped]

from .batches import permit_batches_as_single_messages
from .log_lines import readable
from .subprotocol import confirm_subprotocols

# After a line of the log, MiniStack holds the next event back until no other has come for 5 ms, which
# AWS does not. Our handlers write one line; in s.
QUIET = 0.001

original_kill_workers = lambda_runtime.kill_workers


class ShownWorker:
    """What is put over MiniStack's ``Worker``."""

    original_invoke = Worker.invoke
    original_drain = Worker._drain_stderr_bounded

    def invoke(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Invoke the function as MiniStack does, and show its log."""
        try:
            result: dict[str, Any] = ShownWorker.original_invoke(self, *args, **kwargs)
        except RuntimeError as error:
            print(readable(self.func_name, str(error)), flush=True)
            raise
        # Where the function raised, MiniStack has its traceback beside the log.
        for line in f"{result.get('log', '')}\n{result.get('trace', '')}".splitlines():
            if line.strip():
                print(readable(self.func_name, line), flush=True)
        return result

    def drain(self: Any, **waits: float) -> str:
        """Collect the log as MiniStack does, waiting less for a further line."""
        log: str = ShownWorker.original_drain(self, **{"idle_confirm": QUIET, **waits})
        return log


def end_when_idle(workers: Iterable[Any]) -> None:
    """End workers as MiniStack does, but those that are busy only once they have answered.

    Otherwise whoever has sent a frame during a deployment is told that a process has died.
    """
    present = [worker for worker in workers if worker is not None]
    busy = [worker for worker in present if worker._lock.locked()]
    original_kill_workers([worker for worker in present if worker not in busy])
    for worker in busy:
        threading.Thread(target=_end_then, args=(worker,), daemon=True).start()


def _end_then(worker: Any) -> None:
    with worker._lock:
        original_kill_workers([worker])


def end_with_parent() -> None:
    """End this process and its workers when the process that started it is gone, killed or not."""
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    Worker.invoke = ShownWorker.invoke
    Worker._drain_stderr_bounded = ShownWorker.drain
    confirm_subprotocols()
    permit_batches_as_single_messages()
    lambda_runtime.kill_workers = end_when_idle
    threading.Thread(target=end_with_parent, daemon=True).start()
    main()
