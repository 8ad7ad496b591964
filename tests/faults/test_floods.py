"""Who sends as fast as the socket takes it: frames are under way while it is told goodbye and closed."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed

from chalicelib.config import Settings
from chalicelib.storage.connections import MOST_REFUSED
from tests.functional.tables import Tables
from tests.rig.clients import Crowd
from tests.rig.rig import Rig

FRAMES = 600


@pytest.fixture
def settings() -> Mapping[str, str]:
    """As deployed. The clock stands still, so what a client has is its burst."""
    return {"CHAT_RATE_PER_SECOND": str(Settings.rate_per_second)}


def test_a_flood_is_answered_so_often_and_closed_once(rig: Rig, crowd: Crowd, tables: Tables) -> None:
    bob, flooder = crowd.connect_json("bob"), crowd.connect_json()
    rig.settle()
    posts = rig.callbacks.posts
    with suppress(ConnectionClosed):
        for _ in range(FRAMES):
            flooder.send({"action": "ping"})
    assert flooder.ended() == 1000
    rig.settle()
    told = Counter(event["type"] for event in flooder.events)
    assert told == {"pong": Settings.rate_burst, "error": MOST_REFUSED + 1, "goodbye": 1}
    # An environment that has not met the flood before answers what comes after the end.
    assert rig.callbacks.posts - posts - told.total() <= 6
    assert len(tables.items(tables.connections)) == 1
    assert bob.ask("onMessage", message="hi")["type"] == "ack"
