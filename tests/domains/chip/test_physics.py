from dataclasses import fields, replace

import numpy as np

from rewardtree.domains.chip import wiring
from rewardtree.domains.chip.generate import generate
from rewardtree.domains.chip.netlist import NetlistBatch, stack
from rewardtree.domains.chip.packing import GRID, Floorplans, pack
from rewardtree.domains.chip.physics import Fields, simulate

MAPS = ("power_map", "temperature", "current", "log_lifetime")


def random_plans(seed: int, count: int) -> tuple[NetlistBatch, Floorplans]:
    rng = np.random.default_rng(seed)
    batch = stack(generate(rng, blocks=10, nets=16, count=count))
    first, second = np.argsort(rng.random((2, count, 10)), axis=-1)
    return batch, pack(batch, first, second, rng.random((count, 10)) < 0.5)


def row_of(plan: Floorplans, row: int) -> Floorplans:
    return Floorplans(**{f.name: getattr(plan, f.name)[row : row + 1] for f in fields(plan)})


def by_name(result: Fields) -> dict[str, np.ndarray]:
    return {f.name: getattr(result, f.name) for f in fields(result)}


def test_shapes_and_finite_values() -> None:
    batch, plan = random_plans(0, 5)
    for name, value in by_name(simulate(batch, plan)).items():
        expected = (5, GRID, GRID) if name in MAPS else batch.activity.shape if "net_" in name else (5, 10)
        assert value.shape == expected, name
        assert np.isfinite(value).all(), name


def test_a_floorplan_alone_gives_what_it_gives_in_a_batch() -> None:
    batch, plan = random_plans(1, 4)
    together = by_name(simulate(batch, plan))
    for row in range(4):
        alone = by_name(simulate(batch.take(np.array([row])), row_of(plan, row)))
        for name, value in alone.items():
            np.testing.assert_allclose(value[0], together[name][row], rtol=1e-9, atol=1e-9, err_msg=name)


def test_reflecting_the_floorplan_in_its_diagonal_reflects_the_fields() -> None:
    batch, plan = random_plans(2, 4)
    mirrored = replace(plan, x=plan.y, y=plan.x, width=plan.height, height=plan.width)
    straight, reflected = by_name(simulate(batch, plan)), by_name(simulate(batch, mirrored))
    for name, value in straight.items():
        expected = value.swapaxes(1, 2) if name in MAPS else value
        np.testing.assert_allclose(reflected[name], expected, rtol=1e-8, atol=1e-9, err_msg=name)


def test_padding_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    small, large = generate(rng, blocks=7, nets=9, count=1)[0], generate(rng, blocks=12, nets=18, count=1)[0]
    order = np.argsort(rng.random((2, 12)), axis=-1)
    none = np.zeros((2, 12), dtype=bool)
    padded = simulate(both := stack([small, large]), pack(both, order, order[:, ::-1].copy(), none))
    real = order[:1][order[:1] < 7][None]
    plain = simulate(one := stack([small]), pack(one, real, real[:, ::-1].copy(), none[:1, :7]))
    for name, value in by_name(plain).items():
        got = by_name(padded)[name][:1]
        got = got if name in MAPS else got[:, : value.shape[1]]
        np.testing.assert_allclose(got, value, rtol=1e-9, atol=1e-9, err_msg=name)


def test_parts_fit_together() -> None:
    batch, plan = random_plans(4, 6)
    result = simulate(batch, plan)
    np.testing.assert_allclose(result.power_map.sum(axis=(1, 2)), (batch.power + batch.leakage).sum(axis=1))
    np.testing.assert_allclose(result.block_leakage, batch.leakage * 2 ** ((result.block_temperature - 100.0) / 20.0))
    np.testing.assert_allclose(result.net_power, wiring.WIRE_POWER * batch.activity * result.net_length)
    assert (result.exposure[~(batch.secret | batch.critical)] == 0).all()
    hottest = result.temperature.max(axis=(1, 2))
    assert (result.block_temperature.max(axis=1) <= hottest + 1e-9).all()


def test_values_are_in_the_range_of_real_chips() -> None:
    rng = np.random.default_rng(5)
    batch = stack(generate(rng, count=20)).take(np.repeat(np.arange(20), 10))
    first, second = np.argsort(rng.random((2, 200, 16)), axis=-1)
    result = simulate(batch, pack(batch, first, second, rng.random((200, 16)) < 0.5))
    peak, worst = result.temperature.max(axis=(1, 2)), result.current.max(axis=(1, 2))
    assert 80 < peak.mean() < 110
    assert peak.max() < 160
    assert 0.4 < worst.mean() < 2.0
    assert peak.reshape(20, 10).std(axis=1).mean() > 3


def test_the_same_floorplan_twice_is_bit_for_bit_the_same() -> None:
    batch, plan = random_plans(6, 3)
    first, second = by_name(simulate(batch, plan)), by_name(simulate(batch, plan))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_more_power_in_a_block_heats_it_most() -> None:
    batch, plan = random_plans(7, 10)
    before = simulate(batch, plan).block_temperature
    block = np.argmin(batch.width * batch.height, axis=1)
    more = batch.power.copy()
    more[np.arange(10), block] += 2.0
    rise = simulate(replace(batch, power=more), plan).block_temperature - before
    assert (rise > 0).all()
    np.testing.assert_array_equal(np.argmax(rise, axis=1), block)
