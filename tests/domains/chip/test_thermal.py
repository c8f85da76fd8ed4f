import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

from rewardtree.domains.chip import thermal
from rewardtree.domains.chip.generate import generate
from rewardtree.domains.chip.netlist import NetlistBatch, stack
from rewardtree.domains.chip.packing import GRID, Floorplans, pack


def random_plans(seed: int, count: int) -> tuple[NetlistBatch, Floorplans]:
    rng = np.random.default_rng(seed)
    batch = stack(generate(rng, blocks=12, nets=20, count=count))
    first, second = np.argsort(rng.random((2, count, 12)), axis=-1)
    return batch, pack(batch, first, second, rng.random((count, 12)) < 0.5)


def one_block(x: float, y: float, width: float, height: float, side: float) -> Floorplans:
    return Floorplans(
        x=np.array([[x]]), y=np.array([[y]]), width=np.array([[width]]), height=np.array([[height]]),
        side=np.array([side]),
    )  # fmt: skip


def sparse_solution(cell_power: np.ndarray, side: float) -> np.ndarray:
    """The same finite volumes, assembled cell by cell and solved by elimination."""
    cells = cell_power.shape[0]
    number = np.arange(cells**2).reshape(cells, cells)
    matrix = scipy.sparse.lil_matrix((cells**2, cells**2))
    pairs = [(number[:, :-1], number[:, 1:]), (number[:-1], number[1:])]
    lateral = thermal.CONDUCTIVITY * thermal.THICKNESS
    for here, there in pairs:
        for i, j in zip(here.ravel(), there.ravel(), strict=True):
            matrix[i, i] += lateral
            matrix[j, j] += lateral
            matrix[i, j] -= lateral
            matrix[j, i] -= lateral
    sink = thermal.SINK_CONDUCTANCE * (side * 1e-3 / cells) ** 2
    matrix += sink * scipy.sparse.eye(cells**2)
    rise = scipy.sparse.linalg.spsolve(matrix.tocsr(), cell_power.ravel())
    return np.asarray(rise.reshape(cells, cells) + thermal.AMBIENT)


def test_power_map_of_one_block_by_hand() -> None:
    # Cells of 1 mm; the block covers half of column 2, all of column 3, and a quarter of row 5's height.
    plan = one_block(2.5, 5.75, 1.5, 0.25, float(GRID))
    cells = thermal.power_map(plan, np.array([[3.0]]))[0]
    expected = np.zeros((GRID, GRID))
    expected[5, 2:4] = [1.0, 2.0]
    np.testing.assert_allclose(cells, expected, atol=1e-12)


def test_power_map_keeps_the_power_and_its_centre() -> None:
    batch, plan = random_plans(0, 8)
    cells = thermal.power_map(plan, batch.power)
    np.testing.assert_allclose(cells.sum(axis=(1, 2)), batch.power.sum(axis=1))
    # Sampling each block densely and counting samples a cell gives the same map.
    steps = (np.arange(400) + 0.5) / 400
    row, expected = 3, np.zeros((GRID, GRID))
    for i in range(12):
        columns = (plan.x[row, i] + steps * plan.width[row, i]) * GRID / plan.side[row]
        rows = (plan.y[row, i] + steps * plan.height[row, i]) * GRID / plan.side[row]
        share_x = np.bincount(columns.astype(int), minlength=GRID)[:GRID] / 400
        share_y = np.bincount(rows.astype(int), minlength=GRID)[:GRID] / 400
        expected += batch.power[row, i] * np.outer(share_y, share_x)
    np.testing.assert_allclose(cells[row], expected, atol=0.02 * cells[row].max())


@pytest.mark.parametrize("cells", [5, 16])
def test_temperature_agrees_with_elimination(cells: int) -> None:
    rng = np.random.default_rng(1)
    power, side = rng.exponential(size=(3, cells, cells)), np.array([4.0, 6.5, 12.0])
    expected = [sparse_solution(p, float(s)) for p, s in zip(power, side, strict=True)]
    np.testing.assert_allclose(thermal.temperature(power, side), expected, rtol=1e-10)


