"""Floorplans as people see them who compare: the board, and the instruments with their places on it.

Drawn is what is free: the blocks with their kinds, the nets that switch most often as the netlist has it, the size of
the die and how much of it is empty; told is where the root's probes point.
Nothing that an instrument reads is drawn: no heat, no current, no power of a net, no leakage, no exposure. Cells are
named like the squares of a chess board: columns from A, rows from 1 at the bottom.
"""

import textwrap
from functools import lru_cache
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
from jaxtyping import Float

from rewardtree.domains.chip.layouts import Layouts
from rewardtree.domains.chip.packing import GRID
from rewardtree.domains.chip.sketch import (
    KINDS,
    STYLE,
    Box,
    Sheet,
    block_boxes,
    draw_names,
    kinds_of,
    pattern,
    put,
    rectangle,
    star,
    write,
)
from rewardtree.tasks.board import Board, Instrument, Spot

if TYPE_CHECKING:
    from rewardtree.tasks.answers import Answers, AnswerTask, Scenes

WIDTH, LEFT, DIE = 416.0, 24.0, 384.0
"""Width of a board, where its die begins, and the die's side, in units of the drawing."""
TOP, TITLED = 6.0, 48.0
"""Where the die begins below the board's upper end: without a title and with one."""
FOOT, KEYS = 74.0, (4.0, 126.0, 270.0)
"""Height of what is below the die, names of columns and what the marks mean, and where the keys' columns begin."""
LINE, COLUMNS = 17.0, 47
"""Height of a line of the title, and characters that surely fit on it."""
NETS = 6
"""Nets that are drawn: the busiest."""
SPOT = 12.0
"""Side of the box around a net's middle."""
PINS = 4
"""Blocks of a net that its name tells."""
LETTERS = "ABCDEFGHIJKLMNOP"
LOOKS = """
.rtb .paper{fill:#fbfbf9}.rtb .body{fill:#e6ebf1}.rtb .grid{fill:none;stroke:#1d2430;stroke-opacity:.13}
.rtb .ruler{font-size:10.5px;text-anchor:middle}.rtb .dot{fill:#1f5fbf;stroke:#fff;stroke-width:.8}
.rtb .halo{fill:none;stroke:#fff;stroke-width:7}.rtb .here{fill:none;stroke:#00703c;stroke-width:3.4}
.rtb .soft{font-size:11.5px}.rtb .title{font-weight:650;font-size:13px}
@media (prefers-color-scheme:dark){.rtb .frame{stroke:#9aa4b2}.rtb .here.onpage{stroke:#4cc38a}
.rtb .paper{fill:#eceef1}.rtb .body{fill:#d3dae3}.rtb .onpage{stroke:#7db2ff}}
"""
TOOLS = {
    "temperature": ("Thermometer", "°C", 1),
    "current": ("Current probe", "MA/cm²", 2),
    "item_power": ("Power meter", "W", 3),
    "surroundings": ("Exposure scan", "", 2),
}
"""Instruments as people know them: label, unit, decimals."""


def cell_name(place: int) -> str:
    """A cell as on a chess board."""
    row, column = divmod(place, GRID)
    return f"{LETTERS[column]}{row + 1}"


