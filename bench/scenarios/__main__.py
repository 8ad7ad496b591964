"""Plays one scenario in this process, and prints its figures as JSON in the last line."""

import argparse
import asyncio
import importlib
import json
import logging

from bench.scenarios.effort import Effort


def main() -> None:
    """Play it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--factor", type=float, required=True)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    # Whoever has given up on an answer is told by asyncio, for each post.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    scenario = importlib.import_module(f"bench.scenarios.{arguments.name}")
    print(json.dumps(asyncio.run(scenario.play(Effort(arguments.factor, arguments.quick)))))


if __name__ == "__main__":
    main()
