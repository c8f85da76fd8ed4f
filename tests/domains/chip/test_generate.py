"""Generated netlists have the statistics that their module states."""

import numpy as np
import pytest
from scipy import optimize, stats

from rewardtree.domains.chip import generate as module
from rewardtree.domains.chip.generate import generate
from rewardtree.domains.chip.netlist import BLOCK_AREA, TOTAL_ACTIVITY, TOTAL_POWER, Netlist
from rewardtree.errors import TaskError


@pytest.fixture(scope="module")
def netlists() -> list[Netlist]:
    return generate(np.random.default_rng(0), count=400)


def test_totals_and_sizes(netlists: list[Netlist]) -> None:
    for netlist in netlists:
        assert (netlist.blocks, netlist.nets) == (16, 48)
        assert (netlist.width * netlist.height).sum() == pytest.approx(BLOCK_AREA)
        assert (netlist.power + netlist.leakage).sum() == pytest.approx(TOTAL_POWER)
        assert netlist.activity.sum() == pytest.approx(TOTAL_ACTIVITY)


def test_the_same_seed_gives_the_same_netlists_and_another_one_others() -> None:
    first, again, other = (generate(np.random.default_rng(seed), count=3) for seed in (1, 1, 2))
    for a, b, c in zip(first, again, other, strict=True):
        for field in ("width", "height", "power", "leakage", "secret", "net_pins", "activity"):
            assert (getattr(a, field) == getattr(b, field)).all()
        assert not np.array_equal(a.width, c.width)
        assert not np.array_equal(a.net_pins, c.net_pins)


def test_areas_are_log_normal_and_shapes_log_uniform(netlists: list[Netlist]) -> None:
    log_area = np.log([n.width * n.height for n in netlists])
    deviation = log_area - log_area.mean(axis=1, keepdims=True)
    assert deviation.std() / np.sqrt(15 / 16) == pytest.approx(module.AREA_SPREAD, rel=0.03)
    assert stats.kstest(deviation.ravel() / deviation.std(), "norm").statistic < 0.02
    log_ratio = np.log([n.height / n.width for n in netlists]).ravel() / np.log(2)
    assert stats.kstest(log_ratio, stats.uniform(-1, 2).cdf).pvalue > 0.01


def test_the_hottest_block_has_about_three_to_six_times_the_median_density(netlists: list[Netlist]) -> None:
    density = np.array([(n.power + n.leakage) / (n.width * n.height) for n in netlists])
    ratio = density.max(axis=1) / np.median(density, axis=1)
    assert 2.8 < np.quantile(ratio, 0.02) < 3.6
    assert 5.0 < np.quantile(ratio, 0.98) < 6.2
    assert 3.8 < np.median(ratio) < 4.7


def test_leakage_is_a_share_of_all_power_and_goes_with_area(netlists: list[Netlist]) -> None:
    share = np.array([n.leakage.sum() / TOTAL_POWER for n in netlists])
    assert share.min() >= 0.15
    assert share.max() <= 0.30
    assert share.std() > 0.03
    for n in netlists[:20]:
        np.testing.assert_allclose(n.leakage / n.leakage.sum(), n.width * n.height / BLOCK_AREA)


def test_tags(netlists: list[Netlist]) -> None:
    for n in netlists:
        assert {n.secret.sum(), n.untrusted.sum(), n.critical.sum()} <= {2, 3}
        assert not (n.untrusted & (n.secret | n.critical)).any()
    assert any((n.secret & n.critical).any() for n in netlists)
    tagged = np.mean([n.secret for n in netlists], axis=0)
    assert tagged.min() > 0.09  # each block has its chance of 2.5 / 16
    assert tagged.max() < 0.23


def test_nets_differ_have_two_to_five_pins_and_reach_every_block(netlists: list[Netlist]) -> None:
    degrees = np.concatenate([np.diff(n.net_start) for n in netlists])
    share = np.bincount(degrees, minlength=6) / len(degrees)
    assert degrees.max() == 5
    assert 0.6 < share[2] < 0.85
    assert share[2] > share[3] > share[4] > share[5] > 0.003
    for n in netlists:
        pins = [frozenset(n.net_pins[a:b].tolist()) for a, b in zip(n.net_start[:-1], n.net_start[1:], strict=True)]
        assert len(set(pins)) == n.nets
        assert frozenset[int]().union(*pins) == set(range(16))


def test_wires_have_the_pins_that_rents_rule_gives() -> None:
    # for p = 1/2 by hand: (1 - 2^-1/2) / 2 and so on, in proportion
    expected = np.array([(1 - 0.70711) / 2, (0.70711 - 0.57735) / 3, (0.57735 - 0.5) / 4, (0.5 - 0.44721) / 5])
    degrees = module._degrees(np.random.default_rng(0), np.full(200_000, 0.5))
    share = np.bincount(degrees, minlength=6)[2:] / len(degrees)
    np.testing.assert_allclose(share, expected / expected.sum(), atol=0.004)


