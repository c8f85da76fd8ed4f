"""How a node begins, and what nodes of one policy group have in common."""

from collections.abc import Container, Mapping
from dataclasses import replace

import numpy as np

from rewardtree.errors import TreeError
from rewardtree.policies.learner import UNTRAINED, WARM, Policy
from rewardtree.tree.checkpoint import Trained
from rewardtree.tree.node import Node, Tree


def begun(
    tree: Tree, node: Node, nodes: Mapping[str, Trained], start: Mapping[str, Policy], rng: np.random.Generator
) -> Trained:
    """A node before its first iteration.

    It goes on with its group's policy, or with the weights of a trained helper, or with the policy that is given for
    it; else it is untrained.

    Args:
        tree: of the node.
        node: that begins.
        nodes: those that have begun, and borrowed ones.
        start: policies to begin with, by the name of a node or of its group.
        rng: for random weights.

    Raises:
        TreeError: where a group's nodes have policies of different shapes.
    """
    untrained = node.learner.initial(rng)
    for name, other in nodes.items():
        if name in tree.nodes and tree.nodes[name].policy_group == node.policy_group is not None:
            if _shapes(other.policy) != _shapes(untrained):
                raise TreeError(
                    f"{node.name!r} and {name!r} are of the policy group {node.policy_group!r}, but their policies "
                    "have different shapes; give both the same learner, or groups of their own"
                )
            return Trained(policy=other.policy, untrained=other.untrained)
    warm = nodes.get(node.warm_start or "")
    if warm is not None and warm.policy.version != UNTRAINED:
        return Trained(policy=node.learner.restore(warm.policy.weights, WARM), untrained=untrained)
    return Trained(policy=start.get(node.group, untrained), untrained=untrained)


def shared(
    tree: Tree, node: Node, finished: Trained, nodes: Mapping[str, Trained], apart: Container[str] = ()
) -> dict[str, Trained]:
    """The node after an iteration, and the others of its group, which have its policy from now on.

    Args:
        tree: of the node.
        node: that finished an iteration.
        finished: what it is now.
        nodes: those that have begun.
        apart: names of those that keep the policy that they have.
    """
    group = [
        name for name in nodes if name in tree.nodes and tree.nodes[name].group == node.group and name not in apart
    ]
    return {name: replace(nodes[name], policy=finished.policy) for name in group} | {node.name: finished}


def _shapes(policy: Policy) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in policy.weights.items()}
