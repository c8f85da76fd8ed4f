"""What the chip's policies and reward models see: the drawing, around one place or as a whole; never a solver's field.

Around cells, nets and leakages: see `rewardtree.domains.chip.surroundings`. Around a block: its own record, how far the
untrusted blocks are, and how much of the drawing around it is empty.
"""

import numpy as np
from jaxtyping import Float

from rewardtree.domains.chip.layouts import Layouts
from rewardtree.domains.chip.packing import GRID
from rewardtree.domains.chip.surroundings import WINDOWS, blur, cells_of, centres

NEAREST = 3
"""Untrusted blocks that a block's features tell of."""
REACH = 0.5
"""How far from a block, in mm, its neighbourhood reaches."""


def block_features(layouts: Layouts) -> Float[np.ndarray, "batch blocks features"]:
    """Around each block: its record, the nearest untrusted blocks, and how empty the drawing is around it."""
    lists, plan = layouts.netlists, layouts.plan
    batch, blocks = lists.mask.shape
    x, y = centres(layouts)
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
    beside = np.minimum(apart_x, apart_y) < 0
    near_any = beside & (np.maximum(apart_x, apart_y) < REACH) & lists.mask[:, None, :] & lists.mask[:, :, None]
    near_any &= ~np.eye(blocks, dtype=bool)
    shared = np.where(near_any, -np.minimum(apart_x, apart_y) * (1 - np.maximum(apart_x, apart_y) / REACH).clip(0, 1), 0.0)
    rim = 2 * (plan.width + plan.height) + 1e-9
    covered = shared.sum(axis=2) / rim
    at_edge = sum(np.clip(1 - e / REACH, 0, 1) * s / rim for e, s in _edges(layouts))
    critical = lists.critical.astype(float)
    parts = [lists.secret, critical, plan.width * critical, plan.height * critical,
             *(a * critical for a in around), *(e * critical for e in edge),
             covered * critical, at_edge * critical]  # fmt: skip
    stacked = np.concatenate([np.stack(parts, axis=-1), touch, secret * near, secret * facing], axis=-1)
    return stacked.astype(np.float32)


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

    The size of the die and how full it is; for the layers of power, secret, untrusted and critical area and net ends: how far
    the layer spreads from its own centre and how dense it is at its densest, sharply and blurred; how far the layers'
    centres lie from the secret one's and from the die's.
    """
    lists, plan = layouts.netlists, layouts.plan
    area, power = plan.width * plan.height, lists.power + lists.leakage
    ends = np.zeros(lists.mask.shape)
    rows = np.arange(len(layouts))[:, None, None]
    np.add.at(ends, (rows, np.maximum(lists.pins, 0)), np.where(lists.pins >= 0, lists.activity[..., None], 0.0))
    layers = np.stack([power, area * lists.secret, area * lists.untrusted, area * lists.critical, ends], axis=1)
    share = layers / np.maximum(layers.sum(axis=2, keepdims=True), 1e-9)
    at = np.stack(centres(layouts), axis=-1)
    centre = np.einsum("bln,bnd->bld", share, at)
    spread = np.sqrt(np.einsum("bln,bnd->bl", share, at**2) - (centre**2).sum(axis=2)).clip(0)
    from_secret = np.linalg.norm(centre[:, 2:] - centre[:, 1:2], axis=2)
    from_middle = np.linalg.norm(centre - plan.side[:, None, None] / 2, axis=2)
    density = layouts.power_map * (GRID / plan.side[:, None, None]) ** 2
    peaks = [m.max(axis=(1, 2)) for m in (density, blur(density, 1.5), blur(density, 4.0))]
    whole = [plan.side, area.sum(axis=1) / plan.side**2, *peaks]
    return np.concatenate([np.stack(whole, axis=1), spread, from_secret, from_middle], axis=1).astype(np.float32)
