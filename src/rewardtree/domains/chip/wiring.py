"""Lengths of the nets, the power they switch, and leakage.

A net's length is the half perimeter of the box around its blocks' centres, the usual estimate for floorplans
(Murata et al. 1996; exact for two and three pins with rectilinear wires). Its power is activity x length x
`WIRE_POWER`, an alpha C V^2 f. Leakage grows exponentially with temperature: ``leakage x exp((T -
T_reference) / T_scale)``.
"""

import math
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float, Int

from rewardtree.domains.chip.netlist import NetlistBatch
from rewardtree.domains.chip.packing import Floorplans
from rewardtree.errors import TaskError

WIRE_CAPACITANCE = 0.2e-12
"""F a mm of wire (global wires have about 0.2 pF/mm in any node: Ho, Mai and Horowitz, Proc. IEEE 89(4),
2001)."""
VOLTAGE_SWING = 1.0
"""V (assumed: the full supply)."""
CLOCK = 1.0e9
"""Hz (assumed)."""
SWITCHING_WIRES = 6400.0
"""Wires of all nets together that charge in a cycle, on average: 64,000 wires of which a tenth do
(assumed)."""
WIRE_POWER = SWITCHING_WIRES * WIRE_CAPACITANCE * VOLTAGE_SWING**2 * CLOCK
"""W a mm for an activity of 1, all nets of the chip together."""
LEAKAGE_REFERENCE = 100.0
"""Degrees C at which netlists state their leakage."""
LEAKAGE_SCALE = 20.0 / math.log(2.0)
"""K for a factor e: leakage doubles every 20 K (assumed; an exponential stands in for the T^2 exp(-V/T) of
the subthreshold current, as in Liao, He and Lepak, IEEE Trans. CAD 24(7), 2005)."""


def net_lengths(floorplans: Floorplans, netlists: NetlistBatch) -> Float[np.ndarray, "batch nets"]:
    """Half perimeter of the box around the centres of each net's blocks.

    Args:
        floorplans: where the blocks stand.
        netlists: one netlist a floorplan.

    Returns:
        mm; 0 for padded nets.

    Raises:
        TaskError: where there is not one netlist a floorplan.
    """
    if floorplans.x.shape != netlists.width.shape:
        raise TaskError(f"nets: floorplans are {floorplans.x.shape}, netlists {netlists.width.shape}; give one each")
    lengths = np.zeros(netlists.activity.shape)
    _half_perimeters(floorplans.x, floorplans.y, floorplans.width, floorplans.height, netlists.pins, lengths)
    return lengths


def net_power(
    activity: Float[np.ndarray, "batch nets"], length: Float[np.ndarray, "batch nets"]
) -> Float[np.ndarray, "batch nets"]:
    """Power in W that nets of these activities (shares) and lengths (mm) switch."""
    power: Float[np.ndarray, "batch nets"] = WIRE_POWER * activity * length
    return power


def block_leakage(
    leakage: Float[np.ndarray, "batch blocks"], temperature: Float[np.ndarray, "batch blocks"]
) -> Float[np.ndarray, "batch blocks"]:
    """Leakage in W at these temperatures in degrees C; `leakage` is that in W at `LEAKAGE_REFERENCE`."""
    growth: Float[np.ndarray, "batch blocks"] = np.exp((temperature - LEAKAGE_REFERENCE) / LEAKAGE_SCALE)
    hot: Float[np.ndarray, "batch blocks"] = leakage * growth
    return hot


@numba.njit(cache=True)
@no_type_check
def _half_perimeters(
    x: Float[np.ndarray, "batch blocks"],
    y: Float[np.ndarray, "batch blocks"],
    width: Float[np.ndarray, "batch blocks"],
    height: Float[np.ndarray, "batch blocks"],
    pins: Int[np.ndarray, "batch nets pins"],
    out: Float[np.ndarray, "batch nets"],
) -> None:
    """Fill `out`; padded pins are -1 and stand after the real ones."""
    batch, nets, degree = pins.shape
    for b in range(batch):
        for n in range(nets):
            i = pins[b, n, 0]
            if i < 0:
                continue
            left = right = x[b, i] + 0.5 * width[b, i]
            low = high = y[b, i] + 0.5 * height[b, i]
            for p in range(1, degree):
                i = pins[b, n, p]
                if i < 0:
                    break
                centre_x = x[b, i] + 0.5 * width[b, i]
                centre_y = y[b, i] + 0.5 * height[b, i]
                left, right = min(left, centre_x), max(right, centre_x)
                low, high = min(low, centre_y), max(high, centre_y)
            out[b, n] = (right - left) + (high - low)
