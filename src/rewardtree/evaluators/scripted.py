"""A test double: an evaluator whose answers are given beforehand, by a rule on exhibits."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from rewardtree.evaluators.simulated import Bounds, Judgements
from rewardtree.tasks.exhibit import Exhibit

Rule = Callable[[Exhibit, Exhibit], Float[np.ndarray, " batch"]]
"""Exhibits of both sides to the probability that the first is better."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scripted:
    """Stands where a simulated evaluator stands.

    Attributes:
        rule: its answers; readings that the rule makes count on the exhibits' meter as anybody's do.
        name: of the evaluator.
        bounds: give the meter's budget.

    Example:
        >>> larger_face = Scripted(rule=lambda a, b: (a.face[:, 0] > b.face[:, 0]).astype(float))
        >>> larger_face.name
        'scripted'
    """

    rule: Rule
    name: str = "scripted"
    bounds: Bounds = field(default_factory=Bounds)

    def judge(self, first: Exhibit, second: Exhibit, rng: np.random.Generator) -> Judgements:
        """Answer by the rule; chance decides only where the rule leaves it open."""
        probability = self.rule(first, second)
        return Judgements(
            probability=probability,
            first_better=rng.random(len(first)) < probability,
            readings=first.meter.used,
            claims_seen=np.zeros(len(first), dtype=np.int64),
        )
