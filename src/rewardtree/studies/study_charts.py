"""Lines of many schemes in one chart, each named at its end; in the manner of `rewardtree.studies.charts`."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

from markupsafe import Markup

from rewardtree.studies.charts import Scale, _done, _put, _svg, _text, scale_of
from rewardtree.studies.wording import both, ends_of, mean_of, number

COLOURS = 8
"""Classes `s0` to `s7` of the style sheet; from the ninth line on they come again, dotted."""
MARKS = (
    "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z",
    "M-4.5-4.5h9v9h-9z",
    "M0-6L5.5 4.5h-11z",
    "M-6 0L0-6L6 0L0 6z",
    "M0 6L5.5-4.5h-11z",
    "M-5.5-2h3.5v-3.5h4v3.5h3.5v4h-3.5v3.5h-4v-3.5h-3.5z",
    "M-5.5 0L-2.75-4.8h5.5L5.5 0L2.75 4.8h-5.5z",
    "M-6.5-2.5h13v5h-13z",
)
TOP, LINE, FOOT = 12.0, 17.0, 24.0
"""Pixels: above the plot, between the names at the lines' ends, below the plot for the axis."""
LEAST = 320.0
"""Height of a plot in pixels, if the names need no more."""
APART = 0.45
"""Per cent of the width between the marks of two schemes at the same place, so that intervals stand side by side."""
LOG_FROM = 6.0
"""An axis is logarithmic if its largest value is this many times its smallest."""


class Curve(NamedTuple):
    """A scheme's line: name, colour's number, whether it is the one that matters or a yardstick, and its points."""

    name: str
    number: int
    strong: bool
    yardstick: bool
    points: Sequence[tuple[float, Any]]


class Axis(NamedTuple):
    """Positions along a chart, on a logarithm if `logged`, and the names written there."""

    scale: Scale
    logged: bool
    names: Sequence[tuple[float, str]]

    def at(self, value: float) -> float:
        """Position in per cent of the width."""
        return self.scale.at(math.log10(value) if self.logged else value)


def axis_of(values: Sequence[float], named: Sequence[float] = ()) -> Axis:
    """An axis for amounts such as labels: logarithmic if they span much.

    Args:
        values: all that it must hold.
        named: where it is labelled, as far as there is room; round numbers if empty.

    Example:
        >>> [name for _, name in axis_of([250.0, 4000.0], named=[250.0, 1000.0, 4000.0]).names]
        ['250', '1,000', '4,000']
    """
    low, high = min(values), max(values)
    logged = low > 0 and high / low >= LOG_FROM
    round_scale = scale_of(values, "count", include=() if named else (0.0,))
    if not logged:
        room = (high - low) * 0.04 or max(abs(low), 1.0) / 2
        scale = Scale(low=low - room, high=high + room, ticks=()) if named else round_scale
        return Axis(scale, False, _names(named or round_scale.ticks, scale.at))
    low, high = math.log10(low), math.log10(high)
    room = (high - low) * 0.04
    scale = Scale(low=low - room, high=high + room, ticks=())
    return Axis(scale, True, _names(named or _log_ticks(low, high), lambda value: scale.at(math.log10(value))))


def curves(title: str, lines: Sequence[Curve], x: Axis, y: Scale) -> Markup:
    """A chart of lines with intervals, each named at its right end; on a phone by its place in the legend.

    Args:
        title: what it shows.
        lines: in the order of the legend; those without a known point are not drawn.
        x: positions.
        y: values.
    """
    known = [line for line in lines if any(mean_of(estimate) is not None for _, estimate in line.points)]
    height = max(LEAST, TOP + LINE * len(known))
    left = ET.Element(
        "svg", {"class": "axis side", "width": "52", "height": f"{height + FOOT:g}", "aria-hidden": "true"}
    )
    plot = _svg(f"{title}. " + "; ".join(_told(line, x, y) for line in known), height + FOOT, "plot")
    for tick in y.ticks:
        at = f"{_height(y, tick, height):.1f}"
        _text(left, "46", _height(y, tick, height) + 4, y.label(tick), "end")
        _put(plot, "line", "grid", x1="0", x2="100%", y1=at, y2=at)
    for position, name in x.names:
        _text(plot, f"{x.at(position):.2f}%", height + 18, name, "middle")
    for i in sorted(range(len(known)), key=lambda i: known[i].strong):
        _draw(plot, known[i], x, y, height, APART * (i - (len(known) - 1) / 2))
    ends = [_last(line, y, height) for line in known]
    places = spread(ends, LINE, TOP - 4, height - 4)
    wide, narrow = (_ends(known, ends, places, height, full) for full in (True, False))
    return Markup('<div class="chart curves">{}{}{}{}</div>').format(_done(left), _done(plot), wide, narrow)


def swatch(number_: int, yardstick: bool = False) -> Markup:
    """A scheme's mark for a legend or a table."""
    svg = ET.Element("svg", {"class": _class("swatch", number_, yardstick), "width": "22", "height": "14"})
    svg.set("aria-hidden", "true")
    _put(svg, "line", "curve", x1="0", x2="22", y1="7", y2="7")
    _mark(svg, "11", "7", number_)
    return _done(svg)


