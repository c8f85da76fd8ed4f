"""All engineering models of a floorplan in one call.

Heat and supply current come from the blocks' power at the reference temperature (dynamic and leakage);
temperature then sets the leakage that is reported, currents and temperature set the lifetime. Equations stand
in the modules called.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from rewardtree.domains.chip import exposure, supply, thermal, wiring
from rewardtree.domains.chip.netlist import NetlistBatch
from rewardtree.domains.chip.packing import Floorplans


@dataclass(frozen=True, kw_only=True, slots=True)
class Fields:
    """What the models say of a batch of floorplans.

    Attributes:
        power_map: W a cell, [batch, row, column].
        temperature: degrees C, [batch, row, column].
        current: largest supply current density touching the cell in MA/cm^2, [batch, row, column].
        log_lifetime: natural logarithm of the supply metal's life over the reference's, [batch, row, column].
        net_length: half perimeters in mm, [batch, nets].
        net_power: switched power in W, [batch, nets].
        block_temperature: means in degrees C, [batch, blocks].
        block_leakage: W at the block's temperature, [batch, blocks].
        coupling: of secret blocks to untrusted ones, dimensionless, [batch, blocks].
        free_area: free share around critical blocks, 0 to 1, [batch, blocks].
        exposure: weighted sum of the two, [batch, blocks].
    """

    power_map: Float[np.ndarray, "batch rows columns"]
    temperature: Float[np.ndarray, "batch rows columns"]
    current: Float[np.ndarray, "batch rows columns"]
    log_lifetime: Float[np.ndarray, "batch rows columns"]
    net_length: Float[np.ndarray, "batch nets"]
    net_power: Float[np.ndarray, "batch nets"]
    block_temperature: Float[np.ndarray, "batch blocks"]
    block_leakage: Float[np.ndarray, "batch blocks"]
    coupling: Float[np.ndarray, "batch blocks"]
    free_area: Float[np.ndarray, "batch blocks"]
    exposure: Float[np.ndarray, "batch blocks"]


def simulate(netlists: NetlistBatch, floorplans: Floorplans) -> Fields:
    """Run every model.

    Args:
        netlists: one netlist a floorplan.
        floorplans: where the blocks stand.

    Returns:
        The fields.

    Raises:
        TaskError: where there is not one netlist a floorplan.
    """
    cell_power = thermal.power_map(floorplans, netlists.power + netlists.leakage)
    temperature = thermal.temperature(cell_power, floorplans.side)
    current = supply.current_density(cell_power, floorplans.side)
    net_length = wiring.net_lengths(floorplans, netlists)
    block_temperature = thermal.block_temperature(floorplans, temperature)
    coupling = exposure.coupling(floorplans, netlists)
    free_area = exposure.free_area(floorplans, netlists)
    return Fields(
        power_map=cell_power,
        temperature=temperature,
        current=current,
        log_lifetime=supply.log_lifetime(temperature, current),
        net_length=net_length,
        net_power=wiring.net_power(netlists.activity, net_length),
        block_temperature=block_temperature,
        block_leakage=wiring.block_leakage(netlists.leakage, block_temperature),
        coupling=coupling,
        free_area=free_area,
        exposure=exposure.exposure(coupling, free_area),
    )
