"""Pictures for the report: real circuits placed at random and by the trained root, with the helpers' claims."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rewardtree.domains.chip.drawing import draw_before_after
from rewardtree.domains.chip.floorplan import FloorplanTask
from rewardtree.domains.chip.layouts import Layouts
from rewardtree.tree.assistance import ask
from rewardtree.tree.node import Tree
from rewardtree.tree.stand_ins import trained_helpers

CIRCUITS = ("c7552", "s13207")
"""Circuits that are drawn, as far as the test split has them."""


def draw_examples(
    tree: Tree, task: FloorplanTask, policies: Mapping[str, Any], rng: np.random.Generator
) -> list[dict[str, str]]:
    """A random and the trained root's most probable layout of some circuits.

    Args:
        tree: of the run.
        task: the root's.
        policies: trained policies by node.
        rng: draws the random layouts.
    """
    test = task.pools["test"]
    names = list(test.netlists.names)
    rows = [i for i, name in enumerate(names) if any(c in name for c in CIRCUITS)][:2] or [0]
    designs = test.take(np.array(rows))
    helpers = trained_helpers(tree, tree.nodes[tree.root], policies)
    layouts = task.base_outputs(rng, designs), policies[tree.root].answer(designs)
    claims = ask(task, helpers, designs, layouts[0]), ask(task, helpers, designs, layouts[1])
    return [
        {
            "title": name,
            "svg": draw_before_after(designs, layouts, row, claims),
            "caption": f"Random layout: {_caption(layouts[0], row)}. Trained: {_caption(layouts[1], row)}. "
            "The helpers' claims are drawn where they point.",
        }
        for row, name in enumerate(designs.netlists.names)
    ]


def _caption(layouts: Layouts, row: int) -> str:
    fields = layouts.fields
    energy = float(fields.net_power[row].sum() + fields.block_leakage[row].sum())
    return (
        f"{energy:.1f} W in nets and leakage, hottest cell {fields.temperature[row].max():.0f} °C, least log lifetime "
        f"{fields.log_lifetime[row].min():.2f}, worst exposure {fields.exposure[row].max():.2f}, "
        f"die {layouts.plan.side[row]:.1f} mm"
    )
