"""Pictures of floorplans as self-contained SVG: blocks over temperature, costly nets, and what helpers claim.

Marks that matter differ in shape as well as in colour, so that they can be told apart without colour:
secret blocks are hatched, untrusted ones dotted, critical ones have a second border. Temperature runs from
pale to dark in one family of colours (ColorBrewer's OrRd, Harrower and Brewer, The Cartographic Journal
40(1), 2003). Text outside of the die follows the reader's light or dark colour scheme. No element has an id,
so many pictures can stand in one page.
"""

import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from xml.etree import ElementTree as ET

import numpy as np

from rewardtree.domains.chip.callouts import LINE, mark_claims, write_claims
from rewardtree.domains.chip.floorplan import terms
from rewardtree.domains.chip.layouts import Designs, Layouts
from rewardtree.domains.chip.packing import GRID
from rewardtree.domains.chip.sketch import (
    KINDS,
    STYLE,
    Sheet,
    block_boxes,
    clean,
    colour,
    draw_names,
    kinds_of,
    net_title,
    number,
    pattern,
    put,
    rectangle,
    star,
    write,
)
from rewardtree.errors import TaskError
from rewardtree.tasks.exhibit import NO_CLAIMS, Claims

WIDTH, GAP = 416.0, 24.0
"""Width of a picture, and the gap between two, in units of the drawing."""
LEFT, TOP, DIE = 8.0, 30.0, 400.0
"""Where the die is, and its side."""
COLUMNS = 60
"""Characters that surely fit on a line of text."""
NETS = 6
"""Nets that are drawn: those that cost most."""
LEVELS = 18
"""Colours of the temperature."""
PAIR_STYLE = """
.rtc-pair{width:100%;max-width:960px;height:auto;aspect-ratio:var(--wide)}
@media (max-width:640px){.rtc-pair{aspect-ratio:var(--tall)}
.rtc-pair>g{transform-box:view-box;transform-origin:0 0;transform:scale(2.0408)}
.rtc-pair>g+g{transform:translate(-104.08%,50%) scale(2.0408)}}
"""
"""Panels of 49 % of the width; on a narrow screen they take all of it, the second below the first."""

Ends = tuple[float, float]


class _Look(NamedTuple):
    """What the pictures of a pair share."""

    names: Sequence[str] | None
    heat: Ends


def draw_layout(
    designs: Designs, layouts: Layouts, row: int, claims: Claims | None = None, *,
    names: Sequence[str] | None = None, title: str = "", heat: Ends | None = None,
) -> str:  # fmt: skip
    """Draw one floorplan.

    A claim is drawn where its place is: at a cell (row x 16 + column) where temperature or current checks it,
    at a block where surroundings do, at a net or a block's leakage (nets come first) where item power does.

    Args:
        designs: the netlists.
        layouts: their layouts, [batch].
        row: which of the batch.
        claims: the helpers' claims on the batch, or None.
        names: of the blocks; b0, b1 and so on if None.
        title: a heading; the netlist's name if empty.
        heat: the scale's ends in degrees C; from the layout if None.

    Returns:
        SVG that needs nothing from elsewhere.

    Raises:
        TaskError: where there is no such row, or not one name a block.
    """
    look = _Look(names=names, heat=heat or heat_range([_alone(designs, layouts, row)]))
    panel, height = _panel(layouts, row, claims or NO_CLAIMS, look, title or designs.netlists.names[row])
    panel.set("xmlns", "http://www.w3.org/2000/svg")
    panel.set("viewBox", f"0 0 {WIDTH:g} {height:.0f}")
    panel.set("style", f"max-width:{1.25 * WIDTH:g}px")
    panel.insert(0, _styled(STYLE))
    return ET.tostring(panel, encoding="unicode")


