"""Pieces of the chip's pictures: texts, boxes, patterns and nets as SVG elements, and the sheet for them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np

from rewardtree.domains.chip.layouts import Layouts

LETTER = 0.62
"""Width of a letter over its height, on average and generously."""
RAMP = ("#fff7ec", "#fee8c8", "#fdd49e", "#fdbb84", "#fc8d59", "#ef6548", "#dd4030")
"""From cold to hot: pale to dark in one family of hues, after ColorBrewer's OrRd."""
KINDS = {"secret": "holds secrets", "untrusted": "from a third party", "critical": "critical block"}
"""What blocks may be, in words."""
STYLE = """
.rtc text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;font-size:12.5px}
.rtc text{fill:#1d2430}.rtc .head{font-size:15px;font-weight:650}.rtc .bold{font-weight:650}
.rtc .soft{fill:#57606c}.rtc .frame{fill:none;stroke:#1d2430;stroke-width:1.5}
.rtc .key{fill:#fdd49e;stroke:#1d2430}.rtc .block{fill:none;stroke:#1d2430;stroke-width:1.2}
.rtc .empty{fill:#f4f5f7;fill-opacity:.62;fill-rule:evenodd}
.rtc .secret{fill:none;stroke:#0b3d91;stroke-width:1.3;stroke-opacity:.8}
.rtc .untrusted{fill:none;stroke:#1d2430;stroke-width:2.6;stroke-linecap:round;stroke-opacity:.8}
.rtc .critical{fill:none;stroke:#1d2430;stroke-width:2.4}
.rtc .casing{fill:none;stroke:#fff;stroke-opacity:.75}.rtc .net{fill:none;stroke:#1f5fbf}
.rtc .name{fill:#10151d;text-anchor:middle;font-weight:600}
.rtc .name{stroke:#fff;stroke-width:3px;stroke-linejoin:round;paint-order:stroke}
.rtc .ring{fill:none;stroke:#fff;stroke-width:6}.rtc .mark{fill:none;stroke:#7a0177;stroke-width:3}
.rtc .badge{fill:#7a0177;stroke:#fff;stroke-width:1.5}
.rtc .digit{fill:#fff;text-anchor:middle;font-weight:700}
@media (prefers-color-scheme:dark){
.rtc text{fill:#e8ebf0}.rtc .soft{fill:#aab3bf}.rtc .name{fill:#10151d}.rtc .digit{fill:#fff}
.rtc .frame{stroke:#e8ebf0}.rtc .empty{fill:#d5d9df}.rtc .onpage{stroke:#7db2ff}}
"""

Box = tuple[float, float, float, float]
"""Left, top, width and height, in units of the drawing."""
Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """One floorplan on paper.

    Attributes:
        svg: what is drawn on.
        layouts: a batch of layouts.
        row: the one that is drawn.
        names: short names of its blocks.
        die: where the die is.
        boxes: where the blocks are, by block.
    """

    svg: ET.Element
    layouts: Layouts
    row: int
    names: tuple[str, ...]
    die: Box
    boxes: Mapping[int, Box]

    def pins(self, net: int) -> list[int]:
        """The blocks of a net."""
        return [int(pin) for pin in self.layouts.netlists.pins[self.row, net] if pin >= 0]

    def net_name(self, net: int) -> str:
        """The net's number and blocks."""
        return f"net {net} ({', '.join(self.names[block] for block in self.pins(net))})"


