"""The parts of bench/fanout.py that only compute."""

from typing import Any
from xml.etree import ElementTree

import pytest

from bench.contender import Round, connection_ids
from bench.fanout import FULL, QUICK, Case, figures, growth
from bench.report import Bound, bounds, duration, table, with_report
from bench.svg import HEIGHT, WIDTH, Line, Scale, apart, chart, steps

SVG = "{http://www.w3.org/2000/svg}"


def test_figures_are_medians_of_the_warm_rounds() -> None:
    cold = [Round(wall=9.0, cpu=9.0, peak=1_000_000, opened=16), Round(8.0, 8.0, 1_000_000, 4)]
    warm = [Round(wall, wall / 2, 2_000_000, 0) for wall in (0.1, 5.0, 0.2)]
    assert figures(1_000, cold, warm) == {
        "wall_s": 0.2,
        "first_s": 9.0,
        "posts_per_s": 5_000,
        "cpu_us_per_post": 100.0,
        "peak_mb": 2.0,
        "connections": 20,
        "cold_rounds": 2,
        "rounds": 3,
    }


def test_growth_is_of_a_single_recipient() -> None:
    small = {"posts_per_s": 10_000, "cpu_us_per_post": 40.0}
    large = {"posts_per_s": 20_000, "cpu_us_per_post": 50.0}
    assert growth(small, large) == {"wall": 0.5, "CPU": 1.25}


@pytest.mark.parametrize("effort", [FULL, QUICK])
def test_what_decides_is_measured_in_any_case(effort: Any) -> None:
    for recipients in (1_000, 10_000):
        assert effort.rounds_of(Case("ours", recipients, 8)) >= 3
    assert effort.rounds_of(Case("ours", 1_000, 0)) >= 3
    assert effort.rounds_of(Case("chalice", 1_000, 0)) >= 2


def test_a_case_that_takes_long_is_left_out() -> None:
    assert FULL.rounds_of(Case("chalice", 1_000, 8)) == 1
    assert FULL.rounds_of(Case("chalice", 10_000, 8)) == 0
    assert QUICK.rounds_of(Case("chalice", 1_000, 8)) == 0


def row(**changes: float) -> dict[str, float]:
    return {
        **{"wall_s": 0.05, "first_s": 0.2, "posts_per_s": 20_000, "cpu_us_per_post": 25.0, "peak_mb": 44.0},
        **{"connections": 128, "rounds": 9},
        **changes,
    }


def result(**changes: Any) -> dict[str, Any]:
    return {
        "recipients": {"1000": {"0": {"ours": row(), "chalice": row(wall_s=0.9)}, "8": {"ours": row()}}},
        "ratio_posts_per_cpu_second": 20.0,
        "wall_1000_at_8ms_s": 0.1,
        "wall_10000_at_8ms_s": 0.7,
        "growth_1000_to_10000_at_8ms": {"wall": 1.0, "CPU": 1.0},
        "not_measured": ["chalice, 1,000 recipients at 8 ms"],
        "ceiling_posts_per_s": {0: 60_000, 8: 20_000},
        **{"concurrency": 128, "cores": 2, "client_core": 0, "sink_core": 1, "sink": "nginx/1.22.1"},
        **{"others_share": 0.02, "architecture": "x86_64", "python": "3.11.7", "openssl": "OpenSSL 3.0"},
        **changes,
    }


def test_a_figure_at_its_bound_meets_it() -> None:
    assert all(bound.met for bound in bounds(result()))


@pytest.mark.parametrize(
    "worse",
    [
        {"ratio_posts_per_cpu_second": 19.9},
        {"wall_1000_at_8ms_s": 0.101},
        {"wall_10000_at_8ms_s": 0.701},
        {"growth_1000_to_10000_at_8ms": {"wall": 1.01, "CPU": 1.0}},
        {"growth_1000_to_10000_at_8ms": {"wall": 1.0, "CPU": 1.01}},
    ],
)
def test_a_figure_past_its_bound_is_said_not_to_meet_it(worse: dict[str, Any]) -> None:
    missed = [bound for bound in bounds(result(**worse)) if not bound.met]
    assert len(missed) == 1
    assert str(missed[0]).endswith("NOT met")
    assert str(Bound("", 1, "<=", 1)).endswith("1 met")


