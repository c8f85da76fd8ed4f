"""What the chip's policies and reward models see: the drawing, around one place or as a whole; never a solver's field.

Around a cell: the power drawn there and in ever wider neighbourhoods (Gaussian windows that reflect at the die's edge), the
distance to the edge and the size of the die; for supply currents also the power of the bump's own tile and of the tiles beside it.
Around a net: how far its pins lie from their mean, with its activity. Around a block: its own record, how far the untrusted
blocks are, and how much of the drawing around it is empty.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float

from rewardtree.domains.chip.layouts import Layouts
from rewardtree.domains.chip.packing import GRID
from rewardtree.domains.chip.supply import BUMP_CELLS

WINDOWS = (0.7, 1.5, 3.0, 6.0)
"""Standard deviations of the neighbourhoods, in cells."""
REACHES = (1.5, 3.0, 6.0)
"""Distances from a bump, in cells, over which features of the supply current fade."""
NEAREST = 3
"""Untrusted blocks that a block's features tell of."""
HEAT_COLUMNS = slice(0, 9)
CURRENT_COLUMNS = slice(9, 26)
Maps = Float[np.ndarray, "batch rows columns"]


@lru_cache(maxsize=8)
def window(width: float) -> Float[np.ndarray, "rows columns"]:
    """The matrix that averages a row of cells in a Gaussian window, reflecting at the edge."""
    cells = np.arange(GRID)
    mirrored = np.stack([cells, -1 - cells, 2 * GRID - 1 - cells])
    weight = np.exp(-0.5 * ((cells[:, None, None] - mirrored[None]) / width) ** 2).sum(axis=1)
    return weight / weight.sum(axis=1, keepdims=True)


def blur(maps: Maps, width: float) -> Maps:
    """Average maps in a Gaussian window."""
    matrix = window(width)
    return matrix @ maps @ matrix.T


@lru_cache(maxsize=1)
def _tiles() -> Float[np.ndarray, "rows tiles"]:
    nearest = np.abs(np.arange(GRID)[:, None] - np.array(BUMP_CELLS)).argmin(axis=1)
    return np.eye(len(BUMP_CELLS))[nearest]


@lru_cache(maxsize=1)
def _wedges() -> Float[np.ndarray, "cells wedges"]:
    """Which cell lies in which of the four wedges (east, west, north, south) around its nearest bump."""
    bumps = np.array(BUMP_CELLS)
    nearest = np.abs(np.arange(GRID)[:, None] - bumps).argmin(axis=1)
    along = np.broadcast_to(np.arange(GRID) - bumps[nearest], (GRID, GRID))
    across = along.T
    wedge = np.where(np.abs(along) >= np.abs(across), np.where(along >= 0, 0, 1), np.where(across >= 0, 2, 3))
    tile = nearest[:, None] * len(bumps) + nearest
    return np.eye(4 * len(bumps) ** 2)[(tile * 4 + wedge).ravel()]


def _behind(power: Maps) -> tuple[Maps, Maps]:
    """Power of each cell's own wedge, and of the strongest wedge of its tile."""
    wedges = _wedges()
    sums = power.reshape(len(power), -1) @ wedges
    strongest = np.repeat(sums.reshape(len(power), -1, 4).max(axis=2), 4, axis=1)
    return (sums @ wedges.T).reshape(power.shape), (strongest @ wedges.T).reshape(power.shape)


def cell_features(layouts: Layouts) -> Float[np.ndarray, "batch cells features"]:
    """Around each cell: `HEAT_COLUMNS` for temperature, `CURRENT_COLUMNS` for supply current."""
    power, side = layouts.power_map, layouts.plan.side
    density = power * (GRID / side[:, None, None]) ** 2
    centred = np.abs(np.arange(GRID) - (GRID - 1) / 2) / (GRID / 2)
    ones = np.ones_like(power)
    size = side[:, None, None] * ones
    blurred = [blur(density, width) for width in WINDOWS]
    heat = [density, *blurred, ones * centred[:, None], ones * centred, size,
            ones * power.sum(axis=(1, 2), keepdims=True) / side[:, None, None] ** 2]  # fmt: skip
    tiles = _tiles()
    tile = tiles.T @ power @ tiles
    own = tiles @ tile @ tiles.T
    beside = tiles @ (_neighbours(tile)) @ tiles.T
    offset = np.abs(np.arange(GRID)[:, None] - np.array(BUMP_CELLS)).min(axis=1)
    apart = np.hypot(offset[:, None], offset)
    near = [np.exp(-0.5 * (apart / reach) ** 2) for reach in REACHES]
    within = [(apart <= 0.5) * 1.0, ((apart > 0.5) & (apart < 1.2)) * 1.0]
    slope = np.hypot(np.gradient(blurred[1], axis=1), np.gradient(blurred[1], axis=2)) * (side[:, None, None] / GRID) ** 2
    wedge, strongest = _behind(power)
    narrow = 10.0 / side[:, None, None]
    current = [power, blur(power, 0.7), own, beside, slope, *(w * own for w in within), *(n * own for n in near),
               *(n * blurred[1] * (side[:, None, None] / GRID) ** 2 for n in near[1:]), within[1] * wedge, within[0] * strongest, near[0] * wedge]  # fmt: skip
    current = [feature * narrow for feature in current] + [ones * apart, ones * within[0]]
    stacked = np.stack(heat + current, axis=-1)
    return stacked.reshape(len(layouts), GRID * GRID, -1).astype(np.float32)


