"""What a run trained, read back for use: policies, reward models, and a whole tree."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rewardtree.errors import RunError
from rewardtree.protocols import recursive_reward_modeling
from rewardtree.rewards import ensemble, language
from rewardtree.rewards.ensemble import RewardModel
from rewardtree.rewards.language import LanguageRewardModel
from rewardtree.studies.config import ENGINES, RunConfig, parse
from rewardtree.studies.installed import find_domain
from rewardtree.studies.places import CONFIG
from rewardtree.studies.run import read_json
from rewardtree.tree import checkpoint
from rewardtree.tree.checkpoint import Trained
from rewardtree.tree.evaluating import assistance
from rewardtree.tree.loop import helpers_of
from rewardtree.tree.node import Node, Tree
from rewardtree.tree.seen import Joined

WEIGHTS, REWARD_MODEL = "policy.safetensors", "reward_model.safetensors"
_PROTOCOL = recursive_reward_modeling.NAME


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedTree:
    """A tree with what a run made of its nodes.

    Attributes:
        tree: as the run's configuration has it.
        nodes: by name, each after its last finished iteration; those of one policy group have its latest policy.
    """

    tree: Tree
    nodes: Mapping[str, Trained]

    @property
    def policy(self) -> Any:
        """The root's."""
        return self.nodes[self.tree.root].policy

    @property
    def reward(self) -> Joined:
        """The root's reward model, joined to what it sees: outputs, and claims of the trained helpers."""
        root = self.tree.nodes[self.tree.root]
        helpers = helpers_of(self.tree, root, self.nodes)
        return Joined(node=root, assist=assistance(root, helpers), model=self.nodes[self.tree.root].reward_model)


def load_policy(directory: Path | str) -> Any:
    """Read a policy, ready for `propose` and `answer`.

    Args:
        directory: an iteration's folder; or that of a node, a seed or a whole run, which stand for the last finished
            iteration, the root of recursive reward modelling and the first seed.

    Raises:
        RunError: where nothing is trained there, or its files are broken.
        ConfigError: where the run's domain is not installed.
    """
    place = iteration_folder(Path(directory))
    run, seed = _run_of(place)
    tree = _tree_of(_config_of(run), seed, run)
    name = place.parent.name
    if name not in tree.nodes:
        raise RunError(f"{place} is of {name!r}, which is no node of the run's tree; there are {', '.join(tree.nodes)}")
    return _trained(place, tree.nodes[name]).policy


def load_reward_model(directory: Path | str) -> RewardModel | LanguageRewardModel:
    """Read a reward model; it scores what the node's task observes, see `rewardtree.tree.seen.Joined`.

    Args:
        directory: as for `load_policy`.

    Raises:
        RunError: where nothing is trained there, or its files are broken.
        LanguageError: where it stands on a language model that cannot be had.
    """
    path = iteration_folder(Path(directory)) / REWARD_MODEL
    return language.load_reward_model(path) if language.is_language(path) else ensemble.load_reward_model(path)


def load_tree(run: Path | str, seed: int | None = None) -> TrainedTree:
    """Read the tree that a run trained by recursive reward modelling.

    Args:
        run: its folder.
        seed: which one; the first if None.

    Raises:
        RunError: where the run, the seed or a node's results are missing or broken.
        ConfigError: where the run's domain is not installed.
    """
    config = _config_of(Path(run))
    seed = config.seed if seed is None else seed
    if seed not in range(config.seed, config.seed + config.seeds):
        known = f"{config.seed} to {config.seed + config.seeds - 1}" if config.seeds > 1 else f"{config.seed} only"
        raise RunError(f"{run} has no seed {seed}; it has {known}")
    tree = _tree_of(config, seed, Path(run))
    nodes = {}
    for name, node in tree.nodes.items():
        place = iteration_folder(Path(run) / f"seed-{seed}" / _PROTOCOL / name, run=Path(run))
        nodes[name] = _trained(place, node)
    latest = {node.group: nodes[node.name].policy for node, _ in tree.steps(config.schedule)}
    return TrainedTree(
        tree=tree, nodes={name: replace(nodes[name], policy=latest[tree.nodes[name].group]) for name in nodes}
    )


def iteration_folder(directory: Path, run: Path | None = None) -> Path:
    """The last finished iteration in a folder, which may be that of an iteration, a node, a seed or a run.

    Args:
        directory: where to look.
        run: what to go on with where there is nothing, if known.

    Raises:
        RunError: where there is none.
    """
    place = directory.resolve()
    if (place / CONFIG).is_file():
        config = _config_of(place)
        run, place = directory, place / f"seed-{config.seed}"
    if (place / _PROTOCOL).is_dir():
        config = _config_of(place.parent)
        place = place / _PROTOCOL / _tree_of(config, config.seed, place.parent).root
    finished = sorted(place.glob("iteration-[0-9][0-9][0-9]"))
    if (place / WEIGHTS).is_file():
        return place
    if finished:
        return finished[-1]
    remedy = f"finish the run first: rewardtree resume {run}" if run else "give the folder of a run"
    raise RunError(f"nothing is trained in {directory}; {remedy}")


def _run_of(place: Path) -> tuple[Path, int]:
    """Run and seed of an iteration's folder."""
    parents = place.parents
    if len(parents) < 4 or not parents[2].name.removeprefix("seed-").isdigit():
        raise RunError(f"{place} is not in the folder of a run; leave it where the run wrote it")
    return parents[3], int(parents[2].name.removeprefix("seed-"))


def _config_of(run: Path) -> RunConfig:
    """The run's configuration."""
    if not (run / CONFIG).is_file():
        raise RunError(f"there is no run in {run}; give the folder that `rewardtree run` wrote")
    return parse(read_json(run / CONFIG))


def _tree_of(config: RunConfig, seed: int, run: Path) -> Tree:
    """The tree; what engines have left is in the run's folder, and no endpoint is asked."""
    settings = config.settings(seed)
    engines = {n: replace(how, folder=run / f"seed-{seed}" / ENGINES) for n, how in settings.engines.items()}
    return find_domain(config.domain).build(replace(settings, engines=engines))


def _trained(place: Path, node: Node) -> Trained:
    """A node as an iteration left it; its untrained policy is another one than the run began with."""
    untrained = node.learner.initial(np.random.default_rng(0))
    trained = checkpoint.load(place, node.learner, untrained, node.reward_learner)
    assert trained is not None, "the folder was found before"
    return trained
