"""Currents in the power supply mesh, and how long its metal lives.

The mesh has one node a cell, equal segments of resistance R_s between neighbours, and 2 x 2 bumps that join
their nodes to V_dd through R_b. Each cell draws I = P / V_dd. The drops d = V_dd - V solve Kirchhoff's
current law,

    sum over neighbours (d - d') / R_s + [bump] d / R_b = I   at every node.

The mesh scales with the die: straps take a fixed share of every cell's width, so a segment of length h and
width s h has the sheet resistance R_s = rho / (s a) for a metal of thickness a, whatever h is. The matrix is
therefore the same for all dies and its inverse is computed once. Density is segment current over strap
section, times crowding: J = c I / (s h a).

Lifetime follows Black (Proc. IEEE 57(9), 1969): t = A J^-n exp(E_a / (k T)), here as the natural logarithm of
the ratio to a reference segment at J_0 = 1 MA/cm^2 and T_0 = 100 degrees C, so that A drops out.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float

from rewardtree.domains.chip.packing import GRID
from rewardtree.errors import TaskError

SUPPLY_VOLTAGE = 1.0
"""V_dd in V (assumed; typical of 28 to 65 nm logic)."""
BUMP_CELLS = (5, 10)
"""Rows and columns of the cells over a bump."""
BUMP_RESISTANCE = 2e-3
"""R_b in ohm: a bump with its share of the package (assumed; each stands for a cluster of solder bumps)."""
METAL_RESISTIVITY = 2.2e-8
"""rho in ohm m: copper with liner at about 100 degrees C (bulk copper has 1.7e-8 at 20 degrees C)."""
STRAP_SHARE = 0.15
"""s: share of a cell's width that supply straps take, all layers together (assumed)."""
STRAP_THICKNESS = 12.0e-6
"""a in m: thickness of the upper metal layers of one direction, together (assumed: thick redistribution metal)."""
CROWDING = 4.0
"""c: density at the worst point of a segment over its mean, as straps and vias share the current unevenly
(assumed)."""
SEGMENT_RESISTANCE = METAL_RESISTIVITY / (STRAP_SHARE * STRAP_THICKNESS)
"""R_s in ohm."""
EXPONENT = 1.0
"""n of Black's equation: 1 where the growth of a void decides, as in copper, 2 where its start does (Lloyd 2007)."""
ACTIVATION_ENERGY = 0.9
"""E_a in eV: copper, diffusing along the interface to its cap (literature values are about 0.8 to 1.0)."""
BOLTZMANN = 8.617333262e-5
"""k in eV/K (CODATA 2018)."""
REFERENCE_TEMPERATURE = 100.0
"""T_0 in degrees C."""
REFERENCE_DENSITY = 1.0
"""J_0 in MA/cm^2: design rules for copper near 100 degrees C allow about 1 to 2."""
MIN_DENSITY = 1e-2
"""Densities below this, in MA/cm^2, count as this: Black's law has no finite life at rest, and short straps
at so little current are immortal (Blech, J. Appl. Phys. 47, 1976)."""
KELVIN = 273.15
"""0 degrees C in K."""


def drops(cell_power: Float[np.ndarray, "batch rows columns"]) -> Float[np.ndarray, "batch rows columns"]:
    """Voltage lost between V_dd and each cell.

    Args:
        cell_power: W a cell, `GRID` rows and columns.

    Returns:
        V.

    Raises:
        TaskError: where the map does not have `GRID` rows and columns: the bumps have their places in that
        grid.
    """
    if cell_power.shape[1:] != (GRID, GRID):
        raise TaskError(f"supply: the power map has shape {cell_power.shape}, make it [batch, {GRID}, {GRID}]")
    current = cell_power.reshape(len(cell_power), -1) / SUPPLY_VOLTAGE
    drop: Float[np.ndarray, "batch rows columns"] = (current @ _inverse()).reshape(cell_power.shape)
    return drop


def segment_currents(
    cell_power: Float[np.ndarray, "batch rows columns"],
) -> tuple[Float[np.ndarray, "batch rows columns-1"], Float[np.ndarray, "batch rows-1 columns"]]:
    """Currents in A in all segments.

    Args:
        cell_power: W a cell.

    Returns:
        Horizontal currents, [batch, row, gap], positive towards larger columns; vertical currents, [batch,
        gap, column], positive towards larger rows.
    """
    drop = drops(cell_power)
    return np.diff(drop, axis=2) / SEGMENT_RESISTANCE, np.diff(drop, axis=1) / SEGMENT_RESISTANCE


def current_density(
    cell_power: Float[np.ndarray, "batch rows columns"], side: Float[np.ndarray, " batch"]
) -> Float[np.ndarray, "batch rows columns"]:
    """Largest current density among the segments that touch each cell.

    Args:
        cell_power: W a cell.
        side: die sides in mm.

    Returns:
        MA/cm^2, zero or more.
    """
    across, along = segment_currents(cell_power)
    np.abs(across, out=across)
    np.abs(along, out=along)
    worst = np.empty(cell_power.shape)
    worst[:, :, :-1] = across
    worst[:, :, -1] = across[:, :, -1]
    np.maximum(worst[:, :, 1:], across, out=worst[:, :, 1:])
    np.maximum(worst[:, :-1], along, out=worst[:, :-1])
    np.maximum(worst[:, 1:], along, out=worst[:, 1:])
    section = STRAP_SHARE * (side * 1e-3 / GRID) * STRAP_THICKNESS
    worst *= (CROWDING * 1e-10 / section)[:, None, None]  # 1 A/m^2 is 1e-10 MA/cm^2
    return worst


def log_lifetime(
    temperature: Float[np.ndarray, "*shape"], density: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    """Black's equation: natural logarithm of the median life, relative to the reference segment.

    Args:
        temperature: degrees C, of any shape.
        density: MA/cm^2; below `MIN_DENSITY` it counts as that.

    Returns:
        -n ln(J / J_0) + (E_a / k) (1 / T - 1 / T_0); 0 is the reference's life, minus 1 a life e times
        shorter.
    """
    inverse = 1.0 / (temperature + KELVIN) - 1.0 / (REFERENCE_TEMPERATURE + KELVIN)
    logarithm = np.log(np.maximum(density, MIN_DENSITY) / REFERENCE_DENSITY)
    thermal = (ACTIVATION_ENERGY / BOLTZMANN) * inverse
    ratio: Float[np.ndarray, "*shape"] = thermal - EXPONENT * logarithm
    return ratio


@lru_cache(maxsize=1)
def _inverse() -> Float[np.ndarray, "nodes nodes"]:
    """Ohms from the current drawn at one node to the drop at another (symmetric)."""
    line = 2.0 * np.eye(GRID) - np.eye(GRID, k=1) - np.eye(GRID, k=-1)
    line[0, 0] = line[-1, -1] = 1.0
    conductance = (np.kron(line, np.eye(GRID)) + np.kron(np.eye(GRID), line)) / SEGMENT_RESISTANCE
    bumps = (np.array(BUMP_CELLS)[:, None] * GRID + np.array(BUMP_CELLS)[None, :]).ravel()
    conductance[bumps, bumps] += 1.0 / BUMP_RESISTANCE
    inverse = np.linalg.inv(conductance)
    inverse.setflags(write=False)
    return inverse
