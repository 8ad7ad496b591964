"""Measures a fan-out: ours beside Chalice's ``send`` in a loop and boto3 in 32 threads; Linux only.

What is measured, for one payload to so many recipients, over TLS to a local sink:

- wall: until all have it. first: the same for the first payload, for which the client is made and its
  connections are opened. All other figures are of the rounds after that; times are medians.
- CPU: user and system time of the client's process, for each post.
- peak: the most memory that the client's process took.

Each contender and size is a process of its own. The clients run on one core and the sink on another, one
round at a time, in turns, so that the machine's noise hits all. Each round is counted at both ends: every
recipient is reached, and by one post. The sink is nginx, which answers at once or after 8 ms; wrk says
what it can take, over as many connections as ours has.

A slow contender gets fewer rounds, and none where one would take very long. What was not measured is not
printed.
"""

import argparse
import json
import os
import platform
import signal
import ssl
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.contender import PAYLOAD, SESSION_TOKEN, Contender, ContenderError, Round
from bench.load import Load
from bench.report import bounds, report, write_page
from bench.sink import Sink, SinkError
from chalicelib.config import Settings

RECIPIENTS = (10, 100, 1_000, 10_000)
DELAYS_MS = (0, 8)
# About how long a round takes, in s, by recipients and the sink's delay in s. It decides what is left
# out and how far the bar moves; no figure comes of it.
ESTIMATES: Mapping[str, Callable[[int, float], float]] = {
    "ours": lambda recipients, delay: recipients * (4e-5 + delay / 200),
    "chalice": lambda recipients, delay: recipients * (1.2e-3 + delay),
    "threads": lambda recipients, delay: recipients * 1.3e-3,
}
# Rounds until a contender is warm, at most.
MOST_COLD = 50
# The cost of a recipient in a large room is measured beside that in a small one.
GROWING = (1_000, 10_000)
# A signature's headers, beside the session token; in bytes.
SIGNED_BYTES = 320


@dataclass(frozen=True)
class Case:
    """A contender, the connections that it sends to, and the sink's delay in ms."""

    name: str
    recipients: int
    delay_ms: int

    def __str__(self) -> str:
        return f"{self.name}, {self.recipients:,} recipients at {self.delay_ms} ms"

    @property
    def estimate(self) -> float:
        """About how long a round takes, in s."""
        return ESTIMATES[self.name](self.recipients, self.delay_ms / 1000)


@dataclass(frozen=True)
class Effort:
    """How long to measure, in s where nothing else is said.

    Attributes:
        rounds: Timed rounds of a case, at most.
        case: What they may take together; there is one in any case.
        longest: What a round may take. A case with longer ones is left out.
        ceiling: How long wrk posts, each time.
    """

    rounds: int
    case: float
    longest: float
    ceiling: int

    def rounds_of(self, case: Case) -> int:
        """Say how many timed rounds a case gets; 0 where it is left out."""
        if case.estimate > self.longest:
            return 0
        return max(1, min(self.rounds, int(self.case / case.estimate)))


FULL = Effort(rounds=9, case=8.0, longest=20.0, ceiling=2)
QUICK = Effort(rounds=3, case=2.5, longest=1.25, ceiling=1)


