import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardtree.domains.chip.generate import generate
from rewardtree.domains.chip.netlist import Netlist, NetlistBatch, stack
from rewardtree.domains.chip.packing import Floorplans, pack
from rewardtree.errors import TaskError

TOLERANCE = 1e-9


def batch_of(width: list[float], height: list[float]) -> NetlistBatch:
    blocks = len(width)
    none = np.zeros(blocks, dtype=bool)
    return stack(
        [
            Netlist(
                name="hand", block_names=tuple(f"b{i}" for i in range(blocks)),
                width=np.array(width, dtype=float), height=np.array(height, dtype=float),
                power=np.ones(blocks), leakage=np.ones(blocks),
                secret=none, untrusted=none, critical=none,
                net_start=np.array([0, 2]), net_pins=np.array([0, 1]), activity=np.ones(1),
            )
        ]
    )  # fmt: skip


def one_row(values: list[int]) -> np.ndarray:
    return np.array([values])


def fixpoint(first: np.ndarray, second: np.ndarray, width: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Smallest coordinates that satisfy the relations, by repeated relaxation: slow and independent."""
    blocks = len(first)
    place_1, place_2 = np.argsort(first), np.argsort(second)
    left = (place_1[:, None] < place_1) & (place_2[:, None] < place_2)
    below = (place_1[:, None] > place_1) & (place_2[:, None] < place_2)
    x, y = np.zeros(blocks), np.zeros(blocks)
    for _ in range(blocks):
        x = np.maximum(np.where(left, (x + width)[:, None], 0).max(axis=0), 0)
        y = np.maximum(np.where(below, (y + height)[:, None], 0).max(axis=0), 0)
    return np.stack([x, y])


def test_three_blocks_by_hand() -> None:
    # 0 is left of 2, 1 is below 0 (after it in first, before it in second), 1 is left of 2.
    plan = pack(batch_of([2, 3, 1], [1, 2, 4]), one_row([0, 1, 2]), one_row([1, 0, 2]), np.zeros((1, 3), dtype=bool))
    np.testing.assert_allclose(plan.side, [4])
    np.testing.assert_allclose(plan.x, [[0, 0, 3]])
    np.testing.assert_allclose(plan.y, [[2, 0, 0]])


def test_the_shorter_extent_is_centred() -> None:
    plan = pack(batch_of([2, 4], [1, 2]), one_row([0, 1]), one_row([0, 1]), np.zeros((1, 2), dtype=bool))
    np.testing.assert_allclose(plan.side, [6])
    np.testing.assert_allclose(plan.x, [[0, 2]])
    np.testing.assert_allclose(plan.y, [[2, 2]])


def test_rotation_swaps_sides_by_block_index() -> None:
    plan = pack(batch_of([2, 4], [1, 2]), one_row([1, 0]), one_row([1, 0]), np.array([[True, False]]))
    np.testing.assert_allclose(plan.width, [[1, 4]])
    np.testing.assert_allclose(plan.height, [[2, 2]])
    np.testing.assert_allclose(plan.x, [[4, 0]])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), blocks=st.integers(4, 40))
def test_packings_are_legal_and_tight(seed: int, blocks: int) -> None:
    rng = np.random.default_rng(seed)
    batch = stack(generate(rng, blocks=blocks, nets=blocks, count=3))
    first, second = np.argsort(rng.random((2, 3, blocks)), axis=-1)
    plan = pack(batch, first, second, rng.random((3, blocks)) < 0.5)
    right, top = plan.x + plan.width, plan.y + plan.height
    assert plan.x.min() >= -TOLERANCE and plan.y.min() >= -TOLERANCE
    assert (right <= plan.side[:, None] + TOLERANCE).all() and (top <= plan.side[:, None] + TOLERANCE).all()
    shared_x = np.minimum(right[:, :, None], right[:, None]) - np.maximum(plan.x[:, :, None], plan.x[:, None])
    shared_y = np.minimum(top[:, :, None], top[:, None]) - np.maximum(plan.y[:, :, None], plan.y[:, None])
    overlap = (shared_x > TOLERANCE) & (shared_y > TOLERANCE) & ~np.eye(blocks, dtype=bool)
    assert not overlap.any()
    for row in range(3):
        expected = fixpoint(first[row], second[row], plan.width[row], plan.height[row])
        extent = (expected + np.stack([plan.width[row], plan.height[row]])).max(axis=1)
        np.testing.assert_allclose(plan.side[row], extent.max())
        margin = (extent.max() - extent) / 2
        np.testing.assert_allclose([plan.x[row], plan.y[row]], expected + margin[:, None], atol=TOLERANCE)


def test_padded_blocks_change_nothing_wherever_they_stand() -> None:
    rng = np.random.default_rng(5)
    small, large = generate(rng, blocks=6, nets=6, count=1)[0], generate(rng, blocks=11, nets=11, count=1)[0]
    alone, padded = stack([small]), stack([small, large]).take(np.zeros(50, dtype=int))
    first, second = np.argsort(rng.random((2, 50, 11)), axis=-1)
    rotated = rng.random((50, 11)) < 0.5
    mixed = pack(padded, first, second, rotated)
    real_1, real_2 = (order[order < 6].reshape(50, 6) for order in (first, second))
    plain = pack(alone.take(np.zeros(50, dtype=int)), real_1, real_2, rotated[:, :6])
    np.testing.assert_allclose(mixed.side, plain.side)
    np.testing.assert_allclose(mixed.x[:, :6], plain.x)
    np.testing.assert_allclose(mixed.y[:, :6], plain.y)


@pytest.mark.parametrize("bad", [[0, 0, 2], [0, 1, 3], [-1, 1, 2]])
@pytest.mark.parametrize("which", [0, 1])
def test_rows_that_are_no_permutation_are_refused(bad: list[int], which: int) -> None:
    orders = [one_row([0, 1, 2]), one_row([0, 1, 2])]
    orders[which] = one_row(bad)
    with pytest.raises(TaskError, match=r"row 0 .* not a permutation"):
        pack(batch_of([1, 1, 1], [1, 1, 1]), orders[0], orders[1], np.zeros((1, 3), dtype=bool))


def test_bad_sides_are_refused() -> None:
    edge = np.zeros((1, 2))
    with pytest.raises(TaskError, match="positive number of mm"):
        Floorplans(x=edge, y=edge, width=edge, height=edge, side=np.zeros(1))
