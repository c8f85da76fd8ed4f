"""Steady temperature of a die over a heat sink.

A square die of side L and thickness t conducts sideways within the silicon and downwards through package and
heat sink:

    k t (d2T/dx2 + d2T/dy2) - h_v (T - T_ambient) + q(x, y) = 0,    no flow through the four sides,

with q in W/m^2 (the usual thin-die reduction of compact models such as HotSpot, Huang et al., IEEE Trans.
VLSI 14(5), 2006). On G x G equal cells of side h = L / G, finite volumes give for each cell

    k t sum over neighbours (T' - T) - h_v h^2 (T - T_ambient) + P = 0:

between square cells the lateral conductance is k t whatever their size. The cosines of the DCT-II are the
eigenvectors of this sum with no flow through the sides, its eigenvalues minus (2 - 2 cos(pi i / G)) a
direction, so the solution is exact in four small matrix products. Heat of the nets and the growth of leakage
with temperature are not fed back (a simplification: both would add power that depends on the solution).
"""

from functools import lru_cache
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float

from rewardtree.domains.chip.packing import GRID, Floorplans
from rewardtree.errors import TaskError

AMBIENT = 45.0
"""Air at the heat sink in degrees C (HotSpot's default, 318.15 K)."""
CONDUCTIVITY = 120.0
"""Silicon near 80 degrees C in W/(m K): 148 at 300 K, falling as T^-1.3 (usual fit to Glassbrenner and Slack,
Phys. Rev. 134, 1964)."""
THICKNESS = 0.5e-3
"""Die thickness in m (assumed; wafers are about 0.5 to 0.8 mm before thinning)."""
SINK_CONDUCTANCE = 1.0e4
"""Package and heat sink together, vertical, in W/(m^2 K) of die area (assumed: 2.5 K/W for 40 mm^2)."""
MIN_BLOCK_AREA = 1e-12
"""Blocks of less than this, in mm^2, are padding: they hold no power and their temperature is given as the
ambient."""


def power_map(
    floorplans: Floorplans, power: Float[np.ndarray, "batch blocks"]
) -> Float[np.ndarray, "batch rows columns"]:
    """Spread each block's power evenly over its rectangle, by exact overlap with the cells.

    Args:
        floorplans: where the blocks stand.
        power: W a block.

    Returns:
        W a cell, [batch, row, column]; sums to the blocks' power.

    Raises:
        TaskError: where `power` does not give one value a block.
    """
    if power.shape != floorplans.x.shape:
        raise TaskError(f"power_map: power has shape {power.shape}, give one value a block, {floorplans.x.shape}")
    cells = np.zeros((len(floorplans), GRID, GRID))
    _spread(floorplans.x, floorplans.y, floorplans.width, floorplans.height, floorplans.side, power, cells)
    return cells


def temperature(
    cell_power: Float[np.ndarray, "batch cells cells"], side: Float[np.ndarray, " batch"]
) -> Float[np.ndarray, "batch cells cells"]:
    """Solve the module's equation.

    Args:
        cell_power: W a cell, any number of cells a side.
        side: die sides in mm.

    Returns:
        Degrees C at the cells' centres.
    """
    cells = cell_power.shape[-1]
    basis, eigenvalues = _cosines(cells)
    spread = CONDUCTIVITY * THICKNESS * (eigenvalues[:, None] + eigenvalues[None, :])
    sink = SINK_CONDUCTANCE * (side * 1e-3 / cells) ** 2
    modes = (basis @ cell_power) @ basis.T
    modes /= spread + sink[:, None, None]
    rise: Float[np.ndarray, "batch cells cells"] = (basis.T @ modes) @ basis
    rise += AMBIENT
    return rise


