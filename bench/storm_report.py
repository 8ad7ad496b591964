"""What ``storm`` holds its figures to, and prints of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

WIDTH = 58
COLUMN = 13


@dataclass(frozen=True)
class Row:
    """A figure of a scenario, and what it is held to.

    Attributes:
        label: What it is.
        key: Its name among the figures.
        sign: How it is held to the bound; None where it is only told.
        bound: The bound.
    """

    label: str
    key: str
    sign: Literal["<=", ">=", None] = None
    bound: float = 0.0

    def met(self, figures: Mapping[str, Any]) -> bool:
        """Whether the figure is within the bound; one that there is not is in none."""
        value = figures.get(self.key)
        if self.sign is None:
            return True
        if value is None:
            return False
        return bool(value <= self.bound if self.sign == "<=" else value >= self.bound)


@dataclass(frozen=True)
class Scenario:
    """A scenario.

    Attributes:
        title: What happens in it.
        allowed: What the limits have to do with it.
        rows: Its figures.
        scale: What part of the run's factor it is played with: where much is done to one client after
            another, fewer clients would be done sooner.
    """

    title: str
    allowed: str
    rows: Sequence[Row]
    scale: float = 1.0


LOST = Row("messages lost", "lost", "<=", 0)
REFUSED = Row("messages that were never accepted", "unanswered", "<=", 0)
P99 = "p99 from onMessage to the last recipient, s"
CPU = Row("part of a core that this machine gave it", "cpu_share")

SCENARIOS: Mapping[str, Scenario] = {
    "busy": Scenario(
        "1,000 members, 50 messages a second for a minute",
        "one by one that is 50,000 posts a second, of the 10,000 requests that there are",
        [
            LOST,
            REFUSED,
            Row("messages that came after a later one", "disordered", "<=", 0),
            Row(P99, "p99_s", "<=", 1),
            Row("posts for each message and recipient", "posts_per_recipient", "<=", 0.2),
            Row("metered units for each message and recipient", "units_per_recipient", "<=", 0.2),
            Row("part of the quota that was used", "quota_share"),
            CPU,
        ],
    ),
    "overload": Scenario(
        "200 rooms of 20, 5 messages a second in each, for two minutes",
        "one by one that is 20,000 posts a second, of the 10,000 requests that there are",
        [
            LOST,
            REFUSED,
            Row("part of the quota that was used", "quota_share", ">=", 0.8),
            Row(P99, "p99_s", "<=", 3),
            Row("p99 of the last third over that of the first", "growth", "<=", 1.5),
            Row("median of the slowest room, s", "slowest_room_p50_s", "<=", 3),
            CPU,
        ],
    ),
    "calm": Scenario(
        "20 members, a message a second, in turns with the code before",
        "without a ref and with one; the worse of the two",
        [
            Row("median latency over that of before", "ratio", "<=", 1.1),
            Row("median latency, ms", "latency_ms"),
            Row("DynamoDB reads for a message", "reads", "<=", 0),
            Row("DynamoDB writes for a message without a ref", "writes_plain"),
            Row("DynamoDB writes for a message with a ref", "writes_ref"),
            Row("writes more than before", "more_writes", "<=", 1),
            Row("write units for a message without a ref", "units_plain"),
            Row("write units for a message with a ref", "units_ref"),
        ],
    ),
    "storm": Scenario(
        "5,000 named clients of one room are cut, and come back at 500 a second",
        "to tell each of them of each is 25 million posts, of the 10,000 requests a second that there are",
        [
            LOST,
            REFUSED,
            Row("posts for each reconnect, beside the messages", "posts_per_reconnect", "<=", 3),
            Row(P99, "p99_s", "<=", 2),
            Row("handshakes and frames refused within the quota", "refused", "<=", 0),
            Row("all were back, s", "back_s"),
            Row("the count was right after the storm, s", "count_right_s", "<=", 60),
            Row("part of the quota that was used", "quota_share"),
            CPU,
        ],
    ),
    "dead": Scenario(
        "2,000 of 5,000 die without $disconnect",
        "one of them is removed by six requests of some 4 ms, one after another",
        [
            LOST,
            Row("the next message's time over a healthy room's", "ratio", "<=", 1.2),
            Row("a healthy room's, s", "healthy_s"),
            Row("no row was left of the dead, s", "gone_s", "<=", 60),
            CPU,
        ],
        scale=0.1,
    ),
    "slow": Scenario(
        "one socket of 1,000 answers 429 for ever, for a hundred messages",
        "the account is at half of its quota",
        [
            LOST,
            Row("a message's time over that without it", "ratio", "<=", 1.1),
            Row("without it, s", "without_s"),
            Row("with it, s", "with_s"),
            Row("posts refused for it", "slow_posts"),
        ],
    ),
    "hostile": Scenario(
        "one client at its full allowed rate, for each action, in a room of 10 and of 1,000",
        "a tenth of the quota is 1,000 requests a second",
        [
            Row("most requests a second", "most_requests_per_s", "<=", 1_000),
            Row("most metered units a second", "most_units_per_s", "<=", 1_000),
            Row("most growth from a room of 10 to 1,000, over the room's", "growth", "<=", 1),
        ],
    ),
}


def within_bounds(results: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether all figures are within their bounds."""
    return all(row.met(figures) for name, figures in results.items() for row in SCENARIOS[name].rows)


def report(
    results: Mapping[str, Mapping[str, Any]],
    before: Mapping[str, Mapping[str, Any]],
    about: Sequence[str],
) -> str:
    """Render the figures of the scenarios, beside those from before."""
    lines = list(about)
    for name, figures in results.items():
        scenario = SCENARIOS[name]
        lines += ["", f"{name}: {scenario.title}", f"  {scenario.allowed}"]
        lines.append(f"{'':{WIDTH}}{'before':>{COLUMN}}{'after':>{COLUMN}}")
        lines += [line(row, figures, before.get(name, {})) for row in scenario.rows]
        if name == "hostile":
            lines += hostile_table(figures, before.get(name, {}))
    return "\n".join(lines)


def line(row: Row, figures: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """Render a figure."""
    cells = "".join(f"{shown(each.get(row.key)):>{COLUMN}}" for each in (before, figures))
    text = f"  {row.label:{WIDTH - 2}}{cells}"
    if row.sign is None:
        return text
    return f"{text}   {row.sign} {row.bound:g} {'met' if row.met(figures) else 'NOT met'}"


def hostile_table(figures: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Render what each action makes of one client, a second."""
    head = ("requests", "posts", "units", "reads", "writes")
    lines = ["", f"  {'a second, in a room of 10 and of 1,000':40}" + "".join(f"{each:>14}" for each in head)]
    for label, table in (("before", before.get("table", {})), ("after", figures["table"])):
        for action, row in table.items():
            cells = (f"{row['10'][each]:,.0f} / {row['1000'][each]:,.0f}" for each in head)
            lines.append(f"  {label:8}{action:32}" + "".join(f"{cell:>14}" for cell in cells))
    return lines


def shown(value: object) -> str:
    """Render a figure; a dash for one that there is not."""
    if value is None:
        return "-"
    return f"{value:,.4g}" if isinstance(value, float) and value < 1000 else f"{value:,}"
