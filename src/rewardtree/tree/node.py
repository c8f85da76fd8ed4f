"""Nodes, and the trees that they form."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal

import numpy as np

from rewardtree.errors import BudgetError, TreeError
from rewardtree.evaluators.simulated import Bounds
from rewardtree.policies.learner import Learner, Policy
from rewardtree.rewards.learner import EnsembleLearner, RewardLearner
from rewardtree.tasks.exhibit import Claims
from rewardtree.tasks.task import Task

Selection = Literal["random", "disagreement"]
Schedule = Literal["leaves_first", "interleaved"]
Observe = Callable[[Any, Any, Claims], Any]
"""Inputs, outputs and the claims that a reward model sees (none where it sees outputs alone) to its observations."""
Induce = Callable[[np.random.Generator, int, Mapping[str, Policy]], Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """Labels of one node.

    Attributes:
        iterations: rounds of comparing, fitting and improving.
        labels: comparisons an iteration.
        candidates: comparisons proposed for each one that is put to the evaluator; used where selection is not random.
        decay: how the rate of labels falls: it is in proportion to 1 / (1 + decay * t), t the share of iterations that
            are over (Christiano et al. 2017, arXiv 1706.03741, appendix A). 0 for as many in every iteration; else
            `labels` is their mean.
    """

    iterations: int = 3
    labels: int = 300
    candidates: int = 1
    decay: float = 0.0

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.labels < 2 or self.candidates < 1:
            raise BudgetError("a node needs at least 1 iteration, 2 labels an iteration and 1 candidate a label")
        if self.decay < 0 or min(self.at(i) for i in range(self.iterations)) < 2:
            raise BudgetError(
                f"with a decay of {self.decay} some iterations have less than 2 labels, or labels grow; give more "
                "labels, fewer iterations or a decay nearer to 0"
            )

    @property
    def total(self) -> int:
        """Labels of all iterations."""
        return self.iterations * self.labels

    def given(self, iterations: int) -> int:
        """Labels of the first so many iterations."""
        rates = [1 / (1 + self.decay * i / self.iterations) for i in range(self.iterations)]
        return round(self.total * sum(rates[:iterations]) / sum(rates))

    def at(self, iteration: int) -> int:
        """Labels of an iteration, the first of which is 0."""
        return self.given(iteration + 1) - self.given(iteration)


@dataclass(frozen=True, kw_only=True, slots=True)
class Aside:
    """A variant of a node's task that is measured beside it, under a name of its own, and on which nothing is trained.

    Attributes:
        task: with the same outputs and questions; its inputs may be of another kind, or its readers have other means.
        helped: whether it is measured with the node's trained helpers.
        alone: whether it is measured without them.
    """

    task: Task
    helped: bool
    alone: bool = True


def no_asides() -> Mapping[str, Aside]:
    """None."""
    return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One reward-modelling problem.

    Attributes:
        name: unique in its tree.
        task: what the policy does and how its outputs are exhibited.
        learner: makes and improves the policy.
        helpers: names of the nodes whose policies assist this node's evaluator.
        budget: labels.
        bounds: limits of its evaluator.
        hidden: width of the reward model's layers; 0 for a reward that is linear in what it sees.
        members: networks in the reward model's ensemble.
        peaked: whether the reward has a single peak in the last thing that it sees.
        reward: makes and fits the reward model; None for an ensemble of that width, number and form.
        observe: what the reward model sees instead of what the task has for it: token ids for a language model.
        claims_in_reward: whether the reward model sees the helpers' asserted claims too.
        selection: which proposed comparisons are put to the evaluator.
        warm_start: the helper with whose weights training begins, or None for random ones. They are taken once, before
            the first iteration, also where helpers go on learning.
        policy_group: the name of a policy that several nodes have in common, each going on from where another left it;
            None for a policy of its own.
        induce: inputs that other nodes' policies lead to; None to use the task's own.
        aside: variants of the task that are measured beside it, by name.
    """

    name: str
    task: Task
    learner: Learner
    helpers: tuple[str, ...] = ()
    budget: Budget = field(default_factory=Budget)
    bounds: Bounds = field(default_factory=Bounds)
    hidden: int = 0
    members: int = 4
    peaked: bool = False
    reward: RewardLearner | None = None
    observe: Observe | None = None
    claims_in_reward: bool = False
    selection: Selection = "random"
    warm_start: str | None = None
    policy_group: str | None = None
    induce: Induce | None = None
    aside: Callable[[], Mapping[str, Aside]] = no_asides

    @property
    def group(self) -> str:
        """The name of its policy: that of its group, or its own."""
        return self.policy_group or self.name

    @property
    def reward_learner(self) -> RewardLearner:
        """What makes, fits and reads this node's reward models."""
        return self.reward or EnsembleLearner(hidden=self.hidden, members=self.members, peaked=self.peaked)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """Nodes joined by "helps evaluate": a directed acyclic graph in which helpers may be shared.

    Attributes:
        nodes: by name.
        root: the node that one wants.

    Raises:
        TreeError: where a helper or the root is missing, a key is not its node's name, helpers form a cycle, or a
        node helps nobody.
    """

    nodes: Mapping[str, Node]
    root: str

    def __post_init__(self) -> None:
        if self.root not in self.nodes:
            raise TreeError(f"the root {self.root!r} is not among the nodes {sorted(self.nodes)}; add it")
        for key, node in self.nodes.items():
            if key != node.name:
                raise TreeError(f"node {node.name!r} is entered as {key!r}; use one name")
            if node.claims_in_reward and not node.helpers:
                raise TreeError(f"the reward model of {key!r} is to see claims, but nobody helps it; name helpers")
            if node.claims_in_reward and node.peaked:
                raise TreeError(
                    f"{key!r}: a peaked reward ends in a value and cannot see claims; choose one of the two"
                )
            if node.warm_start is not None and node.warm_start not in node.helpers:
                raise TreeError(f"{key!r} is to start from {node.warm_start!r}, which is none of its helpers; name one")
            if node.warm_start is not None and node.policy_group is not None:
                raise TreeError(f"{key!r} has a policy in common with others and cannot start from another; drop one")
            if node.policy_group in self.nodes:
                raise TreeError(f"the policy group {node.policy_group!r} has a node's name; choose another")
            for helper in node.helpers:
                if helper not in self.nodes:
                    raise TreeError(
                        f"{key!r} names the helper {helper!r}, which is not a node; there are {sorted(self.nodes)}"
                    )
        try:
            self.leaves_first()
        except CycleError as error:
            cycle = " helps ".join(repr(name) for name in error.args[1])
            raise TreeError(
                f"helpers form a cycle: {cycle}; a node may not help to evaluate itself, remove one link"
            ) from error
        idle = set(self.nodes) - self.below(self.root)
        if idle:
            raise TreeError(f"{sorted(idle)} help nobody on the way to {self.root!r}; link or remove them")

    def leaves_first(self) -> tuple[Node, ...]:
        """Every node after all of its helpers."""
        order = TopologicalSorter({name: node.helpers for name, node in self.nodes.items()}).static_order()
        return tuple(self.nodes[name] for name in order)

    def below(self, name: str) -> set[str]:
        """The node and all that helps it, directly or not."""
        found, open_names = set(), [name]
        while open_names:
            current = open_names.pop()
            if current not in found:
                found.add(current)
                open_names += self.nodes[current].helpers
        return found

    def rooted(self, name: str) -> "Tree":
        """The tree of a node and all that helps it."""
        below = self.below(name)
        return Tree(nodes={key: node for key, node in self.nodes.items() if key in below}, root=name)

    def depth(self, name: str) -> int:
        """Levels of helpers under a node; 0 for a leaf."""
        return max((1 + self.depth(helper) for helper in self.nodes[name].helpers), default=0)

    @property
    def labels(self) -> int:
        """Labels of all nodes."""
        return sum(node.budget.total for node in self.nodes.values())

    def steps(self, schedule: Schedule) -> tuple[tuple[Node, int], ...]:
        """Nodes and iterations in the order in which they are trained.

        `leaves_first` finishes every helper before its parent begins. `interleaved` runs one iteration of every node
        after the other, so that helpers go on learning on the questions that the improving parents lead to.
        """
        order = self.leaves_first()
        if schedule == "leaves_first":
            return tuple((node, i) for node in order for i in range(node.budget.iterations))
        rounds = max(node.budget.iterations for node in order)
        return tuple((node, i) for i in range(rounds) for node in order if i < node.budget.iterations)
