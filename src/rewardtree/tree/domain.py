"""What a domain offers to `rewardtree run`: a tree for given settings, perhaps a ceiling and pictures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from rewardtree.evaluators.simulated import Bounds
from rewardtree.language.completing import Complete
from rewardtree.language.references import ModelRef
from rewardtree.policies.training import Training
from rewardtree.tasks.decomposition import Decomposition
from rewardtree.tree.node import Budget, Selection, Tree


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a run decides about a domain's tree.

    Attributes:
        seed: of the training inputs.
        helper: labels of each helper.
        root: labels of the root.
        bounds: of every evaluator.
        selection: which comparisons are put to evaluators.
        updates: of the root's policy an iteration.
        helper_updates: of each helper's policy an iteration.
        interleaved: whether helpers also train on what the root's policy makes.
        claims_in_reward: whether the root's reward model sees the helpers' claims.
        options: the domain's own.
        models: language models at nodes, by the node's name: which one, or who completes prompts for it.
        model_updates: of a language model that is a node's policy, an iteration.
        rewards: language models on which nodes' reward models stand, by the node's name.
        engines: how an engine improves a node's policy, by the node's name.
    """

    seed: int
    helper: Budget
    root: Budget
    bounds: Bounds
    selection: Selection = "random"
    updates: int = 80
    helper_updates: int = 120
    interleaved: bool = False
    claims_in_reward: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    models: Mapping[str, ModelRef | Complete] = field(default_factory=dict)
    model_updates: int = 20
    rewards: Mapping[str, ModelRef] = field(default_factory=dict)
    engines: Mapping[str, Training] = field(default_factory=dict)


Ceiling = Callable[[Any, np.random.Generator], Any]
"""Inputs of the root to outputs found by search on the true reward."""
Pictures = Callable[[Tree, Mapping[str, Any], np.random.Generator], list[dict[str, str]]]
"""A tree and its trained policies to pictures, each with `title`, `svg` and `caption`."""
Stages = Callable[[Settings, Mapping[str, Any]], Mapping[str, Mapping[str, Mapping[str, Float[np.ndarray, " items"]]]]]
"""A run's settings and the root's policies, by the stage of training that they are of, to what is measured of them: by
where, who and what, a value an item. Rules that learn nothing may stand beside the policies."""
Outlines = Callable[[Settings, Any], list[dict[str, Any]]]
"""A run's settings and the root's policy to texts with what is below them, each with `title`, `note`, `text` and
`parts`, a list of such texts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Domain:
    """A family of tasks with its default tree.

    Attributes:
        name: as in `rewardtree run NAME`.
        summary: one line for `rewardtree list`.
        nodes: names of the default tree's nodes, leaves first.
        build: the tree for some settings; the same settings give the same tree.
        ceiling: for each input of the root, an output found by search on the true reward, or None; the
            number is the effort, 1 as usual.
        pictures: for the report, or None.
        stages: what the root's policy is worth after each stage of training, or None.
        outlines: texts for the report that can be opened down to what they are made of, or None.
        decomposition: how the root's questions fall into easier ones, for the protocols that need to know, or None.
        optimum: for every node, the accuracy of the best evaluator without claims at the settings' budget, or None.
        presets: by name, what this domain would have other than the presets of every domain.
        readers: names of the nodes whose policy may be a language model, as they can read words.
        writers: names of those whose policy is one and writes, so that an engine can improve it.
    """

    name: str
    summary: str
    nodes: tuple[str, ...]
    build: Callable[[Settings], Tree]
    ceiling: Callable[[Tree, float], Ceiling] | None = None
    pictures: Pictures | None = None
    stages: Stages | None = None
    outlines: Outlines | None = None
    decomposition: Callable[[Settings], Decomposition] | None = None
    optimum: Callable[[Settings], Mapping[str, float]] | None = None
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    readers: tuple[str, ...] = ()
    writers: tuple[str, ...] = ()
