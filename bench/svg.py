"""Draws a chart with logarithmic axes as SVG, readable on GitHub's light and dark pages."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 76, 84, 74, 50
# A picture cannot know the page's colour: these are legible on white and on black.
INK = "#6e7781"
COLOURS = ("#2f81f7", "#d9730d", "#a371f7")
FONT = "-apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif"
MOST_TICKS = 8
LABEL_HEIGHT = 16
LEGEND_WIDTH = 190


@dataclass(frozen=True)
class Line:
    """A series.

    Attributes:
        label: What it is called.
        points: x and y, both above 0, ascending in x.
    """

    label: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Scale:
    """Maps values to pixels by their logarithm.

    Attributes:
        low: Value at the axis's beginning.
        high: Value at its end.
        start: Pixel of the beginning.
        end: Pixel of the end.
    """

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def around(cls, values: Sequence[float], start: float, end: float) -> "Scale":
        """Make the scale that holds all values, from one round number to another."""
        low = max(step for step in steps(min(values) / 10, min(values)))
        high = min(step for step in steps(max(values), max(values) * 10))
        return cls(low, high if high > low else low * 10, start, end)

    def __call__(self, value: float) -> float:
        """Map a value."""
        part = math.log(value / self.low) / math.log(self.high / self.low)
        return round(self.start + part * (self.end - self.start), 1)

    @property
    def ticks(self) -> list[float]:
        """The round numbers on it: the powers of ten, and 2 and 5 times these where there is room."""
        ticks = steps(self.low, self.high)
        return ticks if len(ticks) <= MOST_TICKS else [tick for tick in ticks if f"{tick:e}"[0] == "1"]


def steps(low: float, high: float) -> list[float]:
    """List the numbers 1, 2 and 5 times a power of ten from one value to another, both included."""
    exponents = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    numbers = (float(f"{digit}e{exponent}") for exponent in exponents for digit in (1, 2, 5))
    return [number for number in numbers if low <= number <= high]


def chart(
    title: str,
    x_label: str,
    lines: Sequence[Line],
    x_text: Callable[[float], str],
    y_text: Callable[[float], str],
) -> str:
    """Draw lines, with a legend above and the last value of each at its end.

    Args:
        title: What is to be seen.
        x_label: What the x axis counts.
        lines: Not more than there are colours.
        x_text: Renders an x value.
        y_text: Renders a y value with its unit.
    """
    x = Scale.around([point[0] for line in lines for point in line.points], LEFT, WIDTH - RIGHT)
    y = Scale.around([point[1] for line in lines for point in line.points], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img" aria-label="{escape(title)}" font-family="{FONT}" font-size="13" '
        f'fill="{INK}">',
        f'<text x="{LEFT}" y="24" font-size="16" font-weight="600">{escape(title)}</text>',
    ]
    for tick in y.ticks:
        parts += [
            f'<line x1="{x.start}" y1="{y(tick)}" x2="{x.end}" y2="{y(tick)}" stroke="{INK}" opacity="0.3"/>',
            f'<text x="{LEFT - 10}" y="{y(tick) + 4.5:.1f}" text-anchor="end">{escape(y_text(tick))}</text>',
        ]
    for tick in x.ticks:
        parts += [
            f'<line x1="{x(tick)}" y1="{y.start}" x2="{x(tick)}" y2="{y.start + 5}" stroke="{INK}"/>',
            f'<text x="{x(tick)}" y="{y.start + 21}" text-anchor="middle">{escape(x_text(tick))}</text>',
        ]
    parts += [
        f'<line x1="{x.start}" y1="{y.start}" x2="{x.end}" y2="{y.start}" stroke="{INK}"/>',
        f'<text x="{(x.start + x.end) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_label)}</text>',
    ]
    heights = apart([(x(line.points[-1][0]), y(line.points[-1][1])) for line in lines])
    for number, (line, height) in enumerate(zip(lines, heights, strict=True)):
        pixels = [(x(across), y(up)) for across, up in line.points]
        path = " ".join(f"{across},{up}" for across, up in pixels)
        legend = LEFT + LEGEND_WIDTH * number
        parts += [
            f'<g fill="{COLOURS[number]}">',
            f'<polyline points="{path}" fill="none" stroke="{COLOURS[number]}" stroke-width="2.5"/>',
            *(marker(number, across, up) for across, up in pixels),
            f'<text x="{pixels[-1][0] + 11:.1f}" y="{height + 4.5:.1f}" font-weight="600">'
            f"{escape(y_text(line.points[-1][1]))}</text>",
            marker(number, legend + 5, 47),
            f'<text x="{legend + 16}" y="51.5">{escape(line.label)}</text>',
            "</g>",
        ]
    return "\n".join([*parts, "</svg>", ""])


def marker(number: int, x: float, y: float) -> str:
    """Draw a line's mark: a circle, a square or a triangle, to be told apart without colours."""
    return (
        f'<circle cx="{x}" cy="{y}" r="4.5"/>',
        f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>',
        f'<path d="M{x},{y - 5.5:.1f} l5.5,9.5 h-11 z"/>',
    )[number]


def apart(ends: Sequence[tuple[float, float]]) -> list[float]:
    """Say how high each line's last label goes: down from its end, where it would cover another's."""
    heights = [y for _, y in ends]
    lowest: dict[float, float] = {}
    for index in sorted(range(len(ends)), key=heights.__getitem__):
        x, y = ends[index]
        heights[index] = lowest[x] = max(y, lowest.get(x, -math.inf) + LABEL_HEIGHT)
    return heights