def test_all_heat_leaves_through_the_sink() -> None:
    batch, plan = random_plans(2, 6)
    cells = thermal.power_map(plan, batch.power + batch.leakage)
    rise = thermal.temperature(cells, plan.side) - thermal.AMBIENT
    area = (plan.side * 1e-3 / GRID) ** 2
    np.testing.assert_allclose(thermal.SINK_CONDUCTANCE * area * rise.sum(axis=(1, 2)), cells.sum(axis=(1, 2)))
    assert rise.min() > 0


def test_cosine_source_has_the_closed_form_of_the_differential_equation() -> None:
    # q = q0 cos(pi x / L) gives T - T_a = q0 cos(pi x / L) / (k t (pi / L)^2 + h_v).
    side, q0, errors = 6.0, 1e5, []
    for cells in (16, 64):
        edge = np.linspace(0, side, cells + 1) * 1e-3
        wave = np.cos(np.pi * (edge[:-1] + edge[1:]) / 2 / (side * 1e-3))
        pitch = side * 1e-3 / cells
        power = np.broadcast_to(q0 * pitch**2 * wave, (1, cells, cells)).copy()
        sheet = thermal.CONDUCTIVITY * thermal.THICKNESS
        expected = q0 * wave / (sheet * (np.pi / (side * 1e-3)) ** 2 + thermal.SINK_CONDUCTANCE)
        rise = thermal.temperature(power, np.array([side]))[0] - thermal.AMBIENT
        errors.append(np.abs(rise - expected).max() / expected.max())
    assert errors[0] < 3e-3
    assert errors[1] < errors[0] / 12  # second order: sixteen times smaller at a quarter of the cell


def test_uniform_power_gives_the_mean_rise_everywhere() -> None:
    power = np.full((1, GRID, GRID), 24.0 / GRID**2)
    expected = thermal.AMBIENT + 24.0 / (thermal.SINK_CONDUCTANCE * 40e-6)
    np.testing.assert_allclose(thermal.temperature(power, np.array([np.sqrt(40.0)])), expected)


def test_block_temperature_by_hand() -> None:
    field = np.broadcast_to(np.arange(GRID, dtype=float), (1, GRID, GRID)).copy()
    # Columns 2 (half a cell), 3 and 4 (whole): (0.5 * 2 + 3 + 4) / 2.5, and half of two rows changes nothing.
    plan = one_block(2.5, 6.5, 2.5, 1.0, float(GRID))
    np.testing.assert_allclose(thermal.block_temperature(plan, field), [[8.0 / 2.5]])


def test_block_means_weighted_by_area_give_the_die_mean_when_blocks_tile_it() -> None:
    cut = 3.3
    plan = Floorplans(
        x=np.array([[0.0, cut, 0.0]]), y=np.array([[0.0, 0.0, 4.1]]), width=np.array([[cut, 8 - cut, 8.0]]),
        height=np.array([[4.1, 4.1, 3.9]]), side=np.array([8.0]),
    )  # fmt: skip
    field = np.random.default_rng(3).normal(80, 5, (1, GRID, GRID))
    area = plan.width * plan.height
    means = thermal.block_temperature(plan, field)
    np.testing.assert_allclose((means * area).sum() / area.sum(), field.mean())


def test_padded_blocks_are_at_ambient_and_heat_nothing() -> None:
    plan = Floorplans(
        x=np.array([[0.0, 1.0]]), y=np.array([[0.0, 1.0]]), width=np.array([[2.0, 0.0]]),
        height=np.array([[2.0, 0.0]]), side=np.array([2.0]),
    )  # fmt: skip
    cells = thermal.power_map(plan, np.array([[1.0, 0.0]]))
    assert cells.sum() == pytest.approx(1.0)
    assert thermal.block_temperature(plan, thermal.temperature(cells, plan.side))[0, 1] == thermal.AMBIENT
