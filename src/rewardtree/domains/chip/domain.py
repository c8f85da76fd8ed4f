"""The chip domain as `rewardtree run chip` finds it."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from rewardtree.domains.chip.annealing import STEPS, anneal
from rewardtree.domains.chip.floorplan import FloorplanTask
from rewardtree.domains.chip.generate import generate
from rewardtree.domains.chip.layouts import Designs
from rewardtree.domains.chip.netlist import Netlist, stack
from rewardtree.domains.chip.nodes import chip_tree
from rewardtree.domains.chip.real import real_netlists
from rewardtree.tasks.task import Split
from rewardtree.tree.domain import Ceiling, Domain, Settings
from rewardtree.tree.node import Tree

POOL: Mapping[Split, int] = {"train": 512, "calibration": 256, "validation": 128}
"""Generated netlists of each split."""
HELD_OUT = 64
"""Generated netlists of the test split, beside the real ones; the same for every seed."""


@lru_cache(maxsize=4)
def pools(seed: int) -> dict[Split, Designs]:
    """Netlists of every split, read only: generated ones to train on, real and fresh generated ones to be judged on."""
    found = {
        split: Designs(netlists=stack(_drawn(np.random.default_rng([seed, 11, number]), count, f"{split} {seed}")))
        for number, (split, count) in enumerate(POOL.items())
    }
    fresh = _drawn(np.random.default_rng(181107871), HELD_OUT, "held out")
    return found | {"test": Designs(netlists=stack([*real_netlists(), *fresh]))}


def _drawn(rng: np.random.Generator, count: int, name: str) -> list[Netlist]:
    """Generated netlists under names that no other split has."""
    return [replace(netlist, name=f"{name}/{i}") for i, netlist in enumerate(generate(rng, count=count))]


def build(settings: Settings) -> Tree:
    """The chip's tree."""
    return chip_tree(pools(settings.seed), settings)


def ceiling(tree: Tree, effort: float) -> Ceiling:
    """Simulated annealing on the true reward, netlist by netlist."""
    task: Any = tree.nodes[tree.root].task
    return lambda inputs, rng: anneal(task, inputs, rng, steps=max(1, round(STEPS * effort)))


def pictures(tree: Tree, policies: Mapping[str, Any], rng: np.random.Generator) -> list[dict[str, str]]:
    """A random and a trained layout of real circuits, with heat and the helpers' claims."""
    from rewardtree.domains.chip.pictures import draw_examples

    task = tree.nodes[tree.root].task
    assert isinstance(task, FloorplanTask)
    return draw_examples(tree, task, policies, rng)


DOMAIN = Domain(
    name="chip",
    summary="place the blocks of a chip; helpers for lifetime (heat, current), energy and security",
    nodes=("heat", "current", "lifetime", "energy", "security", "floorplan"),
    build=build,
    ceiling=ceiling,
    pictures=pictures,
)
