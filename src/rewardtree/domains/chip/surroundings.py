"""What surrounds cells and nets in the drawing; the columns that heat, current and energy policies see.

Around a cell: the power drawn there and in ever wider neighbourhoods (Gaussian windows that reflect at the
die's edge), the distance to the edge and the size of the die; for supply currents also the power of the bump's
own tile and of the tiles beside it. Around a net: how far its pins lie from their mean, with its activity.
Around a block's leakage: the power drawn in neighbourhoods of its centre.
"""

import math
from functools import lru_cache
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float, Int

from rewardtree.domains.chip.layouts import Layouts
from rewardtree.domains.chip.packing import GRID
from rewardtree.domains.chip.supply import BUMP_CELLS

WINDOWS = (0.7, 1.5, 3.0, 6.0)
"""Standard deviations of the neighbourhoods, in cells."""
REACHES = (1.5, 3.0, 6.0)
"""Distances from a bump, in cells, over which features of the supply current fade."""
USUAL_NETS, USUAL_PINS = 48, 5
"""Scale activities and pin counts alike in every batch, however it is padded."""
HEAT_COLUMNS = slice(0, 9)
CURRENT_COLUMNS = slice(9, 26)
Maps = Float[np.ndarray, "batch rows columns"]


@lru_cache(maxsize=8)
def window(width: float) -> Float[np.ndarray, "rows columns"]:
    """The matrix that averages a row of cells in a Gaussian window, reflecting at the edge."""
    cells = np.arange(GRID)
    mirrored = np.stack([cells, -1 - cells, 2 * GRID - 1 - cells])
    weight = np.exp(-0.5 * ((cells[:, None, None] - mirrored[None]) / width) ** 2).sum(axis=1)
    matrix: Float[np.ndarray, "rows columns"] = weight / weight.sum(axis=1, keepdims=True)
    matrix.setflags(write=False)
    return matrix


def blur(maps: Maps, width: float) -> Maps:
    """Average maps in a Gaussian window."""
    return blurs(maps, (width,))[:, 0]


def blurs(maps: Maps, widths: tuple[float, ...]) -> Float[np.ndarray, "batch widths rows columns"]:
    """Average maps in Gaussian windows of several widths."""
    matrices = np.stack([window(width) for width in widths])
    along = maps.reshape(-1, GRID) @ matrices.reshape(-1, GRID).T
    split = along.reshape(len(maps), GRID, len(widths), GRID).transpose(0, 2, 1, 3)
    blurred: Float[np.ndarray, "batch widths rows columns"] = matrices @ split
    return blurred


def cell_features(layouts: Layouts) -> Float[np.ndarray, "batch cells features"]:
    """Around each cell: `HEAT_COLUMNS` for temperature, `CURRENT_COLUMNS` for supply current.

    Heat: power density; its averages in the `WINDOWS`; distances from the die's middle along both sides; the
    die's side; the mean density.

    Current, all in proportion to 1 / side as straps are narrower on smaller dies: power; its average nearby;
    power of the bump's own tile and of the mean tile beside it; how steeply power changes; the tile's power
    where the cell is at the bump, where it is next to it, and fading with the distance; the average nearby,
    fading; power of the wedge behind the cell and of the tile's strongest wedge, seen from near the bump. Then,
    for their own sake, how far the bump is, and whether it is here.
    """
    out = np.empty((len(layouts), GRID * GRID, CURRENT_COLUMNS.stop), dtype=np.float32)
    power, ground = layouts.power_map, _ground()
    _see_cells(power, blurs(power, WINDOWS), layouts.plan.side, *ground, out)
    return out


