"""The courier's learner: that of control, some of whose outputs are replaced by couriers that wander.

A reward model of whole rollouts learns little from rollouts that are all alike, as those of an untrained policy are.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from rewardtree.domains.control.learner import ControlLearner, ControlPolicy
from rewardtree.domains.control.rollouts import joined
from rewardtree.domains.control.segments import Segments, Starts
from rewardtree.domains.control.wandering import roll, wandering
from rewardtree.policies.learner import UNTRAINED, Draw, Reward


@dataclass(frozen=True, kw_only=True, slots=True)
class ExploringLearner:
    """Improves a courier; see `rewardtree.domains.control.learner`.

    Attributes:
        driver: the learner of its policy.
        explore: share of proposals that wander; all of them before the first improvement.
    """

    driver: ControlLearner
    explore: float = 0.5

    def initial(self, rng: np.random.Generator) -> ControlPolicy:
        """An untrained policy, with its first rollouts."""
        return self.driver.initial(rng)

    def restore(self, weights: dict[str, Tensor], version: str) -> ControlPolicy:
        """The policy that had these weights."""
        return self.driver.restore(weights, version)

    def propose(self, policy: ControlPolicy, inputs: Starts, rng: np.random.Generator) -> Segments:
        """Whole rollouts that training left, a share of them replaced by those of couriers that wander."""
        own, other = self.driver.propose(policy, inputs, rng), roll(inputs, wandering(inputs, rng))
        swap = rng.random(len(inputs)) < (1.0 if policy.version == UNTRAINED else self.explore)
        other = replace(other, states=other.states[:, :, : own.states.shape[2]])
        return joined([own, other]).take(np.arange(len(inputs)) + len(inputs) * swap)

    def improve(
        self, policy: ControlPolicy, reward: Reward, draw: Draw, rng: np.random.Generator, *, version: str
    ) -> Any:
        """The policy after so many rollouts, scored by the reward."""
        return self.driver.improve(policy, reward, draw, rng, version=version)
