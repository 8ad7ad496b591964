"""The people and the scenarios of bench/storm.py, on the app as it is, small and short."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path

import pytest

from bench.scenarios.effort import Effort, lost
from bench.scenarios.stage import ENDPOINT, Stage, Time
from bench.storm import Player, app_of, play_calm
from bench.storm_report import SCENARIOS
from tests.rig.asynchronous import asynchronous
from tests.rig.limits import Limits

PROJECT = Path(__file__).parents[2]
AMPLE = Limits()


@pytest.fixture(autouse=True)
def posts_go_to_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a stage sets in the environment is gone after the test."""
    monkeypatch.setenv(ENDPOINT, "")


class TestPeople:
    @asynchronous
    async def test_hear_each_other(self) -> None:
        async with Stage(AMPLE) as stage:
            people = [stage.person(name) for name in ("ann", "bob", "eve")]
            await stage.gather(people)
            said = people[0].say("hi")
            assert await people[0].heard_by_all(said) < 5
            await stage.rest()
            assert said.accepted
            assert stage.sockets.posted == {"message": 3, "ack": 1}
            assert stage.account.taken == {"frame": 1, "post": 4}
            assert stage.account.metered == {"in": 1, "out": 4}
            assert await lost(stage, people) == 0

    @asynchronous
    async def test_gather_unheard(self) -> None:
        async with Stage(AMPLE) as stage:
            await stage.gather([stage.person(f"user{number}") for number in range(5)])
            assert not stage.sockets.posted
            assert len(stage.sockets.open) == len(stage.items("CHAT_TABLE")) == 5

    @asynchronous
    async def test_understand_several_messages_in_a_frame(self) -> None:
        async with Stage(AMPLE) as stage:
            ann, bob = stage.person("ann"), stage.person("bob")
            await stage.gather([ann, bob])
            assert bob.socket is not None
            messages = [
                {"room": "lobby", "seq": seq, "epoch": "e", "message": f"{seq}".ljust(80, ".")}
                for seq in (1, 2)
            ]
            said = [stage.ledger.say("lobby", each["message"], {bob.socket.id}) for each in messages]
            bob.socket.receive(json.dumps({"type": "messages", "room": "lobby", "messages": messages}))
            assert bob.settled == 2
            assert not any(each.missed_by(stage.rooms["lobby"]) for each in said)

    @asynchronous
    async def test_that_come_back_have_what_was_said_meanwhile(self) -> None:
        async with Stage(AMPLE) as stage:
            ann, bob = stage.person("ann"), stage.person("bob")
            await stage.gather([ann, bob])
            await ann.heard_by_all(ann.say("before"))
            bob.cut()
            said = ann.say("meanwhile")
            await ann.heard_by_all(said)
            await bob.connect()
            assert said.text not in bob.has
            await bob.resume()
            assert said.text in bob.has

    @asynchronous
    async def test_come_back_when_they_are_told_goodbye(self) -> None:
        async with Stage(AMPLE) as stage:
            ann = stage.person("ann")
            await stage.gather([ann])
            assert ann.socket is not None
            ann.socket.receive('{"type": "goodbye", "code": "slow_reader", "retryAfter": 0}')
            assert ann.socket is None
            await until(lambda: ann.socket is not None)
            await stage.rest()
            assert ann.connects == 2

    @asynchronous
    async def test_say_again_what_was_refused(self) -> None:
        async with Stage(AMPLE) as stage:
            ann = stage.person("ann")
            await stage.gather([ann])
            while stage.account.frame(1):
                pass
            said = ann.say("hi")
            assert stage.account.refused["frame"] >= 1
            await ann.heard_by_all(said)
            await until(lambda: said.accepted)

    @asynchronous
    async def test_whom_a_message_does_not_reach_live_miss_it_unless_it_is_kept(self) -> None:
        for days, missed in (("30", 0), ("0", 1)):
            async with Stage(AMPLE, {"CHAT_HISTORY_DAYS": days}) as stage:
                ann, deaf = stage.person("ann"), stage.person("deaf")
                await stage.gather([ann, deaf])
                deaf.read_no_more()
                await ann.heard_by_all(ann.say("hi"))
                assert deaf.has == set()
                assert await lost(stage, [ann]) == 0
                assert await lost(stage, [ann, deaf]) == missed

    @asynchronous
    async def test_die_without_a_word(self) -> None:
        clock = Time()
        async with Stage(AMPLE, clock=clock) as stage:
            ann, bob = stage.person("ann"), stage.person("bob")
            await stage.gather([ann, bob])
            clock.skip(120)
            bob.cut(farewell=False)
            await stage.rest()
            assert len(stage.items("CHAT_TABLE")) == 2
            await ann.heard_by_all(ann.say("hi"))
            await until(lambda: len(stage.items("CHAT_TABLE")) == 1)


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    while not condition():
        await asyncio.sleep(0.01)


class Glimpse(Effort):
    """As small and short as can be."""

    def seconds(self, full: float, quick: float) -> float:
        return 1.0


# What of each scenario takes long, however small it is.
SHORT = {
    "storm": {"PEOPLE": 1_000, "PAUSE": 0.1, "PATIENCE": 20.0},
    "dead": {"PEOPLE": 500, "DEAD": 200, "HEALTHY": 1, "TIMES": 1, "PAUSE": 0.1, "ONCE_IN_A_WHILE": 0.5},
    "slow": {"MESSAGES": 2},
    "hostile": {"MEMBERS": (2, 4), "QUICK_FRAMES": 1},
}


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "calm"])
def test_a_scenario_has_the_figures_that_it_is_held_to(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = import_module(f"bench.scenarios.{name}")
    for constant, value in SHORT.get(name, {}).items():
        monkeypatch.setattr(scenario, constant, value)

    async def played() -> None:
        figures = await scenario.play(Glimpse(factor=50.0, quick=True))
        assert {row.key for row in SCENARIOS[name].rows} <= figures.keys()
        assert figures.get("lost", 0) == 0
        json.dumps(figures)

    test: Callable[[], Awaitable[None]] = played
    asynchronous(test, 60)()


def test_two_versions_of_the_app_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.storm.QUICK_CALM", 1)
    monkeypatch.setattr("bench.storm.CALM_SECONDS", 0.2)
    players = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        players.append(Player(app_of(PROJECT, tmp_path / name), quick=True))
    figures = play_calm(*players, quick=True)
    assert {row.key for row in SCENARIOS["calm"].rows} <= figures.keys()
    assert figures["more_writes"] == 0


def test_a_player_plays_another_checkouts_app(tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "chalicelib").mkdir(parents=True)
    (other / "chalicelib" / "__init__.py").write_text("raise RuntimeError('another one')")
    for name in ("app.py", "resources.json"):
        (other / name).write_text("")
    (tmp_path / "app").mkdir()
    with pytest.raises(Exception, match="another one"):
        Player(app_of(other, tmp_path / "app"), quick=True).play("busy", 100.0)
