"""How often a language model that judges a node is right: on the node's test pairs, as its simulated evaluators."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from rewardtree.evaluators.calibration import Experience
from rewardtree.tree.assistance import Helpers
from rewardtree.tree.checkpoint import Trained
from rewardtree.tree.comparing import exhibits
from rewardtree.tree.evaluating import judge_of
from rewardtree.tree.judging import Judges
from rewardtree.tree.measure import FROZEN, frozen_pairs
from rewardtree.tree.node import Node, Tree
from rewardtree.tree.sides import Side
from rewardtree.tree.stand_ins import trained_helpers

PURPOSE = "test"
"""What is asked for measuring stands in the accounts as the node's name, a slash and this."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Right:
    """What a language model's answers to test pairs are worth.

    Attributes:
        share: 1 where its answer is the true order, 0 where not, half for a tie and for can't tell.
        consistent: whether both orders have the same output as the better one; nan where one could not be read.
        readings: used.
    """

    share: Float[np.ndarray, " pairs"]
    consistent: Float[np.ndarray, " pairs"]
    readings: Float[np.ndarray, " pairs"]


def judge_accuracy(
    judges: Judges, tree: Tree, node: Node, nodes: Mapping[str, Trained], experience: Experience, count: int, *,
    seed: int,
) -> dict[str, Right]:  # fmt: skip
    """Ask the judge about test pairs, `unaided` and, where the node has helpers, `assisted` by them.

    Its temperature decides no order, so none is fitted.

    Args:
        judges: how it takes part.
        tree: of the node.
        node: whose outputs are compared.
        nodes: trained policies.
        experience: of the simulated evaluators, whose trust in the helpers it is told.
        count: pairs, as many in each stratum.
        seed: for the checks.

    Raises:
        LanguageError: where the model cannot be had.
    """
    pairs = frozen_pairs(node, experience.scale, count)
    helpers = trained_helpers(tree, node, {name: one.policy for name, one in nodes.items()})
    asking = replace(judges, calibration=0)
    found = {}
    kinds: dict[str, Helpers] = {"unaided": {}} | ({"assisted": helpers} if helpers else {})
    for kind, who in kinds.items():
        judging = judge_of(experience, node, who, np.random.default_rng([seed, *kind.encode(), *node.name.encode()]))
        judge = asking.of(node, judging)
        judge = replace(judge, options=replace(judge.options, purpose=f"{node.name}/{PURPOSE}"))
        first, second = (Side(outputs=o, claims=judging.assist(pairs.inputs, o)) for o in pairs.outputs)
        shown = exhibits(node.task, pairs.inputs, (first, second), judge.bounds.budget)
        judged = judge.judge(*shown, np.random.default_rng(FROZEN))
        assert judged.soft is not None and judged.orders is not None
        sides = np.sign(np.nan_to_num(judged.soft, nan=0.5) - 0.5)
        orders = judged.orders
        found[kind] = Right(
            share=0.5 + 0.5 * sides * np.sign(pairs.difference),
            consistent=np.where(np.isnan(orders).any(axis=1), np.nan, np.sign(orders[:, 0]) == np.sign(orders[:, 1])),
            readings=judged.readings.astype(float),
        )
    return found