@dataclass
class Bar:
    """Shows on one line of stderr how far it is; a context manager, which leaves the line empty.

    Attributes:
        total: What there is to do, in s.
        done: What of it is done.
    """

    total: float
    done: float = field(default=0.0, init=False)

    def show(self, text: str) -> None:
        """Show it, and what is under way."""
        full = round(30 * self.done / self.total)
        print(f"\r\033[K[{'#' * full}{'.' * (30 - full)}] {text}", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> "Bar":
        """Begin."""
        return self

    def __exit__(self, *failure: object) -> None:
        """End."""
        print("\r\033[K", end="", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Bench:
    """Runs cases against the sink.

    Attributes:
        sink: Where the posts go.
        concurrency: Ours: posts under way at once.
        effort: How many rounds there are.
        bar: Is told of them.
    """

    sink: Sink
    concurrency: int
    effort: Effort
    bar: Bar

    def ceiling(self, delay_ms: int) -> int:
        """Measure how many posts a second the sink takes."""
        self.bar.show(f"Measuring what the sink can take at {delay_ms} ms")
        header_bytes = len(SESSION_TOKEN) + SIGNED_BYTES
        return round(
            self.sink.ceiling(delay_ms, self.concurrency, self.effort.ceiling, len(PAYLOAD), header_bytes)
        )

    def measure(self, cases: Sequence[Case]) -> dict[Case, dict[str, Any]]:
        """Warm each case up, run their rounds in turns, and summarise each.

        Raises:
            ContenderError: One did not reach each recipient by one post, or does not get warm.
        """
        # The slow ones first: nobody's connections are idle for long until it is their turn.
        cases = sorted(cases, key=lambda case: case.estimate, reverse=True)
        with ExitStack() as stack:
            contenders = {
                case: stack.enter_context(
                    Contender(case.name, case.recipients, case.delay_ms, self.concurrency, self.sink)
                )
                for case in cases
            }
            cold = {case: self._warm_up(case, contenders[case]) for case in cases}
            warm = {case: [cold[case].pop()] for case in cases}
            for turn in range(1, max(map(self.effort.rounds_of, cases))):
                for case in cases:
                    if turn < self.effort.rounds_of(case):
                        self.bar.show(f"{case}: round {turn + 1}/{self.effort.rounds_of(case)}")
                        warm[case].append(contenders[case].round())
                        self.bar.done += case.estimate
        return {case: figures(case.recipients, cold[case], warm[case]) for case in cases}

    def _warm_up(self, case: Case, contender: Contender) -> list[Round]:
        """Run rounds up to the first in which no connection is opened."""
        rounds: list[Round] = []
        while not rounds or rounds[-1].opened:
            if len(rounds) > MOST_COLD:
                raise ContenderError(f"{case}: connections are opened in every round")
            self.bar.show(f"{case}: warming up, round {len(rounds) + 1}")
            rounds.append(contender.round())
            if len(rounds) <= 2:
                self.bar.done += case.estimate
        return rounds


def figures(recipients: int, cold: Sequence[Round], warm: Sequence[Round]) -> dict[str, Any]:
    """Summarise the rounds of a case: those in which connections were opened, and those after."""
    wall, cpu = median(each.wall for each in warm), median(each.cpu for each in warm)
    return {
        "wall_s": round(wall, 5),
        "first_s": round(cold[0].wall, 5),
        "posts_per_s": round(recipients / wall),
        "cpu_us_per_post": round(cpu / recipients * 1e6, 1),
        "peak_mb": round(warm[-1].peak / 1e6, 1),
        "connections": sum(each.opened for each in (*cold, *warm)),
        "cold_rounds": len(cold),
        "rounds": len(warm),
    }


def growth(small: Mapping[str, Any], large: Mapping[str, Any]) -> dict[str, float]:
    """Divide what a recipient costs among many by what it costs among few."""
    return {
        "wall": round(small["posts_per_s"] / large["posts_per_s"], 3),
        "CPU": round(large["cpu_us_per_post"] / small["cpu_us_per_post"], 3),
    }


def run(folder: Path, effort: Effort, concurrency: int) -> dict[str, Any]:
    """Measure everything.

    Raises:
        SinkError: There is no sink.
        ContenderError: A contender did not reach all.
    """
    every = [
        Case(name, recipients, delay)
        for delay in DELAYS_MS
        for recipients in RECIPIENTS
        for name in ESTIMATES
    ]
    cases = [case for case in every if effort.rounds_of(case)]
    growing = [Case("ours", recipients, 8) for recipients in GROWING]
    estimate = sum(case.estimate * (effort.rounds_of(case) + 1) for case in (*cases, *growing))
    # This process waits while one of the others works, and shares its core with the clients: they
    # inherit it, wrk too.
    client_core, *others = sorted(os.sched_getaffinity(0))
    sink_core = others[0] if others else client_core
    os.sched_setaffinity(0, {client_core})
    load = Load()
    with Bar(estimate) as bar, Sink(folder, sink_core) as sink:
        bench = Bench(sink, concurrency, effort, bar)
        ceiling = dict.fromkeys(DELAYS_MS, 0)
        by_recipients: dict[str, dict[str, dict[str, Any]]] = {}
        for delay in DELAYS_MS:
            for recipients in RECIPIENTS:
                if recipients in GROWING:
                    # More than once, and the best: it is what the sink can do where nothing disturbs it.
                    ceiling[delay] = max(ceiling[delay], bench.ceiling(delay))
                group = [case for case in cases if (case.recipients, case.delay_ms) == (recipients, delay)]
                measured = bench.measure(group)
                by_recipients.setdefault(str(recipients), {})[str(delay)] = {
                    case.name: measured[case] for case in group
                }
        grown = bench.measure(growing)
        version = sink.version
    equal = by_recipients["1000"]["0"]
    return {
        "recipients": by_recipients,
        "ratio_posts_per_cpu_second": round(
            equal["chalice"]["cpu_us_per_post"] / equal["ours"]["cpu_us_per_post"], 2
        ),
        "wall_1000_at_8ms_s": by_recipients["1000"]["8"]["ours"]["wall_s"],
        "wall_10000_at_8ms_s": by_recipients["10000"]["8"]["ours"]["wall_s"],
        "growth_1000_to_10000_at_8ms": growth(*(grown[case] for case in growing)),
        "not_measured": [str(case) for case in every if case not in cases],
        "ceiling_posts_per_s": ceiling,
        "concurrency": concurrency,
        "sink": version,
        "client_core": client_core,
        "sink_core": sink_core,
        "others_share": round(load.share(), 3),
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, under half a minute")
    parser.add_argument(
        "--concurrency",
        type=int,
        default=Settings.from_env({}).max_concurrency,
        help="ours: posts under way at once (%(default)s, the chat's default)",
    )
    parser.add_argument(
        "--plot", action="store_true", help="draw the charts of docs/fan-out.md, write its figures"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON in the last line")
    arguments = parser.parse_args()
    # So that what was started ends with this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with TemporaryDirectory() as folder:
            result = run(Path(folder), QUICK if arguments.quick else FULL, arguments.concurrency)
    except (SinkError, ContenderError) as error:
        sys.exit(str(error))
    print(report(result))
    if arguments.plot:
        write_page(result)
    if arguments.json:
        print(json.dumps({**result, "within_bounds": all(bound.met for bound in bounds(result))}))


if __name__ == "__main__":
    main()
