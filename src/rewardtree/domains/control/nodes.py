"""The tree of control: one node, as its evaluators can watch whole clips."""

from typing import Any

from rewardtree.domains.control.environments import Environment, environment_of, form_of
from rewardtree.domains.control.learner import ControlLearner
from rewardtree.domains.control.task import SegmentTask
from rewardtree.errors import ConfigError
from rewardtree.rewards.segments import SegmentRewards
from rewardtree.tree.domain import Settings
from rewardtree.tree.node import Node, Tree

LEARNER = ("rollout", "together", "kept")
OPTIONS = ("env", "env_options", "horizon", "segment", "parts", "members", "hidden", "ppo", *LEARNER)


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
    segment = int(options.get("segment", 50))
    task = SegmentTask(environment=environment, segment=segment, parts=int(options.get("parts", 2)))
    learner = ControlLearner(
        environment=environment, updates=settings.updates, segment=segment,
        settings=dict(TUNED) | dict(options.get("ppo") or {}),
        **{name: int(options[name]) for name in LEARNER if name in options},
    )  # fmt: skip
    node = Node(
        name=task.name, task=task, learner=learner, budget=settings.root, bounds=settings.bounds,
        selection=settings.selection, reward=segment_rewards(environment, options),
    )  # fmt: skip
    return Tree(nodes={node.name: node}, root=node.name)


TUNED: dict[str, Any] = {
    "batch_size": 64, "n_epochs": 10, "gamma": 0.95, "gae_lambda": 0.95, "learning_rate": 1e-3,
}  # fmt: skip


def segment_rewards(environment: Environment, options: Any) -> SegmentRewards:
    """What fits reward models of an environment's segments."""
    form = form_of(environment)
    seen = 1
    for size in form.seen:
        seen *= size
    return SegmentRewards(
        columns=seen + form.columns + 1, members=int(options.get("members", 3)), hidden=int(options.get("hidden", 32))
    )