def spread(wanted: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """Move places as little as needed so that they stand `apart`, in their order, from `low` to `high`.

    Where there is not room for all, they start at `low` and go beyond `high`.

    Example:
        >>> spread([10.0, 10.0, 50.0], 16.0, 0.0, 100.0)
        [2.0, 18.0, 50.0]
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    groups: list[tuple[float, int]] = []  # middle and size of what stands together
    for i in order:
        middle, size = wanted[i], 1
        while True:
            half = apart * (size - 1) / 2
            middle = max(min(middle, high - half), low + half)
            if not groups or middle - half - (groups[-1][0] + apart * (groups[-1][1] - 1) / 2) >= apart - 1e-9:
                break
            before, count = groups.pop()
            middle, size = (middle * size + before * count) / (size + count), size + count
        groups.append((middle, size))
    places = [middle + apart * (k - (size - 1) / 2) for middle, size in groups for k in range(size)]
    found = [0.0] * len(wanted)
    for i, place in zip(order, places, strict=True):
        found[i] = place
    return found


def _draw(plot: ET.Element, line: Curve, x: Axis, y: Scale, height: float, aside: float) -> None:
    group = _put(plot, "g", _class("", line.number, line.yardstick) + (" strong-line" if line.strong else ""))
    known = [(x.at(at) + aside, e, value) for at, e in line.points if (value := mean_of(e)) is not None]
    spots = [(f"{at:.2f}%", f"{_height(y, value, height):.1f}") for at, _, value in known]
    for (x1, y1), (x2, y2) in pairwise(spots):
        _put(group, "line", "curve", x1=x1, y1=y1, x2=x2, y2=y2)
    if known[-1][0] < 100:
        _put(group, "line", "leader", x1=spots[-1][0], x2="100%", y1=spots[-1][1], y2=spots[-1][1])
    for (at, high), (_, estimate, _) in zip(spots, known, strict=True):
        ends = ends_of(estimate)
        if ends is not None:
            y1, y2 = (f"{_height(y, end, height):.1f}" for end in ends)
            _put(group, "line", "spread", x1=at, x2=at, y1=y1, y2=y2)
        _mark(group, at, high, line.number)


def _ends(lines: Sequence[Curve], ends: Sequence[float], places: Sequence[float], height: float, full: bool) -> Markup:
    """Names at the lines' ends; their numbers in the legend where there is no room."""
    kind, width = ("ends full", "100%") if full else ("ends short", "42")
    svg = ET.Element("svg", {"class": kind, "width": width, "height": f"{height + FOOT:g}", "aria-hidden": "true"})
    for i, line in enumerate(lines):
        group = _put(svg, "g", _class("", line.number, line.yardstick))
        _put(group, "line", "leader", x1="0", y1=f"{ends[i]:.1f}", x2="20", y2=f"{places[i]:.1f}")
        text = _text(group, "26", places[i] + 4, _short(line.name) if full else str(i + 1), "start")
        text.set("class", "name strong" if line.strong else "name")
    return _done(svg)


def _mark(parent: ET.Element, x: str, y: str, number_: int) -> None:
    shape = MARKS[(number_ + number_ // COLOURS) % len(MARKS)]
    _put(_put(parent, "svg", "", x=x, y=y, overflow="visible"), "path", "point", d=shape)


def _class(kind: str, number_: int, yardstick: bool) -> str:
    dashed = " yardstick" if yardstick else " again" if number_ >= COLOURS else ""
    return f"{kind} s{number_ % COLOURS}{dashed}".strip()


def _height(y: Scale, value: float, height: float) -> float:
    share = (min(max(value, y.low), y.high) - y.low) / (y.high - y.low)
    return height - 4 - (height - 4 - TOP) * share


def _last(line: Curve, y: Scale, height: float) -> float:
    values = [value for _, estimate in line.points if (value := mean_of(estimate)) is not None]
    return _height(y, values[-1], height)


def _told(line: Curve, x: Axis, y: Scale) -> str:
    return f"{line.name}: " + ", ".join(f"{both(e, y.style)} at {number(at, 'count')}" for at, e in line.points)


def _short(name: str, most: int = 35) -> str:
    """A title for a line's end: what tells variants apart stands after the comma, so that is kept."""
    if len(name) <= most:
        return name
    head, comma, tail = name.partition(", ")
    room = most - len(comma + tail) - 1
    if comma and room >= 8:
        cut = head[: room + 1].rpartition(" ")[0] or head[:room]
        return f"{cut}…{comma}{tail}"
    return name[: most - 1].rstrip(" ,") + "…"


def _names(values: Sequence[float], at: Callable[[float], float]) -> list[tuple[float, str]]:
    """As many as stand clear of each other on a phone, the largest for certain."""
    kept: list[tuple[float, str]] = []
    for value in sorted(values, reverse=True):
        name = number(value, "count")
        if not kept or at(kept[-1][0]) - at(value) >= 2.7 * (len(kept[-1][1]) + 1):
            kept.append((value, name))
    return kept[::-1]


def _log_ticks(low: float, high: float) -> list[float]:
    """Round numbers: as few kinds within powers of ten as give three."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    ticks: list[float] = []
    for factors in ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 4, 6, 8)):
        found = [float(factor * 10**power) for power in powers for factor in factors]
        ticks = [tick for tick in found if low - 1e-9 <= math.log10(tick) <= high + 1e-9]
        if len(ticks) >= 3:
            break
    return ticks