def draw_before_after(
    designs: Designs, layouts: tuple[Layouts, Layouts], row: int,
    claims: tuple[Claims | None, Claims | None] = (None, None), *,
    names: Sequence[str] | None = None, titles: tuple[str, str] = ("Random layout", "Trained layout"),
) -> str:  # fmt: skip
    """Draw two layouts of a netlist on one temperature scale, side by side or, if narrow, stacked.

    Args:
        designs: the netlists.
        layouts: before and after, [batch] each.
        row: which of the batch.
        claims: before and after; see `draw_layout`.
        names: of the blocks.
        titles: before and after; the true reward is put behind each.

    Returns:
        SVG that needs nothing from elsewhere.

    Raises:
        TaskError: as `draw_layout`.
    """
    alone = [_alone(designs, side, row) for side in layouts]
    look = _Look(names=names, heat=heat_range(alone))
    heads = [f"{title}: true reward {number(_reward(side))}" for title, side in zip(titles, alone, strict=True)]
    panels = [
        _panel(side, row, said or NO_CLAIMS, look, head)
        for side, said, head in zip(layouts, claims, heads, strict=True)
    ]
    width, height = 2 * WIDTH + GAP, max(height for _, height in panels)
    pair = ET.Element("svg", {
        "xmlns": "http://www.w3.org/2000/svg", "class": "rtc-pair", "width": f"{width:.0f}",
        "height": f"{height:.0f}", "role": "img", "aria-label": clean(" / ".join(heads)),
        "style": f"--wide:{width:.0f}/{height:.0f};--tall:{WIDTH:.0f}/{2 * height:.0f}",
    })  # fmt: skip
    pair.append(_styled(STYLE + PAIR_STYLE))
    for (panel, _), left in zip(panels, ("0", "51%"), strict=True):
        place = {"x": left, "width": "49%", "height": "100%", "viewBox": f"0 0 {WIDTH:g} {height:.0f}"}
        for name, value in (place | {"preserveAspectRatio": "xMidYMin meet"}).items():
            panel.set(name, value)
        put(pair, "g").append(panel)
    return ET.tostring(pair, encoding="unicode")


def heat_range(layouts: Iterable[Layouts]) -> Ends:
    """Ends of a temperature scale for all of these layouts, in degrees C, at multiples of 10."""
    found = [some.fields.temperature for some in layouts]
    low, high = min(float(t.min()) for t in found), max(float(t.max()) for t in found)
    low = 10.0 * float(np.floor(low / 10))
    return low, max(10.0 * float(np.ceil(high / 10)), low + 10.0)


def _alone(designs: Designs, layouts: Layouts, row: int) -> Layouts:
    """The layout, as a batch of one."""
    if len(designs) != len(layouts) or not 0 <= row < len(layouts):
        raise TaskError(
            f"row {row} of {len(designs)} netlists and {len(layouts)} layouts cannot be drawn; "
            "give one layout a netlist and a row that exists"
        )
    return layouts.take(np.array([row]))


def _panel(layouts: Layouts, row: int, claims: Claims, look: _Look, title: str) -> tuple[ET.Element, float]:
    """The drawing of one layout, and its height."""
    mask, die = layouts.netlists.mask[row], (LEFT, TOP, DIE, DIE)
    boxes = block_boxes(layouts, row, die)
    if look.names is not None and len(look.names) < len(boxes):
        raise TaskError(f"{len(look.names)} names were given for {len(boxes)} blocks; give one a block")
    svg = ET.Element("svg", {"class": "rtc", "role": "img", "aria-label": clean(title)})
    names = _short(look.names, len(mask))
    sheet = Sheet(svg=svg, layouts=layouts, row=row, names=names, die=die, boxes=boxes)
    facts = _facts(layouts, row)
    put(svg, "desc", f"{len(boxes)} blocks of {layouts.netlists.names[row]}. {facts}.")
    write(svg, (LEFT, 19.0), title, "head")
    _draw_heat(sheet, look.heat)
    _draw_blocks(sheet)
    _draw_nets(sheet)
    marked = mark_claims(sheet, claims)
    labels = draw_names(sheet)
    y = write_claims(sheet, claims, marked, labels, TOP + DIE + 22)
    for line in textwrap.wrap(f"Simulated: {facts}", COLUMNS):
        write(svg, (LEFT, y), line, "soft")
        y += LINE
    y = _draw_scale(sheet, look.heat, y)
    return svg, _draw_keys(sheet, y)


def _draw_heat(sheet: Sheet, heat: Ends) -> None:
    """One path a colour; the empty part of the die is paler."""
    cell, field = DIE / GRID, sheet.layouts.fields.temperature[sheet.row]
    level = np.clip(((field - heat[0]) / (heat[1] - heat[0]) * LEVELS).astype(int), 0, LEVELS - 1)
    group = put(sheet.svg, "g", shape_rendering="crispEdges")
    for step in np.unique(level):
        cells = [
            f"M{LEFT + c * cell:g} {TOP + (GRID - 1 - r) * cell:g}h{cell:g}v{cell:g}h-{cell:g}z"
            for r, c in np.argwhere(level == step)
        ]
        put(group, "path", d="".join(cells), fill=colour((step + 0.5) / LEVELS))
    die = f"M{LEFT:g} {TOP:g}h{DIE:g}v{DIE:g}h-{DIE:g}z"
    holes = [f"M{x:.1f} {y:.1f}h{w:.1f}v{h:.1f}h{-w:.1f}z" for x, y, w, h in sheet.boxes.values()]
    put(sheet.svg, "path", class_="empty", d=die + "".join(holes))
    put(sheet.svg, "path", class_="frame", d=die)


