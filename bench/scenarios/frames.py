"""What clients are sent, read once however many get it."""

import math
from dataclasses import dataclass
from typing import Any

import msgspec

from tests.rig.limits import METERED

# Frames that are kept: many more than are on their way at once.
MOST = 2000


@dataclass(frozen=True)
class Frame:
    """A frame that has come.

    Attributes:
        type: The event's type; ``""`` for what API Gateway says of its own accord.
        event: The event.
        units: How many messages it is billed as.
    """

    type: str
    event: dict[str, Any]
    units: int


class Frames:
    """Reads frames."""

    def __init__(self) -> None:
        self._read: dict[str, Frame] = {}

    def read(self, payload: str) -> Frame:
        """Read a frame."""
        frame = self._read.get(payload)
        if frame is None:
            event = msgspec.json.decode(payload)
            units = math.ceil(len(payload.encode()) / METERED)
            frame = Frame(event.get("type", ""), event, units)
            if len(self._read) >= MOST:
                self._read.clear()
            self._read[payload] = frame
        return frame
