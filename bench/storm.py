"""Measures the chat in crowds and storms, on a model of AWS with an account's quotas.

Each scenario is a process of its own, in which there are the app, its DynamoDB and SQS, API Gateway and
the clients: tests/rig/limits.py says what is too much there. One factor divides the clients, the members and
what the quotas allow for all of them; how often somebody speaks in a room, and all times, stay. So
latencies are those that the limits leave, as long as this machine is not the limit: the part of a core
that it gave is printed. The app's posts go over real HTTP by its own client.

``before`` is the chat as it was when each handler sent what it had stored itself, a post for each
recipient and message. Its figures are kept in bench/storm_before.json, but for ``calm``, in which it is
measured in the same run.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.load import Load
from bench.storm_page import write_page
from bench.storm_report import SCENARIOS, report, within_bounds
from local.account import environment

PROJECT = Path(__file__).resolve().parent.parent
KEPT = PROJECT / "bench" / "storm_before.json"
# The last commit of the design before: what of it is the app.
BEFORE = "289c4d6d969daadda21378268a59e646766316b7"
APP = ("chalicelib", "app.py", "resources.json")
FACTOR, QUICK_FACTOR = 10.0, 20.0
# Messages of each kind in a calm room, and from one to the next, in s.
CALM, QUICK_CALM = 20, 6
CALM_SECONDS = 1.0
LONGEST_SECONDS = 1800.0


class StormError(Exception):
    """A scenario has no figures; the message says why."""


class Player:
    """Plays scenarios with one version of the app.

    Args:
        app: Folder of the app's files alone.
        quick: Whether it is to be over soon.
    """

    def __init__(self, app: Path, quick: bool) -> None:
        self._app = app
        self._quick = quick

    def start(self, name: str, factor: float) -> "subprocess.Popen[str]":
        """Start a scenario."""
        command = [sys.executable, "-m", "bench.scenarios", name, "--factor", str(factor)]
        return subprocess.Popen(
            [*command, "--quick"] if self._quick else command,
            # Before the project's own: the folder's app is the one that is imported.
            cwd=self._app,
            env={**environment(os.environ), "PYTHONPATH": str(PROJECT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def play(self, name: str, factor: float) -> dict[str, Any]:
        """Play a scenario to its end, and return its figures.

        Raises:
            StormError: It has failed.
        """
        with ending(self.start(name, factor)) as process:
            try:
                out, err = process.communicate(timeout=LONGEST_SECONDS)
            except subprocess.TimeoutExpired:
                raise StormError(f"{name} takes longer than {LONGEST_SECONDS:.0f} s") from None
        if process.returncode != 0:
            raise StormError(f"{name} has failed:\n{err}")
        figures: dict[str, Any] = json.loads(out.splitlines()[-1])
        return figures


class Calm:
    """A calm room that waits to be spoken in."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out = process.stdin, process.stdout
        self._process = process

    def wait(self) -> None:
        """Wait until it is ready."""
        self._line()

    def say(self, kind: str) -> dict[str, float]:
        """Say something, ``plain`` or with a ``ref``; what it took."""
        self._in.write(f"{kind}\n")
        self._in.flush()
        figures: dict[str, float] = json.loads(self._line())
        return figures

    def _line(self) -> str:
        line = self._out.readline()
        if not line:
            error = self._process.stderr.read() if self._process.stderr is not None else ""
            raise StormError(f"calm has failed:\n{error}")
        return line


def play_calm(player: Player, before: Player | None, quick: bool) -> dict[str, Any]:
    """Let the app and the one before take turns, message by message, and compare them."""
    players = {"after": player} | ({"before": before} if before is not None else {})
    taken: dict[str, dict[str, list[dict[str, float]]]] = {who: {"plain": [], "ref": []} for who in players}
    with ExitStack() as stack:
        rooms = {
            who: Calm(stack.enter_context(ending(each.start("calm", 1.0)))) for who, each in players.items()
        }
        for room in rooms.values():
            room.wait()
        began = time.monotonic()
        for turn in range(2 * (QUICK_CALM if quick else CALM)):
            kind = ("plain", "ref")[turn % 2]
            for number, (who, room) in enumerate(rooms.items()):
                at = began + (turn + number / len(rooms)) * CALM_SECONDS
                time.sleep(max(0.0, at - time.monotonic()))
                taken[who][kind].append(room.say(kind))
    return compared({who: calm_figures(kinds) for who, kinds in taken.items()})


def calm_figures(kinds: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, Any]:
    """Summarise the messages of one app: medians, of each kind."""
    middle = {
        (name, kind): median(each[name] for each in messages)
        for kind, messages in kinds.items()
        for name in messages[0]
    }
    return {
        "latency_ms": round(1000 * max(middle["latency_s", kind] for kind in kinds), 2),
        "reads": max(middle["reads", kind] for kind in kinds),
        **{f"latency_{kind}_ms": round(1000 * middle["latency_s", kind], 2) for kind in kinds},
        **{f"writes_{kind}": middle["writes", kind] for kind in kinds},
        **{f"units_{kind}": middle["write_units", kind] for kind in kinds},
        **{f"read_units_{kind}": middle["read_units", kind] for kind in kinds},
    }


