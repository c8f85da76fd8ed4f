"""Flat reward modelling: deep reinforcement learning from human preferences (Christiano et al. 2017, arXiv 1706.03741).

One node, no assistance: its evaluator judges outputs unaided within its budget of readings, or as an expert without
one.

Two variants, so that schemes are compared with the same reward-model inputs:

- with claims: the reward model sees what the tree's helpers say, though the evaluator doesn't. The labels that
trained the helpers
  are charged here too, so that the whole costs what the tree costs.
- from the output alone: no helpers at all, and every label of the tree's budget goes to the root; its policy begins
  untrained and has the root's own updates, not those of the whole tree.

Departure from the paper: the policy is improved by the node's own learner instead of A2C or TRPO.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from rewardtree.policies.learner import Policy
from rewardtree.protocols import recursive_reward_modeling
from rewardtree.protocols.recursive_reward_modeling import NAME as TREE
from rewardtree.protocols.recursive_reward_modeling import claims_unseen, sees_claims
from rewardtree.protocols.scheme import Scheme, anything
from rewardtree.protocols.setting import Outcome, Setting
from rewardtree.tree.checkpoint import Trained
from rewardtree.tree.loop import train
from rewardtree.tree.node import Node

Evaluators = Literal["unaided", "expert"]


def run(setting: Setting, evaluators: Evaluators, helpers: Mapping[str, Trained] | None) -> Outcome:
    """Train the root alone.

    Args:
        setting: as for every protocol; its labels are those of the whole tree.
        evaluators: who judges.
        helpers: trained helpers whose claims the reward model sees, or None for the variant from the output alone.
    """
    settings = replace(setting.settings, claims_in_reward=helpers is not None)
    tree = setting.build(settings)
    name = f"flat_{evaluators}" + ("_output" if helpers is None and sees_claims(setting) else "")
    if helpers is None:
        root = tree.nodes[tree.root]
        whole = replace(root, budget=replace(root.budget, labels=tree.labels // root.budget.iterations))
        tree = replace(tree, nodes={**tree.nodes, root.name: whole})
    idle = {key: value for key, value in (helpers or {}).items() if key != tree.root}
    untrained = {key: _absent(node, setting.start) for key, node in tree.nodes.items() if key != tree.root}
    training = setting.training(name, tree, evaluators=evaluators, borrowed=idle or untrained)
    return Outcome(
        protocol=name,
        title=f"Flat reward modelling, {evaluators}" + (", output alone" if name.endswith("_output") else ""),
        evaluator=evaluators,
        reward_model_sees="output" if helpers is None else "output and claims",
        tree=tree,
        nodes=train(training),
        charged=(name,) if helpers is None else (name, TREE),
    )


def _absent(node: Node, start: Mapping[str, Policy]) -> Trained:
    """Stands for a helper that nobody asks; it is what it would begin with."""
    untrained = node.learner.initial(np.random.default_rng(0))
    return Trained(policy=start.get(node.group, untrained), untrained=untrained)


def _scheme(evaluators: Evaluators, *, claims: bool) -> Scheme:
    """One of the four variants."""

    def train_root(setting: Setting) -> Outcome:
        return run(setting, evaluators, recursive_reward_modeling.run(setting).nodes if claims else None)

    suffix = "" if claims else "_output"
    return Scheme(
        name=f"flat_{evaluators}{suffix}",
        title=f"Flat reward modelling, {evaluators}" + ("" if claims else ", output alone"),
        paper="Christiano et al. 2017, arXiv 1706.03741",
        run=train_root,
        refuses=claims_unseen if claims else anything,
        after=(TREE,) if claims else (),
    )


UNAIDED, EXPERT = _scheme("unaided", claims=True), _scheme("expert", claims=True)
UNAIDED_OUTPUT, EXPERT_OUTPUT = _scheme("unaided", claims=False), _scheme("expert", claims=False)
