"""Drives as people see them who compare: the first part's path, how far the whole came, and a strip of parts to watch.

Nothing is drawn that must be watched: no path and no bed of any later part.
"""

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
from jaxtyping import Float

from rewardtree.domains.control.courier import DT
from rewardtree.domains.control.segments import Segments
from rewardtree.tasks.board import Board, Instrument, Spot

if TYPE_CHECKING:
    from rewardtree.tasks.answers import Answers, AnswerTask, Scenes

WIDTH, SKY, STRIP = 416.0, 150.0, 44.0
"""Width of a board, height of the path and of the strip under it, in units of the drawing."""
EDGE, LINE = 8.0, 18.0
"""Margin, and height of a line of text."""
STATES = 8
"""Numbers of a state: see `Trips.states`."""
STYLE = """
.drive text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;font-size:12px;fill:#1d2430}
.drive .park{fill:#eef3ea;stroke:#1d2430;stroke-opacity:.3}.drive .part{fill:#e6ebf1;stroke:#1d2430;stroke-width:1}
.drive .free{fill:#c9e2c0}.drive .here{fill:none;stroke:#00703c;stroke-width:3}.drive .number{text-anchor:middle}
.drive .path{fill:none;stroke:#1f5fbf;stroke-width:2.5}.drive .dot{fill:#1f5fbf}.drive .address{fill:#b3541e}
@media (prefers-color-scheme:dark){.drive .onpage{fill:#e8ebf0}.drive .here{stroke:#4cc38a}}
"""


def drive_board(
    drives: Segments, row: int, parts: int, told: str = "", marked: int | None = None
) -> tuple[Board, tuple[Spot, ...]]:
    """One drive, and its parts as places.

    Args:
        drives: whole ones.
        row: the one that is drawn.
        parts: in which it is cut.
        told: a line above the drawing.
        marked: a part that the line speaks of.
    """
    top = LINE + EDGE if told else EDGE
    height = top + SKY + 2 * LINE + STRIP + EDGE
    svg = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {WIDTH:g} {height:g}",
                             "class": "drive"})  # fmt: skip
    ET.SubElement(svg, "style").text = STYLE
    if told:
        _write(svg, EDGE, LINE - 2, told)
    steps = drives.rewards.shape[1] // parts
    seconds = steps * DT
    _draw_path(svg, drives.states[row, :steps].astype(float), top)
    said = f"The first {seconds:g} s: from blue towards brown. A box is {seconds:g} s of the drive."
    _write(svg, EDGE, top + SKY + LINE - 4, said)
    wide, spots = (WIDTH - 2 * EDGE) / parts, []
    for part in range(parts):
        box = (EDGE + part * wide, top + SKY + LINE + 4, wide - 2, STRIP)
        label = f"seconds {part * seconds:g} to {(part + 1) * seconds:g}"
        _box(svg, box, "part free" if part == 0 else "part")
        _write(svg, box[0] + box[2] / 2, box[1] + STRIP / 2 + 4, str(part + 1), "number")
        if part == marked:
            _box(svg, box, "here")
        spots.append((part, label, tuple(round(edge, 1) for edge in box)))
    alt = f"A drive of {parts * seconds:g} s in {parts} parts, of which the first is shown. {told}".strip()
    board = Board(kind="picture", media_type="image/svg+xml", data=ET.tostring(svg, encoding="unicode"), width=WIDTH,
                  height=height, alt=alt)  # fmt: skip
    return board, tuple(spots)


def watching(name: str, spots: tuple[Spot, ...]) -> tuple[Instrument, ...]:
    """The one instrument: to watch a part."""
    return (Instrument(name=name, label="Watch a part", unit="steps on a bed", digits=0, places=spots),)


def moment_board(
    task: "AnswerTask", scenes: "Scenes", answers: "Answers", row: int
) -> tuple[Board, tuple[Instrument, ...]]:
    """An answer of `moments`: the drive, and the part that it points at."""
    assert scenes.backdrop is not None
    drives, item = scenes.backdrop.find(row)
    place, parts = int(answers.place[row]), scenes.valid.shape[1]
    told = f"The answer: worst is part {place + 1}, with {float(answers.value[row]):.1f} steps on a bed."
    board, spots = drive_board(drives, item, parts, told, place)
    return board, watching(task.instruments[0], tuple(spot for spot in spots if scenes.valid[row, spot[0]]))


def _draw_path(svg: ET.Element, states: Float[np.ndarray, "steps state"], top: float) -> None:
    """The path of some steps and the addresses that were seen on it; nothing where states are not known."""
    _box(svg, (EDGE, top, WIDTH - 2 * EDGE, SKY), "park")
    if states.shape[1] != STATES:
        return
    path, addresses = states[:, :2], np.unique(states[:, 2:4], axis=0)
    points = np.concatenate([path, addresses])
    low, room = points.min(axis=0), np.array([WIDTH - 6 * EDGE, SKY - 4 * EDGE])
    span = max(float((np.ptp(points, axis=0) / room).max()), 1e-3)

    def at(point: Float[np.ndarray, " 2"]) -> tuple[float, float]:
        x, y = (point - low) / span
        return 3 * EDGE + float(x), top + SKY - 2 * EDGE - float(y)

    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(at, path))
    ET.SubElement(svg, "polyline", {"class": "path", "points": line})
    for kind, point in (("dot", path[0]), *(("address", one) for one in addresses)):
        x, y = at(point)
        ET.SubElement(svg, "circle", {"class": kind, "cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "5"})


def _box(svg: ET.Element, box: tuple[float, ...], kind: str) -> None:
    edges = {name: f"{value:.1f}" for name, value in zip(("x", "y", "width", "height"), box, strict=True)}
    ET.SubElement(svg, "rect", edges | {"class": kind})


def _write(svg: ET.Element, x: float, y: float, text: str, kind: str = "onpage") -> None:
    ET.SubElement(svg, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "class": kind}).text = text
