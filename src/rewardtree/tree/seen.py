"""What a node's reward model sees, and which comparisons it would learn most from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num

from rewardtree.rewards.learner import Scores
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
    model: Scores | None

    def observe(self, inputs: Any, outputs: Any) -> Num[np.ndarray, "batch features"]:
        """What the reward model sees: features, float32, or token ids padded with -1, int32."""
        if self.node.observe is not None:
            told: Num[np.ndarray, "batch features"] = self.node.observe(inputs, outputs, self.claims(inputs, outputs))
            return told
        seen: Num[np.ndarray, "batch features"] = self.node.task.observe(inputs, outputs)
        if not self.node.claims_in_reward:
            return seen
        heard = self.node.task.hear(inputs, outputs, self.claims(inputs, outputs))
        return np.concatenate([seen, heard], axis=1)

    def claims(self, inputs: Any, outputs: Any) -> Claims:
        """The helpers' claims that the reward model sees."""
        return self.assist(inputs, outputs) if self.node.claims_in_reward else NO_CLAIMS

    def disagreement(self, inputs: Any, outputs: Sequence[Any]) -> Float[np.ndarray, " batch"]:
        """How much the members disagree about which of two outputs is better, in nats (Christiano et al. 2017, 2.2.4).

        Zero before the first fit.
        """
        if self.model is None:
            return np.zeros(len(inputs))
        first, second = (self.model.score_members(self.observe(inputs, side)) for side in outputs)
        spread: Float[np.ndarray, " batch"] = (first - second).std(axis=0)
        return spread

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
    return np.sort(np.argsort(-seen.disagreement(inputs, outputs), kind="stable")[:labels])
