"""A short soak, and what it notices."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

import pytest

from chalicelib.storage.member_cache import MemberCache
from chalicelib.storage.rooms import Member, Rooms
from chalicelib.tasks import Chunk
from tests.functional.log import Log
from tests.functional.tables import Tables
from tests.soak.schedule import schedule
from tests.soak.soak import WRONG, Soak

# The largest room has more members than are sent to inline and kept, the others have fewer.
SETTINGS = {"CHAT_INLINE_RECIPIENTS": "22", "CHAT_MAX_CONCURRENCY": "8"}


@pytest.fixture
def soak(tables: Tables, log: Log) -> Callable[..., list[str]]:
    """Soaks for some seconds, and says what went wrong."""

    def run(settings: Mapping[str, str] = SETTINGS, healing: int = 590) -> list[str]:
        few = Soak(tables, log.logger, 7, visitors=40, settings=settings, healing=healing, patience=3)
        figures = few.run(0.1)
        assert figures["messages"] > 20
        assert figures["faults"] > 50
        return [name for name in WRONG if figures[name]]

    return run


def test_the_invariants_hold(soak: Callable[..., list[str]]) -> None:
    assert soak() == []


def test_a_seed_says_what_happens() -> None:
    first, again, other = (list(islice(schedule(seed), 1000)) for seed in (1, 1, 2))
    assert first == again != other


class TestAPlantedBug:
    """It is noticed. What it breaks does not heal, so there is no use in waiting for that."""

    HEALING = 40

    def test_pruning_at_the_first_410(self, soak: Callable[..., list[str]]) -> None:
        assert "pruned_alive" in soak({**SETTINGS, "CHAT_PRUNE_AFTER_SECONDS": "1"}, self.HEALING)

    def test_dropping_the_last_page(
        self, soak: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pages = Rooms.pages

        def all_but_the_last(self: Rooms, room: str) -> Iterator[list[Member]]:
            self._limit = {"Limit": 5}
            return iter(list(pages(self, room))[:-1])

        monkeypatch.setattr(Rooms, "pages", all_but_the_last)
        assert "unsent" in soak(healing=self.HEALING)

    def test_leaving_nothing_to_the_queue(
        self, soak: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Chunk, "rest", lambda self, left: None)
        assert "unsent" in soak(healing=self.HEALING)

    def test_keeping_members_whatever_their_version(
        self, soak: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pages = MemberCache.pages

        def of_any_version(
            self: MemberCache, room: str, version: int | None = None
        ) -> Iterator[list[Member]]:
            kept = self._kept.get(room)
            return pages(self, room, version if kept is None else kept.version)

        monkeypatch.setattr(MemberCache, "pages", of_any_version)
        assert "unsent" in soak({**SETTINGS, "CHAT_MEMBERS_CACHE_SECONDS": "9999"}, self.HEALING)
