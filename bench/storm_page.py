"""What ``storm`` writes into docs/fan-out.md, and draws."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.report import DOCS, duration
from bench.svg import Line, chart

HEADING = "## Crowds and storms"
# At which times a curve has a point, in s: as many for each part of a logarithmic axis.
TIMES = (1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 60, 80, 100, 120)
# A logarithmic axis has no 0.
LEAST = 1.0
QUOTA = 10_000.0
LATENCY_BOUND = 3.0

Curve = Sequence[tuple[float, float]]


def write_page(text: str, results: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Put the report into docs/fan-out.md, and draw the curves that there are figures for."""
    page = DOCS / "fan-out.md"
    page.write_text(with_report(page.read_text(), text))
    if "storm" in results:
        lines = [
            Line(label, [(at, posts * factor) for at, posts in points(curve, mean=True)])
            for label, curve, factor in (
                ("before", before.get("storm", {}).get("posts_over_time", ()), before.get("factor", 1.0)),
                ("after", results["storm"]["posts_over_time"], results["storm"]["factor"]),
            )
            if curve
        ]
        quota = Line("what the account has", [(at, QUOTA) for at in ends(lines)])
        (DOCS / "storm-posts.svg").write_text(
            chart(
                "Posts a second while 5,000 come back",
                "seconds after all were cut",
                [*lines, quota],
                "{:,g}".format,
                "{:,.0f}".format,
            )
        )
    if "overload" in results:
        lines = [
            Line(label, points(curve, mean=False))
            for label, curve in (
                ("before", before.get("overload", {}).get("p99_over_time", ())),
                ("after", results["overload"]["p99_over_time"]),
            )
            if curve
        ]
        bound = Line("bound", [(at, LATENCY_BOUND) for at in ends(lines)])
        (DOCS / "storm-latency.svg").write_text(
            chart(
                "Until the last recipient has a message, at twice the quota (p99)",
                "seconds of overload",
                [*lines, bound],
                "{:,g}".format,
                duration,
            )
        )


def with_report(page: str, text: str) -> str:
    """Put a report into the block below the page's heading; a page without one gets both."""
    if HEADING not in page:
        page = f"{page.rstrip()}\n\n{HEADING}\n\n```text\n```\n"
    start = page.index("```text\n", page.index(HEADING)) + len("```text\n")
    return f"{page[:start]}{text}\n{page[page.index('```', start) :]}"


def points(curve: Curve, mean: bool) -> list[tuple[float, float]]:
    """Take the points of a curve that are drawn: the mean of what lies between them, or the most."""
    drawn = []
    last = 0.0
    for time in TIMES:
        between = [value for at, value in curve if last < at <= time]
        if between:
            value = sum(between) / len(between) if mean else max(between)
            drawn.append((float(time), max(LEAST if mean else 1e-3, value)))
            last = time
    return drawn


def ends(lines: Sequence[Line]) -> tuple[float, float]:
    """Where the longest line begins, and where it ends."""
    times = [at for line in lines for at, _ in line.points]
    return min(times), max(times)
