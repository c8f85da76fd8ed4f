import numpy as np
import pytest

from rewardtree.domains.chip import exposure
from rewardtree.domains.chip.exposure import COUPLING_WEIGHT, FREE_WEIGHT, GAP_OFFSET, REACH
from rewardtree.domains.chip.generate import generate
from rewardtree.domains.chip.netlist import Netlist, NetlistBatch, stack
from rewardtree.domains.chip.packing import Floorplans, pack
from rewardtree.errors import TaskError


def scene(
    rectangles: list[tuple[float, float, float, float]],
    side: float,
    secret: tuple[int, ...] = (),
    untrusted: tuple[int, ...] = (),
    critical: tuple[int, ...] = (),
) -> tuple[Floorplans, NetlistBatch]:
    """Blocks at (x, y, width, height) and their tags."""
    x, y, width, height = np.array(rectangles, dtype=float).T
    flags = [np.isin(np.arange(len(x)), tagged) for tagged in (secret, untrusted, critical)]
    netlist = Netlist(
        name="hand", block_names=tuple(f"b{i}" for i in range(len(x))), width=width, height=height,
        power=np.ones(len(x)), leakage=np.ones(len(x)),
        secret=flags[0], untrusted=flags[1], critical=flags[2],
        net_start=np.array([0, 2]), net_pins=np.array([0, 1]), activity=np.ones(1),
    )  # fmt: skip
    plan = Floorplans(x=x[None], y=y[None], width=width[None], height=height[None], side=np.array([side]))
    return plan, stack([netlist])


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ((6.0, 4.0, 1.0, 2.0), 2.0 / GAP_OFFSET),  # abuts on the right along its whole height
        ((7.0, 5.0, 2.0, 3.0), 1.0 / (1.0 + GAP_OFFSET)),  # a mm away, faces along one mm
        ((2.5, 4.0, 1.0, 9.0), 2.0 / (0.5 + GAP_OFFSET)),  # on the left, taller: faces the block's height
        ((4.5, 1.0, 1.0, 2.0), 1.0 / (1.0 + GAP_OFFSET)),  # below
        ((3.0, 6.5, 2.0, 1.0), 1.0 / (0.5 + GAP_OFFSET)),  # above, overhanging on the left
        ((7.0, 7.0, 2.0, 2.0), 0.0),  # diagonal
        ((6.0, 6.0, 1.0, 1.0), 0.0),  # corner to corner
    ],
)
def test_coupling_of_two_blocks_by_hand(other: tuple[float, float, float, float], expected: float) -> None:
    plan, batch = scene([(4.0, 4.0, 2.0, 2.0), other], 14.0, secret=(0,), untrusted=(1,))
    np.testing.assert_allclose(exposure.coupling(plan, batch), [[expected, 0.0]])


def test_coupling_adds_over_untrusted_blocks_and_is_zero_for_the_rest() -> None:
    blocks = [(4.0, 4.0, 2.0, 2.0), (6.0, 4.0, 1.0, 2.0), (4.0, 7.0, 2.0, 1.0), (3.0, 4.0, 1.0, 2.0)]
    plan, batch = scene(blocks, 10.0, secret=(0,), untrusted=(1, 2))
    expected = 2.0 / GAP_OFFSET + 2.0 / (1.0 + GAP_OFFSET)
    np.testing.assert_allclose(exposure.coupling(plan, batch), [[expected, 0, 0, 0]])


def test_free_area_of_a_lone_block_is_all_of_its_ring_even_at_the_dies_edge() -> None:
    for x in (4.0, 0.0, 0.2):
        plan, batch = scene([(x, 4.0, 1.0, 2.0), (8.0, 8.0, 1.0, 1.0)], 10.0, critical=(0,))
        np.testing.assert_allclose(exposure.free_area(plan, batch), [[1.0, 0.0]])


def test_free_area_by_hand() -> None:
    # The ring of a 2 x 2 block grown by 0.5 is 9 - 4 = 5 mm^2; a neighbour covers its right side, 0.5 x 3.
    plan, batch = scene([(4.0, 4.0, 2.0, 2.0), (6.0, 2.0, 3.0, 6.0)], 10.0, critical=(0,))
    assert REACH == 0.5
    np.testing.assert_allclose(exposure.free_area(plan, batch), [[1 - 1.5 / 5, 0.0]])


def test_no_free_area_in_a_full_die() -> None:
    plan, batch = scene([(0.0, 0.0, 2.0, 4.0), (2.0, 0.0, 2.0, 4.0)], 4.0, critical=(0, 1))
    np.testing.assert_allclose(exposure.free_area(plan, batch), [[0.0, 0.0]], atol=1e-12)


def test_free_area_agrees_with_sampling() -> None:
    rng = np.random.default_rng(4)
    batch = stack(generate(rng, blocks=12, nets=20, count=4))
    first, second = np.argsort(rng.random((2, 4, 12)), axis=-1)
    plan = pack(batch, first, second, rng.random((4, 12)) < 0.5)
    shares = exposure.free_area(plan, batch)
    assert (shares[~batch.critical] == 0).all()
    for row, block in zip(*np.nonzero(batch.critical), strict=True):
        x, y = plan.x[row], plan.y[row]
        right, top = x + plan.width[row], y + plan.height[row]
        low = np.array([x[block], y[block]]) - REACH
        high = np.array([right[block], top[block]]) + REACH
        points = rng.uniform(low, high, size=(20_000, 2))
        points = points[((points >= 0) & (points <= plan.side[row])).all(axis=1)]
        inside = (points[:, :1] > x) & (points[:, :1] < right) & (points[:, 1:] > y) & (points[:, 1:] < top)
        ring = ~inside[:, block]
        assert shares[row, block] == pytest.approx((~inside.any(axis=1))[ring].mean(), abs=0.025)


def test_exposure_weighs_both_parts() -> None:
    total = exposure.exposure(np.array([[3.0, 0.0]]), np.array([[0.0, 0.5]]))
    np.testing.assert_allclose(total, [[3.0 * COUPLING_WEIGHT, 0.5 * FREE_WEIGHT]])


def test_either_part_can_make_the_worst_block() -> None:
    rng = np.random.default_rng(6)
    batch = stack(generate(rng, count=20)).take(np.repeat(np.arange(20), 10))
    first, second = np.argsort(rng.random((2, 200, 16)), axis=-1)
    plan = pack(batch, first, second, rng.random((200, 16)) < 0.5)
    coupling = COUPLING_WEIGHT * exposure.coupling(plan, batch)
    free = FREE_WEIGHT * exposure.free_area(plan, batch)
    spread = coupling[batch.secret].std() / free[batch.critical].std()
    assert 0.5 < spread < 2.5
    worst = np.argmax(coupling + free, axis=1)[:, None]
    by_coupling = np.take_along_axis(coupling > free, worst, axis=1).mean()
    assert 0.1 < by_coupling < 0.5


def test_one_netlist_a_floorplan() -> None:
    plan, batch = scene([(4.0, 4.0, 1.0, 2.0), (8.0, 8.0, 1.0, 1.0)], 10.0)
    for measure in (exposure.coupling, exposure.free_area):
        with pytest.raises(TaskError, match="give one each"):
            measure(plan, batch.take(np.array([0, 0])))
