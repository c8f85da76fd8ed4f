"""Not a scheme but a yardstick: the root's learner on the true reward itself, with the same number of updates.

What it falls short of the ceiling by is lost in optimisation, not in judging.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from rewardtree.protocols.setting import Setting
from rewardtree.tasks.answers import Answers, AnswerTask, Scenes
from rewardtree.tasks.exhibit import NO_CLAIMS, Claims
from rewardtree.tasks.task import measured
from rewardtree.tree.node import Node


class TrueReward:
    """Stands where a reward model stands, in units of the usual spread times the evaluator's rationality."""

    def __init__(self, node: Node, scale: float) -> None:
        self.model = None
        self._node, self._unit = node, node.bounds.rationality / scale

    def claims(self, inputs: Any, outputs: Any) -> Claims:
        """None are needed."""
        return NO_CLAIMS

    def __call__(self, inputs: Any, outputs: Any) -> Float[np.ndarray, " batch"]:
        """True rewards."""
        return measured(self._node.task).true_reward(inputs, outputs) * self._unit


class Ideal:
    """The policy that gives an answering task's best answers."""

    def __init__(self, task: AnswerTask) -> None:
        self._task = task

    def propose(self, inputs: Scenes, rng: np.random.Generator) -> Answers:
        """The best answer to each input."""
        return self.answer(inputs)

    def answer(self, inputs: Scenes) -> Answers:
        """The best answer to each input."""
        return self._task.ideal(inputs)


def run(setting: Setting) -> Any:
    """The root's policy, improved against the true reward as often as in the other protocols.

    Where the best outputs are known in closed form, these.
    """
    tree = setting.build(setting.settings)
    node = tree.nodes[tree.root]
    task = getattr(node.task, "answers", node.task)
    if isinstance(task, AnswerTask):
        return Ideal(task)
    rng = np.random.default_rng([setting.settings.seed, 4])
    policy = setting.start.get(node.group, node.learner.initial(rng))
    reward = TrueReward(node, setting.experience(tree, node).scale)
    for iteration in range(node.budget.iterations):
        policy = node.learner.improve(
            policy,
            reward,
            lambda chance, count: node.task.sample(chance, count, "train"),
            rng,
            version=f"oracle/{iteration + 1}",
        )
    return policy
