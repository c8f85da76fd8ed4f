"""What the chip's policies and reward models see: the drawing, around one place or as a whole; never a solver's field.

Around cells, nets and leakages: see `rewardtree.domains.chip.surroundings`. Around a block: its own record, how far the
untrusted blocks are, and how much of the drawing around it is empty.
"""

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float, Int

from rewardtree.domains.chip.layouts import Layouts
from rewardtree.domains.chip.netlist import NetlistBatch
from rewardtree.domains.chip.packing import GRID
from rewardtree.domains.chip.surroundings import WINDOWS, blurs, cells_of, centres

NEAREST = 3
PROXIMITY = (1.5, 0.4)
"""Distances in mm over which a facing neighbour fades from view."""
"""Untrusted blocks that a block's features tell of."""
REACH = 0.5
"""How far from a block, in mm, its neighbourhood reaches."""
FAR = 10.0
"""Blocks further away than this, in mm, count as this far."""


def block_features(layouts: Layouts) -> Float[np.ndarray, "batch blocks features"]:
    """Around each block: its record, the nearest untrusted blocks, and how empty the drawing is around it."""
    lists, plan = layouts.netlists, layouts.plan
    batch, blocks = lists.mask.shape
    near = np.full((batch, blocks, NEAREST), FAR)
    facing, rim = np.zeros((batch, blocks, NEAREST)), np.zeros((batch, blocks))
    x, y = centres(layouts)
    _see_blocks(np.stack([x, y, plan.width, plan.height]), lists.mask * (1 + lists.untrusted), near, facing, rim)
    secret = lists.secret[..., None].astype(float)
    touch = np.concatenate([secret * facing * np.exp(-np.maximum(near, 0.0) / reach) for reach in PROXIMITY], axis=-1)
    row, column = cells_of(layouts)
    empty = blurs((layouts.power_map <= 1e-9).astype(float), WINDOWS[:3])
    around = empty[np.arange(batch)[:, None], :, row, column]
    edge = [np.minimum(c - s / 2, plan.side[:, None] - c - s / 2) for c, s in ((x, plan.width), (y, plan.height))]
    around_it = 2 * (plan.width + plan.height) + 1e-9
    covered = rim / around_it
    at_edge = sum(np.clip(1 - e / REACH, 0, 1) * s / around_it for e, s in _edges(layouts))
    critical = lists.critical.astype(float)
    parts = [lists.secret, critical, plan.width * critical, plan.height * critical,
             *np.moveaxis(around * critical[..., None], 2, 0), *(e * critical for e in edge),
             covered * critical, at_edge * critical]  # fmt: skip
    stacked = np.concatenate([np.stack(parts, axis=-1), touch, secret * near, secret * facing], axis=-1)
    return stacked.astype(np.float32)


@numba.njit(cache=True)
@no_type_check
def _see_blocks(
    boxes: Float[np.ndarray, "4 batch blocks"],
    kind: Int[np.ndarray, "batch blocks"],
    near: Float[np.ndarray, "batch blocks nearest"],
    facing: Float[np.ndarray, "batch blocks nearest"],
    rim: Float[np.ndarray, "batch blocks"],
) -> None:
    """Fill gaps to the nearest untrusted blocks, how long they face, and the rim that blocks within `REACH` cover.

    Boxes are centres and sizes, x, y, width and height; of kinds, 0 is padding and 2 is untrusted. A gap is the
    larger one of those along x and y; two blocks face each other along the axis of the other. What lies across a gap
    covers the rim the less the wider the gap is.
    """
    _, batch, blocks = boxes.shape
    for b in range(batch):
        x, y, width, height = boxes[0, b], boxes[1, b], boxes[2, b], boxes[3, b]
        for i in range(blocks):
            for j in range(blocks):
                if kind[b, j] == 0:
                    continue
                apart_x = abs(x[i] - x[j]) - (width[i] + width[j]) / 2
                apart_y = abs(y[i] - y[j]) - (height[i] + height[j]) / 2
                gap, shared = max(apart_x, apart_y), -min(apart_x, apart_y)
                if j != i and kind[b, i] > 0 and shared > 0.0 and gap < REACH:
                    rim[b, i] += shared * min(max(1.0 - gap / REACH, 0.0), 1.0)
                if kind[b, j] != 2 or gap >= near[b, i, -1]:
                    continue
                place = near.shape[2] - 1
                while place > 0 and near[b, i, place - 1] > gap:
                    near[b, i, place], facing[b, i, place] = near[b, i, place - 1], facing[b, i, place - 1]
                    place -= 1
                near[b, i, place], facing[b, i, place] = gap, max(shared, 0.0)


def _edges(layouts: Layouts) -> list[tuple[np.ndarray, np.ndarray]]:
    """Distance of each block's four sides from the die's edge, with the side's length."""
    plan, side = layouts.plan, layouts.plan.side[:, None]
    return [
        (plan.x, plan.height),
        (side - plan.x - plan.width, plan.height),
        (plan.y, plan.width),
        (side - plan.y - plan.height, plan.width),
    ]


def drawing(layouts: Layouts) -> Float[np.ndarray, "batch features"]:
    """The whole drawing at a glance, the same however it is turned or mirrored.

    The size of the die and how full it is; for the layers of power, secret, untrusted and critical area and net ends:
    how far the layer spreads from its own centre and how dense it is at its densest, sharply and blurred; how far the
    layers' centres lie from the secret one's and from the die's.
    """
    lists, plan = layouts.netlists, layouts.plan
    area, power = plan.width * plan.height, lists.power + lists.leakage
    tags = [area * lists.secret, area * lists.untrusted, area * lists.critical]
    layers = np.stack([power, *tags, _net_ends(lists)], axis=1)
    share = layers / np.maximum(layers.sum(axis=2, keepdims=True), 1e-9)
    at = np.stack(centres(layouts), axis=-1)
    centre = np.einsum("bln,bnd->bld", share, at)
    spread = np.sqrt(np.maximum(np.einsum("bln,bnd->bl", share, at**2) - (centre**2).sum(axis=2), 0.0))
    from_secret = np.linalg.norm(centre[:, 2:] - centre[:, 1:2], axis=2)
    from_middle = np.linalg.norm(centre - plan.side[:, None, None] / 2, axis=2)
    density = layouts.power_map * (GRID / plan.side[:, None, None]) ** 2
    peaks = [density.max(axis=(1, 2)), *blurs(density, (1.5, 4.0)).max(axis=(2, 3)).T]
    whole = [plan.side, area.sum(axis=1) / plan.side**2, *peaks]
    return np.concatenate([np.stack(whole, axis=1), spread, from_secret, from_middle], axis=1).astype(np.float32)


def _net_ends(lists: NetlistBatch) -> Float[np.ndarray, "batch blocks"]:
    """Activity of the nets that end at each block."""
    batch, blocks = lists.mask.shape
    rows, nets, slots = np.nonzero(lists.pins >= 0)
    end = rows * blocks + lists.pins[rows, nets, slots]
    return np.bincount(end, weights=lists.activity[rows, nets], minlength=batch * blocks).reshape(batch, blocks)
