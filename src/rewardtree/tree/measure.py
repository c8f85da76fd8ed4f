"""Measurements on the test split: how often evaluators are right, and how good policies are.

Nothing here reaches a learner.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from rewardtree.evaluators.calibration import Experience
from rewardtree.rewards.learner import Scores
from rewardtree.tasks.exhibit import Claims
from rewardtree.tasks.task import Split, measured
from rewardtree.tree.assistance import Helpers
from rewardtree.tree.checkpoint import Trained
from rewardtree.tree.comparing import exhibits
from rewardtree.tree.evaluating import Judge, assistance, experience_of, ideal_helpers, judge_of
from rewardtree.tree.node import Node, Tree
from rewardtree.tree.seen import Joined
from rewardtree.tree.sides import Side
from rewardtree.tree.stand_ins import CONTROLS, answering, stand_ins, trained_helpers

STRATA = (0.0, 0.32, 0.67, 1.15)
"""Lower edges of the strata of pairs, by their difference in true reward in usual spreads.

They are the quarters of a normal distribution.
"""
FROZEN = 20261122
"""Seeds the draw of pairs, the same for every condition and protocol; strata follow each seed's usual spread."""
BUDGETS = (0, 1, 2, 4, 8, 16)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairs:
    """Test pairs of a node, as many in each stratum.

    Attributes:
        inputs: one a pair.
        outputs: first and second.
        difference: in true reward, first less second, in usual spreads.
        stratum: index into `STRATA`.
    """

    inputs: Any
    outputs: tuple[Any, Any]
    difference: Float[np.ndarray, " pairs"]
    stratum: Int[np.ndarray, " pairs"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Accuracy:
    """Chance of a right answer to each test pair, with the evaluator's noise and without; and readings used."""

    noisy: Float[np.ndarray, " pairs"]
    noise_free: Float[np.ndarray, " pairs"]
    readings: Float[np.ndarray, " pairs"]


def frozen_pairs(node: Node, scale: float, count: int, split: Split = "test") -> Pairs:
    """Draw the node's test pairs: `count` in all, equally many in each stratum, never a tie.

    Args:
        node: whose base outputs are paired.
        scale: the usual spread of differences in true reward.
        split: `test` for what is reported, `validation` for what is looked at before.
        count: pairs; rounded down to a multiple of the number of strata that occur.
    """
    rng = np.random.default_rng([FROZEN, *node.name.encode()])
    inputs = node.task.sample(rng, 2 * count, split)
    outputs = [node.task.base_outputs(rng, inputs) for _ in range(2)]
    task = measured(node.task)
    difference = (task.true_reward(inputs, outputs[0]) - task.true_reward(inputs, outputs[1])) / scale
    stratum = np.searchsorted(np.array(STRATA), np.abs(difference), side="right") - 1
    found = [np.flatnonzero((stratum == s) & (difference != 0)) for s in range(len(STRATA))]
    occurring = [rows for rows in found if len(rows)]
    usable = [rows[: count // len(occurring)] for rows in occurring]
    rows = np.concatenate([found[: min(len(u) for u in usable)] for found in usable])
    return Pairs(
        inputs=inputs.take(rows),
        outputs=(outputs[0].take(rows), outputs[1].take(rows)),
        difference=difference[rows],
        stratum=stratum[rows],
    )


def accuracy(judge: Judge, node: Node, pairs: Pairs) -> Accuracy:
    """How often an evaluator's answers match the true order of the test pairs."""
    return _right(judge, node, pairs, [judge.assist(pairs.inputs, side) for side in pairs.outputs])


def _right(judge: Judge, node: Node, pairs: Pairs, claims: Sequence[Claims]) -> Accuracy:
    """The same, given what the helpers claim of either side."""
    first, second = (Side(outputs=o, claims=said) for o, said in zip(pairs.outputs, claims, strict=True))
    shown = exhibits(node.task, pairs.inputs, (first, second), judge.evaluator.bounds.budget)
    judged = judge.evaluator.judge(*shown, np.random.default_rng(FROZEN))
    right = np.where(pairs.difference > 0, judged.probability, 1 - judged.probability)
    return Accuracy(noisy=right, noise_free=0.5 + 0.5 * np.sign(right - 0.5), readings=judged.readings.astype(float))


def conditions(
    tree: Tree,
    node: Node,
    nodes: Mapping[str, Trained],
    experience: Experience,
    pairs: Pairs,
    *,
    seed: int,
    equal_readings: int,
) -> dict[str, Accuracy]:
    """Accuracy under every condition and control.

    Args:
        tree: of the node.
        node: whose evaluator is measured.
        nodes: trained policies.
        experience: of the evaluators.
        pairs: test pairs.
        seed: for the checks and the controls' chance.
        equal_readings: the budget of `meter_without_claims`: all readings of the tree, spread over the node's
        comparisons.
    """

    def rng(kind: str) -> np.random.Generator:
        return np.random.default_rng([seed, *kind.encode(), *node.name.encode()])

    def measured(kind: str, helpers: Helpers, **how: Any) -> Accuracy:
        return accuracy(judge_of(experience, node, helpers, rng(kind), name=kind, **how), node, pairs)

    found = {"unaided": measured("unaided", {}), "expert": measured("expert", {}, expert=True)}
    if not node.helpers:
        return found
    tasks = {name: answering(tree.nodes[name].task) for name in node.helpers}
    policies = {name: nodes[name].policy for name in node.helpers}
    untrained = {name: nodes[name].untrained for name in node.helpers}
    helpers = trained_helpers(tree, node, policies)
    found["assisted"] = measured("assisted", helpers)
    found["ideal"] = measured("ideal", ideal_helpers(tree, node))
    for control in CONTROLS:
        found[control] = measured(control, stand_ins(control, tasks, policies, untrained, rng(control)))
    no_meter = replace(node.bounds, budget=0)
    found["claims_without_meter"] = measured("claims_without_meter", helpers, bounds=no_meter)
    long_meter = replace(node.bounds, budget=equal_readings)
    found["meter_without_claims"] = measured("meter_without_claims", {}, bounds=long_meter)
    return found


def asides(tree: Tree, node: Node, nodes: Mapping[str, Trained], count: int, *, seed: int) -> dict[str, Accuracy]:
    """Accuracy on the variants of the node's task, unaided and, where they say so, with its trained helpers.

    Args:
        tree: of the node.
        node: names the variants.
        nodes: trained policies.
        count: test pairs of each.
        seed: for the evaluators' experience and checks.

    Returns:
        By the variant's name, followed by who judged where that is both.
    """
    helpers = trained_helpers(tree, node, {name: one.policy for name, one in nodes.items()})
    found = {}
    for name, aside in node.aside().items():
        variant = replace(node, task=aside.task)
        experience = experience_of(tree, variant, seed)
        pairs = frozen_pairs(variant, experience.scale, count)
        both = aside.helped and aside.alone
        kinds: dict[str, Helpers] = {f"{name}_unaided" if both else name: {}} if aside.alone else {}
        kinds |= {f"{name}_assisted" if both else name: helpers} if aside.helped else {}
        for kind, who in kinds.items():
            judge = judge_of(experience, variant, who, np.random.default_rng([seed, *kind.encode()]), name=kind)
            found[kind] = accuracy(judge, variant, pairs)
    return found


def by_budget(
    tree: Tree, node: Node, nodes: Mapping[str, Trained], experience: Experience, pairs: Pairs, *, seed: int
) -> dict[int, dict[str, Accuracy]]:
    """Unaided and assisted accuracy at each budget of `BUDGETS`; helpers are asked once for all of them."""
    helpers = trained_helpers(tree, node, {name: one.policy for name, one in nodes.items()})
    kinds: dict[str, Helpers] = {"unaided": {}} | ({"assisted": helpers} if helpers else {})
    found: dict[int, dict[str, Accuracy]] = {budget: {} for budget in BUDGETS}
    for kind, who in kinds.items():
        assist = assistance(node, who)
        claims = [assist(pairs.inputs, side) for side in pairs.outputs]
        for budget in BUDGETS:
            bounds = replace(node.bounds, budget=budget)
            judge = judge_of(experience, node, who, np.random.default_rng([seed, budget]), bounds=bounds)
            found[budget][kind] = _right(judge, node, pairs, claims)
    return found


def without_each_helper(
    tree: Tree, node: Node, experience: Experience, pairs: Pairs, *, seed: int
) -> dict[str, Accuracy]:
    """Accuracy with ideal helpers, one of them silent; the silent one's name is the key.

    Its questions go unanswered: the claims on them are left out.
    """
    everyone = ideal_helpers(tree, node)
    found = {}
    for silent in node.helpers:
        judge = judge_of(experience, _without(node, silent), everyone, np.random.default_rng(seed))
        found[silent] = accuracy(judge, node, pairs)
    return found


def _without(node: Node, silent: str) -> Node:
    class Quiet:
        """The task, with one helper's questions left out."""

        def __init__(self, task: Any) -> None:
            self._task = task

        def __getattr__(self, name: str) -> Any:
            return getattr(self._task, name)

        def questions(self, inputs: Any, outputs: Any, claims: Any) -> Any:
            return [q for q in self._task.questions(inputs, outputs, claims) if q.helper != silent]

    quiet: Any = Quiet(node.task)
    return replace(node, task=quiet)


def policy_rewards(
    node: Node, policy: Any, count: int, split: Split = "test"
) -> tuple[Float[np.ndarray, " inputs"], Mapping[str, Float[np.ndarray, " inputs"]]]:
    """True reward of one sampled output on each of `count` test inputs, and the domain's measures of them."""
    rng = np.random.default_rng([FROZEN, 1, *node.name.encode()])
    inputs = node.task.sample(rng, count, split)
    outputs = policy.propose(inputs, rng)
    return measured(node.task).true_reward(inputs, outputs), node.task.measures(inputs, outputs)


def surest_measures(node: Node, policy: Any, count: int) -> dict[str, Float[np.ndarray, " inputs"]]:
    """The domain's measures of a policy's most probable outputs, on the test inputs of `policy_rewards`."""
    rng = np.random.default_rng([FROZEN, 1, *node.name.encode()])
    inputs = node.task.sample(rng, count, "test")
    return dict(node.task.measures(inputs, policy.answer(inputs)))


def reward_model_accuracy(node: Node, helpers: Helpers, model: Scores, pairs: Pairs) -> Float[np.ndarray, " pairs"]:
    """Whether the reward model puts each test pair in its true order."""
    joined = Joined(node=node, assist=assistance(node, helpers), model=model)
    scores = [joined(pairs.inputs, side) for side in pairs.outputs]
    right: Float[np.ndarray, " pairs"] = 0.5 + 0.5 * np.sign(scores[0] - scores[1]) * np.sign(pairs.difference)
    return right
