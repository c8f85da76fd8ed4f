"""The tree of control: one node, as its evaluators can watch whole clips."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rewardtree.domains.control.environments import Environment, environment_of, form_of
from rewardtree.domains.control.learner import ALGORITHMS, ControlLearner
from rewardtree.domains.control.pictures import shape_of
from rewardtree.domains.control.task import SegmentTask
from rewardtree.errors import ConfigError
from rewardtree.rewards.learner import RewardLearner
from rewardtree.rewards.pixels import PixelRewards
from rewardtree.rewards.segments import SegmentRewards
from rewardtree.tree.domain import Settings
from rewardtree.tree.node import Node, Tree

LEARNER, REWARD = ("rollout", "together", "kept"), ("members", "hidden")
OPTIONS = (
    "env", "env_options", "horizon", "segment", "parts", "goal", "fit", "algorithm", *ALGORITHMS, *LEARNER, *REWARD,
)  # fmt: skip
PPO: Mapping[str, Any] = {
    "batch_size": 64, "n_epochs": 10, "gamma": 0.97, "gae_lambda": 0.95, "learning_rate": 2e-3, "clip_range": 0.1,
    "ent_coef": 0.01,
}  # fmt: skip
"""What PPO has other than its own defaults. Small steps and some entropy keep a policy from settling on what the first
few comparisons seem to say."""
MUJOCO: Mapping[str, Any] = {}
"""The same for MuJoCo's environments, whose episodes are long: Stable-Baselines3's own defaults, and nothing chosen."""
PICTURES: Mapping[str, Any] = {
    "batch_size": 128, "n_epochs": 4, "gamma": 0.99, "gae_lambda": 0.95, "learning_rate": 2.5e-4, "clip_range": 0.1,
    "ent_coef": 0.01,
}  # fmt: skip
"""The same where observations are pictures: as for Atari in Stable-Baselines3's own collection of settings."""
ROLLOUTS = {"rollout": 128, "together": 8, "kept": 2048}
"""Pictures are large, so that fewer steps are kept."""
SAC: tuple[dict[str, Any], dict[str, int]] = (
    {
        "batch_size": 256, "gradient_steps": 128, "learning_rate": 1e-3, "buffer_size": 200_000,
        "learning_starts": 2000, "policy_kwargs": {"net_arch": [128, 128]},
    },
    {"rollout": 64, "together": 4},
)  # fmt: skip
"""What SAC has other than its own defaults, and its rollouts; see design/0012."""
SHORT, LONG = 25, 50
"""Steps of a piece of pictures and of other pieces, as in Christiano et al. 2017, appendix A."""


def control_tree(settings: Settings) -> Tree:
    """A tree of one node.

    Raises:
        ConfigError: where an option is unknown or of the wrong kind, or the environment cannot be made.
    """
    options = checked(settings.options)
    environment = environment_of(options)
    options = {"segment": SHORT if form_of(environment).pixels else LONG} | dict(options)
    task = SegmentTask(environment=environment, segment=options["segment"], parts=options.get("parts", 2),
                       goal=str(options.get("goal", "")))  # fmt: skip
    node = Node(
        name=task.name, task=task, learner=control_learner(environment, settings.updates, options),
        budget=settings.root, bounds=settings.bounds, selection=settings.selection,
        reward=segment_rewards(environment, options),
    )  # fmt: skip
    return Tree(nodes={node.name: node}, root=node.name)


def checked(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options, if they are known and of the right kinds.

    Raises:
        ConfigError: where they are not.
    """
    unknown = set(options) - set(OPTIONS)
    if unknown:
        raise ConfigError(f"control knows the options {', '.join(OPTIONS)}, not {', '.join(sorted(unknown))}")
    for name in ("segment", "parts", *LEARNER, *REWARD):
        if not isinstance(options.get(name, 1), int) or options.get(name, 1) < 1:
            raise ConfigError(f"options.{name} is a whole number, 1 or more, not {options[name]!r}")
    chosen = options.get("algorithm", "ppo")
    if chosen not in tuple(ALGORITHMS):
        raise ConfigError(f"options.algorithm is {' or '.join(ALGORITHMS)}, not {chosen!r}")
    for name in ALGORITHMS:
        if not isinstance(options.get(name, {}), Mapping):
            raise ConfigError(f"options.{name} is names and values, as Stable-Baselines3 takes them")
        if name in options and name != chosen:
            raise ConfigError(f"options.{name} is for options.algorithm={name}, and this is {chosen}")
    return options


def control_learner(environment: Environment, updates: int, options: Mapping[str, Any]) -> ControlLearner:
    """The learner that options describe.

    Raises:
        ConfigError: where the environment is none for the algorithm.
    """
    form, algorithm = form_of(environment), options.get("algorithm", "ppo")
    usual: Mapping[str, Any]
    usual, rollouts = SAC
    if algorithm == "ppo":
        usual = PICTURES if form.pixels else MUJOCO if form.physics else PPO
        rollouts = ROLLOUTS if form.pixels else {}
    elif form.pixels or form.discrete:
        what = "observations are pictures" if form.pixels else "actions are choices"
        raise ConfigError(f"options.algorithm=sac is for actions that are numbers, seen in numbers; of "
                          f"{environment.id} {what}: leave it at ppo")  # fmt: skip
    given = rollouts | {name: options[name] for name in LEARNER if name in options}
    return ControlLearner(
        environment=environment, updates=updates, segment=options.get("segment", LONG), algorithm=algorithm,
        settings={**usual, **options.get(algorithm, {})}, **given,
    )  # fmt: skip


def segment_rewards(environment: Environment, options: Mapping[str, Any]) -> RewardLearner:
    """What fits reward models of an environment's segments."""
    form = form_of(environment)
    given = {name: options[name] for name in REWARD if name in options} | options.get("fit", {})
    if form.pixels:
        return PixelRewards(shape=shape_of(form), **given)
    return SegmentRewards(columns=int(np.prod(form.seen)) + form.columns + 1, **given)
