"""What else the machine did while something was measured."""

import os
import time
from pathlib import Path


class Load:
    """Counts from when it is made on."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._others = others()

    def share(self) -> float:
        """Say how much of all cores went to processes that are none of ours; those must have ended."""
        cores = os.cpu_count() or 1
        return max(0.0, others() - self._others) / cores / (time.monotonic() - self._began)


def others() -> float:
    """Count the CPU time of all processes but this one and its children that have ended, in s."""
    user, nice, system = map(int, Path("/proc/stat").read_text().split()[1:4])
    ours = os.times()
    everybody = (user + nice + system) / os.sysconf("SC_CLK_TCK")
    return everybody - (ours.user + ours.system + ours.children_user + ours.children_system)
