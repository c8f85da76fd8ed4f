"""Charts as inline SVG, made by hand: no script, nothing from elsewhere, colours by the page's style sheet.

Horizontal positions are shares of the width, vertical ones and all letters are in pixels, so that a chart fills
its place on a phone as on a wide screen and stays readable. Kinds (`unaided`, `assisted`, `ideal`, `expert`,
`control` and so on) are classes; each has its own shape besides its colour.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

from markupsafe import Markup

from rewardtree.studies.wording import Style, both, ends_of, mean_of, middle, number

ROW, PLOT = 30.0, 190.0
"""Heights in pixels of a row of a dot chart and of a line chart."""
EDGE = 4.0
"""Share of the width, in per cent, kept free at both ends."""
SHAPES: Mapping[str, str] = {
    "assisted": "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z",
    "ideal": "M-6.5 0L0-6.5L6.5 0L0 6.5z",
    "expert": "M-5-5h10v10h-10z",
    "ceiling": "M0-6.5L6 5h-12z",
}
"""Marks by kind; all others are rings."""
RING = "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z"
BOX, LEVEL = (106.0, 68.0), 108.0
"""Width and height of a tree's node, and the distance between levels, in pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """An axis.

    Attributes:
        low, high: its ends.
        ticks: where it is labelled.
        style: how numbers are written on it.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    style: Style = "plain"

    def at(self, value: float) -> float:
        """Position in per cent of the width, at the edge for what lies outside."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return EDGE + (100 - 2 * EDGE) * share

    def label(self, tick: float) -> str:
        """The tick in words."""
        step = self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else 1.0
        shown = step * (100 if self.style == "share" else 1)
        return number(tick, self.style, digits=min(max(-math.floor(math.log10(shown) + 1e-9), 0), 4))


class Mark(NamedTuple):
    """An estimate in a row, drawn as its kind is."""

    estimate: Any
    kind: str


class Series(NamedTuple):
    """A line: its name, its kind, and its estimates by position."""

    name: str
    kind: str
    points: Sequence[tuple[float, Any]]


def scale_of(estimates: Iterable[Any], style: Style = "plain", *, include: Sequence[float] = ()) -> Scale:
    """An axis that holds all known estimates with their intervals, with round ends.

    Args:
        estimates: any; those unknown are passed over.
        style: how numbers are written.
        include: values that it must hold too.

    Example:
        >>> scale_of([{"mean": 0.62, "low": 0.6, "high": 0.93}], "share", include=(0.5,)).ticks
        (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    """
    held = list(include)
    for estimate in estimates:
        value = mean_of(estimate)
        if value is not None:
            held += [value, *(ends_of(estimate) or ())]
    low, high = (min(held), max(held)) if held else (0.0, 1.0)
    largest = max(abs(low), abs(high))
    if high - low <= 1e-9 * max(largest, 1e-3):
        room = 0.5 * largest if largest > 1e-9 else 1.0
        low, high = low - room, high + room
    power = 10.0 ** math.floor(math.log10((high - low) / 4))
    step = next(f * power for f in (1, 2, 5, 10) if f * power * 6 >= high - low)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(round(i * step, 10) for i in range(first, last + 1))
    return Scale(low=ticks[0], high=ticks[-1], ticks=ticks, style=style)


def axis(scale: Scale, title: str) -> Markup:
    """The labels of a dot chart's axis."""
    svg = _svg(title, 20.0, "axis")
    for tick in _spaced(scale.ticks):
        _text(svg, f"{scale.at(tick):.2f}%", 14.0, scale.label(tick), "middle")
    return _done(svg)


def track(scale: Scale, marks: Sequence[Mark], title: str) -> Markup:
    """One row of a dot chart: estimates with their intervals."""
    svg = _svg(f"{title}: " + ", ".join(both(mark.estimate, scale.style) for mark in marks), ROW, "track")
    _grid(svg, scale)
    for mark in marks:
        _put_mark(svg, scale, mark)
    return _done(svg)


def bar(scale: Scale, estimate: Any, title: str) -> Markup:
    """One row of a bar chart: from zero to an estimate, with its interval."""
    svg = _svg(f"{title}: {both(estimate, scale.style)}", ROW, "track")
    _grid(svg, scale)
    value = mean_of(estimate)
    if value is not None:
        left, right = sorted((scale.at(0.0), scale.at(value)))
        place = {"x": f"{left:.2f}%", "width": f"{max(right - left, 0.4):.2f}%", "y": "0", "height": "14"}
        _put(
            _put(svg, "svg", "", y="50%", overflow="visible"),
            "rect",
            "bar",
            **place,
            transform="translate(0 -7)",
        )
        _whisker(svg, scale, estimate)
    return _done(svg)


def swatch(kind: str) -> Markup:
    """A mark for a legend."""
    svg = ET.Element("svg", {"class": "swatch", "width": "22", "height": "14", "aria-hidden": "true"})
    _put(svg, "line", f"line k-{kind}", x1="0", x2="22", y1="7", y2="7")
    _shape(svg, "11", "7", kind)
    return _done(svg)


def lines(title: str, series: Sequence[Series], x: Scale, y: Scale, names: Sequence[str] = ()) -> Markup:
    """A line chart: an axis beside a plot.

    Args:
        title: what it shows.
        series: kinds `cold` are drawn without marks, behind the others; single points draw a line across.
        x: positions.
        y: values.
        names: of the positions 0, 1, ..., where they are no numbers.
    """
    left = ET.Element("svg", {"class": "axis side", "width": "52", "height": f"{PLOT + 24:g}", "aria-hidden": "true"})
    words = [
        f"{line.name}: " + ", ".join(middle(e, y.style) for _, e in line.points)
        for line in series
        if line.kind != "cold"
    ]
    plot = _svg(f"{title}. {'; '.join(words)}", PLOT + 24, "plot")
    for tick in y.ticks:
        height = f"{_height(y, tick):.1f}"
        _text(left, "46", _height(y, tick) + 4, y.label(tick), "end")
        _put(plot, "line", "grid", x1="0", x2="100%", y1=height, y2=height)
    shown = (
        [(float(i), name) for i, name in enumerate(names)]
        if names
        else [(tick, x.label(tick)) for tick in _spaced(x.ticks, 5)]
    )
    for tick, name in shown:
        _text(plot, f"{x.at(tick):.2f}%", PLOT + 18, name, "middle")
    for line in sorted(series, key=lambda line: line.kind != "cold"):
        _draw_line(plot, line, x, y)
    return Markup('<div class="chart">{}{}</div>').format(_done(left), _done(plot))


class Leaf(NamedTuple):
    """A node in a tree's diagram: its name, its helpers, and its estimates, unaided and assisted."""

    name: str
    helpers: Sequence[str]
    unaided: Any
    assisted: Any


def tree(title: str, nodes: Sequence[Leaf], root: str, scale: Scale) -> Markup:
    """The tree, its root on top, with each node's accuracy."""
    by_name = {node.name: node for node in nodes}
    levels = _levels(by_name, root)
    rows: list[list[str]] = [[] for _ in range(max(levels.values()) + 1)]
    for name in levels:
        rows[levels[name]].append(name)
    place = _places(rows, by_name)
    svg = _svg(title, (len(rows) - 1) * LEVEL + BOX[1] + 4, "tree")
    svg.set("style", f"min-width:{(BOX[0] + 4) * max(len(row) for row in rows):g}px")
    for name, (x, y) in place.items():
        for helper in by_name[name].helpers:
            if helper in place:
                end_x, end_y = place[helper]
                _put(
                    svg,
                    "line",
                    "edge",
                    x1=f"{x:.2f}%",
                    y1=f"{y + BOX[1]:g}",
                    x2=f"{end_x:.2f}%",
                    y2=f"{end_y + 2}",
                )
    for name, (x, y) in place.items():
        _draw_node(svg, by_name[name], (x, y), scale)
    return _done(svg)


def _levels(nodes: Mapping[str, Leaf], root: str) -> dict[str, int]:
    """How far each node stands below the root, along the longest way."""
    found = {root: 0}
    for _ in nodes:
        for name in [*found]:
            for helper in nodes[name].helpers:
                if helper in nodes and found.get(helper, -1) <= found[name] < len(nodes):
                    found[helper] = found[name] + 1
    return found


def _places(rows: Sequence[Sequence[str]], nodes: Mapping[str, Leaf]) -> dict[str, tuple[float, float]]:
    """Every node as close to below its parents as its neighbours let it, in per cent and pixels."""
    room = 100 / max(len(row) for row in rows)
    place: dict[str, tuple[float, float]] = {}
    for depth, row in enumerate(rows):
        wanted = {}
        for name in row:
            above = [(parent, place[parent][0]) for parent in place if name in nodes[parent].helpers]
            here = [x + (list(nodes[p].helpers).index(name) - (len(nodes[p].helpers) - 1) / 2) * room for p, x in above]
            wanted[name] = sum(here) / len(here) if here else 50.0
        order = sorted(row, key=lambda name: wanted[name])
        left = room / 2
        for i, name in enumerate(order):
            last = 100 - room / 2 - (len(order) - 1 - i) * room
            x = min(max(wanted[name], left), last)
            place[name], left = (x, depth * LEVEL), x + room
    return place


def _draw_node(svg: ET.Element, node: Leaf, place: tuple[float, float], scale: Scale) -> None:
    inner = _put(svg, "svg", "node", x=f"{place[0]:.2f}%", y=f"{place[1] + 2:g}", overflow="visible")
    _put(inner, "title", "").text = f"{node.name}: unaided {both(node.unaided, 'share')}" + (
        f", assisted {both(node.assisted, 'share')}" if mean_of(node.assisted) is not None else ""
    )
    wide, high = BOX
    _put(inner, "rect", "box", x=f"{-wide / 2:g}", y="0", width=f"{wide}", height=f"{high}", rx="6")
    short = node.name if len(node.name) <= 14 else node.name[:13] + "…"
    _text(inner, "0", 19.0, short, "middle").set("class", "strong")
    known = [
        mark
        for mark in (Mark(node.unaided, "unaided"), Mark(node.assisted, "assisted"))
        if mean_of(mark.estimate) is not None
    ]
    shown = [number(mean_of(mark.estimate) or 0.0, "share", digits=0, unit=mark is known[-1]) for mark in known]
    _text(inner, "0", 37.0, " → ".join(shown) + (" unaided" if len(known) == 1 else ""), "middle")
    across = wide - 24
    track = _put(inner, "svg", "", x=f"{-across / 2:g}", y="46", width=f"{across}", height="14", overflow="visible")
    _put(track, "line", "grid", x1="0", x2="100%", y1="7", y2="7")
    ends = [f"{scale.at(mean_of(mark.estimate) or 0.0):.2f}%" for mark in known]
    if len(ends) > 1:
        _put(track, "line", "way", x1=ends[0], x2=ends[-1], y1="7", y2="7")
    for end, mark in zip(ends, known, strict=True):
        _shape(track, end, "7", mark.kind)


def _draw_line(plot: ET.Element, line: Series, x: Scale, y: Scale) -> None:
    known = [(x.at(at), estimate) for at, estimate in line.points if mean_of(estimate) is not None]
    spots = [(f"{at:.2f}%", f"{_height(y, mean_of(estimate) or 0.0):.1f}") for at, estimate in known]
    for (x1, y1), (x2, y2) in pairwise(spots):
        _put(plot, "line", f"line k-{line.kind}", x1=x1, y1=y1, x2=x2, y2=y2)
    if line.kind == "cold":
        return
    for (at, height), (_, estimate) in zip(spots, known, strict=True):
        ends = ends_of(estimate)
        if ends is not None:
            _put(plot, "line", f"whisker k-{line.kind}", x1=at, x2=at,
                 y1=f"{_height(y, ends[0]):.1f}", y2=f"{_height(y, ends[1]):.1f}")  # fmt: skip
        _shape(plot, at, height, line.kind)


def _put_mark(svg: ET.Element, scale: Scale, mark: Mark) -> None:
    value = mean_of(mark.estimate)
    if value is not None:
        _whisker(svg, scale, mark.estimate, f" k-{mark.kind}")
        _shape(svg, f"{scale.at(value):.2f}%", "50%", mark.kind)


def _whisker(svg: ET.Element, scale: Scale, estimate: Any, kind: str = "") -> None:
    ends = ends_of(estimate)
    if ends is not None:
        x1, x2 = (f"{scale.at(end):.2f}%" for end in ends)
        _put(svg, "line", "whisker" + kind, x1=x1, x2=x2, y1="50%", y2="50%")


def _grid(svg: ET.Element, scale: Scale) -> None:
    for tick in scale.ticks:
        kind = "zero" if tick == 0 else "grid"
        _put(svg, "line", kind, x1=f"{scale.at(tick):.2f}%", x2=f"{scale.at(tick):.2f}%", y1="0", y2="100%")


def _shape(svg: ET.Element, x: str, y: str, kind: str) -> None:
    spot = _put(svg, "svg", f"mark k-{kind}", x=x, y=y, overflow="visible")
    _put(spot, "path", "", d=SHAPES.get(kind, RING))


def _height(y: Scale, value: float) -> float:
    return PLOT - (PLOT - 16) * (min(max(value, y.low), y.high) - y.low) / (y.high - y.low) - 4


def _spaced(ticks: Sequence[float], most: int = 4) -> Sequence[float]:
    """No more labels than there is room for."""
    return ticks[:: math.ceil(len(ticks) / most)]


def _svg(title: str, height: float, kind: str) -> ET.Element:
    svg = ET.Element("svg", {"class": kind, "width": "100%", "height": f"{height:g}", "role": "img"})
    ET.SubElement(svg, "title").text = title
    return svg


def _put(parent: ET.Element, tag: str, kind: str, **attributes: str) -> ET.Element:
    return ET.SubElement(parent, tag, ({"class": kind} if kind else {}) | attributes)


def _text(parent: ET.Element, x: str, y: float, text: str, anchor: str) -> ET.Element:
    found = ET.SubElement(parent, "text", {"x": x, "y": f"{y:.1f}", "text-anchor": anchor})
    found.text = text
    return found


def _done(svg: ET.Element) -> Markup:
    return Markup(ET.tostring(svg, encoding="unicode"))
