"""What a node's reward model sees, and which comparisons it would learn most from."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from rewardtree.rewards.ensemble import RewardModel
from rewardtree.tasks.exhibit import NO_CLAIMS, Claims
from rewardtree.tree.assistance import Assist
from rewardtree.tree.node import Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Joined:
    """A reward model joined to its observation: the output, or the output and the values that helpers assert of it.

    Readings and trust never enter: a reward model sees raw claims.

    Attributes:
        node: whose outputs are scored.
        assist: the helpers' claims, for nodes whose reward model sees them.
        model: None before the first fit.
    """

    node: Node
    assist: Assist
    model: RewardModel | None

    def observe(self, inputs: Any, outputs: Any) -> Float[np.ndarray, "batch features"]:
        """What the reward model sees, float32."""
        seen: Float[np.ndarray, "batch features"] = self.node.task.observe(inputs, outputs)
        if not self.node.claims_in_reward:
            return seen
        heard = self.node.task.hear(inputs, outputs, self.claims(inputs, outputs))
        return np.concatenate([seen, heard], axis=1)

    def claims(self, inputs: Any, outputs: Any) -> Claims:
        """The helpers' claims that the reward model sees."""
        return self.assist(inputs, outputs) if self.node.claims_in_reward else NO_CLAIMS

    def __call__(self, inputs: Any, outputs: Any) -> Float[np.ndarray, " batch"]:
        """Rewards in nats of preference; zero before the first fit."""
        if self.model is None:
            return np.zeros(len(inputs))
        return self.model.score(self.observe(inputs, outputs))[0]


def select(
    seen: Joined, inputs: Any, outputs: list[Any], labels: int, rng: np.random.Generator
) -> Int[np.ndarray, " labels"]:
    """Choose which of the proposed comparisons to put to the evaluator.

    At random, or where the members of the reward model's ensemble disagree most about which output is better
    (Christiano et al. 2017, section 2.2.4).
    """
    if seen.node.selection == "random" or seen.model is None or len(inputs) == labels:
        return np.sort(rng.permutation(len(inputs))[:labels])
    members = [seen.model.score_members(seen.observe(inputs, side)) for side in outputs]
    disagreement = (members[0] - members[1]).std(axis=0)
    return np.sort(np.argsort(-disagreement, kind="stable")[:labels])
