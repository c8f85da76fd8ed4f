"""How exposed blocks are to attacks that a floorplan makes easier or harder: a simple geometric proxy.

Two threats, each with one measure a block:

- A third party's block beside one that holds secrets can observe or disturb it through supply, substrate and
  wires, the more the longer they face each other and the closer they stand. ``coupling = sum over untrusted u
  of facing length / (gap + g_0)``; blocks that only meet corner to corner do not face each other. That
  neighbours on one die can read each other was shown through the shared supply (Schellenberg et al., DATE
  2018) and through wires that run side by side (Giechaskiel et al., ASIACCS 2018); how it grows with length
  and nearness is our assumption.
- Somebody in the foundry can insert a Trojan where there is free area near a critical block (Salmani and
  Tehranipoor, IEEE TIFS 11(6), 2016; Trippel et al., IEEE S&P 2020). ``free_area`` is the free share of the
  ring within reach d of the block's border, inside the die.

``exposure = COUPLING_WEIGHT x coupling x [secret] + FREE_WEIGHT x free_area x [critical]``.
"""

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Bool, Float

from rewardtree.domains.chip.netlist import NetlistBatch
from rewardtree.domains.chip.packing import Floorplans
from rewardtree.errors import TaskError

GAP_OFFSET = 0.2
"""g_0 in mm: the distance at which coupling has halved (assumed)."""
REACH = 0.5
"""d in mm: how far from its border free area counts as next to a block (assumed)."""
COUPLING_WEIGHT = 0.1
"""Per unit of coupling; with `FREE_WEIGHT` chosen so that both parts spread alike over random floorplans of
generated netlists (standard deviations of 0.27 and 0.19 a block), coupling being the worst block's in about a
quarter of them."""
FREE_WEIGHT = 1.0
"""Per unit of free share."""


def coupling(floorplans: Floorplans, netlists: NetlistBatch) -> Float[np.ndarray, "batch blocks"]:
    """Coupling of blocks that hold secrets to the untrusted blocks that face them.

    A block's projections on the axes decide: two blocks face each other along x where their y intervals
    overlap, by the overlap's length, and the gap is their distance along x; along y likewise. What stands
    between them is not looked at.

    Args:
        floorplans: where the blocks stand.
        netlists: one netlist a floorplan.

    Returns:
        Dimensionless (mm over mm); 0 for blocks without secrets.

    Raises:
        TaskError: where there is not one netlist a floorplan.
    """
    _check(floorplans, netlists)
    out = np.zeros(floorplans.x.shape)
    _couple(
        floorplans.x, floorplans.y, floorplans.width, floorplans.height,
        netlists.secret & netlists.mask, netlists.untrusted & netlists.mask, out,
    )  # fmt: skip
    return out


def free_area(floorplans: Floorplans, netlists: NetlistBatch) -> Float[np.ndarray, "batch blocks"]:
    """Share of the ring around critical blocks that no block covers.

    The ring is the block's rectangle grown by `REACH` on every side, clipped to the die, less the block.

    Args:
        floorplans: where the blocks stand; they do not overlap.
        netlists: one netlist a floorplan.

    Returns:
        0 to 1; 0 for blocks that are not critical, and where a block fills its die.

    Raises:
        TaskError: where there is not one netlist a floorplan.
    """
    _check(floorplans, netlists)
    out = np.zeros(floorplans.x.shape)
    _free(
        floorplans.x, floorplans.y, floorplans.width, floorplans.height, floorplans.side,
        netlists.critical & netlists.mask, out,
    )  # fmt: skip
    return out


def exposure(
    coupling: Float[np.ndarray, "batch blocks"], free_area: Float[np.ndarray, "batch blocks"]
) -> Float[np.ndarray, "batch blocks"]:
    """The weighted sum of both measures, which are zero for blocks that they do not concern."""
    return COUPLING_WEIGHT * coupling + FREE_WEIGHT * free_area


def _check(floorplans: Floorplans, netlists: NetlistBatch) -> None:
    """One netlist a floorplan."""
    if floorplans.x.shape != netlists.width.shape:
        raise TaskError(
            f"exposure: floorplans are {floorplans.x.shape}, netlists {netlists.width.shape}; give one each"
        )


@numba.njit(cache=True)
@no_type_check
def _couple(
    x: Float[np.ndarray, "batch blocks"],
    y: Float[np.ndarray, "batch blocks"],
    width: Float[np.ndarray, "batch blocks"],
    height: Float[np.ndarray, "batch blocks"],
    secret: Bool[np.ndarray, "batch blocks"],
    untrusted: Bool[np.ndarray, "batch blocks"],
    out: Float[np.ndarray, "batch blocks"],
) -> None:
    """Sum over untrusted blocks of facing length / (gap + g_0), for each secret block."""
    batch, blocks = x.shape
    for b in range(batch):
        for i in range(blocks):
            if not secret[b, i]:
                continue
            right, top = x[b, i] + width[b, i], y[b, i] + height[b, i]
            for u in range(blocks):
                if u == i or not untrusted[b, u]:
                    continue
                apart_x = max(x[b, u] - right, x[b, i] - x[b, u] - width[b, u])
                apart_y = max(y[b, u] - top, y[b, i] - y[b, u] - height[b, u])
                shared_x = min(right, x[b, u] + width[b, u]) - max(x[b, i], x[b, u])
                shared_y = min(top, y[b, u] + height[b, u]) - max(y[b, i], y[b, u])
                if apart_x >= apart_y:
                    if shared_y > 0.0:
                        out[b, i] += shared_y / (max(apart_x, 0.0) + GAP_OFFSET)
                elif shared_x > 0.0:
                    out[b, i] += shared_x / (max(apart_y, 0.0) + GAP_OFFSET)


@numba.njit(cache=True)
@no_type_check
def _free(
    x: Float[np.ndarray, "batch blocks"],
    y: Float[np.ndarray, "batch blocks"],
    width: Float[np.ndarray, "batch blocks"],
    height: Float[np.ndarray, "batch blocks"],
    side: Float[np.ndarray, " batch"],
    critical: Bool[np.ndarray, "batch blocks"],
    out: Float[np.ndarray, "batch blocks"],
) -> None:
    """Free share of each critical block's ring."""
    batch, blocks = x.shape
    for b in range(batch):
        for i in range(blocks):
            if not critical[b, i]:
                continue
            left, right = max(0.0, x[b, i] - REACH), min(side[b], x[b, i] + width[b, i] + REACH)
            low, high = max(0.0, y[b, i] - REACH), min(side[b], y[b, i] + height[b, i] + REACH)
            ring = (right - left) * (high - low) - width[b, i] * height[b, i]
            free = ring
            for j in range(blocks):
                if j == i:
                    continue
                across = min(right, x[b, j] + width[b, j]) - max(left, x[b, j])
                along = min(high, y[b, j] + height[b, j]) - max(low, y[b, j])
                if across > 0.0 and along > 0.0:
                    free -= across * along
            if ring > 1e-12:
                out[b, i] = min(max(free / ring, 0.0), 1.0)
