"""Inputs and outputs of the floorplanning task: netlists, and sequence pairs that place their blocks."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from rewardtree.domains.chip import thermal
from rewardtree.domains.chip.graphs import graph
from rewardtree.domains.chip.netlist import NetlistBatch
from rewardtree.domains.chip.packing import Floorplans, pack
from rewardtree.domains.chip.physics import Fields, simulate

Graphs = tuple[
    Float[np.ndarray, "distinct blocks features"],
    Float[np.ndarray, "distinct blocks blocks"],
    Int[np.ndarray, " batch"],
]


@dataclass(frozen=True, kw_only=True)
class Designs:
    """Netlists to place, each named by its row in a pool of its split.

    Attributes:
        netlists: one a design.
        pool: the designs that these were taken from, where anything that takes long is computed once a netlist.
        rows: of the pool, [batch].
    """

    netlists: NetlistBatch
    pool: "Designs | None" = None
    rows: Int[np.ndarray, " batch"] | None = None

    def __len__(self) -> int:
        return len(self.netlists)

    def take(self, rows: Int[np.ndarray, " rows"]) -> "Designs":
        """The netlists at `rows`."""
        own = rows if self.rows is None else self.rows[rows]
        return Designs(netlists=self.netlists.take(rows), pool=self if self.pool is None else self.pool, rows=own)

    @cached_property
    def graphs(self) -> Graphs:
        """What the placer sees of the distinct netlists (see `graph`), and which of them each design has."""
        if self.pool is None or self.rows is None:
            return *graph(self.netlists), np.arange(len(self))
        features, wired, _ = self.pool.graphs
        distinct, which = np.unique(self.rows, return_inverse=True)
        return features[distinct], wired[distinct], which

    def digest(self) -> list[dict[str, Any]]:
        """The netlists' names."""
        return [{"netlist": name} for name in self.netlists.names]


@dataclass(frozen=True, kw_only=True)
class Layouts:
    """Sequence pairs of netlists; what follows from them is computed when first asked for.

    Attributes:
        netlists: one a layout.
        first: permutations of the blocks, [batch, blocks].
        second: the same.
        rotated: by block, [batch, blocks].
    """

    netlists: NetlistBatch
    first: Int[np.ndarray, "batch blocks"]
    second: Int[np.ndarray, "batch blocks"]
    rotated: Bool[np.ndarray, "batch blocks"]

    def __len__(self) -> int:
        return len(self.first)

    def take(self, rows: Int[np.ndarray, " rows"]) -> "Layouts":
        """The layouts at `rows`."""
        return Layouts(
            netlists=self.netlists.take(rows), first=self.first[rows], second=self.second[rows],
            rotated=self.rotated[rows],
        )  # fmt: skip

    def digest(self) -> list[dict[str, Any]]:
        """The sequence pairs; padded blocks are left out."""
        records = []
        for row in range(len(self)):
            mask = self.netlists.mask[row]
            first, second = self.first[row], self.second[row]
            records.append({
                "first": first[mask[first]].tolist(), "second": second[mask[second]].tolist(),
                "rotated": np.flatnonzero(self.rotated[row] & mask).tolist(),
            })  # fmt: skip
        return records

    @cached_property
    def plan(self) -> Floorplans:
        """Where the blocks stand."""
        return pack(self.netlists, self.first, self.second, self.rotated)

    @cached_property
    def power_map(self) -> Float[np.ndarray, "batch rows columns"]:
        """Power drawn on the floorplan, W a cell."""
        return thermal.power_map(self.plan, self.netlists.power + self.netlists.leakage)

    @cached_property
    def fields(self) -> Fields:
        """What the engineering models say."""
        return simulate(self.netlists, self.plan)

    @cached_property
    def keys(self) -> Int[np.ndarray, " batch"]:
        """A number that names each layout of each netlist."""
        rows = zip(self.netlists.names, self.first, self.second, self.rotated, strict=True)
        digests = [
            hashlib.blake2b(name.encode() + a.tobytes() + b.tobytes() + c.tobytes(), digest_size=6).digest()
            for name, a, b, c in rows
        ]
        return np.array([int.from_bytes(d, "big") for d in digests], dtype=np.int64)


def random_layouts(rng: np.random.Generator, designs: Designs) -> Layouts:
    """A uniformly random sequence pair and uniformly random turns for each netlist."""
    shape = designs.netlists.mask.shape
    return Layouts(
        netlists=designs.netlists,
        first=rng.random(shape).argsort(axis=1),
        second=rng.random(shape).argsort(axis=1),
        rotated=rng.random(shape) < 0.5,
    )
