"""A node's evaluators: unaided, assisted, expert; all from the same experience by the same procedure."""

from dataclasses import dataclass, replace

import numpy as np

from rewardtree.evaluators.calibration import CHECKS, Experience, calibrate, gather, trusted
from rewardtree.evaluators.readers import Readers
from rewardtree.evaluators.simulated import Bounds, Simulated
from rewardtree.tasks.exhibit import NO_CLAIMS
from rewardtree.tasks.task import Measured, measured
from rewardtree.tree.assistance import Assist, Helpers, ask, unaided
from rewardtree.tree.node import Node, Tree
from rewardtree.tree.stand_ins import answering, ideal


@dataclass(frozen=True, kw_only=True, slots=True)
class Judge:
    """An evaluator with the assistance that it gets.

    Attributes:
        evaluator: compares exhibits.
        assist: makes the claims that its exhibits show.
        checks: readings that learning whom to trust took.
    """

    evaluator: Simulated | Readers
    assist: Assist
    checks: int


def assistance(node: Node, helpers: Helpers) -> Assist:
    """What these helpers say of the node's outputs; nothing where there are none."""
    return (lambda inputs, outputs: ask(node.task, helpers, inputs, outputs)) if helpers else unaided


def ideal_helpers(tree: Tree, node: Node) -> Helpers:
    """Helpers that know every field.

    Raises:
        TaskError: where one's task has no true reward.
    """
    for name in node.helpers:
        measured(tree.nodes[name].task)
    return {name: ideal(answering(tree.nodes[name].task)) for name in node.helpers}


def experience_of(tree: Tree, node: Node, seed: int) -> Experience:
    """What every evaluator of this node knows from the calibration split.

    Raises:
        TaskError: where its task, or a helper's, has no true reward.
    """
    rng = np.random.default_rng([seed, 7, *node.name.encode()])
    return gather(measured(node.task), rng, assistance(node, ideal_helpers(tree, node)))


def known(experiences: dict[str, Experience], tree: Tree, node: Node, seed: int) -> Experience:
    """The node's experience, gathered when first asked for; the same whenever that is."""
    if node.name not in experiences:
        experiences[node.name] = experience_of(tree, node, seed)
    return experiences[node.name]


def who_judges(
    experiences: dict[str, Experience], tree: Tree, node: Node, helpers: Helpers, rng: np.random.Generator, *,
    seed: int, expert: bool,
) -> Judge:  # fmt: skip
    """The node's evaluator: simulated where there is a true reward to learn from, else whoever reads.

    Args:
        experiences: what evaluators know, filled as needed.
        tree: of the node.
        node: whose outputs are compared.
        helpers: who assists; nobody if empty.
        rng: for the checks.
        seed: of the experience.
        expert: unlimited readings and no claims; of simulated ones alone.
    """
    if not isinstance(node.task, Measured):
        return readers_of(node, helpers, rng)
    return judge_of(known(experiences, tree, node, seed), node, helpers, rng, expert=expert)


def readers_of(node: Node, helpers: Helpers, rng: np.random.Generator) -> Judge:
    """What stands in an evaluator's place where there is no true reward; see `rewardtree.evaluators.readers`.

    Args:
        node: gives the task and the readers' limits.
        helpers: who assists; how far they can be trusted is learnt by checks.
        rng: for the checks.
    """
    assist, claims, view = assistance(node, helpers), NO_CLAIMS, None
    if helpers:
        inputs = node.task.sample(rng, CHECKS, "calibration")
        outputs = node.task.base_outputs(rng, inputs)
        claims = assist(inputs, outputs)
        view = node.task.view(inputs, outputs, claims)
    trust, readings = trusted(claims, view, rng)
    return Judge(evaluator=Readers(task=node.task, bounds=node.bounds, trust=trust), assist=assist, checks=readings)


def judge_of(
    experience: Experience,
    node: Node,
    helpers: Helpers,
    rng: np.random.Generator,
    *,
    expert: bool = False,
    bounds: Bounds | None = None,
    name: str | None = None,
) -> Judge:
    """Make the node's evaluator, which learns by checks how far these helpers can be trusted.

    Args:
        experience: of this node.
        node: gives the task and the evaluator's limits.
        helpers: who assists; nobody if empty.
        rng: for the checks.
        expert: unlimited readings and no claims.
        bounds: instead of the node's.
        name: of the evaluator.
    """
    limits = bounds or node.bounds
    assist = assistance(node, {} if expert else helpers)
    if expert:
        limits = replace(limits, budget=None)
    inputs = node.task.sample(rng, CHECKS, "calibration")
    outputs = node.task.base_outputs(rng, inputs)
    claims = assist(inputs, outputs)
    kind = name or ("expert" if expert else "assisted" if claims else "unaided")
    evaluator, readings = calibrate(
        kind,
        experience,
        limits,
        claims=claims,
        view=node.task.view(inputs, outputs, claims),
        expert=expert,
        rng=rng,
    )
    return Judge(evaluator=evaluator, assist=assist, checks=readings)
