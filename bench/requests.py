"""Measures what a request to DynamoDB and SQS takes of CPU: ours beside boto3, and pydynox; Linux only.

The figure is user and system time of the client's process, which connects over TLS to a sink on this machine
that answers at once. Clients take turns, some requests each, so that the machine's noise hits all; figures
are medians of the turns. A Query reads the 1,000 members of a room into the chat's ``Member``.

Two ratios are held to a bound, each boto3's time over ours: that of the single requests together, and that of
an item of the Query.

pydynox is measured where ``--pydynox`` names a Python that has it. It is not used: it has no SQS, it
takes 18 MB of a Lambda, it has an interface and errors of its own, and it does not say how it retries a
transaction.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.contender import REGION, SESSION_TOKEN
from bench.load import Load
from bench.requester import ANSWERS, MEMBERS
from bench.sink import SinkError, certify

PROJECT = Path(__file__).resolve().parent.parent
SINGLE = ("UpdateItem", "GetItem", "PutItem", "TransactWriteItems", "SendMessageBatch")
QUERY = "Query"
SINGLE_BOUND, ITEM_BOUND = 8.0, 10.0
# Requests of a turn, and of a Query, by the speed of the client.
TURN = {"ours": (400, 20), "boto3": (60, 3), "pydynox": (200, 10)}
WARM_UP = 5


class Requester:
    """A running client; a context manager.

    Attributes:
        operations: What it can do.
    """

    def __init__(self, name: str, python: str, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [python, "-m", "bench.requester", name],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.name = name
        self.operations = self._answer().split()

    def __enter__(self) -> "Requester":
        """Begin, which it has."""
        return self

    def __exit__(self, *failure: object) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def turn(self, operation: str, requests: int) -> float:
        """Make requests; the CPU that each took, in us.

        Raises:
            SinkError: It has failed.
        """
        assert self._process.stdin
        self._process.stdin.write(f"{operation} {requests}\n")
        self._process.stdin.flush()
        return float(self._answer()) / requests * 1e6

    def _answer(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SinkError(f"{self.name} has failed")
        return line


def measure(folder: Path, turns: int, pydynox: str | None) -> dict[str, dict[str, float]]:
    """Measure all clients; the CPU of a request in us, by client and operation.

    Raises:
        SinkError: There is no sink, or a client has failed.
    """
    certify(folder)
    (folder / "answers.json").write_text(json.dumps(dict(ANSWERS)))
    pythons = {"ours": sys.executable, "boto3": sys.executable, **({"pydynox": pydynox} if pydynox else {})}
    with ExitStack() as stack:
        sink = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "bench.answering", str(folder)],
                cwd=PROJECT,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(sink.kill)
        assert sink.stdout
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.devnull,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "ASIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "AWS_SESSION_TOKEN": SESSION_TOKEN,
            "AWS_CA_BUNDLE": str(folder / "authority.pem"),
            "SSL_CERT_FILE": str(folder / "authority.pem"),
            "AWS_ENDPOINT_URL": f"https://localhost:{int(sink.stdout.readline())}",
        }
        clients = [
            stack.enter_context(Requester(name, python, environment)) for name, python in pythons.items()
        ]
        measured: dict[str, dict[str, list[float]]] = {
            client.name: {operation: [] for operation in client.operations} for client in clients
        }
        for turn in range(turns + 1):
            for operation in (*SINGLE, QUERY):
                for client in clients:
                    if operation in client.operations:
                        single, query = TURN[client.name]
                        requests = query if operation == QUERY else single
                        took = client.turn(operation, requests if turn else WARM_UP)
                        if turn:
                            measured[client.name][operation].append(took)
    return {
        name: {operation: round(median(took), 1) for operation, took in operations.items()}
        for name, operations in measured.items()
    }


def ratios(measured: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Divide boto3's times by ours."""
    ours, theirs = measured["ours"], measured["boto3"]
    return {
        "single_ratio": round(sum(theirs[each] for each in SINGLE) / sum(ours[each] for each in SINGLE), 2),
        "item_ratio": round(theirs[QUERY] / ours[QUERY], 2),
    }


def table(result: Mapping[str, Any]) -> str:
    """Render the figures."""
    measured = result["cpu_us"]
    lines = [f"{'CPU us of a request':28}" + "".join(f"{name:>12}" for name in measured)]
    for operation in (*SINGLE, QUERY):
        what = f"Query of {MEMBERS:,}" if operation == QUERY else operation
        cells = [
            f"{took[operation]:>12,.1f}" if operation in took else f"{'-':>12}" for took in measured.values()
        ]
        lines.append(f"{what:28}{''.join(cells)}")
    for name, bound in (("single_ratio", SINGLE_BOUND), ("item_ratio", ITEM_BOUND)):
        verdict = "met" if result[name] >= bound else "NOT met"
        lines.append(f"{name}: boto3 over ours {result[name]:g}, >= {bound:g} {verdict}")
    lines.append(f"other processes took {result['others_share']:.0%} of the cores")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=15, help="of each client and operation (%(default)s)")
    parser.add_argument("--pydynox", metavar="PYTHON", help="an interpreter with pydynox, to measure it too")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON in the last line")
    arguments = parser.parse_args()
    # So that what was started ends with this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    load = Load()
    try:
        with TemporaryDirectory() as folder:
            measured = measure(Path(folder), arguments.turns, arguments.pydynox)
    except SinkError as error:
        sys.exit(str(error))
    result: dict[str, Any] = {
        "cpu_us": measured,
        **ratios(measured),
        "turns": arguments.turns,
        "others_share": round(load.share(), 3),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    print(table(result))
    if arguments.json:
        within = result["single_ratio"] >= SINGLE_BOUND and result["item_ratio"] >= ITEM_BOUND
        print(json.dumps({**result, "within_bounds": within}))


if __name__ == "__main__":
    main()
