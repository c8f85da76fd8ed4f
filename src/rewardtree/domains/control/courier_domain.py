"""The domain `courier` as `rewardtree run courier` finds it: `rollout <- moments`.

- `moments`: in which part of a rollout is the rule broken most? Judged by watching the part, one reading an answer.
- `rollout`: drive for a minute, fast and not over flower beds. It asks `moments` for the parts that matter.
"""

from typing import Any

import numpy as np

from rewardtree.domains.control.courier import ID, SEEN, STEPS
from rewardtree.domains.control.environments import Environment
from rewardtree.domains.control.exploring import ExploringLearner
from rewardtree.domains.control.learner import ControlLearner
from rewardtree.domains.control.long_rollouts import RolloutTask
from rewardtree.domains.control.moments import moments_task
from rewardtree.domains.control.segments import Segments, Starts
from rewardtree.domains.control.task import SegmentTask
from rewardtree.errors import ConfigError
from rewardtree.policies.answering import AnsweringLearner
from rewardtree.rewards.segments import SegmentRewards
from rewardtree.tasks.task import Split
from rewardtree.tree.domain import Domain, Settings
from rewardtree.tree.node import Node, Tree

TOGETHER, EPISODES = 16, 4
"""Couriers that learn side by side, and the newest episodes of each from which outputs are taken."""
PPO: dict[str, Any] = {
    "batch_size": 240, "n_epochs": 10, "gamma": 0.95, "gae_lambda": 0.9, "learning_rate": 2e-3,
    "policy_kwargs": {"log_std_init": -0.7},
}  # fmt: skip
ACTIONS = 2
HIDDEN, DECAY = 16, 3.0
"""Of the reward model: comparing whole drives says little of a step, and what it leaves open is held small."""


def courier_tree(settings: Settings) -> Tree:
    """The tree with its learners and budgets.

    Raises:
        ConfigError: where there are options, as it has none.
    """
    if settings.options:
        raise ConfigError(f"the courier domain has no options; leave out {', '.join(settings.options)}")
    environment = Environment(id=ID)
    root = RolloutTask(steps=SegmentTask(environment=environment, segment=STEPS))

    def draw(rng: np.random.Generator, count: int, split: Split) -> tuple[Starts, Segments]:
        starts = root.sample(rng, count, split)
        return starts, root.base_outputs(rng, starts)

    moments = moments_task(draw)
    driver = ControlLearner(
        environment=environment, updates=settings.updates, rollout=STEPS, together=TOGETHER, segment=STEPS,
        kept=TOGETHER * EPISODES * STEPS, settings=PPO,
    )  # fmt: skip
    nodes = [
        Node(
            name="moments", task=moments, learner=AnsweringLearner(task=moments, updates=settings.helper_updates),
            budget=settings.helper, bounds=settings.bounds, peaked=True, hidden=32, selection=settings.selection,
        ),
        Node(
            name="rollout", task=root, helpers=("moments",), budget=settings.root, bounds=settings.bounds,
            learner=ExploringLearner(driver=driver),
            reward=SegmentRewards(columns=len(SEEN) + ACTIONS + 1, hidden=HIDDEN, decay=DECAY),
            selection=settings.selection,
        ),
    ]  # fmt: skip
    return Tree(nodes={node.name: node for node in nodes}, root="rollout")


DOMAIN = Domain(
    name="courier",
    summary="drive for a minute, fast and not over flower beds; a helper for the moments that matter",
    nodes=("moments", "rollout"),
    build=courier_tree,
    presets={
        "tiny": {"root_iterations": 2, "root_labels": 20, "updates": 1, "test_pairs": 80},
        "quick": {
            "helper_labels": 600, "helper_updates": 200, "root_iterations": 8, "root_labels": 150, "updates": 3,
            "test_pairs": 1200, "test_inputs": 48,
        },
        "full": {
            "helper_labels": 800, "helper_updates": 400, "root_iterations": 12, "root_labels": 150, "updates": 3,
            "test_pairs": 2000, "test_inputs": 96,
        },
    },
)  # fmt: skip
