"""The tree of control: one node, as its evaluators can watch whole clips."""

from collections.abc import Mapping
from typing import Any

from rewardtree.domains.control.environments import Environment, environment_of, form_of
from rewardtree.domains.control.learner import ControlLearner
from rewardtree.domains.control.pictures import shape_of
from rewardtree.domains.control.task import SegmentTask
from rewardtree.errors import ConfigError
from rewardtree.rewards.learner import RewardLearner
from rewardtree.rewards.pixels import PixelRewards
from rewardtree.rewards.segments import SegmentRewards
from rewardtree.tree.domain import Settings
from rewardtree.tree.node import Node, Tree

LEARNER = ("rollout", "together", "kept")
OPTIONS = ("env", "env_options", "horizon", "segment", "parts", "goal", "members", "hidden", "ppo", *LEARNER)


def control_tree(settings: Settings) -> Tree:
    """A tree of one node.

    Raises:
        ConfigError: where an option is unknown or of the wrong kind, or the environment cannot be made.
    """
    options = settings.options
    unknown = set(options) - set(OPTIONS)
    if unknown:
        raise ConfigError(f"the control domain knows the options {', '.join(OPTIONS)}, not {', '.join(unknown)}")
    environment = environment_of(options)
    pixels = form_of(environment).pixels
    segment = int(options.get("segment", 25 if pixels else 50))
    task = SegmentTask(environment=environment, segment=segment, parts=int(options.get("parts", 2)),
                       goal=str(options.get("goal", "")))  # fmt: skip
    learner = ControlLearner(
        environment=environment, updates=settings.updates, segment=segment,
        settings=dict(PICTURES if pixels else TUNED) | dict(options.get("ppo") or {}),
        **(ROLLOUTS if pixels else {}) | _numbers(options, LEARNER),
    )  # fmt: skip
    node = Node(
        name=task.name, task=task, learner=learner, budget=settings.root, bounds=settings.bounds,
        selection=settings.selection, reward=segment_rewards(environment, options),
    )  # fmt: skip
    return Tree(nodes={node.name: node}, root=node.name)


TUNED: dict[str, Any] = {
    "batch_size": 64, "n_epochs": 10, "gamma": 0.95, "gae_lambda": 0.95, "learning_rate": 1e-3,
}  # fmt: skip


PICTURES: dict[str, Any] = {
    "batch_size": 128, "n_epochs": 4, "gamma": 0.99, "gae_lambda": 0.95, "learning_rate": 2.5e-4, "clip_range": 0.1,
    "ent_coef": 0.01,
}  # fmt: skip
"""As Stable-Baselines3's own for Atari."""
ROLLOUTS = {"rollout": 128, "together": 8, "kept": 2048}
"""Pictures are large: fewer of them are kept."""


def _numbers(options: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, int]:
    return {name: int(options[name]) for name in names if name in options}


def segment_rewards(environment: Environment, options: Any) -> RewardLearner:
    """What fits reward models of an environment's segments."""
    form = form_of(environment)
    if form.pixels:
        return PixelRewards(shape=shape_of(form), **_numbers(options, ("members", "hidden")))
    seen = 1
    for size in form.seen:
        seen *= size
    return SegmentRewards(
        columns=seen + form.columns + 1, members=int(options.get("members", 3)), hidden=int(options.get("hidden", 32))
    )
