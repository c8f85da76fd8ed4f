"""What helpers see of cells, nets and leakages: as plain computations have it, whatever the padding."""

import numpy as np
import pytest

from rewardtree.domains.chip.generate import generate
from rewardtree.domains.chip.layouts import Designs, Layouts, random_layouts
from rewardtree.domains.chip.netlist import stack
from rewardtree.domains.chip.packing import GRID
from rewardtree.domains.chip.supply import BUMP_CELLS
from rewardtree.domains.chip.surroundings import (
    CURRENT_COLUMNS,
    HEAT_COLUMNS,
    WINDOWS,
    blur,
    cell_features,
    cells_of,
    item_features,
    window,
)

LISTS = generate(np.random.default_rng(0), count=5)
ROUNDED = {"rtol": 2e-6, "atol": 2e-6}


@pytest.fixture
def layouts() -> Layouts:
    return random_layouts(np.random.default_rng(1), Designs(netlists=stack(LISTS)))


def maps(layouts: Layouts) -> np.ndarray:
    """Features of cells, [batch, row, column, feature]."""
    return cell_features(layouts).reshape(len(layouts), GRID, GRID, -1)


def with_power(layouts: Layouts, power: np.ndarray) -> Layouts:
    """The same layouts, said to draw this power."""
    other = layouts.take(np.arange(len(layouts)))
    other.__dict__["power_map"] = power
    return other


def test_windows_average() -> None:
    for width in WINDOWS:
        np.testing.assert_allclose(window(width).sum(axis=1), 1.0)
    flat = np.full((2, GRID, GRID), 3.0)
    np.testing.assert_allclose(blur(flat, 1.5), flat)
    spike = np.zeros((1, GRID, GRID))
    spike[0, 4, 9] = 1.0
    np.testing.assert_allclose(blur(spike, 3.0)[0], np.outer(window(3.0)[:, 4], window(3.0)[:, 9]))


def test_heat_columns(layouts: Layouts) -> None:
    seen, side = maps(layouts)[..., HEAT_COLUMNS], layouts.plan.side
    density = layouts.power_map * (GRID / side[:, None, None]) ** 2
    np.testing.assert_allclose(seen[..., 0], density, **ROUNDED)
    for column, width in enumerate(WINDOWS, start=1):
        np.testing.assert_allclose(seen[..., column], blur(density, width), **ROUNDED)
    away = np.abs(np.arange(GRID) - 7.5) / 8
    np.testing.assert_allclose(seen[..., 5], np.broadcast_to(away[:, None], density.shape), **ROUNDED)
    np.testing.assert_allclose(seen[..., 6], np.broadcast_to(away, density.shape), **ROUNDED)
    np.testing.assert_allclose(seen[:, 3, 8, 7], side, **ROUNDED)
    np.testing.assert_allclose(seen[:, 3, 8, 8], density.mean(axis=(1, 2)), **ROUNDED)


def test_current_columns(layouts: Layouts) -> None:
    seen, power = maps(layouts)[..., CURRENT_COLUMNS], layouts.power_map
    narrow = (10 / layouts.plan.side)[:, None, None]
    nearest = np.abs(np.arange(GRID)[:, None] - np.array(BUMP_CELLS)).argmin(axis=1)
    own = np.zeros_like(power)
    for r in range(GRID):
        for c in range(GRID):
            tile = (nearest[:, None] == nearest[r]) & (nearest[None] == nearest[c])
            own[:, r, c] = power[:, tile].sum(axis=1)
    np.testing.assert_allclose(seen[..., 2], own * narrow, **ROUNDED)
    corner = own[:, [[0], [-1]], [0, -1]]
    beside = (2 * corner[:, 0, 0] + corner[:, 0, 1] + corner[:, 1, 0]) / 4
    np.testing.assert_allclose(seen[:, 2, 3, 3], beside * narrow[:, 0, 0], **ROUNDED)
    smooth = blur(power, 1.5)
    slope = np.hypot(np.gradient(smooth, axis=1), np.gradient(smooth, axis=2))
    np.testing.assert_allclose(seen[..., 4], slope * narrow, **ROUNDED)
    at_bump = np.ix_(range(len(layouts)), BUMP_CELLS, BUMP_CELLS)
    np.testing.assert_allclose(seen[..., 5][at_bump], (own * narrow)[at_bump], **ROUNDED)
    assert np.count_nonzero(seen[0, ..., 5]) == np.count_nonzero(seen[0, ..., -1]) == len(BUMP_CELLS) ** 2
    east = power[:, 5, 5:8].sum(axis=1) + power[:, [4, 6], 6:8].sum(axis=(1, 2)) + power[:, [3, 7], 7].sum(axis=1)
    np.testing.assert_allclose(seen[:, 5, 6, 12], east * narrow[:, 0, 0], **ROUNDED)


def test_mirrors_mirror_what_is_seen_of_heat(layouts: Layouts) -> None:
    seen = maps(layouts)[..., HEAT_COLUMNS]
    for axis in (1, 2):
        mirrored = with_power(layouts, np.flip(layouts.power_map, axis=axis).copy())
        np.testing.assert_allclose(np.flip(maps(mirrored)[..., HEAT_COLUMNS], axis=axis), seen, **ROUNDED)


def test_nets(layouts: Layouts) -> None:
    seen, lists, plan = item_features(layouts), layouts.netlists, layouts.plan
    x, y = plan.x + plan.width / 2, plan.y + plan.height / 2
    for row, net in ((0, 0), (1, 7), (4, 30)):
        pins = lists.pins[row, net][lists.pins[row, net] >= 0]
        share = lists.activity[row, net] * 48
        off = [np.abs(at[row, pins] - at[row, pins].mean()) for at in (x, y)]
        spread = [f(o) for o in off for f in (np.mean, lambda o: np.sqrt(np.mean(o**2)))]
        want = [1.0, len(pins) / 5, share, sum(spread) / plan.side[row], *(share * s for s in spread)]
        np.testing.assert_allclose(seen[row, net, :8], want, **ROUNDED)
        assert not seen[row, net, 8:].any()


def test_leakages(layouts: Layouts) -> None:
    seen = item_features(layouts)[:, layouts.netlists.pins.shape[1] :]
    density = layouts.power_map * (GRID / layouts.plan.side[:, None, None]) ** 2
    row, column = cells_of(layouts)
    leakage = layouts.netlists.leakage
    np.testing.assert_allclose(seen[..., 8], leakage, **ROUNDED)
    around = blur(density, WINDOWS[2])[np.arange(len(layouts))[:, None], row, column]
    np.testing.assert_allclose(seen[..., 11], leakage * around, **ROUNDED)
    assert not seen[..., :8].any()


def test_padding_changes_nothing() -> None:
    alone = random_layouts(np.random.default_rng(2), Designs(netlists=stack(LISTS[:1])))
    wide = stack([LISTS[0], *generate(np.random.default_rng(3), blocks=20, nets=60, count=1)])
    extra = np.arange(16, 20)[None]
    padded = Layouts(
        netlists=wide.take(np.array([0])),
        first=np.concatenate([extra, alone.first], axis=1),
        second=np.concatenate([alone.second, extra], axis=1),
        rotated=np.concatenate([alone.rotated, np.ones((1, 4), dtype=bool)], axis=1),
    )
    np.testing.assert_allclose(cell_features(padded), cell_features(alone), **ROUNDED)
    np.testing.assert_allclose(item_features(padded)[:, :48], item_features(alone)[:, :48], **ROUNDED)
    np.testing.assert_allclose(item_features(padded)[:, 60:76], item_features(alone)[:, 48:], **ROUNDED)