def compared(by_app: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Hold the app's figures to those from before, of this run; without these, to what was kept of them."""
    after = by_app["after"]
    before = by_app.get("before") or kept().get("calm", {})
    if not before:
        return after
    kinds = ("plain", "ref")
    after["more_writes"] = max(after[f"writes_{kind}"] - before[f"writes_{kind}"] for kind in kinds)
    if "before" in by_app:
        after["before"] = before
        after["ratio"] = round(
            max(after[f"latency_{kind}_ms"] / before[f"latency_{kind}_ms"] for kind in kinds), 3
        )
    return after


@contextmanager
def ending(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    """End a process in any case."""
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def app_of(checkout: Path, folder: Path) -> Path:
    """Link the app of a checkout into a folder, with nothing else of it."""
    for name in APP:
        (folder / name).symlink_to(checkout.resolve() / name)
    return folder


def app_before(folder: Path) -> Path | None:
    """Take the app before out of the history; None where that does not have it."""
    archive = folder / "before.tar"
    command = ["git", "archive", "--output", str(archive), BEFORE, *APP]
    if shutil.which("git") is None or subprocess.run(command, cwd=PROJECT, capture_output=True).returncode:
        return None
    app = folder / "before"
    with tarfile.open(archive) as packed:
        packed.extractall(app, filter="data")
    return app


def kept() -> dict[str, Any]:
    """The figures that were kept from before."""
    figures: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    return figures


def keep(figures: Mapping[str, Any], factor: float) -> None:
    """Keep figures as those from before."""
    every = {**kept(), **figures, "factor": factor, "machine": machine()}
    KEPT.write_text(json.dumps(every, separators=(",", ":")).replace('},"', '},\n"') + "\n")


def machine() -> dict[str, Any]:
    """What it is measured on."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
    }


def about(factor: float, here: Mapping[str, Any], share: float, before: Mapping[str, Any]) -> list[str]:
    """Say what was measured, and on what."""
    lines = [
        f"{here['cores']} cores ({here['architecture']}), Python {here['python']}; "
        f"other processes took {share:.0%} of the cores",
        f"scaled by {factor:g}: {10_000 / factor:,.0f} requests and {500 / factor:g} connections a second; "
        "dead by a tenth of that, calm and hostile not at all",
    ]
    if "machine" in before:
        then = before["machine"]
        lines.append(
            f"before: measured on {then['date']}, {then['cores']} cores ({then['architecture']}), "
            f"scaled by {before['factor']:g}"
        )
    return lines


def run(names: Sequence[str], options: argparse.Namespace, folder: Path) -> dict[str, dict[str, Any]]:
    """Play the scenarios, one after another.

    Raises:
        StormError: One has failed.
    """
    (folder / "app").mkdir()
    player = Player(app_of(options.app, folder / "app"), options.quick)
    results: dict[str, dict[str, Any]] = {}
    for name in names:
        say(f"{name}: {SCENARIOS[name].title} ...")
        if name == "calm":
            earlier = app_before(folder)
            if earlier is None:
                say(f"The history does not have {BEFORE[:7]}: calm is not compared.")
            before = Player(earlier, options.quick) if earlier is not None else None
            results[name] = play_calm(player, before, options.quick)
        else:
            factor = max(1.0, options.factor * SCENARIOS[name].scale)
            results[name] = {**player.play(name, factor), "factor": factor}
        if options.keep:
            keep({name: results[name]}, options.factor)
    return results


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller and shorter, about a minute")
    parser.add_argument("--only", action="append", choices=SCENARIOS, metavar="NAME", help="this scenario")
    parser.add_argument("--factor", type=float, help=f"of the scale, {FACTOR:g} by default")
    parser.add_argument("--app", type=Path, default=PROJECT, help="a checkout whose app is played")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON in the last line")
    parser.add_argument(
        "--plot", action="store_true", help="draw docs/storm-*.svg, and write docs/fan-out.md"
    )
    parser.add_argument("--keep", action="store_true", help="keep the figures as those from before")
    options = parser.parse_args()
    options.factor = options.factor or (QUICK_FACTOR if options.quick else FACTOR)
    # So that what was started ends with this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    load = Load()
    try:
        with TemporaryDirectory() as folder:
            results = run(options.only or list(SCENARIOS), options, Path(folder))
    except StormError as error:
        sys.exit(str(error))
    here = machine()
    before = kept()
    if "before" in results.get("calm", {}):
        before = {**before, "calm": results["calm"].pop("before")}
    print(text := report(results, before, about(options.factor, here, load.share(), before)))
    if options.plot:
        write_page(text, results, before)
    if options.json:
        figures = {"within_bounds": within_bounds(results), **results, "before": before}
        print(json.dumps({**figures, "factor": options.factor, "machine": here}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