@lru_cache(maxsize=4)
def cells(top: float) -> tuple[Spot, ...]:
    """Every cell with its name and its box on a die that begins there."""
    size = DIE / GRID
    return tuple(
        (place, cell_name(place), (LEFT + place % GRID * size, top + (GRID - 1 - place // GRID) * size, size, size))
        for place in range(GRID * GRID)
    )


def net_name(sheet: Sheet, net: int) -> str:
    """The net's number and its first blocks."""
    pins = [sheet.names[block] for block in sheet.pins(net)]
    more = f" and {len(pins) - PINS} more" if len(pins) > PINS else ""
    return f"net {net} ({', '.join(pins[:PINS])}{more})"


def items(sheet: Sheet) -> tuple[Spot, ...]:
    """What the power meter reads: every net at the mean of its blocks' centres, every block's leakage."""
    nets, middles = sheet.layouts.netlists.activity.shape[1], net_middles(sheet)
    wires: list[Spot] = []
    for net in np.flatnonzero(~np.isnan(middles[:, 0])):
        x, y = (float(edge) for edge in middles[net])
        wires.append(
            (int(net), net_name(sheet, int(net)), (round(x - SPOT / 2, 1), round(y - SPOT / 2, 1), SPOT, SPOT))
        )
    return (*wires, *((nets + block, f"leakage of {name}", box) for block, name, box in blocks(sheet)))


def blocks(sheet: Sheet) -> tuple[Spot, ...]:
    """Every block with its name and its box."""
    return tuple((block, sheet.names[block], _rounded(box)) for block, box in sheet.boxes.items())


def net_middles(sheet: Sheet) -> Float[np.ndarray, "nets 2"]:
    """The means of the nets' blocks' centres on the board; nan where there is no net."""
    pins = sheet.layouts.netlists.pins[sheet.row]
    centres = np.full((len(sheet.layouts.netlists.mask[sheet.row]) + 1, 2), 0.0)
    for block, (x, y, w, h) in sheet.boxes.items():
        centres[block] = x + w / 2, y + h / 2
    found = (pins >= 0).sum(axis=1)
    middles: Float[np.ndarray, "nets 2"] = centres[pins].sum(axis=1) / np.where(found, found, np.nan)[:, None]
    return middles


def tools(sheet: Sheet, names: tuple[str, ...]) -> tuple[Instrument, ...]:
    """Instruments with their places on a board; what they read is the exhibit's."""
    places = {"item_power": items, "surroundings": blocks}
    found = []
    for name in names:
        label, unit, digits = TOOLS[name]
        where = places[name](sheet) if name in places else cells(sheet.die[1])
        found.append(Instrument(name=name, label=label, unit=unit, digits=digits, places=where))
    return tuple(found)


def floorplan_board(layouts: Layouts, row: int) -> tuple[Board, tuple[Instrument, ...]]:
    """A layout as the root's output."""
    sheet = _sheet(layouts, row, TOP)
    _draw(sheet, (), -1)
    return _board(sheet, f"Floorplan: {_told(sheet)}", wired=True), tools(sheet, tuple(TOOLS))


def answer_board(
    task: "AnswerTask", scenes: "Scenes", answers: "Answers", row: int
) -> tuple[Board, tuple[Instrument, ...]]:
    """A helper's answer about a layout: its place is marked, its value is told."""
    assert scenes.backdrop is not None
    layouts, item = scenes.backdrop.find(row)
    sheet, place = _sheet(layouts, item, TITLED), int(answers.place[row])
    found = tools(sheet, task.instruments)
    spot = next((one for one in found[0].places if one[0] == place), (place, str(place), ()))
    words = task.told(scenes, answers, row, spot[1])
    lines = textwrap.wrap(words, COLUMNS)
    for line, text in enumerate(reversed(lines)):
        write(sheet.svg, (4.0, TITLED - 12.0 - line * LINE), text, "title")
    wired = "item_power" in task.instruments
    _draw(sheet, spot[2], place if wired else None)
    return _board(sheet, f"{words}. Floorplan: {_told(sheet)}", wired=wired), found


def _sheet(layouts: Layouts, row: int, top: float) -> Sheet:
    die = (LEFT, top, DIE, DIE)
    height = top + DIE + FOOT
    svg = ET.Element("svg", {
        "xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {WIDTH:g} {height:g}", "class": "rtc rtb",
        "width": f"{WIDTH:g}", "height": f"{height:g}",
    })  # fmt: skip
    put(svg, "style", (STYLE + LOOKS).replace("\n", ""))
    names = tuple(f"b{block}" for block in range(len(layouts.netlists.mask[row])))
    return Sheet(svg=svg, layouts=layouts, row=row, names=names, die=die, boxes=block_boxes(layouts, row, die))


def _draw(sheet: Sheet, here: tuple[float, ...], item: int | None) -> None:
    """Die, blocks, nets, the place of an answer, names, rulers and keys.

    Args:
        sheet: where.
        here: box of an answer's place, or empty.
        item: the net or leakage that an answer is about, -1 for none; None where nets don't matter.
    """
    left, top, die, _ = sheet.die
    rectangle(sheet.svg, sheet.die, class_="paper")
    for block, box in sheet.boxes.items():
        rectangle(sheet.svg, box, class_="body")
        pattern(sheet.svg, box, kinds_of(sheet, block))
    steps = [i * die / GRID for i in range(1, GRID)]
    lines = [f"M{left + at:g} {top:g}v{die:g}M{left:g} {top + at:g}h{die:g}" for at in steps]
    put(sheet.svg, "path", class_="grid", d="".join(lines))
    rectangle(sheet.svg, sheet.die, class_="frame")
    if item is not None:
        _draw_nets(sheet, item)
    if here:
        x, y, w, h = here
        rectangle(sheet.svg, (x, y, w, h), class_="halo")
        rectangle(sheet.svg, (x, y, w, h), class_="here")
    draw_names(sheet)
    for i in range(GRID):
        at = (i + 0.5) * die / GRID
        write(sheet.svg, (left + at, top + die + 13), LETTERS[i], "ruler")
        write(sheet.svg, (left - 11, top + die - at + 4), str(i + 1), "ruler")
    _draw_keys(sheet, [*KINDS, *(["net", "dot"] if item is not None else []), *(["here"] if here else [])])


def _draw_nets(sheet: Sheet, item: int) -> None:
    """The busiest nets, the busier the thicker, the net that an answer is about, and the middles of all."""
    activity = sheet.layouts.netlists.activity[sheet.row]
    busy = [int(net) for net in np.argsort(-activity, kind="stable")[:NETS] if activity[net] > 0]
    for net in reversed(busy):
        width = 0.8 + 2.2 * float(activity[net] / activity[busy[0]])
        star(sheet, net, ("casing", width + 1.8), ("net", width))
    if 0 <= item < len(activity) and sheet.pins(item):
        star(sheet, item, ("halo", 7.0), ("here", 3.4))
    dots = [f"M{x - 3:.1f} {y:.1f}l3 -3l3 3l-3 3z" for x, y in net_middles(sheet) if not np.isnan(x)]
    put(sheet.svg, "path", class_="dot", d="".join(dots))


def _draw_keys(sheet: Sheet, keys: list[str]) -> None:
    """What the marks mean; the same on both sides of a comparison."""
    words = KINDS | {"net": f"{NETS} busiest nets", "dot": "middle of a net", "here": "the answer's place"}
    for place, kind in enumerate(keys):
        x, top = KEYS[place % 3], sheet.die[1] + DIE + 23 + place // 3 * 25
        box = (x, top, 26.0, 17.0)
        if kind in KINDS:
            rectangle(sheet.svg, box, class_="body")
            pattern(sheet.svg, box, [kind])
        elif kind == "net":
            put(sheet.svg, "path", class_="net onpage", d=f"M{x:g} {top + 8:g}h26", style="stroke-width:2.6")
        elif kind == "dot":
            put(sheet.svg, "path", class_="dot", d=f"M{x + 10:g} {top + 8:g}l3 -3l3 3l-3 3z")
        else:
            rectangle(sheet.svg, (x + 4, top + 1, 16.0, 15.0), class_="here onpage")
        write(sheet.svg, (x + 31, top + 13), words[kind], "soft")


def _board(sheet: Sheet, alt: str, *, wired: bool) -> Board:
    layouts, row = sheet.layouts, sheet.row
    plan, lists = layouts.plan, layouts.netlists
    area = float((plan.width[row] * plan.height[row]).sum())
    facts = [
        ("die", f"{plan.side[row]:.1f} mm wide"),
        ("empty", f"{100 * (1 - area / plan.side[row] ** 2):.0f} %"),
        ("most power per area", sheet.names[densest(layouts, row)]),
    ]
    if wired:
        facts.append(("busiest net", net_name(sheet, int(lists.activity[row].argmax()))))
    height = sheet.die[1] + DIE + FOOT
    return Board(
        kind="picture", media_type="image/svg+xml", data=ET.tostring(sheet.svg, encoding="unicode"), width=WIDTH,
        height=height, alt=alt, facts=tuple(facts),
    )  # fmt: skip


def densest(layouts: Layouts, row: int) -> int:
    """The block that the netlist gives most power per area."""
    plan, lists = layouts.plan, layouts.netlists
    density = lists.power[row] / np.maximum(plan.width[row] * plan.height[row], 1e-9)
    return int(np.where(lists.mask[row], density, -1).argmax())


def _told(sheet: Sheet) -> str:
    """The layout in words: where each block is, by the cells that its corners are in."""
    size, (left, top, die, _) = DIE / GRID, sheet.die
    found = []
    for block, (x, y, w, h) in sheet.boxes.items():
        west, east = (min(int(max(at - left, 0) / size), GRID - 1) for at in (x, x + w - 0.01))
        low, high = (min(int(max(top + die - at, 0) / size), GRID - 1) for at in (y + h, y + 0.01))
        kinds = ", ".join(kinds_of(sheet, block))
        corners = f"{cell_name(low * GRID + west)} to {cell_name(high * GRID + east)}"
        found.append(f"{sheet.names[block]}{f' ({kinds})' if kinds else ''} at {corners}")
    return "; ".join(found)


def _rounded(box: Box) -> Box:
    x, y, w, h = (round(edge, 2) for edge in box)
    return x, y, w, h