def _neighbours(tile: Maps) -> Maps:
    padded = np.pad(tile, ((0, 0), (1, 1), (1, 1)), mode="edge")
    return (padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]) / 4


def _centres(layouts: Layouts) -> tuple[Float[np.ndarray, "batch blocks"], Float[np.ndarray, "batch blocks"]]:
    plan = layouts.plan
    return plan.x + plan.width / 2, plan.y + plan.height / 2


def item_features(layouts: Layouts) -> Float[np.ndarray, "batch items features"]:
    """Around each item of the energy bill: the nets, then the blocks' leakages."""
    pins, activity = layouts.netlists.pins, layouts.netlists.activity
    batch, nets, degree = pins.shape
    blocks = layouts.netlists.mask.shape[1]
    used = pins >= 0
    count = np.maximum(used.sum(axis=2), 1)
    flat = np.maximum(pins, 0).reshape(batch, -1)
    net = np.zeros((batch, nets, 8))
    net[..., 0], net[..., 1] = 1.0, count / degree
    net[..., 2] = activity * nets
    deviations = []
    for centre in _centres(layouts):
        at = np.take_along_axis(centre, flat, axis=1).reshape(pins.shape)
        mean = np.where(used, at, 0).sum(axis=2) / count
        off = np.where(used, np.abs(at - mean[..., None]), 0)
        deviations += [off.sum(axis=2) / count, np.sqrt((off**2).sum(axis=2) / count)]
    spread = np.stack(deviations, axis=-1) / layouts.plan.side[:, None, None]
    net[..., 3] = spread.sum(axis=-1)
    net[..., 4:] = spread * (activity * nets * layouts.plan.side[:, None])[..., None]
    block = np.zeros((batch, blocks, 5))
    leakage = layouts.netlists.leakage
    block[..., 0] = leakage
    density = layouts.power_map * (GRID / layouts.plan.side[:, None, None]) ** 2
    column, row = (np.clip((c / layouts.plan.side[:, None] * GRID).astype(int), 0, GRID - 1) for c in _centres(layouts))
    for index, width in enumerate(WINDOWS):
        block[..., 1 + index] = leakage * blur(density, width)[np.arange(batch)[:, None], row, column]
    items = np.zeros((batch, nets + blocks, 13), dtype=np.float32)
    items[:, :nets, :8], items[:, nets:, 8:] = net, block
    return items


def block_features(layouts: Layouts) -> Float[np.ndarray, "batch blocks features"]:
    """Around each block: its record, the nearest untrusted blocks, and how empty the drawing is around it."""
    lists, plan = layouts.netlists, layouts.plan
    batch, blocks = lists.mask.shape
    x, y = _centres(layouts)
    apart_x = np.abs(x[:, :, None] - x[:, None]) - (plan.width[:, :, None] + plan.width[:, None]) / 2
    apart_y = np.abs(y[:, :, None] - y[:, None]) - (plan.height[:, :, None] + plan.height[:, None]) / 2
    gap = np.maximum(apart_x, apart_y)
    gap = np.where(lists.untrusted[:, None, :] & lists.mask[:, None, :], gap, 1e3)
    order = gap.argsort(axis=2, kind="stable")[..., :NEAREST]
    rows, own = np.arange(batch)[:, None, None], np.arange(blocks)[None, :, None]
    near = np.minimum(gap[rows, own, order], 10.0)
    facing = np.maximum(-np.minimum(apart_x, apart_y)[rows, own, order], 0.0) * (near < 10.0)
    secret = lists.secret[..., None].astype(float)
    touch = secret * facing / (np.maximum(near, 0.0) + 0.2)
    empty = (layouts.power_map <= 1e-9).astype(float)
    column, row = (np.clip((c / plan.side[:, None] * GRID).astype(int), 0, GRID - 1) for c in (x, y))
    around = [blur(empty, width)[np.arange(batch)[:, None], row, column] for width in WINDOWS[:3]]
    edge = [np.minimum(c - s / 2, plan.side[:, None] - c - s / 2) for c, s in ((x, plan.width), (y, plan.height))]
    critical = lists.critical.astype(float)
    parts = [lists.secret, critical, plan.width * critical, plan.height * critical,
             *(a * critical for a in around), *(e * critical for e in edge)]  # fmt: skip
    stacked = np.concatenate([np.stack(parts, axis=-1), touch, secret * near, secret * facing], axis=-1)
    return stacked.astype(np.float32)


def drawing(layouts: Layouts) -> Float[np.ndarray, "batch features"]:
    """The whole drawing, coarsely: maps of power, secret, untrusted and critical area and of net ends, and the die's size."""
    lists, plan = layouts.netlists, layouts.plan
    area = plan.width * plan.height
    connected = np.zeros(lists.mask.shape)
    rows = np.arange(len(layouts))[:, None, None]
    np.add.at(connected, (rows, np.maximum(lists.pins, 0)), np.where(lists.pins >= 0, lists.activity[..., None], 0.0))
    layers = [lists.power + lists.leakage, area * lists.secret, area * lists.untrusted, area * lists.critical, connected]
    from rewardtree.domains.chip.thermal import power_map

    maps = [power_map(plan, layer).reshape(len(layouts), GRID // 4, 4, GRID // 4, 4).sum(axis=(2, 4)) for layer in layers]
    flat = np.concatenate([m.reshape(len(layouts), -1) for m in maps], axis=1)
    return np.concatenate([flat, plan.side[:, None], area.sum(axis=1, keepdims=True)], axis=1).astype(np.float32)