def _draw_blocks(sheet: Sheet) -> None:
    lists, fields, row = sheet.layouts.netlists, sheet.layouts.fields, sheet.row
    for block, box in sheet.boxes.items():
        kinds = kinds_of(sheet, block)
        power = lists.power[row, block] + fields.block_leakage[row, block]
        about = [f"{number(power)} W", f"{fields.block_temperature[row, block]:.0f} °C on average"]
        group = put(sheet.svg, "g")
        put(group, "title", ", ".join([sheet.names[block], *kinds, *about]))
        pattern(group, box, kinds)


def _draw_nets(sheet: Sheet) -> None:
    """The nets that cost most, the costlier the thicker."""
    power = sheet.layouts.fields.net_power[sheet.row]
    costly = [int(net) for net in np.argsort(-power, kind="stable")[:NETS] if power[net] > 0]
    for net in reversed(costly):
        width = 0.8 + 2.2 * float(power[net] / power[costly[0]])
        star(sheet, net, ("casing", width + 1.8), ("net", width), title=net_title(sheet, net))


def _draw_scale(sheet: Sheet, heat: Ends, y: float) -> float:
    """The temperature scale; returns where to go on."""
    left, width = LEFT + 92, 200.0
    write(sheet.svg, (LEFT, y + 11), "temperature")
    group = put(sheet.svg, "g", shape_rendering="crispEdges")
    for level in range(LEVELS):
        box = (left + level * width / LEVELS, y, width / LEVELS + 0.2, 13.0)
        rectangle(group, box, fill=colour((level + 0.5) / LEVELS))
    for share in (0.0, 0.5, 1.0):
        degrees = f"{heat[0] + share * (heat[1] - heat[0]):.0f}" + (" °C" if share == 1 else "")
        write(sheet.svg, (left + share * width, y + 27), degrees).set("text-anchor", "middle")
    return y + 38


def _draw_keys(sheet: Sheet, y: float) -> float:
    """What the marks mean, as far as there are any; returns where to go on."""
    lists = sheet.layouts.netlists
    keys = [kind for kind in KINDS if (getattr(lists, kind)[sheet.row] & lists.mask[sheet.row]).any()]
    for place, kind in enumerate([*keys, "net"]):
        x, top = LEFT + (place % 2) * 200, y + (place // 2) * 24
        if kind == "net":
            put(sheet.svg, "path", class_="net onpage", d=f"M{x:g} {top + 8:g}h26", style="stroke-width:2.6")
        else:
            rectangle(sheet.svg, (x, top, 26.0, 17.0), class_="key")
            pattern(sheet.svg, (x, top, 26.0, 17.0), [kind])
        write(sheet.svg, (x + 33, top + 13), KINDS.get(kind, f"the {NETS} costliest nets"))
    return y + 24 * ((len(keys) + 2) // 2)


def _facts(layouts: Layouts, row: int) -> str:
    """What the engineering models say, in words."""
    fields = layouts.fields
    energy = fields.net_power[row].sum() + fields.block_leakage[row].sum()
    return (
        f"hottest {fields.temperature[row].max():.1f} °C, "
        f"least log lifetime {number(fields.log_lifetime[row].min())}, energy {number(energy)} W, "
        f"worst exposure {number(fields.exposure[row].max())}, die {layouts.plan.side[row]:.1f} mm"
    )


def _reward(alone: Layouts) -> float:
    """The true reward; see `rewardtree.domains.chip.floorplan`."""
    fields = alone.fields
    found = terms(
        fields.net_power.sum(axis=1) + fields.block_leakage.sum(axis=1), fields.temperature.max(axis=(1, 2)),
        fields.log_lifetime.min(axis=(1, 2)), fields.exposure.max(axis=1), alone.plan.side,
    )  # fmt: skip
    return float(np.sum(list(found.values())))


def _short(names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """Names without what they all share up to a dot or slash."""
    if names is None:
        return tuple(f"b{block}" for block in range(count))
    given = [clean(name) for name in names]
    heads = {name[: max(name.rfind("."), name.rfind("/")) + 1] for name in given}
    cut = len(heads.pop()) if len(heads) == 1 else 0
    return tuple(name[cut:] or name for name in given)


def _styled(rules: str) -> ET.Element:
    style = ET.Element("style")
    style.text = re.sub(r"\n", "", rules)
    return style