@pytest.mark.parametrize("exponent", [0.5, 0.6, 0.75])
def test_rent_exponent_by_partitioning(exponent: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the netlists in halves, again and again, by a partitioner that knows nothing of their making."""
    monkeypatch.setattr(module, "RENT_EXPONENT", (exponent, exponent))
    sizes = 64 / 2.0 ** np.arange(1, 7)
    terminals = np.mean(
        [_terminals(n) for n in generate(np.random.default_rng(3), blocks=64, nets=256, count=12)], axis=0
    )

    def misfit(guess: np.ndarray) -> np.ndarray:
        # Rent's rule less the cluster's share of the outside's terminals, which the netlists leave out
        p, scale = guess
        return np.log(scale * (sizes**p - 64 ** (p - 1) * sizes) / terminals)

    fitted = optimize.least_squares(misfit, [0.6, terminals[-1]], bounds=([0.05, 1e-6], [0.99, np.inf])).x[0]
    assert fitted == pytest.approx(exponent, abs=0.08)


def _terminals(netlist: Netlist) -> list[float]:
    """Activity that leaves a cluster of 32, 16, ... 1 blocks, on average."""
    net = np.repeat(np.arange(netlist.nets), np.diff(netlist.net_start))
    on = np.zeros((netlist.nets, netlist.blocks))
    on[net, netlist.net_pins] = 1
    weight = netlist.activity / (on.sum(axis=1) - 1)
    graph = on.T @ (on * weight[:, None])
    cluster = np.zeros(netlist.blocks, dtype=int)
    result = []
    for _ in range(6):
        halves = np.zeros(netlist.blocks, dtype=int)
        for part in np.unique(cluster):
            members = np.flatnonzero(cluster == part)
            halves[members] = _bisect(graph[np.ix_(members, members)])
        cluster = 2 * cluster + halves
        touched = np.stack([on[:, cluster == part].any(axis=1) for part in np.unique(cluster)], axis=1)
        count = touched.sum(axis=1)
        result.append(float((netlist.activity * count * (count > 1)).sum()) / touched.shape[1])
    return result


def _bisect(graph: np.ndarray) -> np.ndarray:
    """Halves by the Fiedler vector, then swaps of pairs while they help (Kernighan & Lin 1970)."""
    graph = graph - np.diag(np.diag(graph))
    _, vectors = np.linalg.eigh(np.diag(graph.sum(axis=1)) - graph)
    side = np.zeros(len(graph), dtype=int)
    side[np.argsort(vectors[:, min(1, len(graph) - 1)])[len(graph) // 2 :]] = 1
    while True:
        sign = np.where(side[:, None] == side, -1, 1)
        gain = (graph * sign).sum(axis=1)
        swap = gain[:, None] + gain - 2 * graph
        swap[side[:, None] == side] = -np.inf
        best = np.unravel_index(np.argmax(swap), swap.shape)
        if swap[best] <= 1e-12:
            return side
        side[list(best)] = side[list(best[::-1])]


@pytest.mark.parametrize(("blocks", "nets"), [(4, 6), (5, 3), (7, 21), (24, 72), (64, 64)])
def test_other_sizes(blocks: int, nets: int) -> None:
    for netlist in generate(np.random.default_rng(0), blocks=blocks, nets=nets, count=5):
        assert (netlist.blocks, netlist.nets) == (blocks, nets)
        assert set(netlist.net_pins.tolist()) == set(range(blocks))


def test_none_and_wrong_counts() -> None:
    rng = np.random.default_rng(0)
    assert generate(rng, count=0) == []
    with pytest.raises(TaskError, match="48 nets were asked for; 8 blocks take 4 to 28 nets"):
        generate(rng, blocks=8, count=1)
    with pytest.raises(TaskError, match="ask for 4 to 256 blocks"):
        generate(rng, blocks=3, nets=3, count=1)
    with pytest.raises(TaskError, match="-1 netlists"):
        generate(rng, count=-1)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"net_pins": np.array([0, 0, 1, 2])}, "a net lists a block twice"),
        ({"net_pins": np.array([0, 1, 1, 3])}, "a net names a block that does not exist; there are 3"),
        ({"block_names": ("a", "b", "a")}, "two blocks share a name"),
        ({"net_start": np.array([0, 1, 4])}, "net 0 joins fewer than two blocks; drop it"),
        ({"net_start": np.array([0, 2, 5])}, "net_start must go from 0 in steps to the number of pins"),
        ({"activity": np.array([1.0, np.nan])}, "activity needs one number a net"),
        ({"width": np.array([1.0, 0.0, 1.0])}, "every width must be a positive number of mm"),
        ({"leakage": np.array([1.0, -1.0, 1.0])}, "every leakage must be a number of W, zero or more"),
    ],
)
def test_netlists_check_themselves(change: dict[str, object], problem: str) -> None:
    ones, no = np.ones(3), np.zeros(3, dtype=bool)
    fields: dict[str, object] = {"name": "x", "block_names": ("a", "b", "c"), "activity": np.ones(2) / 2}
    fields |= dict.fromkeys(("width", "height", "power", "leakage"), ones)
    fields |= dict.fromkeys(("secret", "untrusted", "critical"), no)
    fields |= {"net_start": np.array([0, 2, 4]), "net_pins": np.array([0, 1, 1, 2])}
    assert Netlist(**fields).nets == 2
    with pytest.raises(TaskError, match=f"netlist x: .*{problem}"):
        Netlist(**(fields | change))
