"""From a pair of block sequences to a legal floorplan.

A sequence pair (Murata, Fujiyoshi, Nakatake and Kajitani, IEEE Trans. CAD 15(12), 1996) states for every two
blocks which is beside which. The convention here: block i stands

- left of j, where i comes before j in both sequences: ``x_i + w_i <= x_j``;
- below j, where i comes after j in the first and before j in the second: ``y_i + h_i <= y_j``.

Exactly one of the four relations holds for any two blocks, so none overlap, and the smallest coordinates are
longest paths: ``x_j = max(0, max of x_i + w_i over i left of j)``, and the same for y. Both kinds of
predecessor come before j in the second sequence, so one sweep along it finds all coordinates: the x of j is
the largest right edge so far among places before j's in the first sequence, a running prefix maximum, and its
y the same over places after it. These are the weighted longest common subsequences of Tang and Wong (FAST-SP,
ASP-DAC 2001); the prefix maxima are kept in binary indexed trees, so a floorplan takes O(n log n).
"""

from dataclasses import dataclass
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Bool, Float, Int

from rewardtree.domains.chip.netlist import NetlistBatch
from rewardtree.errors import TaskError

GRID = 16
"""Cells along each side of the die in every field; cell [row, column] counts rows along y and columns along
x."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Floorplans:
    """Where the blocks stand on their dies.

    Attributes:
        x: left edges in mm from the die's left edge, [batch, blocks].
        y: lower edges in mm from the die's lower edge, [batch, blocks].
        width: widths in mm as placed, after rotation, [batch, blocks]; padded blocks have 0.
        height: heights in mm as placed, after rotation, [batch, blocks]; padded blocks have 0.
        side: side of the square die in mm, [batch].

    Raises:
        TaskError: where shapes disagree or a side is not a positive number.
    """

    x: Float[np.ndarray, "batch blocks"]
    y: Float[np.ndarray, "batch blocks"]
    width: Float[np.ndarray, "batch blocks"]
    height: Float[np.ndarray, "batch blocks"]
    side: Float[np.ndarray, " batch"]

    def __post_init__(self) -> None:
        for field in ("y", "width", "height"):
            value = getattr(self, field)
            if value.shape != self.x.shape:
                raise TaskError(f"floorplans: {field} has shape {value.shape}, give it the shape of x, {self.x.shape}")
        if self.side.shape != self.x.shape[:1]:
            raise TaskError(f"floorplans: side has shape {self.side.shape}, give one value a floorplan ({len(self.x)})")
        if not (np.isfinite(self.side).all() and (self.side > 0).all()):
            raise TaskError("floorplans: every die side must be a positive number of mm")

    def __len__(self) -> int:
        return len(self.side)


def pack(
    netlists: NetlistBatch,
    first: Int[np.ndarray, "batch blocks"],
    second: Int[np.ndarray, "batch blocks"],
    rotated: Bool[np.ndarray, "batch blocks"],
) -> Floorplans:
    """Pack blocks as tightly as their sequence pair allows, centred in the smallest square die.

    Args:
        netlists: one netlist a floorplan.
        first: each row a permutation of the block indices, padded blocks included; these may stand anywhere.
        second: the same.
        rotated: by block index (not by position): turned by 90 degrees, which swaps width and height.

    Returns:
        The floorplans; the die's side is the larger extent of the packing.

    Raises:
        TaskError: where a shape disagrees with the netlists or a row is not a permutation.
    """
    shape = netlists.width.shape
    for name, value in (("first", first), ("second", second), ("rotated", rotated)):
        if value.shape != shape:
            raise TaskError(f"pack: {name} has shape {value.shape}, give it the netlists' [batch, blocks] {shape}")
    width = np.where(rotated, netlists.height, netlists.width)
    height = np.where(rotated, netlists.width, netlists.height)
    x, y, side = np.empty(shape), np.empty(shape), np.empty(shape[0])
    bad = _pack(first, second, width, height, x, y, side)
    if bad >= 0:
        raise TaskError(f"pack: row {bad} of first or second is not a permutation of 0..{shape[1] - 1}; repair it")
    return Floorplans(x=x, y=y, width=width, height=height, side=side)


@numba.njit(cache=True)
@no_type_check
def _prefix_maximum(tree: Float[np.ndarray, " entries"], count: int) -> float:
    """Largest of the first `count` entries of a binary indexed tree, 0 where there are none."""
    largest = 0.0
    while count > 0:
        largest = max(largest, tree[count])
        count -= count & -count
    return largest


@numba.njit(cache=True)
@no_type_check
def _raise_maximum(tree: Float[np.ndarray, " entries"], entry: int, value: float) -> None:
    """Raise one entry (1-based) of a binary indexed tree of maxima to `value`."""
    while entry < len(tree):
        tree[entry] = max(tree[entry], value)
        entry += entry & -entry


@numba.njit(cache=True)
@no_type_check
def _pack(
    first: Int[np.ndarray, "batch blocks"],
    second: Int[np.ndarray, "batch blocks"],
    width: Float[np.ndarray, "batch blocks"],
    height: Float[np.ndarray, "batch blocks"],
    x: Float[np.ndarray, "batch blocks"],
    y: Float[np.ndarray, "batch blocks"],
    side: Float[np.ndarray, " batch"],
) -> int:
    """Fill x, y and side; the first row that is not a permutation, or -1."""
    batch, blocks = first.shape
    place = np.empty(blocks, np.int64)
    seen = np.empty(blocks, np.bool_)
    right, top = np.empty(blocks + 1), np.empty(blocks + 1)
    for b in range(batch):
        place[:] = -1
        seen[:] = False
        for k in range(blocks):
            i, j = first[b, k], second[b, k]
            if i < 0 or i >= blocks or j < 0 or j >= blocks or place[i] >= 0 or seen[j]:
                return b
            place[i] = k
            seen[j] = True
        right[:] = 0.0
        top[:] = 0.0
        extent_x, extent_y = 0.0, 0.0
        for k in range(blocks):
            j = second[b, k]
            x[b, j] = _prefix_maximum(right, place[j])
            y[b, j] = _prefix_maximum(top, blocks - 1 - place[j])
            edge_x, edge_y = x[b, j] + width[b, j], y[b, j] + height[b, j]
            _raise_maximum(right, place[j] + 1, edge_x)
            _raise_maximum(top, blocks - place[j], edge_y)
            extent_x, extent_y = max(extent_x, edge_x), max(extent_y, edge_y)
        side[b] = max(extent_x, extent_y)
        for j in range(blocks):
            x[b, j] += 0.5 * (side[b] - extent_x)
            y[b, j] += 0.5 * (side[b] - extent_y)
    return -1