def test_the_table_has_a_line_for_what_was_measured_and_none_for_what_was_not() -> None:
    lines = table(result()).splitlines()
    assert [line.split("  ")[0] for line in lines if "1,000  " in line] == [
        "send_many (ours)",
        "Chalice's send, in a loop",
        "send_many (ours)",
    ]
    assert lines[0].endswith("other processes took 2% of the cores")
    assert lines[2].endswith("60,000 at 0 ms, 20,000 at 8 ms")
    assert lines[-1] == "not measured, for it takes long: chalice, 1,000 recipients at 8 ms"


def test_a_report_takes_the_place_of_the_last_one_in_the_page() -> None:
    page = "# Page\n\n```console\n$ make\n```\n\n```text\nold\nold\n```\n\nThe rest.\n"
    assert with_report(page, "new") == page.replace("old\nold", "new")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0000247, "25 µs"), (0.00113, "1.1 ms"), (0.344, "340 ms"), (10.24, "10 s"), (2, "2 s")],
)
def test_a_duration_has_two_digits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_connection_ids_are_those_of_api_gateway_and_each_is_another() -> None:
    ids = connection_ids(10_000)
    assert len(set(ids)) == 10_000
    assert {len(id_) for id_ in ids} == {16}
    assert all(id_.endswith("=") for id_ in ids)
    assert connection_ids(10) == ids[:10]


def test_steps_are_1_2_and_5() -> None:
    assert steps(0.02, 3) == [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2]


def test_a_scale_goes_from_round_number_to_round_number() -> None:
    scale = Scale.around([23, 861, 70], 300.0, 0.0)
    assert (scale.low, scale.high) == (20, 1_000)
    assert (scale(20), scale(1_000)) == (300.0, 0.0)
    assert scale.ticks == [20, 50, 100, 200, 500, 1_000]


def test_a_scale_is_logarithmic() -> None:
    scale = Scale.around([10, 10_000], 0.0, 300.0)
    assert [scale(value) for value in (10, 100, 1_000, 10_000)] == [0.0, 100.0, 200.0, 300.0]
    assert scale.ticks == [10, 100, 1_000, 10_000]


@pytest.mark.parametrize("value", [0.013, 1, 20])
def test_a_scale_of_one_value_has_a_length(value: float) -> None:
    scale = Scale.around([value], 0.0, 300.0)
    assert scale.low <= value <= scale.high
    assert scale.low < scale.high


def test_labels_move_apart_only_where_they_meet() -> None:
    assert apart([(600.0, 100.0), (600.0, 90.0), (400.0, 95.0), (600.0, 300.0)]) == [106.0, 90.0, 95.0, 300.0]


def test_a_chart_shows_every_point_and_lies_within_its_frame() -> None:
    lines = [Line("a & b", [(10, 1.0), (100, 20.0)]), Line("c", [(10, 3.0)])]
    drawn = chart("Title <1>", "recipients", lines, "{:g}".format, "{:g} s".format)
    assert drawn == chart("Title <1>", "recipients", lines, "{:g}".format, "{:g} s".format)
    root = ElementTree.fromstring(drawn)
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"Title <1>", "recipients", "a & b", "c", "20 s", "3 s"} <= set(texts)
    points = [line.get("points", "").split() for line in root.iter(f"{SVG}polyline")]
    assert [len(each) for each in points] == [2, 1]
    for point in (point for each in points for point in each):
        x, y = map(float, point.split(","))
        assert 0 < x < WIDTH
        assert 0 < y < HEIGHT
