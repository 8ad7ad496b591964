"""Sending to a room while it is read, and not reading it again while nobody comes or goes."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.broadcaster import MOST_UNDER_WAY, Broadcaster, Delivery
from chalicelib.gateway.websocket_api import ManyWebsocketAPI
from chalicelib.storage import member_cache
from chalicelib.storage.connection import Connection
from chalicelib.storage.connections import Connections
from chalicelib.storage.heads import Heads
from chalicelib.storage.member_cache import MemberCache
from chalicelib.storage.rooms import Member, Rooms
from chalicelib.tasks import Chunk, TaskQueue, decode
from chalicelib.wire.events import Form, Pong
from tests.functional.queues import Queues
from tests.functional.tables import Tables
from tests.rig.callbacks import Callbacks
from tests.rig.clock import Clock
from tests.rig.crashes import Crash, Crashes
from tests.rig.faults import counted
from tests.rig.held import Held
from tests.waiting import eventually

CACHE_SECONDS = 60
WAIT = 10.0


@pytest.fixture
def heads(tables: Tables, clock: Clock) -> Heads:
    return Heads(tables.client, tables.messages, 30, clock)


@pytest.fixture
def connections(tables: Tables, heads: Heads, clock: Clock) -> Connections:
    return Connections(tables.client, tables.connections, tables.rooms, heads, clock)


@pytest.fixture
def rooms(tables: Tables, clock: Clock) -> Rooms:
    return Rooms(tables.client, tables.rooms, clock, page_size=5)


@pytest.fixture
def cache(rooms: Rooms, clock: Clock) -> MemberCache:
    return MemberCache(rooms, CACHE_SECONDS, most_in_room=50, clock=clock)


@pytest.fixture
def joined(connections: Connections, clock: Clock) -> Callable[..., list[str]]:
    """Puts so many connections into the lobby; their ids in the order of pages."""

    def join(number: int, first: int = 0) -> list[str]:
        ids = [f"c{each:013}=" for each in range(first, first + number)]
        for each in ids:
            expiry = int(clock()) + 7260
            connections.add(
                Connection(each, None, Form.JSON, frozenset({"lobby"}), int(clock() * 1000), expiry)
            )
        return ids

    return join


class TestStreaming:
    """Pages of five are read and sent to."""

    @pytest.fixture
    def publish(
        self,
        connections: Connections,
        cache: MemberCache,
        queues: Queues,
        callbacks: Callbacks,
        clock: Clock,
        monkeypatch: pytest.MonkeyPatch,
    ) -> Iterator[Callable[[], Delivery]]:
        monkeypatch.setenv("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", callbacks.url)
        api = ManyWebsocketAPI()
        api.configure_from_api_id("a1b2c3d4e5", "test")
        queue = TaskQueue(lambda: queues.client, queues.queue)
        broadcaster = Broadcaster(api, cache, connections, queue, queue, 1000, 30, clock)

        def publish() -> Delivery:
            delivery = Delivery()
            broadcaster.publish("lobby", Pong(), time.monotonic() + 20, delivery)
            return delivery

        yield publish
        api.stop()

    def test_the_first_page_is_sent_to_before_the_second_is_there(
        self,
        joined: Callable[..., list[str]],
        publish: Callable[[], Delivery],
        tables: Tables,
        callbacks: Callbacks,
    ) -> None:
        ids = joined(8)
        second = Held(tables.client, "Query", after=1)
        with ThreadPoolExecutor() as pool:
            publishing = pool.submit(publish)
            assert second.reached.wait(WAIT)
            assert eventually(lambda: set(callbacks.received) == set(ids[:5]))
            second.release()
        assert publishing.result().delivered == 8
        assert set(callbacks.received) == set(ids)

    def test_who_may_be_slow_is_left_to_a_worker_before_it_returns(
        self,
        joined: Callable[..., list[str]],
        publish: Callable[[], Delivery],
        queues: Queues,
        callbacks: Callbacks,
    ) -> None:
        ids = joined(4)
        callbacks.answers[ids[2]] = [429]
        delivery = publish()
        # Whoever dies now forgets nobody.
        [task] = map(decode, queues.take())
        assert isinstance(task, Chunk)
        assert ([member.id for member in task.members], task.attempt) == ([ids[2]], 1)
        assert (delivery.delivered, delivery.queued) == (3, 1)

    def test_no_more_is_read_than_can_be_sent(
        self,
        joined: Callable[..., list[str]],
        publish: Callable[[], Delivery],
        tables: Tables,
        callbacks: Callbacks,
    ) -> None:
        ids = joined(60)
        callbacks.hanging = set(ids)
        with ThreadPoolExecutor() as pool, counted(tables.client) as requests:
            publishing = pool.submit(publish)
            reads = MOST_UNDER_WAY + 1
            assert eventually(lambda: callbacks.under_way == 5 * reads)
            assert requests["Query"] == reads
            callbacks.release()
        assert publishing.result().delivered == 60


def die_before_the_version(
    tables: Tables, change: Callable[[Connection, str], object], connection: Connection | None
) -> None:
    """Let a connection join or leave the lobby, and the Lambda die after the transaction that does it."""
    assert connection
    # The one request after the transaction is that for the version.
    crashes = Crashes(tables.client)
    crashes.after(1)
    with pytest.raises(Crash):
        change(connection, "lobby")
    crashes.after(None)


class TestCache:
    def members(self, cache: MemberCache, heads: Heads) -> list[str]:
        version = heads.read("lobby").members_version
        return [member.id for page in cache.pages("lobby", version) for member in page]

    @pytest.fixture
    def reads(self, tables: Tables, cache: MemberCache, heads: Heads) -> Callable[[], tuple[list[str], int]]:
        """Who is in the lobby, and in how many queries that was found."""

        def read() -> tuple[list[str], int]:
            with counted(tables.client) as requests:
                members = self.members(cache, heads)
            return members, requests["Query"]

        return read

    def test_members_are_read_again_when_somebody_came_or_went(
        self,
        joined: Callable[..., list[str]],
        reads: Callable[[], tuple[list[str], int]],
        connections: Connections,
    ) -> None:
        ids = joined(3)
        assert [reads(), reads()] == [(ids, 1), (ids, 0)]
        more = joined(1, first=3)
        assert [reads(), reads()] == [(ids + more, 1), (ids + more, 0)]
        connections.remove(ids[0])
        assert [reads(), reads()] == [(ids[1:] + more, 1), (ids[1:] + more, 0)]
        ann = connections.get(ids[1])
        assert ann
        connections.leave(ann, "lobby")
        assert reads() == (ids[2:] + more, 1)
        connections.join(ann, "cats")
        assert reads() == (ids[2:] + more, 0)

    def test_a_name_is_part_of_it(
        self,
        joined: Callable[..., list[str]],
        reads: Callable[[], tuple[list[str], int]],
        connections: Connections,
    ) -> None:
        [ann] = joined(1)
        reads()
        connection = connections.get(ann)
        assert connection
        connections.rename(connection, "ann")
        assert reads() == ([ann], 1)

    def test_who_expires_is_not_given(
        self, joined: Callable[..., list[str]], reads: Callable[[], tuple[list[str], int]], clock: Clock
    ) -> None:
        early = joined(1)
        clock.now += 7240
        late = joined(1, first=1)
        assert reads() == (early + late, 1)
        clock.now += 30
        assert reads() == (late, 0)

    @pytest.mark.parametrize("change", ["join", "leave"])
    def test_a_change_that_died_before_its_version_is_seen_after_some_time(
        self,
        joined: Callable[..., list[str]],
        reads: Callable[[], tuple[list[str], int]],
        connections: Connections,
        tables: Tables,
        clock: Clock,
        change: str,
    ) -> None:
        ids = joined(2)
        one = connections.get(ids[0])
        assert one
        if change == "join":
            connections.leave(one, "lobby")
        before, after = (ids[1:], ids) if change == "join" else (ids, ids[1:])
        assert reads() == (before, 1)
        changing = connections.join if change == "join" else connections.leave
        die_before_the_version(tables, changing, connections.get(ids[0]))
        assert reads() == (before, 0)
        clock.now += CACHE_SECONDS
        assert reads() == (after, 1)

    def test_a_join_that_is_asked_for_again_makes_up_for_its_version(
        self,
        joined: Callable[..., list[str]],
        reads: Callable[[], tuple[list[str], int]],
        connections: Connections,
        tables: Tables,
    ) -> None:
        ids = joined(2)
        one = connections.get(ids[0])
        assert one
        connections.leave(one, "lobby")
        reads()
        die_before_the_version(tables, connections.join, connections.get(ids[0]))
        after = connections.get(ids[0])
        assert after
        connections.join(after, "lobby")
        assert reads() == (ids, 1)

    def test_a_large_room_is_not_kept(
        self, joined: Callable[..., list[str]], reads: Callable[[], tuple[list[str], int]]
    ) -> None:
        joined(51)
        assert [reads()[1], reads()[1]] == [11, 11]

    def test_what_was_not_read_to_the_end_is_not_kept(
        self,
        joined: Callable[..., list[str]],
        reads: Callable[[], tuple[list[str], int]],
        cache: MemberCache,
        heads: Heads,
    ) -> None:
        ids = joined(8)
        next(cache.pages("lobby", heads.read("lobby").members_version))
        assert reads() == (ids, 2)

    def test_the_room_that_was_not_used_for_longest_makes_place(
        self, tables: Tables, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Pages:
            def __init__(self) -> None:
                self.read: list[str] = []

            def pages(self, room: str) -> Iterator[list[Member]]:
                self.read.append(room)
                yield [Member(f"{each}=", None, Form.JSON, 0, 10**11) for each in range(4)]

        monkeypatch.setattr(member_cache, "MOST_MEMBERS", 10)
        rooms = Pages()
        cache = MemberCache(rooms, CACHE_SECONDS, 50, clock)  # type: ignore[arg-type]
        for room in ("a", "b", "a", "c", "a", "b"):
            list(cache.pages(room, 1))
        assert rooms.read == ["a", "b", "c", "b"]

    def test_it_can_be_off(self, rooms: Rooms, joined: Callable[..., list[str]], tables: Tables) -> None:
        joined(1)
        cache = MemberCache(rooms, 0, 50)
        with counted(tables.client) as requests:
            for _ in range(2):
                list(cache.pages("lobby", 1))
        assert requests["Query"] == 2


def test_two_lambdas_agree_while_people_come_and_go(
    rooms: Rooms, heads: Heads, connections: Connections, joined: Callable[..., list[str]], clock: Clock
) -> None:
    """Who has joined before a version was read is given to whoever has that version."""
    joined(5)
    caches = [MemberCache(rooms, CACHE_SECONDS, 50, clock) for _ in range(2)]
    there: list[str] = []
    done = threading.Event()

    def come() -> None:
        for number in range(5, 40):
            there.extend(joined(1, first=number))
        done.set()

    with ThreadPoolExecutor() as pool:
        coming = pool.submit(come)
        while not done.is_set():
            for cache in caches:
                known = list(there)
                version = heads.read("lobby").members_version
                given = {member.id for page in cache.pages("lobby", version) for member in page}
                assert set(known) <= given
    coming.result()
