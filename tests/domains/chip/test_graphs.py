"""What the placer sees of netlists: the same for a netlist alone, padded, or taken from a pool many times."""

from dataclasses import replace

import numpy as np

from rewardtree.domains.chip.generate import generate
from rewardtree.domains.chip.graphs import FEATURES, SPECTRAL, graph
from rewardtree.domains.chip.layouts import Designs
from rewardtree.domains.chip.netlist import Netlist, stack

LISTS = [
    *generate(np.random.default_rng(0), count=3),
    *generate(np.random.default_rng(1), blocks=9, nets=20, count=2),
]


def chain(blocks: int) -> Netlist:
    """Blocks in a row, each wired to the next one."""
    one, some = np.ones(blocks), np.zeros(blocks, dtype=bool)
    return Netlist(
        name="chain",
        block_names=tuple(f"b{i}" for i in range(blocks)),
        width=one,
        height=2 * one,
        power=one,
        leakage=one,
        secret=some,
        untrusted=some,
        critical=some,
        net_start=np.arange(0, 2 * blocks - 1, 2),
        net_pins=np.repeat(np.arange(blocks), 2)[1:-1],
        activity=np.full(blocks - 1, 1.0 / (blocks - 1)),
    )


def test_a_chain_in_closed_form() -> None:
    """The path's normalised Laplacian has the eigenvectors cos(pi k i / (n - 1)) sqrt(degree)."""
    features, wired = graph(stack([chain(6)]))
    assert features.shape == (1, 6, FEATURES) and features.dtype == wired.dtype == np.float32
    np.testing.assert_allclose(features[0, :, :3], np.tile([0.5, 1.0, 0.5], (6, 1)))
    degree = np.array([1, 2, 2, 2, 2, 1])
    np.testing.assert_allclose(features[0, :, 8], 8 * degree / 5, rtol=1e-6)
    np.testing.assert_allclose(wired[0].sum(axis=1), 1.0, rtol=1e-6)
    assert wired[0, 2, 1] == wired[0, 2, 3] == 0.5
    for k in range(1, 1 + SPECTRAL):
        vector = np.cos(np.pi * k * np.arange(6) / 5) * np.sqrt(degree)
        vector *= np.sqrt(6) / np.linalg.norm(vector)
        np.testing.assert_allclose(features[0, :, 8 + SPECTRAL + k], np.abs(vector), atol=1e-5)
        assert np.abs(features[0, :, 8 + k]).max() == features[0, :, 8 + k].max()


def test_padding_changes_nothing() -> None:
    together, wired = graph(stack(LISTS))
    for row, one in enumerate(LISTS):
        alone, own = graph(stack([one]))
        np.testing.assert_allclose(together[row, : one.blocks], alone[0], atol=1e-5)
        np.testing.assert_allclose(wired[row, : one.blocks, : one.blocks], own[0], atol=1e-6)
        assert not together[row, one.blocks :].any()


def test_few_blocks_leave_the_last_eigenvectors_empty() -> None:
    features, _ = graph(stack([chain(3)]))
    assert features.shape == (1, 3, FEATURES)
    assert features[0, :, 10].any() and not features[0, :, 11:13].any()
    assert np.isfinite(features).all()


def test_unwired_blocks_are_seen() -> None:
    lone = replace(chain(4), net_start=np.array([0, 2]), net_pins=np.array([0, 1]), activity=np.array([1.0]))
    features, wired = graph(stack([lone]))
    assert np.isfinite(features).all() and not wired[0, 2:].any()


def test_a_pool_is_looked_at_once() -> None:
    pool = Designs(netlists=stack(LISTS))
    again = pool.take(np.array([4, 1, 1, 3])).take(np.array([0, 1, 2, 2, 0]))
    features, wired, which = again.graphs
    assert len(features) == 2
    assert "graphs" in pool.__dict__
    direct = graph(again.netlists)
    np.testing.assert_array_equal(features[which], direct[0])
    np.testing.assert_array_equal(wired[which], direct[1])
    assert again.digest() == [pool.digest()[row] for row in (4, 1, 1, 1, 4)]
