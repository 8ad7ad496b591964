"""Which presence events are outdated by others that came before them."""

import msgspec

from chalicelib.wire.events import Presence

# Names of a room that are remembered, the latest: a room whose comings and goings are told has few.
MOST_NAMES = 1000


class PresenceOrder:
    """Remembers when each user of each room came or went last, by the server's clock."""

    def __init__(self) -> None:
        self._latest: dict[str, dict[str, int]] = {}

    def current(self, event: Presence) -> Presence | None:
        """Take an event; give what is not outdated of it, None where all is."""
        latest = self._latest.setdefault(event.room, {})
        names = [name for name in event.names or [event.name] if event.at >= latest.get(name, 0)]
        for name in names:
            # The one that is forgotten first is the one of which nothing was heard for longest.
            latest.pop(name, None)
            latest[name] = event.at
        while len(latest) > MOST_NAMES:
            del latest[next(iter(latest))]
        if not names:
            return None
        return msgspec.structs.replace(event, name=names[0], names=names if len(names) > 1 else None)

    def forget(self, room: str) -> None:
        """Forget a room."""
        self._latest.pop(room, None)