def clean(text: str) -> str:
    """The text without characters that XML cannot hold."""
    return re.sub("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


def number(value: Any) -> str:
    """A number for people."""
    return f"{float(value):.2f}".replace("-", "\N{MINUS SIGN}")


def put(parent: ET.Element, tag: str, text: str | None = None, **attributes: str) -> ET.Element:
    """Add an element; `class_` is the attribute class, and underscores are hyphens."""
    named = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    child = ET.SubElement(parent, tag, named)
    child.text = None if text is None else clean(text)
    return child


def write(parent: ET.Element, at: Point, text: str, kind: str = "") -> ET.Element:
    """Add a text."""
    return put(parent, "text", text, x=f"{at[0]:.1f}", y=f"{at[1]:.1f}", **({"class_": kind} if kind else {}))


def rectangle(parent: ET.Element, box: Box, **attributes: str) -> ET.Element:
    """Add a rectangle."""
    edges = {name: f"{value:.1f}" for name, value in zip(("x", "y", "width", "height"), box, strict=True)}
    return put(parent, "rect", **edges, **attributes)


def outline(parent: ET.Element, box: Box) -> None:
    """Add the mark that says: here."""
    rectangle(parent, box, class_="ring")
    rectangle(parent, box, class_="mark")


def badge(parent: ET.Element, middle: Point, digit: int) -> None:
    """Add a number in a circle."""
    put(parent, "circle", class_="badge", cx=f"{middle[0]:.1f}", cy=f"{middle[1]:.1f}", r="8.5")
    write(parent, (middle[0], middle[1] + 4.5), str(digit), "digit")


def pattern(parent: ET.Element, box: Box, kinds: Sequence[str]) -> None:
    """Add a block's outline with the marks of its kinds: secret, untrusted, critical."""
    x, y, w, h = box
    if "secret" in kinds:
        lines = []
        for c in np.arange(7.0, w + h, 7.0):
            left, right = max(0.0, c - h), min(w, c)
            lines.append(f"M{x + left:.1f} {y + c - left:.1f}L{x + right:.1f} {y + c - right:.1f}")
        put(parent, "path", class_="secret", d="".join(lines))
    if "untrusted" in kinds:
        dots = [f"M{x + i:.1f} {y + j:.1f}h0" for i in _spread(w, 8.0) for j in _spread(h, 8.0)]
        put(parent, "path", class_="untrusted", d="".join(dots))
    rectangle(parent, box, class_="block")
    if "critical" in kinds and min(w, h) > 8:
        rectangle(parent, (x + 3.5, y + 3.5, w - 7, h - 7), class_="critical")


def star(sheet: Sheet, net: int, *strokes: tuple[str, float], title: str | None = None) -> Point:
    """Add a net as lines from the mean of its blocks' centres, once a kind and width; returns that mean."""
    boxes = [sheet.boxes[block] for block in sheet.pins(net) if block in sheet.boxes]
    ends = [(x + w / 2, y + h / 2) for x, y, w, h in boxes]
    middle = float(np.mean([x for x, _ in ends])), float(np.mean([y for _, y in ends]))
    path = "".join(f"M{middle[0]:.1f} {middle[1]:.1f}L{x:.1f} {y:.1f}" for x, y in ends)
    group = put(sheet.svg, "g")
    if title is not None:
        put(group, "title", title)
    for kind, width in strokes:
        put(group, "path", class_=kind, d=path, style=f"stroke-width:{width:.1f}")
    return middle


def net_title(sheet: Sheet, net: int) -> str:
    """The net and its power."""
    return f"{sheet.net_name(net)}: {number(sheet.layouts.fields.net_power[sheet.row, net])} W"


def block_boxes(layouts: Layouts, row: int, die: Box) -> dict[int, Box]:
    """Where the blocks of a layout are on a die of that place and size."""
    plan, scale = layouts.plan, die[2] / float(layouts.plan.side[row])
    boxes: dict[int, Box] = {}
    for block in (int(block) for block in np.flatnonzero(layouts.netlists.mask[row])):
        x, y, w, h = (scale * float(edge[row, block]) for edge in (plan.x, plan.y, plan.width, plan.height))
        boxes[block] = (die[0] + x, die[1] + die[3] - y - h, w, h)
    return boxes


def kinds_of(sheet: Sheet, block: int) -> list[str]:
    """What a block is: secret, untrusted, critical, or none of them."""
    return [kind for kind in KINDS if getattr(sheet.layouts.netlists, kind)[sheet.row, block]]


def draw_names(sheet: Sheet) -> list[Box]:
    """Names where they fit, lying or standing, long ones cut short; returns the boxes they take."""
    taken: list[Box] = []
    for block, (x, y, w, h) in sheet.boxes.items():
        name = sheet.names[block]
        standing = h > 1.3 * w and len(name) * 13 * LETTER > w - 4
        along, across = (h - 4, w) if standing else (w - 4, h)
        size = min(max(along / (LETTER * max(len(name), 1)), 8.0), 13.0)
        fits = int(along / (LETTER * size))
        if across < size or (len(name) > fits and fits < 3):
            continue
        shown = name if len(name) <= fits else name[: fits - 1] + "…"
        at = (x + w / 2, y + h / 2)
        label = write(sheet.svg, (at[0], at[1] + 0.36 * size), shown, "name")
        label.set("style", f"font-size:{size:.1f}px")
        long = LETTER * size * len(shown)
        if standing:
            label.set("transform", f"rotate(-90 {at[0]:.1f} {at[1]:.1f})")
        wide, high = (size, long) if standing else (long, size)
        taken.append((at[0] - wide / 2, at[1] - high / 2, wide, high))
    return taken


def colour(share: float) -> str:
    """The temperature's colour, from 0 (cold) to 1 (hot)."""
    at = share * (len(RAMP) - 1)
    low = min(int(at), len(RAMP) - 2)
    ends = [[int(RAMP[i][k : k + 2], 16) for k in (1, 3, 5)] for i in (low, low + 1)]
    return "#" + "".join(f"{round(a + (at - low) * (b - a)):02x}" for a, b in zip(*ends, strict=True))


def overlap(a: Box, b: Box) -> float:
    """The area that two boxes share."""
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    return max(across, 0.0) * max(min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]), 0.0)


def _spread(length: float, step: float) -> list[float]:
    """Offsets of dots in a length, even to both ends."""
    count = max(int(length / step), 1)
    return [(i + 0.5) * length / count for i in range(count)]
