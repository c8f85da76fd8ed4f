"""Configuration of `rewardtree propagation`: a study's, with what is planted in which node at which rates."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from rewardtree.diagnostics.error_propagation import levels_from, task_of
from rewardtree.diagnostics.faults import KINDS, FaultKind
from rewardtree.errors import ConfigError
from rewardtree.studies.installed import find_domain
from rewardtree.studies.study_config import StudyConfig, parse_as


class PropagationConfig(StudyConfig):
    """All that decides how errors are followed up a tree. Of `labels`, one budget is given; no schemes are compared."""

    task: str | None = "powering"
    depth: int | None = Field(4, ge=2)
    seeds: int = Field(3, ge=1, le=1000, description="number of seeds, from `seed` on")
    schemes: tuple[str, ...] = Field((), max_length=0)
    ladder: dict[str, int] = Field(default_factory=dict, max_length=0)
    labels: tuple[int, ...] = Field((1000,), min_length=1, max_length=1, description="of every node of the tree")
    node: str = Field("level_0", description="in whose answers faults are planted while it helps")
    faults: tuple[FaultKind, ...] = Field(KINDS, min_length=1)
    rates: tuple[float, ...] = Field((0.0, 0.01, 0.05, 0.1), description="shares of answers that are at fault")
    useful: float = Field(0.1, gt=0, lt=1, description="error up to which a tree is of use")


def parse_propagation(given: Mapping[str, Any]) -> PropagationConfig:
    """Check a configuration.

    Raises:
        ConfigError: naming every wrong value at once; or where the node is none of the tree's, its answers are no
            names, or fewer than two levels are above it.
    """
    config = parse_as(PropagationConfig, given)
    if any(not 0 <= rate < 1 for rate in config.rates) or 0 not in config.rates or len(config.rates) < 2:
        raise ConfigError(f"rates hold 0 and at least one share above it and below 1, not {list(config.rates)}")
    for name in ("rates", "faults"):
        if len(set(getattr(config, name))) < len(getattr(config, name)):
            raise ConfigError(f"{name} holds something twice; name each once")
    run = config.run(config.task, config.labels[0], config.depth)
    tree = find_domain(run.domain).build(run.settings(config.seed))
    if config.node not in tree.nodes:
        raise ConfigError(f"there is no node {config.node!r}; choose among {', '.join(tree.nodes)}")
    above = levels_from(tree, config.node)
    for name in above:
        task_of(tree.nodes[name])
    if len(above) < 3:
        raise ConfigError(f"{config.node!r} needs two levels or more above it; choose a lower node or a larger depth")
    return config