def block_temperature(
    floorplans: Floorplans, field: Float[np.ndarray, "batch rows columns"]
) -> Float[np.ndarray, "batch blocks"]:
    """Mean of a temperature field over each block's rectangle, by exact overlap with the cells.

    Args:
        floorplans: where the blocks stand.
        field: degrees C, from `temperature`.

    Returns:
        Degrees C a block; `AMBIENT` for padded blocks.
    """
    means = np.full(floorplans.x.shape, AMBIENT)
    _gather(floorplans.x, floorplans.y, floorplans.width, floorplans.height, floorplans.side, field, means)
    return means


@lru_cache(maxsize=8)
def _cosines(cells: int) -> tuple[Float[np.ndarray, "modes cells"], Float[np.ndarray, " modes"]]:
    """Orthonormal DCT-II matrix, and the eigenvalues of minus the second difference that it diagonalises."""
    mode = np.arange(cells)
    basis = np.sqrt(2.0 / cells) * np.cos(np.pi * mode[:, None] * (mode[None, :] + 0.5) / cells)
    basis[0] = np.sqrt(1.0 / cells)
    eigenvalues = 2.0 - 2.0 * np.cos(np.pi * mode / cells)
    basis.setflags(write=False)
    eigenvalues.setflags(write=False)
    return basis, eigenvalues


@numba.njit(cache=True)
@no_type_check
def _overlaps(low: float, high: float, pitch: float, cells: int, share: Float[np.ndarray, " cells"]) -> tuple[int, int]:
    """Fill `share` with the length of [low, high] in each cell; first cell touched, one past the last."""
    start = min(max(int(low / pitch), 0), cells - 1)
    stop = start
    while stop < cells and (stop == start or stop * pitch < high):
        share[stop] = max(0.0, min(high, (stop + 1) * pitch) - max(low, stop * pitch))
        stop += 1
    return start, stop


@numba.njit(cache=True)
@no_type_check
def _spread(
    x: Float[np.ndarray, "batch blocks"],
    y: Float[np.ndarray, "batch blocks"],
    width: Float[np.ndarray, "batch blocks"],
    height: Float[np.ndarray, "batch blocks"],
    side: Float[np.ndarray, " batch"],
    power: Float[np.ndarray, "batch blocks"],
    out: Float[np.ndarray, "batch rows columns"],
) -> None:
    """Add each block's power to the cells it covers."""
    batch, blocks = x.shape
    cells = out.shape[-1]
    across, along = np.empty(cells), np.empty(cells)
    for b in range(batch):
        pitch = side[b] / cells
        for i in range(blocks):
            area = width[b, i] * height[b, i]
            if area < MIN_BLOCK_AREA:
                continue
            c0, c1 = _overlaps(x[b, i], x[b, i] + width[b, i], pitch, cells, across)
            r0, r1 = _overlaps(y[b, i], y[b, i] + height[b, i], pitch, cells, along)
            density = power[b, i] / area
            for r in range(r0, r1):
                row = density * along[r]
                for c in range(c0, c1):
                    out[b, r, c] += row * across[c]


@numba.njit(cache=True)
@no_type_check
def _gather(
    x: Float[np.ndarray, "batch blocks"],
    y: Float[np.ndarray, "batch blocks"],
    width: Float[np.ndarray, "batch blocks"],
    height: Float[np.ndarray, "batch blocks"],
    side: Float[np.ndarray, " batch"],
    field: Float[np.ndarray, "batch rows columns"],
    out: Float[np.ndarray, "batch blocks"],
) -> None:
    """Set each block's mean of the field."""
    batch, blocks = x.shape
    cells = field.shape[-1]
    across, along = np.empty(cells), np.empty(cells)
    for b in range(batch):
        pitch = side[b] / cells
        for i in range(blocks):
            area = width[b, i] * height[b, i]
            if area < MIN_BLOCK_AREA:
                continue
            c0, c1 = _overlaps(x[b, i], x[b, i] + width[b, i], pitch, cells, across)
            r0, r1 = _overlaps(y[b, i], y[b, i] + height[b, i], pitch, cells, along)
            total = 0.0
            for r in range(r0, r1):
                for c in range(c0, c1):
                    total += along[r] * across[c] * field[b, r, c]
            out[b, i] = total / area
