"""A pool on a clock that jumps from event to event: what its sendings take, and what becomes of the pace."""

import asyncio
import random
import selectors
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from chalicelib.gateway import pool as pool_module
from chalicelib.gateway.pace import QUIET_SECONDS, Pace
from chalicelib.gateway.pool import Pool
from chalicelib.gateway.refusals import MEMORY_SECONDS
from chalicelib.gateway.sending import Sending, SendResult
from chalicelib.gateway.signer import SignedPost
from tests.unit.test_signer import AWS, REGION, Keys

T = TypeVar("T")

MOST = 256


class Unsigned(SignedPost):
    """Costs no time of its own."""

    def to(self, connection_id: str) -> bytes:
        return b""


POST = Unsigned(AWS, b"hi", Keys(), REGION, 0)


class Jumping(selectors.SelectSelector):
    """Does not wait for the time to pass, but lets it have passed."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing will ever happen"
        self.passed += max(0.0, timeout)
        return super().select(0)


class Clock:
    """A loop on virtual time, and the Unix time beside it; a context manager.

    Attributes:
        frozen: For how long the process has been frozen, which the loop's clock knows nothing of; in s.
    """

    def __init__(self) -> None:
        self._selector = Jumping()
        self.loop = asyncio.SelectorEventLoop(self._selector)
        self.loop.time = lambda: self._selector.passed  # type: ignore[method-assign]
        self.frozen = 0.0

    def time(self) -> float:
        return 1.7e9 + self.loop.time() + self.frozen

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    random.seed(1)
    clock = Clock()
    monkeypatch.setattr(pool_module, "time", clock)
    yield clock
    clock.loop.close()


@dataclass
class Quota:
    """An account's requests a second, with a tenth of a second's as a burst."""

    per_second: float
    tokens: float = 0.0
    filled_at: float = 0.0

    def take(self, now: float) -> bool:
        tokens = self.tokens + (now - self.filled_at) * self.per_second
        self.tokens, self.filled_at = min(tokens, self.per_second / 10), now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass
class Gateway:
    """API Gateway.

    Attributes:
        seconds: How long a post takes to and fro; ``seconds_of`` for single connections.
        slow: Connections whose buffers are full.
        posts: How many there were, by connection.
        refuse: Said for a connection, whether the next post to it is throttled for the account.
    """

    clock: Clock
    seconds: float = 0.008
    seconds_of: dict[str, float] = field(default_factory=dict)
    slow: frozenset[str] = frozenset()
    posts: Counter[str] = field(default_factory=Counter)
    refuse: Callable[[str], bool] = lambda _: False

    def answer(self, connection_id: str) -> int:
        self.posts[connection_id] += 1
        return 429 if self.refuse(connection_id) or connection_id in self.slow else 200


class Connection:
    """Stands for ``HttpConnection``."""

    def __init__(self, gateway: Gateway, answered: Callable[["Connection", int], None]) -> None:
        self.job: Any = None
        self.posted_at = self.idle_since = 0.0
        self.rested = False
        self.is_open = True
        self._gateway = gateway
        self._answered = answered

    def send(self, request: bytes, job: Any, now: float) -> None:
        self.job, self.posted_at = job, now
        self._seconds = self._gateway.seconds_of.get(job[1], self._gateway.seconds)
        self._gateway.clock.loop.call_later(self._seconds / 2, self._arrive, job)

    def take_job(self) -> Any:
        job, self.job = self.job, None
        return job

    def close(self) -> None:
        self.is_open = False

    def _arrive(self, job: Any) -> None:
        status = self._gateway.answer(job[1])
        self._gateway.clock.loop.call_later(self._seconds / 2, self._return, job, status)

    def _return(self, job: Any, status: int) -> None:
        if self.is_open and self.job is job:
            self._answered(self, status)


class ClockedPool(Pool):
    """A pool whose connections lead to a ``Gateway``."""

    def __init__(self, gateway: Gateway) -> None:
        self.pace = Pace(MOST)
        super().__init__(None, None, self.pace)  # type: ignore[arg-type]  # nobody asks for an address
        self._gateway = gateway

    async def send(self, connection_ids: Sequence[str], seconds: float = 5.0) -> SendResult:
        sending = Sending(POST, connection_ids, self._gateway.clock.loop.time() + seconds)
        self.start(sending)
        return await asyncio.wrap_future(sending.future)

    async def _connect(self) -> Any:
        return Connection(self._gateway, self._answered)


def ids(number: int, name: str = "c") -> list[str]:
    return [f"{name}{each}" for each in range(number)]


async def warm(gateway: Gateway, size: int) -> ClockedPool:
    """A pool with connections enough for so many posts."""
    pool = ClockedPool(gateway)
    for _ in range(3):
        assert len((await pool.send(ids(size, "warm"))).delivered) == size
    return pool


@dataclass
class Rounds:
    """What a hundred sendings to the same room were like: the time that each took, in s, and the results."""

    seconds: list[float]
    results: list[SendResult]
    concurrency: float


async def a_hundred(gateway: Gateway, size: int) -> Rounds:
    pool = await warm(gateway, size)
    rounds = Rounds([], [], 0.0)
    for _ in range(100):
        began = gateway.clock.loop.time()
        rounds.results.append(await pool.send(ids(size)))
        rounds.seconds.append(gateway.clock.loop.time() - began)
        await asyncio.sleep(0.5)
    rounds.concurrency = pool.pace.concurrency
    return rounds


class TestSlowSocket:
    @pytest.mark.parametrize(("size", "slow"), [(1000, 1), (200, 1), (200, 10), (1000, 50)])
    def test_it_holds_up_nobody(self, clock: Clock, size: int, slow: int) -> None:
        healthy = clock.run(a_hundred(Gateway(clock), size))
        everyone = ids(size)
        those = set(random.sample(everyone, slow))
        gateway = Gateway(clock, slow=frozenset(those))
        rounds = clock.run(a_hundred(gateway, size))
        assert sum(rounds.seconds) < 1.1 * sum(healthy.seconds)
        # From when it is known, no sending takes longer at all.
        assert max(rounds.seconds[5:]) <= 1.01 * max(healthy.seconds)
        for result in rounds.results:
            assert sorted(result.delivered) == sorted(set(everyone) - those)
            assert set(result.slow + result.unsure + result.throttled) == those
            assert result.failed == {}
        assert {len(result.slow) for result in rounds.results[5:]} == {slow}
        assert sum(gateway.posts[each] for each in those) <= 104 * slow
        assert rounds.concurrency == MOST

    def test_one_of_many_is_found_out_at_once(self, clock: Clock) -> None:
        rounds = clock.run(a_hundred(Gateway(clock, slow=frozenset({"c7"})), 200))
        assert [result.slow for result in rounds.results[1:]] == [["c7"]] * 99

    def test_in_a_small_room_it_takes_some_sendings(self, clock: Clock) -> None:
        gateway = Gateway(clock, slow=frozenset({"c7"}))
        rounds = clock.run(a_hundred(gateway, 20))
        assert [result.slow for result in rounds.results[5:]] == [["c7"]] * 95
        assert [result.unsure for result in rounds.results[:1]] == [["c7"]]
        assert max(rounds.seconds) < 0.2
        assert rounds.concurrency == MOST

    def test_it_is_served_again_once_it_reads(self, clock: Clock) -> None:
        async def work() -> None:
            gateway = Gateway(clock, slow=frozenset({"c7"}))
            pool = await warm(gateway, 200)
            await pool.send(ids(200))
            assert (await pool.send(ids(200))).slow == ["c7"]
            gateway.slow = frozenset()
            assert len((await pool.send(ids(200))).delivered) == 200

        clock.run(work())

    def test_what_others_are_answered_while_it_waits_counts(self, clock: Clock) -> None:
        async def work() -> None:
            # So long that no answer from before a post counts after it.
            gateway = Gateway(clock, seconds=0.002, seconds_of={"slow": 0.2}, slow=frozenset({"slow"}))
            pool = await warm(gateway, 200)
            slow = asyncio.ensure_future(pool.send(["slow"]))
            for number in (1, 2):
                while gateway.posts["slow"] < number:
                    assert not slow.done()
                    await asyncio.sleep(0.001)
                # It is refused now.
                await asyncio.sleep(0.101)
                assert not slow.done()
                await pool.send(ids(200))
            assert (await slow).slow == ["slow"]
            assert gateway.posts["slow"] == 2

        clock.run(work())


class TestLittleTraffic:
    @pytest.mark.parametrize("size", [1, 2, 3])
    def test_nobody_is_slow_where_everybody_is_refused(self, clock: Clock, size: int) -> None:
        async def work() -> None:
            gateway = Gateway(clock)
            pool = await warm(gateway, 5)
            gateway.refuse = lambda _: True
            for number in range(50):
                result = await pool.send(ids(size, f"r{number % 2}c"))
                assert (len(result.throttled + result.unsure), result.slow) == (size, [])
                await asyncio.sleep(0.1)

        clock.run(work())

    def test_a_reply_that_is_refused_cuts_nothing_and_is_given_up_soon(self, clock: Clock) -> None:
        async def work() -> None:
            gateway = Gateway(clock, slow=frozenset({"c0"}))
            pool = await warm(gateway, 5)
            for _ in range(20):
                began = clock.loop.time()
                assert (await pool.send(["c0"])).throttled == ["c0"]
                assert clock.loop.time() - began < 0.2
            assert gateway.posts["c0"] == 80
            assert pool.pace.concurrency == MOST

        clock.run(work())


class TestThrottledAccount:
    def test_the_pace_is_cut_and_everybody_is_served(self, clock: Clock) -> None:
        async def work() -> None:
            gateway = Gateway(clock)
            pool = await warm(gateway, 200)
            # Of each connection the first post, or the first two.
            gateway.refuse = lambda connection_id: gateway.posts[connection_id] <= int(connection_id[1:]) % 3
            result = await pool.send(ids(200))
            assert len(result.delivered) == 200
            cut = pool.pace.concurrency
            assert cut < MOST
            gateway.refuse = lambda _: False
            began = clock.loop.time()
            await pool.send(ids(200))
            assert clock.loop.time() - began < QUIET_SECONDS / 4
            assert cut < pool.pace.concurrency < MOST

        clock.run(work())

    def test_one_that_is_refused_shortly_afterwards_cuts_nothing(self, clock: Clock) -> None:
        async def work() -> None:
            gateway = Gateway(clock, slow=frozenset({"slow"}))
            pool = await warm(gateway, 20)
            gateway.refuse = lambda connection_id: connection_id != "slow"
            await pool.send(ids(20), seconds=0.02)
            cut = pool.pace.concurrency
            assert cut == MOST / 2
            await pool.send(["slow"])
            assert gateway.posts["slow"] > 4
            assert pool.pace.concurrency == cut

        clock.run(work())

    def test_a_room_of_which_half_is_refused_waits_for_one_backoff(self, clock: Clock) -> None:
        async def work() -> None:
            gateway = Gateway(clock)
            pool = await warm(gateway, 20)
            await asyncio.sleep(0.2)
            gateway.refuse = lambda connection_id: int(connection_id[1:]) % 2 == gateway.posts[connection_id]
            began = clock.loop.time()
            assert len((await pool.send(ids(20))).delivered) == 20
            assert clock.loop.time() - began < 0.15

        clock.run(work())

    def test_nearly_all_of_the_quota_is_used_and_no_room_starves(self, clock: Clock) -> None:
        per_second, seconds, rooms, lambdas = 2500, 6.0, 50, 16
        gateway = Gateway(clock)
        quota = Quota(per_second)
        gateway.refuse = lambda _: not quota.take(clock.loop.time())
        rounds: Counter[int] = Counter()
        took: list[float] = []

        async def talk(room: int, pool: ClockedPool) -> int:
            """Send one round after another; return how many were left to somebody else."""
            left = 0
            while clock.loop.time() < seconds:
                began = clock.loop.time()
                result = await pool.send(ids(20, f"room{room}-"))
                took.append(clock.loop.time() - began)
                assert result.slow == []
                assert result.failed == {}
                left += len(result.throttled)
                rounds[room] += 1
            return left

        async def work() -> int:
            pools = [ClockedPool(gateway) for _ in range(lambdas)]
            return sum(await asyncio.gather(*(talk(room, pools[room % lambdas]) for room in range(rooms))))

        left = clock.run(work())
        delivered = 20 * rounds.total() - left
        assert delivered >= 0.8 * per_second * clock.loop.time()
        assert left < delivered / 100
        assert min(rounds.values()) > max(rounds.values()) / 4
        assert sorted(took)[len(took) * 99 // 100] < 1.5
        # Refused posts are no great part of all.
        assert gateway.posts.total() < 3 * delivered

    def test_at_the_deadline_what_was_refused_is_left(self, clock: Clock) -> None:
        async def work() -> None:
            gateway = Gateway(clock)
            pool = await warm(gateway, 20)
            gateway.refuse = lambda _: True
            began = clock.loop.time()
            result = await pool.send(ids(20), seconds=0.3)
            assert clock.loop.time() - began <= 0.31
            assert len(result.throttled) >= 15
            # Their answers were to come.
            assert set(result.failed.values()) <= {"timeout"}
            assert result.left == set(ids(20))

        clock.run(work())

    def test_at_the_deadline_what_was_sent_again_may_have_arrived(self, clock: Clock) -> None:
        async def work() -> None:
            gateway = Gateway(clock)
            pool = await warm(gateway, 20)

            def refuse(connection_id: str) -> bool:
                gateway.seconds_of[connection_id] = 1.0
                return True

            gateway.refuse = refuse
            result = await pool.send(["c0"], seconds=0.5)
            assert (result.failed, result.throttled) == ({"c0": "timeout"}, [])
            assert gateway.posts["c0"] == 1

        clock.run(work())

    def test_a_lambda_that_sends_little_recovers_in_seconds(self, clock: Clock) -> None:
        async def work() -> None:
            gateway = Gateway(clock)
            pool = await warm(gateway, 20)
            await self.cut(gateway, pool)
            for _ in range(10):
                await asyncio.sleep(0.6)
                await pool.send(["c0"])
            assert pool.pace.concurrency == MOST

        clock.run(work())

    def test_a_freeze_is_time_too(self, clock: Clock) -> None:
        async def work() -> None:
            gateway = Gateway(clock)
            pool = await warm(gateway, 20)
            await self.cut(gateway, pool)
            await pool.send(["c0"])
            assert pool.pace.concurrency < MOST / 4
            clock.frozen += 10 * QUIET_SECONDS
            await pool.send(["c0"])
            assert pool.pace.concurrency == MOST

        clock.run(work())

    @staticmethod
    async def cut(gateway: Gateway, pool: ClockedPool) -> None:
        gateway.refuse = lambda _: True
        for number in range(12):
            await pool.send(ids(20, f"r{number}c"), seconds=0.2)
        gateway.refuse = lambda _: False
        assert pool.pace.concurrency == 1


class TestFreeze:
    def test_what_was_answered_before_it_says_nothing_of_now(self, clock: Clock) -> None:
        async def work() -> None:
            gateway = Gateway(clock)
            pool = await warm(gateway, 200)
            gateway.refuse = lambda connection_id: connection_id == "c0"
            for _ in range(20):
                await pool.send(ids(200, "d"))
                # Less than the answers count for, but for the freeze.
                clock.frozen += 1.0
                assert (await pool.send(["c0"])).throttled == ["c0"]

        clock.run(work())

    def test_a_slow_socket_is_known_after_it_for_a_while(self, clock: Clock) -> None:
        async def work() -> None:
            gateway = Gateway(clock, slow=frozenset({"c0"}))
            pool = await warm(gateway, 200)
            assert (await pool.send(ids(200))).slow == ["c0"]
            clock.frozen += MEMORY_SECONDS / 2
            assert (await pool.send(["c0"])).slow == ["c0"]
            clock.frozen += 1.5 * MEMORY_SECONDS
            assert (await pool.send(["c0"])).throttled == ["c0"]

        clock.run(work())
