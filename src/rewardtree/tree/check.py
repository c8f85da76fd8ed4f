"""The conditions on which recursion rests, measured before labels are spent on training.

- *easier*: each helper's task is judged better unaided, at the same budget, than its parent's;
- *sufficient*: with ideal helpers the evaluator judges the parent near expert level;
- *exhaustive*: which helper's silence costs most, and which measure of the domain the evaluator then misjudges.

Leike et al. 2018 (arXiv 1811.07871), section 3.2, state the first two as hopes; here they are numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rewardtree.tree.evaluating import experience_of, ideal_helpers, judge_of
from rewardtree.tree.measure import accuracy, frozen_pairs, without_each_helper
from rewardtree.tree.node import Tree

NEAR = 0.9
"""Share of the expert's accuracy that counts as near expert level."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What was measured at one node.

    Attributes:
        node: its name.
        depth: levels of helpers under it.
        unaided, ideal, expert: shares of right answers; `ideal` is None at a leaf.
        easier: for each helper, its own unaided accuracy.
        silent: for each helper, accuracy with ideal helpers when it is silent.
        missing: correlation of each measure of the domain with what ideal assistance gets wrong, largest first.
        error: half width of the accuracies' 95 % intervals.
    """

    node: str
    depth: int
    unaided: float
    ideal: float | None
    expert: float
    easier: Mapping[str, float]
    silent: Mapping[str, float]
    missing: Mapping[str, float]
    error: float

    @property
    def sufficient(self) -> bool:
        """Whether ideal helpers bring the evaluator near expert level."""
        return self.ideal is None or self.ideal >= NEAR * self.expert

    @property
    def all_easier(self) -> bool:
        """Whether every helper's task is judged better unaided than this one, beyond the intervals."""
        return all(value > self.unaided + self.error for value in self.easier.values())

    @property
    def needs_help(self) -> bool:
        """Whether unaided evaluation falls short of near expert level; where it does not, helpers are a luxury."""
        return self.unaided < NEAR * self.expert


def check(tree: Tree, *, seed: int = 0, pairs: int = 1200) -> list[Finding]:
    """Measure every node of a tree, leaves first. No label is spent and no policy trained.

    Args:
        tree: to be checked.
        seed: of the evaluators' experience.
        pairs: of the validation split, a node; the test split stays unseen.
    """
    unaided: dict[str, float] = {}
    findings = []
    for node in tree.leaves_first():
        experience = experience_of(tree, node, seed)
        found = frozen_pairs(node, experience.scale, pairs, "validation")

        def right(
            helpers: Any,
            expert: bool = False,
            node: Any = node,
            experience: Any = experience,
            found: Any = found,
        ) -> Any:
            judge = judge_of(experience, node, helpers, np.random.default_rng([seed, 2]), expert=expert)
            return accuracy(judge, node, found)

        alone = right({}).noisy
        unaided[node.name] = float(alone.mean())
        ideal = right(ideal_helpers(tree, node)) if node.helpers else None
        silent = without_each_helper(tree, node, experience, found, seed=seed) if len(node.helpers) > 1 else {}
        findings.append(
            Finding(
                node=node.name,
                depth=tree.depth(node.name),
                unaided=unaided[node.name],
                ideal=None if ideal is None else float(ideal.noisy.mean()),
                expert=float(right({}, expert=True).noisy.mean()),
                easier={name: unaided[name] for name in node.helpers},
                silent={name: float(value.noisy.mean()) for name, value in silent.items()},
                missing={} if ideal is None else _missing(node, found, ideal.noise_free),
                error=float(1.96 * alone.std() / len(alone) ** 0.5),
            )
        )
    return findings


def _missing(node: Any, pairs: Any, noise_free: Any) -> dict[str, float]:
    """How wrong answers lean on each measure: its mean difference, in spreads, against that of all answers."""
    wrong = noise_free < 0.5
    if not wrong.any():
        return {}
    leaning = {}
    sides = [node.task.measures(pairs.inputs, side) for side in pairs.outputs]
    for name in sides[0]:
        gap = (sides[0][name] - sides[1][name]) * np.sign(pairs.difference)
        spread = float(gap.std())
        if spread > 0:
            leaning[name] = float((gap[wrong].mean() - gap.mean()) / spread)
    return dict(sorted(leaning.items(), key=lambda item: -abs(item[1])))
