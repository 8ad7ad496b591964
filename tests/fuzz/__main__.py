"""Fuzzes the handlers for a while: ``python -m tests.fuzz --minutes 5``.

Hypothesis makes events up, and makes small what fails. What it has found before is in ``.hypothesis/fuzz``,
and is tried first. A failure is printed as JSON: put it into tests/fuzz/corpus, where the functional tests
try it.
"""

import argparse
import json
import os
import sys
import time
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from local.account import environment
from local.emulator import Emulator
from tests.fuzz.events import STEPS, Step
from tests.fuzz.target import Target
from tests.tools import free_port

FOUND = Path(".hypothesis/fuzz")
EXAMPLES = 100


def main() -> None:
    """Fuzz until the time is up or something fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    deadline = time.monotonic() + parser.parse_args().minutes * 60
    os.environ.update(environment(os.environ))
    with TemporaryDirectory() as folder, Emulator(free_port(), Path(folder)) as emulator:
        targets = [Target(emulator.url, auth) for auth in ("none", "jwt")]
        sequences = 0
        while time.monotonic() < deadline:
            for target in targets:
                failed = fuzz(target, deadline)
                if failed is not None:
                    sys.exit(failed)
                sequences += EXAMPLES
            events = sum(target.events for target in targets)
            print(f"{events:,} events; {deadline - time.monotonic():.0f} s left", flush=True)
        print(f"{sum(target.events for target in targets):,} events, and no exception left a handler.")


def fuzz(target: Target, deadline: float) -> str | None:
    """Try many sequences of events; what fails, made small and told, or None."""
    last: list[Step] = []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=DirectoryBasedExampleDatabase(FOUND),
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    )
    @given(steps=STEPS)
    def attempt(steps: list[Step]) -> None:
        if time.monotonic() < deadline:
            last[:] = steps
            target.run(steps)

    try:
        attempt()
    except Exception:
        steps = json.dumps([step.encoded() for step in last], indent=2)
        return f"{traceback.format_exc()}\n\nThe steps:\n{steps}"
    return None


if __name__ == "__main__":
    main()
