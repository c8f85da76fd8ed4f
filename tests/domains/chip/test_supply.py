import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

from rewardtree.domains.chip import supply
from rewardtree.domains.chip.packing import GRID
from rewardtree.errors import TaskError

BUMPS = [(row, column) for row in supply.BUMP_CELLS for column in supply.BUMP_CELLS]


def random_power(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).exponential(24.0 / GRID**2, size=(count, GRID, GRID))


def sparse_voltages(cell_power: np.ndarray) -> np.ndarray:
    """Node voltages of the mesh with V_dd as a source behind each bump, assembled node by node."""
    matrix, source = scipy.sparse.lil_matrix((GRID**2, GRID**2)), -cell_power.ravel() / supply.SUPPLY_VOLTAGE
    for row in range(GRID):
        for column in range(GRID):
            node = row * GRID + column
            for other_row, other_column in ((row, column + 1), (row + 1, column)):
                if other_row < GRID and other_column < GRID:
                    other = other_row * GRID + other_column
                    for i, j in ((node, other), (other, node)):
                        matrix[i, i] += 1 / supply.SEGMENT_RESISTANCE
                        matrix[i, j] -= 1 / supply.SEGMENT_RESISTANCE
            if (row, column) in BUMPS:
                matrix[node, node] += 1 / supply.BUMP_RESISTANCE
                source[node] += supply.SUPPLY_VOLTAGE / supply.BUMP_RESISTANCE
    return np.asarray(scipy.sparse.linalg.spsolve(matrix.tocsr(), source)).reshape(GRID, GRID)


def test_drops_and_currents_agree_with_a_sparse_solve() -> None:
    power = random_power(0, 2)
    across, along = supply.segment_currents(power)
    for row in range(2):
        voltage = sparse_voltages(power[row])
        np.testing.assert_allclose(supply.drops(power)[row], supply.SUPPLY_VOLTAGE - voltage, rtol=1e-9)
        expected = -np.diff(voltage, axis=1) / supply.SEGMENT_RESISTANCE
        np.testing.assert_allclose(across[row], expected, atol=1e-9)
        expected = -np.diff(voltage, axis=0) / supply.SEGMENT_RESISTANCE
        np.testing.assert_allclose(along[row], expected, atol=1e-9)


def test_current_is_conserved_at_every_node_and_all_of_it_comes_from_the_bumps() -> None:
    power = random_power(1, 3)
    across, along = supply.segment_currents(power)
    inflow = np.zeros_like(power)
    inflow[:, :, 1:] += across
    inflow[:, :, :-1] -= across
    inflow[:, 1:] += along
    inflow[:, :-1] -= along
    bump = np.zeros_like(power)
    for row, column in BUMPS:
        bump[:, row, column] = supply.drops(power)[:, row, column] / supply.BUMP_RESISTANCE
    np.testing.assert_allclose(inflow + bump, power / supply.SUPPLY_VOLTAGE, atol=1e-10)
    np.testing.assert_allclose(bump.sum(axis=(1, 2)), power.sum(axis=(1, 2)) / supply.SUPPLY_VOLTAGE)


def test_density_is_the_worst_touching_segment_over_its_section() -> None:
    power, side = random_power(2, 2), np.array([6.0, 9.0])
    across, along = supply.segment_currents(power)
    density = supply.current_density(power, side)
    for b, row, column in ((0, 0, 0), (0, 7, 15), (1, 15, 3), (1, 8, 8)):
        touching = [abs(across[b, row, c]) for c in (column - 1, column) if 0 <= c < GRID - 1]
        touching += [abs(along[b, r, column]) for r in (row - 1, row) if 0 <= r < GRID - 1]
        section_cm2 = supply.STRAP_SHARE * (side[b] * 0.1 / GRID) * supply.STRAP_THICKNESS * 100
        assert density[b, row, column] == pytest.approx(supply.CROWDING * max(touching) / section_cm2 / 1e6)


def test_density_is_linear_in_power_and_falls_with_the_side() -> None:
    power, side = random_power(3, 2), np.array([6.0, 9.0])
    density = supply.current_density(power, side)
    np.testing.assert_allclose(supply.current_density(2 * power, side), 2 * density)
    np.testing.assert_allclose(supply.current_density(power, 2 * side), density / 2)


def test_mirrored_power_gives_mirrored_density() -> None:
    power, side = random_power(4, 2), np.array([6.0, 9.0])
    density = supply.current_density(power, side)
    np.testing.assert_allclose(supply.current_density(power[:, ::-1].copy(), side), density[:, ::-1])
    np.testing.assert_allclose(supply.current_density(power.swapaxes(1, 2).copy(), side), density.swapaxes(1, 2))


def test_lifetime_follows_black() -> None:
    def life(temperature: float, density: float) -> float:
        return float(supply.log_lifetime(np.full((1, 1, 1), temperature), np.full((1, 1, 1), density))[0, 0, 0])

    assert life(100.0, 1.0) == pytest.approx(0.0, abs=1e-12)
    assert life(100.0, 2.0) == pytest.approx(-np.log(2))
    # A = 1 in t = J^-n exp(E_a / (k T)), by hand for 120 degrees C.
    expected = 0.9 / 8.617333262e-5 * (1 / 393.15 - 1 / 373.15)
    assert life(120.0, 1.0) == pytest.approx(expected)
    assert -1.5 < expected < -1.4
    assert life(80.0, 0.5) > life(90.0, 0.5) > life(90.0, 0.6)
    assert life(100.0, 0.0) == life(100.0, supply.MIN_DENSITY)


def test_other_grids_are_refused() -> None:
    with pytest.raises(TaskError, match="make it"):
        supply.drops(np.ones((1, 8, 8)))
