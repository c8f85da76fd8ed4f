"""Distribution shift: is a reward model right about the outputs that the policy makes now?

A reward model is fitted to outputs of policies before the latest improvement, and then has to tell outputs of the
latest one apart, which look different and are closer to each other. Measured at a node before every improvement and
after the last, on pairs of outputs that the policy would put to the evaluator at that point, on test inputs: how often
is the better one put first? Asked are

- *stale*: the reward model that the policy was just improved against, which saw no output of it;
- *fresh*: the reward model once it is fitted to this policy's outputs too, on other inputs;
- *frozen*: one that is never refreshed, on the outputs of the policy improved against it (see
  `rewardtree.diagnostics.freezing`);
- the node's own evaluator, with its noise: a reward model has no more to learn from.

Ties in true reward are left out; equal predictions count half.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from rewardtree.diagnostics.freezing import Arm
from rewardtree.rewards.learner import Scores
from rewardtree.tasks.task import measured
from rewardtree.tree.assistance import Helpers
from rewardtree.tree.evaluating import Judge
from rewardtree.tree.measure import FROZEN, Pairs, accuracy, reward_model_accuracy
from rewardtree.tree.node import Node

MODELS = ("fresh", "stale", "frozen")
ASKED = (*MODELS, "evaluator", "evaluator_of_frozen")
"""Who is asked; the evaluator about the outputs of either policy."""
Right = Float[np.ndarray, " pairs"]


def newest(node: Node, policy: Any, scale: float, count: int) -> Pairs:
    """Pairs of outputs that a policy would put to the evaluator, on test inputs that are the same for every policy.

    Args:
        node: whose learner proposes.
        policy: that it proposes from.
        scale: the usual spread of differences in true reward.
        count: pairs, less those that are ties.
    """
    rng = np.random.default_rng([FROZEN, 5, *node.name.encode()])
    task = measured(node.task)
    inputs = task.sample(rng, count, "test")
    first, second = (node.learner.propose(policy, inputs, rng) for _ in range(2))
    difference = (task.true_reward(inputs, first) - task.true_reward(inputs, second)) / scale
    kept = np.flatnonzero(difference)
    return Pairs(
        inputs=inputs.take(kept), outputs=(first.take(kept), second.take(kept)), difference=difference[kept],
        stratum=np.zeros(len(kept), dtype=int),
    )  # fmt: skip


def shifted(
    arms: tuple[Arm, Arm], helpers: Helpers, judge: Judge, scale: float, count: int
) -> Sequence[Mapping[str, Right]]:  # fmt: skip
    """How often the better of two newest outputs is put first.

    Args:
        arms: the node with a refreshed reward model, and with a frozen one.
        helpers: whose claims the reward model may see.
        judge: the node's evaluator.
        scale: the usual spread of differences in true reward.
        count: pairs.

    Returns:
        Before every improvement and after the last, whether each pair was put in order, by who was asked.
    """
    refreshed, frozen = arms
    node, found = refreshed.node, []

    def asked(model: Scores | None, pairs: Pairs) -> Right:
        assert model is not None
        return reward_model_accuracy(node, helpers, model, pairs) if len(pairs.difference) else np.zeros(0)

    def judged(pairs: Pairs) -> Right:
        return accuracy(judge, node, pairs).noisy if len(pairs.difference) else np.zeros(0)

    for step in range(len(refreshed.rounds) + 1):
        mine, other = (newest(node, _before(arm, step), scale, count) for arm in arms)
        right = {
            "frozen": asked(frozen.rounds[0].reward_model, other),
            "evaluator": judged(mine),
            "evaluator_of_frozen": judged(other),
        }
        if step < len(refreshed.rounds):
            right["fresh"] = asked(refreshed.rounds[step].reward_model, mine)
        if step > 0:
            right["stale"] = asked(refreshed.rounds[step - 1].reward_model, mine)
        found.append(right)
    return found


def _before(arm: Arm, step: int) -> Any:
    """The policy before an improvement; after the last where there is none."""
    return arm.rounds[step - 1].policy if step else arm.rounds[0].untrained
