"""Measures whole invocations, beside the commit before DynamoDB got a client of its own; Linux only.

``$connect``, an ``onMessage`` to a room of 20 that is remembered, ``joinRoom``, ``history`` of 50, and an
``onMessage`` to 5,000 members that are not remembered. The handlers of each commit run in a process of their
own, over TLS: against the tests' DynamoDB in memory, which both share, and nginx for the posts. They take
turns, so that the machine's noise hits both; figures are medians of all invocations.

Two ratios are held to a bound, each that of the commit before over this one's: CPU of ``onMessage``, and
wall of ``onMessage`` to 5,000.
"""

import argparse
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.contender import REGION, SESSION_TOKEN
from bench.load import Load
from bench.sink import Sink, SinkError, stage

PROJECT = Path(__file__).resolve().parent.parent
BEFORE = "ed68dc9"
APP = ("app.py", "chalicelib")
MEMBERS = 5000
CPU_BOUND, WALL_BOUND = 3.0, 3.0
# What is invoked, in which room, and how often in a turn.
SMALL = {"$connect": 10, "onMessage": 20, "joinRoom": 10, "history": 10}
BIG = {"onMessage": 1}


class Invoker:
    """A process that invokes the handlers of a commit; a context manager."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(PROJECT / "bench/invoker.py")],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Invoker":
        """Wait until it is ready."""
        self._answer()
        return self

    def __exit__(self, *failure: object) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def turn(self, what: str, times: int) -> dict[str, list[float]]:
        """Invoke something so many times: wall and CPU of each, in s."""
        assert self._process.stdin
        self._process.stdin.write(f"{what} {times}\n")
        self._process.stdin.flush()
        took: dict[str, list[float]] = json.loads(self._answer())
        return took

    def _answer(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SinkError("a process that invokes has failed")
        return line


def extract(commit: str, folder: Path) -> Path:
    """Write the app of a commit to a folder.

    Raises:
        SinkError: There is no such commit here.
    """
    done = subprocess.run(["git", "archive", commit, *APP], cwd=PROJECT, capture_output=True)
    if done.returncode != 0:
        raise SinkError(f"no commit {commit} to compare with: {done.stderr.decode()}")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as packed:
        packed.extractall(folder, filter="data")
    return folder


def measure(folder: Path, commit: str, turns: int) -> dict[str, dict[str, dict[str, float]]]:
    """Measure both commits: wall and CPU in ms, by what was invoked and by the side."""
    folders = {"before": extract(commit, folder / "before"), "ours": PROJECT}
    (folder / "nginx").mkdir()
    took: dict[str, dict[str, dict[str, list[float]]]] = {}
    with ExitStack() as stack:
        sink = stack.enter_context(Sink(folder / "nginx"))
        for delay_ms, members, what in ((0, 0, SMALL), (8, MEMBERS, BIG)):
            with ExitStack() as running:
                sides = {
                    side: running.enter_context(_invoker(running, sink, each, delay_ms, members))
                    for side, each in folders.items()
                }
                for turn in range(turns + 1):
                    for name, times in what.items():
                        for side, invoker in sides.items():
                            result = invoker.turn(name, times)
                            into = took.setdefault(f"{name} {members}" if members else name, {})
                            if turn:
                                for kind, values in result.items():
                                    into.setdefault(side, {}).setdefault(kind, []).extend(values)
    return {
        name: {
            side: {kind: round(median(values) * 1000, 2) for kind, values in kinds.items()}
            for side, kinds in sides_took.items()
        }
        for name, sides_took in took.items()
    }


def _invoker(running: ExitStack, sink: Sink, folder: Path, delay_ms: int, members: int) -> Invoker:
    """Start a DynamoDB, and handlers that use it."""
    server = running.enter_context(
        subprocess.Popen(
            [sys.executable, "-m", "bench.message_server", str(sink.authority.parent), str(members)],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        )
    )
    running.callback(server.kill)
    assert server.stdout
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.devnull,
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "ASIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_SESSION_TOKEN": SESSION_TOKEN,
        "AWS_CA_BUNDLE": str(sink.authority),
        "AWS_ENDPOINT_URL": f"https://localhost:{int(server.stdout.readline())}",
        "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": sink.url,
        "BENCH_STAGE": stage(delay_ms),
        "CHAT_RATE_PER_SECOND": "1000",
        "CHAT_ROOM_POSTS_PER_SECOND": "1000000",
        **({"BENCH_BIG": "1", "CHAT_MEMBERS_CACHE_SECONDS": "0"} if members else {}),
    }
    return Invoker(folder, environment)


def table(result: Mapping[str, Any]) -> str:
    """Render the figures."""
    lines = [
        f"{'ms, median':20}{'CPU before':>12}{'CPU ours':>10}{'ratio':>8}{'wall before':>13}{'wall ours':>11}"
    ]
    for name, sides in result["ms"].items():
        before, ours = sides["before"], sides["ours"]
        lines.append(
            f"{name:20}{before['cpu']:>12.2f}{ours['cpu']:>10.2f}{before['cpu'] / ours['cpu']:>8.2f}"
            f"{before['wall']:>13.2f}{ours['wall']:>11.2f}"
        )
    for name, bound in (("message_cpu_ratio", CPU_BOUND), ("unremembered_wall_ratio", WALL_BOUND)):
        verdict = "met" if result[name] >= bound else "NOT met"
        lines.append(f"{name}: {result[name]:g}, >= {bound:g} {verdict}")
    lines.append(f"other processes took {result['others_share']:.0%} of the cores")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=9, help="of each commit (%(default)s)")
    parser.add_argument("--before", default=BEFORE, help="the commit to compare with (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON in the last line")
    arguments = parser.parse_args()
    # So that what was started ends with this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    load = Load()
    try:
        with TemporaryDirectory() as folder:
            measured = measure(Path(folder), arguments.before, arguments.turns)
    except SinkError as error:
        sys.exit(str(error))
    small, big = measured["onMessage"], measured[f"onMessage {MEMBERS}"]
    result = {
        "ms": measured,
        "message_cpu_ratio": round(small["before"]["cpu"] / small["ours"]["cpu"], 2),
        "unremembered_wall_ratio": round(big["before"]["wall"] / big["ours"]["wall"], 2),
        "turns": arguments.turns,
        "others_share": round(load.share(), 3),
    }
    print(table(result))
    if arguments.json:
        within = result["message_cpu_ratio"] >= CPU_BOUND and result["unremembered_wall_ratio"] >= WALL_BOUND
        print(json.dumps({**result, "within_bounds": within}))


if __name__ == "__main__":
    main()
