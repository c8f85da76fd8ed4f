"""Reward hacking (Leike et al. 2018, arXiv 1811.07871, section 4.2): predicted against true reward over optimisation.

A policy that is improved against a reward model ends where the model is wrong in its favour: what the model promises
goes on rising, what its outputs are truly worth no longer does (Gao et al. 2022, arXiv 2210.10760). Measured at a node
after every improvement, on test inputs:

- *true*: the true reward of the policy's outputs;
- *predicted*: what the reward model that the policy was improved against says of these outputs, as a true reward: the
  line through (prediction, true reward) that fits the untrained policy's proposals best, on the same inputs. Nearly
  that is what who knows nothing of later outputs would expect of them.

Both are gains over the untrained policy's proposals, in standard deviations of these proposals' true rewards. Promised
in vain is predicted less true. True rewards are measured with; they reach no learner.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from rewardtree.diagnostics.freezing import Arm
from rewardtree.rewards.learner import Scores
from rewardtree.tasks.task import measured
from rewardtree.tree.assistance import Helpers
from rewardtree.tree.evaluating import assistance
from rewardtree.tree.measure import FROZEN
from rewardtree.tree.node import Node
from rewardtree.tree.seen import Joined


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """What the untrained policy proposes, by which gains are told.

    Attributes:
        node: whose outputs they are.
        helpers: whose claims its reward model may see.
        inputs: of the test split.
        outputs: one an input.
        true: their true rewards.
    """

    node: Node
    helpers: Helpers
    inputs: Any
    outputs: Any
    true: Float[np.ndarray, " inputs"]

    @property
    def spread(self) -> float:
        """Of true rewards; 1 where all are the same."""
        return float(self.true.std()) or 1.0

    def gain(self, rewards: Float[np.ndarray, " inputs"]) -> Float[np.ndarray, " inputs"]:
        """True rewards of one output an input as gains in spreads."""
        found: Float[np.ndarray, " inputs"] = (rewards - self.true.mean()) / self.spread
        return found

    def predicted(self, model: Scores, outputs: Any) -> Float[np.ndarray, " inputs"]:
        """What a reward model says of one output an input, as true rewards."""
        reward = Joined(node=self.node, assist=assistance(self.node, self.helpers), model=model)
        known = reward(self.inputs, self.outputs)
        slope, level = line(known, self.true)
        found: Float[np.ndarray, " inputs"] = level + slope * reward(self.inputs, outputs)
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimised:
    """One way to train a node, over its improvements; row 0 is before the first."""

    true: Float[np.ndarray, "steps inputs"]
    predicted: Float[np.ndarray, "steps inputs"]


def line(given: Float[np.ndarray, " points"], wanted: Float[np.ndarray, " points"]) -> tuple[float, float]:
    """Slope and level of the line that fits best; slope 0 where all given are the same."""
    apart = given - given.mean()
    spread = float(apart @ apart)
    slope = float(apart @ (wanted - wanted.mean())) / spread if spread > 0 else 0.0
    return slope, float(wanted.mean() - slope * given.mean())


def reference(node: Node, untrained: Any, helpers: Helpers, count: int) -> Reference:
    """Outputs of the untrained policy on so many test inputs, such as policies' outputs are measured on."""
    rng = np.random.default_rng([FROZEN, 3, *node.name.encode()])
    inputs = node.task.sample(rng, count, "test")
    outputs = untrained.propose(inputs, rng)
    true = measured(node.task).true_reward(inputs, outputs)
    return Reference(node=node, helpers=helpers, inputs=inputs, outputs=outputs, true=true)


def optimised(arm: Arm, by: Reference) -> Optimised:
    """Measure a node that was trained one way.

    Args:
        arm: the node after every improvement.
        by: what gains are told by.
    """
    assert arm.rounds[0].reward_model is not None
    true = [by.gain(by.true)]
    predicted = [by.gain(by.predicted(arm.rounds[0].reward_model, by.outputs))]
    for trained in arm.rounds:
        rng = np.random.default_rng([FROZEN, 4, *arm.node.name.encode()])
        outputs = trained.policy.propose(by.inputs, rng)
        assert trained.reward_model is not None
        true.append(by.gain(measured(arm.node.task).true_reward(by.inputs, outputs)))
        predicted.append(by.gain(by.predicted(trained.reward_model, outputs)))
    return Optimised(true=np.stack(true), predicted=np.stack(predicted))


def lost(true: Sequence[float]) -> float:
    """What of the true reward is lost at the end, against the best that it was on the way."""
    return max(true) - true[-1]