@lru_cache(maxsize=1)
def _ground() -> tuple[
    Int[np.ndarray, "rows columns"], Int[np.ndarray, "rows columns"], Float[np.ndarray, "parts rows columns"]
]:
    """What each cell is to its nearest bump.

    Returns:
        The bump's tile; the tile's wedge (east, west, north or south); and, one map each, the distance, how much
        of a bump's influence is left for each of `REACHES`, whether the cell is at the bump, and whether it is
        next to it.
    """
    bumps, cells = np.array(BUMP_CELLS), np.arange(GRID)
    nearest = np.abs(cells[:, None] - bumps).argmin(axis=1)
    along = np.broadcast_to(cells - bumps[nearest], (GRID, GRID))
    across = along.T
    east_west, north_south = np.where(along >= 0, 0, 1), np.where(across >= 0, 2, 3)
    wedge = np.where(np.abs(along) >= np.abs(across), east_west, north_south)
    apart = np.hypot(across, along)
    near = [np.exp(-0.5 * (apart / reach) ** 2) for reach in REACHES]
    within = [(apart <= 0.5) * 1.0, ((apart > 0.5) & (apart < 1.2)) * 1.0]
    return nearest[:, None] * len(bumps) + nearest, wedge, np.stack([apart, *near, *within])


@numba.njit(cache=True)
@no_type_check
def _see_cells(
    power: Float[np.ndarray, "batch rows columns"],
    blurred: Float[np.ndarray, "batch widths rows columns"],
    side: Float[np.ndarray, " batch"],
    tile: Int[np.ndarray, "rows columns"],
    wedge: Int[np.ndarray, "rows columns"],
    ground: Float[np.ndarray, "parts rows columns"],
    out: Float[np.ndarray, "batch cells features"],
) -> None:
    """Fill `out` as `cell_features` says."""
    batch, grid, widths = power.shape[0], power.shape[1], blurred.shape[1]
    bumps = len(BUMP_CELLS)
    wedges, strongest = np.empty((bumps * bumps, 4)), np.empty(bumps * bumps)
    own, beside = np.empty(bumps * bumps), np.empty(bumps * bumps)
    for b in range(batch):
        _sum_tiles(power[b], tile, wedge, wedges, own, beside, strongest)
        scale, narrow = (grid / side[b]) ** 2, 10.0 / side[b]
        mean = own.sum() / side[b] ** 2
        flat = blurred[b, 1]
        for r in range(grid):
            for c in range(grid):
                seen, t, part = out[b, r * grid + c], tile[r, c], ground[:, r, c]
                at_bump, next_to, behind = part[4], part[5], wedges[t, wedge[r, c]]
                seen[0] = power[b, r, c] * scale
                for w in range(widths):
                    seen[1 + w] = blurred[b, w, r, c] * scale
                seen[5] = abs(r - 0.5 * (grid - 1)) / (0.5 * grid)
                seen[6] = abs(c - 0.5 * (grid - 1)) / (0.5 * grid)
                seen[7] = side[b]
                seen[8] = mean
                seen[9] = power[b, r, c] * narrow
                seen[10] = blurred[b, 0, r, c] * narrow
                seen[11] = own[t] * narrow
                seen[12] = beside[t] * narrow
                up, down = min(r + 1, grid - 1), max(r - 1, 0)
                east, west = min(c + 1, grid - 1), max(c - 1, 0)
                rise = (flat[up, c] - flat[down, c]) / (up - down)
                run = (flat[r, east] - flat[r, west]) / (east - west)
                seen[13] = math.hypot(rise, run) * narrow
                seen[14] = at_bump * own[t] * narrow
                seen[15] = next_to * own[t] * narrow
                for reach in range(3):
                    seen[16 + reach] = part[1 + reach] * own[t] * narrow
                seen[19] = part[2] * flat[r, c] * narrow
                seen[20] = part[3] * flat[r, c] * narrow
                seen[21] = next_to * behind * narrow
                seen[22] = at_bump * strongest[t] * narrow
                seen[23] = part[1] * behind * narrow
                seen[24] = part[0]
                seen[25] = at_bump


