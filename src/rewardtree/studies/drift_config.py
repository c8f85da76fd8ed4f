"""Configuration of `rewardtree drift`: a study's, with the nodes that are measured."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from rewardtree.errors import ConfigError
from rewardtree.studies.installed import find_domain
from rewardtree.studies.study_config import StudyConfig, parse_as
from rewardtree.tree.node import Tree


class DriftConfig(StudyConfig):
    """All that decides how reward models are held against policies. Of `labels`, one budget is given."""

    domain: str = "chip"
    seeds: int = Field(3, ge=1, le=1000, description="number of seeds, from `seed` on")
    schemes: tuple[str, ...] = Field((), max_length=0)
    ladder: dict[str, int] = Field(default_factory=dict, max_length=0)
    labels: tuple[int, ...] = Field((1000,), min_length=1, max_length=1, description="of every node of the tree")
    nodes: tuple[str, ...] = Field((), description="that are measured; all if none is named")


def parse_drift(given: Mapping[str, Any]) -> DriftConfig:
    """Check a configuration.

    Raises:
        ConfigError: naming every wrong value at once; or where a node is none of the tree's, or one that is measured
            is improved only once.
    """
    config = parse_as(DriftConfig, given)
    tree = tree_of(config)
    for name in config.nodes:
        if name not in tree.nodes:
            raise ConfigError(f"there is no node {name!r}; choose among {', '.join(tree.nodes)}")
    for name in measured(config, tree):
        if tree.nodes[name].budget.iterations < 2:
            raise ConfigError(
                f"{name!r} is improved once, so its reward model is never refreshed; set helper_iterations and "
                "root_iterations in `settings` to 2 or more"
            )
    return config


def tree_of(config: DriftConfig) -> Tree:
    """The tree that is trained."""
    run = config.run(config.task, config.labels[0], config.depth)
    return find_domain(run.domain).build(run.settings(config.seed))


def measured(config: DriftConfig, tree: Tree) -> tuple[str, ...]:
    """Names of the nodes that are measured, leaves first."""
    return tuple(node.name for node in tree.leaves_first() if not config.nodes or node.name in config.nodes)
