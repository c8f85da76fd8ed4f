"""The algorithms domain as `rewardtree run algorithms` finds it."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rewardtree.domains.algorithms.assignments import Assignments
from rewardtree.domains.algorithms.finding import Finding
from rewardtree.domains.algorithms.paths import Paths
from rewardtree.domains.algorithms.powering import Powering
from rewardtree.domains.algorithms.wildcards import Wildcards
from rewardtree.errors import ConfigError
from rewardtree.policies.naming import NamingLearner
from rewardtree.tasks.decomposition import Decomposition
from rewardtree.tasks.levels import LevelTask, level_name
from rewardtree.tree.domain import Domain, Settings
from rewardtree.tree.node import Node, Tree

FAMILIES: Mapping[str, Callable[..., Decomposition]] = {
    "powering": Powering,
    "assignments": Assignments,
    "wildcards": Wildcards,
    "paths": Paths,
    "finding": Finding,
}
OPTIONS = ("task", "depth", "size", "layers", "width")
DEPTH = 3


def family_of(options: Mapping[str, Any]) -> Decomposition:
    """The family that options name.

    Raises:
        ConfigError: where there is no such family or option.
    """
    unknown = set(options) - set(OPTIONS)
    if unknown:
        raise ConfigError(f"the algorithms domain knows the options {', '.join(OPTIONS)}, not {', '.join(unknown)}")
    task = options.get("task", "powering")
    if task not in FAMILIES:
        raise ConfigError(f"there is no task {task!r}; choose among {', '.join(FAMILIES)}")
    sizes = {key: int(options[key]) for key in ("depth", "size") if key in options}
    return FAMILIES[task](**{"depth": DEPTH} | sizes)


def build(settings: Settings) -> Tree:
    """A node a level, each helped by those that answer its parts."""
    family = family_of(settings.options)
    shape = {key: int(settings.options[key]) for key in ("layers", "width") if key in settings.options}
    nodes = {}
    for level in range(family.depth + 1):
        task, root = LevelTask(family=family, level=level), level == family.depth
        below = dict.fromkeys(level_name(part) for part in family.parts(level))
        told = bool(below) and (settings.claims_in_reward or not root)
        nodes[task.name] = Node(
            name=task.name,
            task=task,
            learner=NamingLearner(task=task, updates=settings.updates if root else settings.helper_updates, **shape),
            helpers=tuple(below),
            budget=settings.root if root else settings.helper,
            bounds=settings.bounds,
            claims_in_reward=told,
            selection=settings.selection,
            warm_start=level_name(level - 1) if told else None,
        )
    return Tree(nodes=nodes, root=level_name(family.depth))


def optimum(settings: Settings) -> dict[str, float]:
    """What the best unaided evaluator attains at every level."""
    from rewardtree.domains.algorithms.optimum import unaided_optimum

    family, budget = family_of(settings.options), settings.bounds.budget
    if budget is None:
        return {}
    rng = np.random.default_rng(181008575)
    levels = range(family.depth + 1)
    return {level_name(level): unaided_optimum(family, level, budget, rng).accuracy for level in levels}


DOMAIN = Domain(
    name="algorithms",
    summary="five algorithmic tasks on a ladder of levels; a level's helpers answer its parts",
    nodes=tuple(level_name(level) for level in range(DEPTH + 1)),
    build=build,
    decomposition=lambda settings: family_of(settings.options),
    optimum=optimum,
    presets={
        "tiny": {"updates": 4, "helper_updates": 4},
        "quick": {
            "helper_labels": 500, "helper_iterations": 2, "root_labels": 500, "root_iterations": 2,
            "updates": 1200, "helper_updates": 1200, "test_pairs": 2000, "test_inputs": 1000,
        },
        "full": {
            "helper_labels": 1000, "helper_iterations": 2, "root_labels": 1000, "root_iterations": 2,
            "updates": 2500, "helper_updates": 2500, "test_pairs": 4000, "test_inputs": 4000,
        },
    },
)  # fmt: skip
