"""``make soak``: the chat under every fault there is, for as long as it takes to believe in it.

Visitors with the Python client come, speak, move between rooms, lose their connections and die, while
posts, handlers, the queue and DynamoDB fail. Then nothing fails any more, and the invariants must hold:
nothing accepted is lost, given twice, or given out of order; nothing is left to history that could have
been sent; nobody alive was pruned.

The seed gives the schedule of all that people do and all that fails, tick by tick. What threads make of
it is their own: two soaks of one seed are alike, and not the same to the last post.
"""

import argparse
import json
import logging
import os
import random
import sys
import tempfile
from pathlib import Path

import boto3

from chalicelib.aws import connection
from local.account import environment
from local.emulator import Emulator
from tests.functional.log import Log
from tests.functional.tables import Tables
from tests.rig.hooked import HookedDynamoDB
from tests.soak.soak import WRONG, Soak
from tests.tools import free_port


def main() -> int:
    """Run a soak, and print its figures; the last line is a JSON object."""
    parser = argparse.ArgumentParser(description="Soak the chat in faults.")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    # Every lost connection is one of its warnings.
    logging.getLogger("client").setLevel(logging.ERROR)
    kept = environment(os.environ)
    os.environ.clear()
    os.environ.update(kept)
    print(f"A soak of {options.minutes:g} minutes, seed {options.seed} ...", flush=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        Emulator(free_port(), Path(folder)) as emulator,
    ):
        # An emulator that is busy is no fault.
        connection.READ_SECONDS = 30.0
        tables = Tables(boto3.client("dynamodb", endpoint_url=emulator.url), HookedDynamoDB(emulator.url))
        log = Log()
        figures = Soak(tables, log.logger, options.seed, progress=_show).run(options.minutes)
    print(file=sys.stderr)
    for kind, times in figures["faults_by_kind"].items():
        print(f"{times:>9,}  {kind}")
    print(json.dumps(figures))
    return 1 if any(figures[name] for name in WRONG) else 0


def _show(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{line}\033[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
