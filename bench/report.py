"""What ``fanout`` prints and draws of its figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.svg import Line, chart

DOCS = Path(__file__).resolve().parent.parent / "docs"
LABELS = {"ours": "send_many (ours)", "chalice": "Chalice's send, in a loop", "threads": "boto3, 32 threads"}
HEAD = ("recipients", "wall ms", "first ms", "posts/s", "CPU us/post", "peak MB", "sockets", "rounds")
ROW = "{:27}{:>11}{:>9}{:>10}{:>9}{:>13}{:>9}{:>9}{:>8}"


@dataclass(frozen=True)
class Bound:
    """A figure, and what it is held to."""

    what: str
    measured: float
    sign: Literal["<=", ">="]
    bound: float

    @property
    def met(self) -> bool:
        """Whether it is within the bound."""
        return self.measured <= self.bound if self.sign == "<=" else self.measured >= self.bound

    def __str__(self) -> str:
        verdict = "met" if self.met else "NOT met"
        return f"{self.what:66}{self.measured:>9g}   {self.sign} {self.bound:g} {verdict}"


def bounds(result: Mapping[str, Any]) -> list[Bound]:
    """Hold the figures to what fan-out is to be."""
    grown = result["growth_1000_to_10000_at_8ms"]
    return [
        Bound(
            "posts per CPU second, over those of Chalice's send, 1,000 at 0 ms",
            result["ratio_posts_per_cpu_second"],
            ">=",
            20,
        ),
        Bound("wall s, 1,000 recipients at 8 ms", result["wall_1000_at_8ms_s"], "<=", 0.1),
        Bound("wall s, 10,000 recipients at 8 ms", result["wall_10000_at_8ms_s"], "<=", 0.7),
        Bound("wall of a recipient at 8 ms, among 10,000 over among 1,000", grown["wall"], "<=", 1),
        Bound("CPU of a recipient at 8 ms, among 10,000 over among 1,000", grown["CPU"], "<=", 1),
    ]


def table(result: Mapping[str, Any]) -> str:
    """Render the figures, below what they were measured on."""
    ceiling = ", ".join(f"{rate:,} at {delay} ms" for delay, rate in result["ceiling_posts_per_s"].items())
    lines = [
        f"{result['cores']} cores ({result['architecture']}): clients on core {result['client_core']}, "
        f"sink on core {result['sink_core']}; other processes took {result['others_share']:.0%} of the cores",
        f"Python {result['python']}, {result['openssl']}, {result['sink']}",
        f"the sink takes, from wrk on {result['concurrency']} connections, in posts/s at best: {ceiling}",
    ]
    for delay in result["ceiling_posts_per_s"]:
        lines += ["", ROW.format(f"a post takes {delay} ms", *HEAD)]
        lines += [
            ROW.format(
                label,
                f"{int(recipients):,}",
                f"{row['wall_s'] * 1000:,.1f}",
                f"{row['first_s'] * 1000:,.1f}",
                f"{row['posts_per_s']:,}",
                f"{row['cpu_us_per_post']:,.1f}",
                f"{row['peak_mb']:,.1f}",
                row["connections"],
                row["rounds"],
            )
            for name, label in LABELS.items()
            for recipients, by_delay in result["recipients"].items()
            if (row := by_delay[str(delay)].get(name))
        ]
    if result["not_measured"]:
        lines += ["", f"not measured, for it takes long: {'; '.join(result['not_measured'])}"]
    return "\n".join(lines)


def report(result: Mapping[str, Any]) -> str:
    """Render the table, and the bounds below it."""
    return "\n".join([table(result), "", *map(str, bounds(result))])


def with_report(page: str, text: str) -> str:
    """Put a report into a page, in place of the one in its only block of ``text``."""
    before, _, rest = page.partition("```text\n")
    return f"{before}```text\n{text}\n{rest[rest.index('```') :]}"


def write_page(result: Mapping[str, Any]) -> None:
    """Put the figures into docs/fan-out.md, and draw its charts."""
    page = DOCS / "fan-out.md"
    page.write_text(with_report(page.read_text(), report(result)))
    (DOCS / "fan-out-wall.svg").write_text(
        chart(
            "Wall time until all recipients have a message, 8 ms a post",
            "recipients",
            series(result, "8", "wall_s"),
            "{:,g}".format,
            duration,
        )
    )
    (DOCS / "fan-out-cpu.svg").write_text(
        chart(
            "CPU time of a post, at 0 ms a post",
            "recipients",
            series(result, "0", "cpu_us_per_post"),
            "{:,g}".format,
            lambda microseconds: duration(microseconds / 1e6),
        )
    )


def series(result: Mapping[str, Any], delay: str, figure: str) -> list[Line]:
    """Take a figure of each contender, over the recipients that it was measured with."""
    return [
        Line(
            label,
            [
                (int(recipients), by_delay[delay][name][figure])
                for recipients, by_delay in result["recipients"].items()
                if name in by_delay[delay]
            ],
        )
        for name, label in LABELS.items()
    ]


def duration(seconds: float) -> str:
    """Render a time to two digits.

    >>> duration(0.0123), duration(2.5e-5), duration(13.04)
    ('12 ms', '25 µs', '13 s')
    """
    for unit, name in ((1, "s"), (1e-3, "ms")):
        if seconds >= unit:
            return f"{float(f'{seconds / unit:.2g}'):g} {name}"
    return f"{float(f'{seconds / 1e-6:.2g}'):g} µs"
