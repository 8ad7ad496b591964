"""What bench/storm.py makes of figures: bounds, a report, curves and a page."""

import json
from typing import Any

import pytest

from bench.scenarios.effort import missing
from bench.scenarios.frames import Frames
from bench.scenarios.ledger import Ledger, percentile
from bench.scenarios.overload import over_time
from bench.scenarios.stage import scaled_settings
from bench.storm import BEFORE, KEPT, calm_figures, compared
from bench.storm_page import HEADING, ends, points, with_report
from bench.storm_report import SCENARIOS, Row, report, within_bounds
from bench.svg import Line
from chalicelib.config import Settings
from tests.rig.limits import METERED


@pytest.mark.parametrize(
    ("sign", "value", "met"),
    [
        ("<=", 0.2, True),
        ("<=", 0.21, False),
        (">=", 0.2, True),
        (">=", 0.19, False),
        ("<=", None, False),
        (None, None, True),
    ],
)
def test_a_figure_is_held_to_its_bound(sign: Any, value: float | None, met: bool) -> None:
    assert Row("posts", "posts", sign, 0.2).met({"posts": value}) is met


def figures(name: str) -> dict[str, Any]:
    """Figures of a scenario that are all at their bounds."""
    cells = {"requests": 20.0, "posts": 10.0, "units": 20.0, "reads": 1.0, "writes": 2.0}
    table = {"table": {"ping": {"10": cells, "1000": cells}}} if name == "hostile" else {}
    return {row.key: row.bound for row in SCENARIOS[name].rows} | table


class TestReport:
    def test_all_is_within_bounds_if_each_figure_is(self) -> None:
        results = {name: figures(name) for name in SCENARIOS}
        assert within_bounds(results)
        for name, scenario in SCENARIOS.items():
            for row in scenario.rows:
                if row.sign is not None:
                    worse = row.bound + (0.1 if row.sign == "<=" else -0.1)
                    assert not within_bounds({**results, name: {**results[name], row.key: worse}})

    def test_it_says_what_was_before_and_what_is_not_met(self) -> None:
        text = report({"busy": {**figures("busy"), "p99_s": 1.5}}, {"busy": {"p99_s": 37.18}}, ["2 cores"])
        [line] = [line for line in text.splitlines() if "p99" in line]
        assert line.split()[-5:] == ["1.5", "<=", "1", "NOT", "met"]
        assert "37.18" in line
        assert text.startswith("2 cores")

    def test_each_action_has_a_line(self) -> None:
        text = report({"hostile": figures("hostile")}, {}, [])
        [line] = [line for line in text.splitlines() if "ping" in line]
        assert "20 / 20" in line


class TestCalm:
    def kinds(self, latency: float, writes: int) -> dict[str, list[dict[str, float]]]:
        one = {
            "latency_s": latency,
            "reads": 0,
            "writes": writes,
            "read_units": 0.0,
            "write_units": float(writes),
        }
        slow = {**one, "latency_s": 9.0, "reads": 1}
        return {"plain": [one, one, slow], "ref": [one, slow, {**one, "writes": writes + 1}, one]}

    def test_medians_are_held_against_those_of_the_same_run(self) -> None:
        after, before = (calm_figures(self.kinds(*each)) for each in ((0.033, 4), (0.03, 3)))
        held = compared({"after": after, "before": before})
        assert held["ratio"] == pytest.approx(1.1)
        assert held["more_writes"] == 1
        assert held["reads"] == 0

    def test_without_the_code_before_nothing_is_compared(self) -> None:
        held = compared({"after": calm_figures(self.kinds(0.03, 4))})
        assert "ratio" not in held


