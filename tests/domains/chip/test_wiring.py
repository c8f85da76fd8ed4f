import numpy as np
import pytest

from rewardtree.domains.chip import wiring
from rewardtree.domains.chip.generate import generate
from rewardtree.domains.chip.netlist import stack
from rewardtree.domains.chip.packing import pack
from rewardtree.errors import TaskError


def test_lengths_are_half_perimeters_of_the_pins_centres() -> None:
    rng = np.random.default_rng(0)
    netlists = generate(rng, blocks=10, nets=14, count=3) + generate(rng, blocks=7, nets=9, count=3)
    batch = stack(netlists)
    first, second = np.argsort(rng.random((2, 6, 10)), axis=-1)
    plan = pack(batch, first, second, rng.random((6, 10)) < 0.5)
    lengths = wiring.net_lengths(plan, batch)
    for row, netlist in enumerate(netlists):
        centres = np.stack([plan.x[row] + plan.width[row] / 2, plan.y[row] + plan.height[row] / 2])
        for net in range(netlist.nets):
            pins = netlist.net_pins[netlist.net_start[net] : netlist.net_start[net + 1]]
            assert lengths[row, net] == pytest.approx(np.ptp(centres[:, pins], axis=1).sum())
        assert (lengths[row, netlist.nets :] == 0).all()


def test_net_power_is_activity_times_capacitance_times_voltage_squared_times_frequency() -> None:
    power = wiring.net_power(np.array([[0.25, 0.75]]), np.array([[4.0, 2.0]]))
    watts_a_mm = wiring.SWITCHING_WIRES * wiring.WIRE_CAPACITANCE * wiring.VOLTAGE_SWING**2 * wiring.CLOCK
    np.testing.assert_allclose(power, [[1.0 * watts_a_mm, 1.5 * watts_a_mm]])


def test_random_floorplans_switch_about_eight_watts() -> None:
    rng = np.random.default_rng(1)
    batch = stack(generate(rng, count=20)).take(np.repeat(np.arange(20), 10))
    first, second = np.argsort(rng.random((2, 200, 16)), axis=-1)
    plan = pack(batch, first, second, rng.random((200, 16)) < 0.5)
    total = wiring.net_power(batch.activity, wiring.net_lengths(plan, batch)).sum(axis=1)
    assert 7 < total.mean() < 9


def test_leakage_doubles_every_twenty_kelvin() -> None:
    leakage = wiring.block_leakage(np.array([[1.0, 1.0, 2.0]]), np.array([[100.0, 120.0, 60.0]]))
    np.testing.assert_allclose(leakage, [[1.0, 2.0, 0.5]])


def test_one_netlist_a_floorplan() -> None:
    rng = np.random.default_rng(2)
    batch = stack(generate(rng, blocks=8, nets=8, count=2))
    order = np.argsort(rng.random((2, 8)), axis=-1)
    plan = pack(batch, order, order, np.zeros((2, 8), dtype=bool))
    with pytest.raises(TaskError, match="give one each"):
        wiring.net_lengths(plan, batch.take(np.array([0])))
