"""Where the time of a policy-gradient step of the chip's root goes: microseconds a layout, and over bare products.

The floor of a part is the matrix products in it alone, one at a time, for every layout. It can be beaten where
products are joined, or where layouts of one netlist share them.
Run with OMP_NUM_THREADS=1: threads that wait for each other on a busy machine are many times slower.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from rewardtree.domains.chip import features, surroundings
from rewardtree.domains.chip.generate import generate
from rewardtree.domains.chip.graphs import FEATURES
from rewardtree.domains.chip.layouts import Designs, Layouts, random_layouts
from rewardtree.domains.chip.netlist import stack
from rewardtree.domains.chip.nodes import SCENES, chip_tree
from rewardtree.domains.chip.packing import GRID
from rewardtree.domains.chip.placer import Placer
from rewardtree.evaluators.simulated import Bounds
from rewardtree.rewards.ensemble import RewardShape, initial
from rewardtree.tasks.task import SPLITS, Question
from rewardtree.tree.domain import Settings
from rewardtree.tree.evaluating import assistance
from rewardtree.tree.node import Budget, Node, Tree
from rewardtree.tree.seen import Joined
from rewardtree.tree.stand_ins import answering, trained

DESIGNS, SAMPLES, REPEATS = 48, 6, 15
LAYOUTS = DESIGNS * SAMPLES
CELLS = GRID * GRID


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a step, and the products in it as (rows, inner, columns), once a layout."""

    name: str
    run: Callable[[], Any]
    products: tuple[tuple[int, int, int], ...] = ()
    single: bool = True


def seconds(run: Callable[[], Any]) -> float:
    """The median of several runs after one to warm up."""
    run()
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def floor(products: tuple[tuple[int, int, int], ...], single: bool) -> float:
    """Seconds of the bare products; the right factor is the same for all layouts."""
    kind = torch.float32 if single else torch.float64
    pairs = [(torch.randn(LAYOUTS * m, k, dtype=kind), torch.randn(k, n, dtype=kind)) for m, k, n in products]
    return seconds(lambda: [a @ b for a, b in pairs])


def fresh(layouts: Layouts) -> Layouts:
    """The same layouts, with nothing computed yet."""
    return Layouts(netlists=layouts.netlists, first=layouts.first, second=layouts.second, rotated=layouts.rotated)


def of_drawing(layouts: Layouts) -> Iterator[Part]:
    """Packing, physics and features."""
    small = (GRID, GRID, GRID)
    yield Part(name="pack", run=lambda: fresh(layouts).plan)
    yield Part(
        name="physics, packing too",
        run=lambda: fresh(layouts).fields,
        products=(*[small] * 4, (1, CELLS, CELLS)),
        single=False,
    )
    blurs = (*[small] * 8,)
    yield Part(
        name="features of cells",
        run=lambda: surroundings.cell_features(layouts),
        products=blurs,
        single=False,
    )
    yield Part(
        name="features of nets and leakages",
        run=lambda: surroundings.item_features(layouts),
        products=blurs,
        single=False,
    )
    yield Part(
        name="features of blocks",
        run=lambda: features.block_features(layouts),
        products=blurs[:6],
        single=False,
    )
    yield Part(
        name="the drawing at a glance",
        run=lambda: features.drawing(layouts),
        products=blurs[:4],
        single=False,
    )


def of_helpers(tree: Tree, policies: dict[str, Any], layouts: Layouts) -> Iterator[Part]:
    """Claims of untrained helpers on scenes that are there."""
    for name in ("heat", "lifetime", "energy", "security"):
        policy, scenes = policies[name], SCENES[name](layouts)
        question = Question(helper=name, quantity=name, inputs=scenes, total=name == "energy")
        helper = trained(answering(tree.nodes[name].task), policy)
        places, width = scenes.features.shape[1:]
        hidden = policy.weights["hidden"].shape[1]
        products = ((places, width, hidden), (places, hidden, 3), (places, width, 3))
        yield Part(
            name=f"claims of {name}",
            run=partial(helper, question),
            products=products,
        )


def of_root(node: Node, reward: Joined, layouts: Layouts, designs: Designs) -> Iterator[Part]:
    """The root's policy and reward model."""
    policy = node.learner.initial(np.random.default_rng(2))
    assert isinstance(policy, Placer) and reward.model is not None
    model, seen = reward.model, reward.observe(designs, layouts)
    width, hidden, members = seen.shape[1], node.hidden, node.members
    products = (
        (members, width, hidden),
        (members, hidden, hidden),
        (members, hidden, 1),
        (members, width, 1),
    )
    yield Part(name="reward model", run=lambda: model.score(seen), products=products)
    yield Part(name="score of fresh layouts: all of it", run=lambda: reward(designs, fresh(layouts)))
    blocks, inner = designs.netlists.mask.shape[1], policy.weights["enter"].shape[1]
    wide = (blocks, inner, inner)
    forward = ((blocks, FEATURES, inner), *[wide] * 4, *[(blocks, blocks, inner)] * 2, (blocks, inner, 3))
    rng = np.random.default_rng(3)
    yield Part(name="policy: propose", run=lambda: policy.propose(designs, rng), products=forward)

    def gradient() -> None:
        weights = {name: value.clone().requires_grad_() for name, value in policy.weights.items()}
        policy.log_probability(weights, designs, layouts).mean().backward()

    yield Part(name="policy: forward and backward", run=gradient, products=forward * 3)


def main() -> None:
    torch.set_num_threads(1)
    pool = Designs(netlists=stack(generate(np.random.default_rng(0), count=64)))
    settings = Settings(seed=0, helper=Budget(), root=Budget(), bounds=Bounds())
    tree = chip_tree(dict.fromkeys(SPLITS, pool), settings)
    policies: dict[str, Any] = {
        name: node.learner.initial(np.random.default_rng(1)) for name, node in tree.nodes.items()
    }
    rng = np.random.default_rng(4)
    designs = pool.take(rng.permutation(len(pool))[:DESIGNS]).take(np.repeat(np.arange(DESIGNS), SAMPLES))
    layouts = random_layouts(rng, designs)
    root = tree.nodes[tree.root]
    helpers = {name: trained(answering(tree.nodes[name].task), policies[name]) for name in root.helpers}
    untrained = Joined(node=root, assist=assistance(root, helpers), model=None)
    shape = RewardShape(features=untrained.observe(designs, layouts).shape[1], hidden=root.hidden, members=root.members)
    reward = Joined(node=root, assist=untrained.assist, model=initial(shape, torch.Generator().manual_seed(5)))
    print(f"{LAYOUTS} layouts of {DESIGNS} netlists of 16 blocks, one thread; medians of {REPEATS}")
    print(f"{'part':36}{'us a layout':>12}{'floor':>9}{'ratio':>8}")
    parts = [
        *of_drawing(layouts),
        *of_helpers(tree, policies, layouts),
        *of_root(root, reward, layouts, designs),
    ]
    for part in parts:
        taken = seconds(part.run) / LAYOUTS * 1e6
        bare = floor(part.products, part.single) / LAYOUTS * 1e6 if part.products else None
        compared = "" if bare is None else f"{bare:9.2f}{taken / bare:8.1f}"
        print(f"{part.name:36}{taken:12.2f}{compared}")


if __name__ == "__main__":
    main()