class TestLedger:
    def test_the_last_of_those_who_stayed_counts(self) -> None:
        ledger = Ledger()
        said = ledger.say("lobby", "hi", frozenset("abc"))
        for socket in "ab":
            ledger.heard(socket, "hi", 1)
        assert said.missed_by({"c": 1})
        assert not said.missed_by({"a": 1})
        said.at, said.last = 100.0, 100.5
        assert ledger.latencies({"a": 1, "b": 1}) == [(100.0, 0.5)]
        [(at, took)] = ledger.latencies({"c": 1})
        assert at == 100.0
        assert took != 0.5

    def test_who_was_not_there_is_not_waited_for(self) -> None:
        ledger = Ledger()
        said = ledger.say("lobby", "hi", frozenset("a"))
        ledger.heard("b", "hi", 1)
        assert said.accepted
        assert said.missed_by({"a": 1, "b": 1})

    def test_what_is_missing_was_accepted_and_said_while_somebody_was_there(self) -> None:
        class Somebody:
            since = 50.0
            has = frozenset({"heard"})

        ledger = Ledger()
        for at, text in ((10.0, "before"), (60.0, "heard"), (70.0, "refused"), (80.0, "lost")):
            said = ledger.say("lobby", text, frozenset("a"))
            said.at, said.accepted = at, text != "refused"
        assert [said.text for said in missing(ledger.of("lobby"), Somebody())] == ["lost"]


def test_a_percentile_is_a_value_that_there_was() -> None:
    assert percentile([], 0.5) == 0.0
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(each) for each in range(100)], 0.99) == 99.0


def test_frames_are_billed_by_32_kb() -> None:
    frames = Frames()
    assert frames.read('{"type": "pong"}').units == 1
    assert frames.read(json.dumps({"type": "messages", "of": "x" * METERED})).units == 2
    assert frames.read('{"message": "Too Many Requests"}').type == ""


def test_settings_that_count_are_scaled_as_far_as_the_app_has_them() -> None:
    scaled = scaled_settings(10)
    assert scaled["CHAT_INLINE_RECIPIENTS"] == "500"
    assert scaled["CHAT_MAX_CONCURRENCY"] == "26"
    assert Settings.from_env(scaled).inline_recipients == 500
    assert scaled_settings(1e9)["CHAT_INLINE_RECIPIENTS"] == "1"


class TestPage:
    def test_a_report_goes_below_its_heading(self) -> None:
        page = f"# Fan-out\n\n```text\nfirst\n```\n\n{HEADING}\n\nWords.\n\n```text\nold\n```\n\nMore.\n"
        assert with_report(page, "new") == page.replace("old", "new")

    def test_a_page_without_a_heading_gets_one(self) -> None:
        page = with_report("# Fan-out\n", "new")
        assert page == f"# Fan-out\n\n{HEADING}\n\n```text\nnew\n```\n"
        assert with_report(page, "newer") == page.replace("new", "newer")

    def test_a_curve_has_few_points(self) -> None:
        curve = [(float(second), float(second % 2)) for second in range(1, 60)]
        drawn = points(curve, mean=True)
        assert [at for at, _ in drawn] == [1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 60]
        # No logarithmic axis has a 0.
        assert all(value > 0 for _, value in drawn)
        assert points(curve, mean=False)[-1] == (60.0, 1.0)

    def test_a_bound_is_drawn_from_end_to_end(self) -> None:
        assert ends([Line("a", [(2.0, 1.0), (9.0, 1.0)]), Line("b", [(1.0, 1.0)])]) == (1.0, 9.0)

    def test_a_percentile_of_each_step(self) -> None:
        latencies = [(0.1, 1.0), (0.9, 2.0), (1.5, 3.0), (3.2, 4.0)]
        assert over_time(latencies, 1.0) == [(1.0, 2.0), (2.0, 3.0), (4.0, 4.0)]


def test_figures_are_kept_from_before() -> None:
    kept = json.loads(KEPT.read_text())
    assert kept.keys() == {*SCENARIOS, "factor", "machine"}
    assert len(BEFORE) == 40
    for name, scenario in SCENARIOS.items():
        if name != "calm":
            assert not within_bounds({name: kept[name]}), f"{name} showed nothing"
        assert {row.key for row in scenario.rows} - kept[name].keys() <= {"ratio", "more_writes"}