@numba.njit(cache=True)
@no_type_check
def _sum_tiles(
    power: Float[np.ndarray, "rows columns"],
    tile: Int[np.ndarray, "rows columns"],
    wedge: Int[np.ndarray, "rows columns"],
    wedges: Float[np.ndarray, "tiles 4"],
    own: Float[np.ndarray, " tiles"],
    beside: Float[np.ndarray, " tiles"],
    strongest: Float[np.ndarray, " tiles"],
) -> None:
    """Power of wedges and tiles, of each tile's strongest wedge, and the mean of the four tiles beside it.

    At the edge, the tile itself stands in for the one that is missing.
    """
    bumps = len(BUMP_CELLS)
    wedges[:] = 0.0
    for r in range(power.shape[0]):
        for c in range(power.shape[1]):
            wedges[tile[r, c], wedge[r, c]] += power[r, c]
    for t in range(bumps * bumps):
        own[t], strongest[t] = wedges[t].sum(), wedges[t].max()
    for i in range(bumps):
        for j in range(bumps):
            lower, upper = max(i - 1, 0) * bumps + j, min(i + 1, bumps - 1) * bumps + j
            left, right = i * bumps + max(j - 1, 0), i * bumps + min(j + 1, bumps - 1)
            beside[i * bumps + j] = (own[lower] + own[upper] + own[left] + own[right]) / 4


def centres(
    layouts: Layouts,
) -> tuple[Float[np.ndarray, "batch blocks"], Float[np.ndarray, "batch blocks"]]:
    """The blocks' centres, x and y in mm."""
    plan = layouts.plan
    return plan.x + plan.width / 2, plan.y + plan.height / 2


def cells_of(layouts: Layouts) -> tuple[Int[np.ndarray, "batch blocks"], Int[np.ndarray, "batch blocks"]]:
    """Row and column of the cell under each block's centre."""
    x, y = centres(layouts)
    pitch = layouts.plan.side[:, None] / GRID
    return np.clip((y / pitch).astype(int), 0, GRID - 1), np.clip((x / pitch).astype(int), 0, GRID - 1)


def item_features(layouts: Layouts) -> Float[np.ndarray, "batch items features"]:
    """Around each item of the energy bill: the nets, then the blocks' leakages."""
    lists, plan = layouts.netlists, layouts.plan
    batch, nets, _ = lists.pins.shape
    items = np.zeros((batch, nets + lists.mask.shape[1], 13), dtype=np.float32)
    _see_nets(lists.pins, lists.activity, *centres(layouts), plan.side, items)
    row, column = cells_of(layouts)
    scale = (GRID / plan.side) ** 2
    around = blurs(layouts.power_map, WINDOWS)[np.arange(batch)[:, None], :, row, column]
    items[:, nets:, 8] = lists.leakage
    items[:, nets:, 9:] = around * (lists.leakage * scale[:, None])[..., None]
    return items


@numba.njit(cache=True)
@no_type_check
def _see_nets(
    pins: Int[np.ndarray, "batch nets pins"],
    activity: Float[np.ndarray, "batch nets"],
    x: Float[np.ndarray, "batch blocks"],
    y: Float[np.ndarray, "batch blocks"],
    side: Float[np.ndarray, " batch"],
    out: Float[np.ndarray, "batch items features"],
) -> None:
    """Fill the first eight columns of the nets: how far pins lie from their mean, with the net's activity.

    Columns: 1; pins; activity; the sum of the distances over the die's side; along x and then y, the mean and
    the root mean square distance of the pins from their mean, times activity.
    """
    batch, nets, degree = pins.shape
    for b in range(batch):
        for n in range(nets):
            count = 0
            while count < degree and pins[b, n, count] >= 0:
                count += 1
            seen, share = out[b, n], activity[b, n] * USUAL_NETS
            seen[0], seen[1], seen[2] = 1.0, max(count, 1) / USUAL_PINS, share
            total = 0.0
            for axis in range(2):
                at = x[b] if axis == 0 else y[b]
                mean, off, square = 0.0, 0.0, 0.0
                for p in range(count):
                    mean += at[pins[b, n, p]] / count
                for p in range(count):
                    distance = abs(at[pins[b, n, p]] - mean)
                    off += distance / count
                    square += distance**2 / count
                total += off + math.sqrt(square)
                seen[4 + 2 * axis], seen[5 + 2 * axis] = off * share, math.sqrt(square) * share
            seen[3] = total / side[b]
