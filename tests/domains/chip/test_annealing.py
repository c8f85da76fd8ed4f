"""The ceiling: never worse than its start, legal, repeatable, and optimal where that can be counted out."""

from itertools import permutations, product

import numpy as np
import pytest

from rewardtree.domains.chip.annealing import anneal
from rewardtree.domains.chip.floorplan import FloorplanTask
from rewardtree.domains.chip.generate import generate
from rewardtree.domains.chip.layouts import Designs, Layouts, random_layouts
from rewardtree.domains.chip.netlist import Netlist, stack
from rewardtree.errors import TaskError

TASK = FloorplanTask(pools={}, scenes={})


def three_blocks(rng: np.random.Generator) -> Netlist:
    """Smaller than what `generate` makes: one block of each tag, every two wired."""
    return Netlist(
        name="three",
        block_names=("secret", "untrusted", "critical"),
        width=rng.uniform(2.0, 5.0, 3),
        height=rng.uniform(2.0, 5.0, 3),
        power=rng.uniform(4.0, 9.0, 3),
        leakage=rng.uniform(1.0, 2.0, 3),
        secret=np.array([True, False, False]),
        untrusted=np.array([False, True, False]),
        critical=np.array([False, False, True]),
        net_start=np.array([0, 2, 4, 6]),
        net_pins=np.array([0, 1, 0, 2, 1, 2]),
        activity=rng.dirichlet(np.ones(3)),
    )


SMALL = Designs(
    netlists=stack(
        [
            *(three_blocks(np.random.default_rng(seed)) for seed in range(3)),
            *generate(np.random.default_rng(2), blocks=4, nets=4, count=3),
        ]
    )
)
USUAL = Designs(netlists=stack(generate(np.random.default_rng(3), count=6)))


def all_layouts(designs: Designs, row: int) -> Layouts:
    """Every sequence pair and every turn of one netlist's real blocks; padded blocks stay last."""
    mask = designs.netlists.mask[row]
    blocks, padded = int(mask.sum()), list(range(int(mask.sum()), len(mask)))
    orders = np.array([[*order, *padded] for order in permutations(range(blocks))])
    turns = np.array([[*turn, *[False] * len(padded)] for turn in product((False, True), repeat=blocks)])
    first, second, turn = (a.ravel() for a in np.meshgrid(range(len(orders)), range(len(orders)), range(len(turns))))
    lists = designs.take(np.full(len(first), row)).netlists
    return Layouts(netlists=lists, first=orders[first], second=orders[second], rotated=turns[turn])


def test_finds_the_optimum_where_every_layout_can_be_tried() -> None:
    hot = anneal(TASK, SMALL, np.random.default_rng(0), steps=1000, chains=4, temperatures=(3.0, 0.3))
    found = TASK.true_reward(SMALL, hot)
    for row in range(len(SMALL)):
        best = TASK.true_reward(SMALL, all_layouts(SMALL, row)).max()
        assert found[row] == pytest.approx(best, abs=1e-9)


def test_layouts_are_legal() -> None:
    found = anneal(TASK, USUAL, np.random.default_rng(0), steps=100)
    blocks = np.arange(USUAL.netlists.mask.shape[1])
    assert (np.sort(found.first, axis=1) == blocks).all() and (np.sort(found.second, axis=1) == blocks).all()
    plan = found.plan
    right, top = plan.x + plan.width, plan.y + plan.height
    apart_x = np.maximum(plan.x[:, None] - right[:, :, None], plan.x[:, :, None] - right[:, None])
    apart_y = np.maximum(plan.y[:, None] - top[:, :, None], plan.y[:, :, None] - top[:, None])
    overlap = np.maximum(apart_x, apart_y) < -1e-9
    assert not (overlap & ~np.eye(len(blocks), dtype=bool)).any()


@pytest.mark.parametrize("steps", [0, 1, 40])
def test_is_never_worse_than_its_start(steps: int) -> None:
    start = anneal(TASK, USUAL, np.random.default_rng(5), steps=150)
    begun = TASK.true_reward(USUAL, start)
    found = anneal(TASK, USUAL, np.random.default_rng(1), steps=steps, start=start, temperatures=(5.0, 5.0))
    assert (TASK.true_reward(USUAL, found) >= begun).all()
    if steps == 0:
        assert (TASK.true_reward(USUAL, found) == begun).all()


def test_more_steps_and_more_chains_find_better_layouts_than_chance_does() -> None:
    chance = np.max(
        [TASK.true_reward(USUAL, random_layouts(np.random.default_rng(s), USUAL)) for s in range(50)], axis=0
    )
    few, many = (
        TASK.true_reward(USUAL, anneal(TASK, USUAL, np.random.default_rng(0), steps=steps)) for steps in (100, 600)
    )
    chains = TASK.true_reward(USUAL, anneal(TASK, USUAL, np.random.default_rng(0), steps=100, chains=8))
    assert many.mean() > few.mean() + 0.3
    assert chains.mean() > few.mean()
    assert (many > chance).all()


def test_same_chance_same_layouts() -> None:
    one, again = (anneal(TASK, USUAL, np.random.default_rng(7), steps=50) for _ in range(2))
    other = anneal(TASK, USUAL, np.random.default_rng(8), steps=50)
    assert one.digest() == again.digest() != other.digest()


def test_a_netlist_given_twice_is_searched_once() -> None:
    twice = USUAL.take(np.array([2, 0, 2, 2]))
    found = anneal(TASK, twice, np.random.default_rng(0), steps=50).digest()
    assert found[0] == found[2] == found[3] != found[1]


def test_one_block_can_only_be_turned() -> None:
    lists = SMALL.netlists.take(np.array([0]))
    lists.mask[0, 1:] = False
    for field in (lists.width, lists.height, lists.power, lists.leakage):
        field[0, 1:] = 0.0
    found = anneal(TASK, Designs(netlists=lists), np.random.default_rng(0), steps=20)
    assert len(found) == 1


@pytest.mark.parametrize("wrong", [{"steps": -1}, {"chains": 0}, {"temperatures": (1.0, 0.0)}])
def test_refuses_what_makes_no_walk(wrong: dict[str, object]) -> None:
    with pytest.raises(TaskError, match="anneal"):
        anneal(TASK, USUAL, np.random.default_rng(0), **wrong)  # type: ignore[arg-type]


def test_refuses_starts_of_other_netlists() -> None:
    start = random_layouts(np.random.default_rng(0), SMALL)
    with pytest.raises(TaskError, match="one a netlist"):
        anneal(TASK, USUAL.take(np.array([0])), np.random.default_rng(0), start=start)
