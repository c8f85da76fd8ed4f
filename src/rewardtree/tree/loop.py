"""The loop of recursive reward modelling (Leike et al. 2018, arXiv 1811.07871, section 3): read this file first.

Every node is trained in the same way. Its policy proposes two outputs an input; its helpers, trained policies
themselves,
make claims about them; its evaluator compares the two with the claims in sight; its reward model is fitted to all
answers so far; its policy is improved against the reward model. Helpers come before their parents, or all take turns.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rewardtree.evaluators.calibration import Experience
from rewardtree.policies.answering import torch_generator
from rewardtree.policies.learner import Policy
from rewardtree.preferences import Store
from rewardtree.tree import checkpoint
from rewardtree.tree.asking import Asked, People, awaited, put, see_answered
from rewardtree.tree.assistance import Helper, Helpers
from rewardtree.tree.checkpoint import Feedback, Trained
from rewardtree.tree.comparing import collect
from rewardtree.tree.evaluating import assistance, who_judges
from rewardtree.tree.judging import Judges
from rewardtree.tree.node import Node, Schedule, Tree
from rewardtree.tree.seen import Joined, select
from rewardtree.tree.sharing import begun, shared
from rewardtree.tree.sides import Side
from rewardtree.tree.stand_ins import trained_helpers

Observer = Callable[[Node, int, Trained], None]
Evaluators = Literal["assisted", "unaided", "expert"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """One tree in training.

    Attributes:
        tree: what is trained.
        protocol: the name under which comparisons are stored.
        seed: all chance follows from it.
        store: every comparison and preference goes through it.
        out: the run's folder.
        evaluators: who judges: `assisted` by the helpers, `unaided`, or `expert` with unlimited readings.
        start: policies to begin with instead of untrained ones, by the name of a node or of its policy group.
        borrowed: nodes that another protocol has trained; they are not trained here.
        experiences: what evaluators know of each task; filled as needed, shared by protocols.
        tamper: what becomes of a helper, by its node's name, before it assists; for planting faults.
        people: how people take part, if they do.
        judges: how a language model takes part as a judge, if one does.
        observe: called after every iteration.
    """

    tree: Tree
    protocol: str
    seed: int
    store: Store
    out: Path
    evaluators: Evaluators = "assisted"
    start: Mapping[str, Policy] = field(default_factory=dict)
    borrowed: Mapping[str, Trained] = field(default_factory=dict)
    experiences: dict[str, Experience] = field(default_factory=dict)
    tamper: Callable[[str, Helper], Helper] = lambda name, helper: helper
    people: People | None = None
    judges: Judges | None = None
    observe: Observer = lambda node, iteration, trained: None

    def rng(self, *purpose: str | int) -> np.random.Generator:
        """Chance for one purpose: the same whenever that purpose comes up again."""
        return np.random.default_rng([self.seed, *"/".join(map(str, (self.protocol, *purpose))).encode()])


def train(training: Training, schedule: Schedule = "leaves_first") -> dict[str, Trained]:
    """Train every node that is not borrowed; iterations that an earlier run finished are read, not repeated.

    Raises:
        TaskError: where comparisons of a task without a true reward would be answered by nobody.
    """
    nodes: dict[str, Trained] = dict(training.borrowed)
    for name in training.tree.nodes.keys() - nodes.keys():
        see_answered(training.tree.nodes[name], training.people, training.judges)
    for node, iteration in training.tree.steps(schedule):
        if node.name in training.borrowed:
            continue
        if iteration == 0:
            nodes[node.name] = begun(training.tree, node, nodes, training.start, training.rng(node.name, "initial"))
        path = checkpoint.folder(training.out, training.protocol, node.name, iteration)
        finished = checkpoint.load(path, node.learner, nodes[node.name].untrained, node.reward_learner)
        if finished is None:
            finished = iterate(training, node, iteration, nodes)
            checkpoint.save(path, finished)
        nodes |= shared(training.tree, node, finished, nodes, training.borrowed)
        training.observe(node, iteration, finished)
    return nodes


def iterate(training: Training, node: Node, iteration: int, nodes: Mapping[str, Trained]) -> Trained:
    """One round of proposing, comparing, fitting and improving at one node."""
    before, rng = nodes[node.name], training.rng(node.name, iteration)
    helpers = {name: training.tamper(name, h) for name, h in helpers_of(training.tree, node, nodes).items()}
    assisting = helpers if training.evaluators == "assisted" else {}
    judging = who_judges(training.experiences, training.tree, node, assisting, rng, seed=training.seed,
                         expert=training.evaluators == "expert")  # fmt: skip

    labels = node.budget.at(iteration)
    inputs = draw(node, nodes, rng, labels * node.budget.candidates)
    outputs = [node.learner.propose(before.policy, inputs, rng) for _ in range(2)]
    reward = Joined(node=node, assist=assistance(node, helpers), model=before.reward_model)
    chosen = select(reward, inputs, outputs, labels, rng)
    inputs, outputs = inputs.take(chosen), [side.take(chosen) for side in outputs]

    first, second = (Side(outputs=side, claims=judging.assist(inputs, side)) for side in outputs)
    earlier, own = awaited(training.people, node, iteration, before.feedback.ids if before.feedback else ())
    question = Asked(node=node, inputs=inputs, sides=(first, second), judging=judging,
                     place=f"{training.seed}/{iteration}", earlier=earlier, own=own)  # fmt: skip
    asked = put(training.store, training.protocol, question, reward, rng, people=training.people,
                judges=training.judges)  # fmt: skip

    observed = [reward.observe(inputs, side) for side in outputs]
    feedback = Feedback(first=observed[0], second=observed[1], ids=[comparison.id for comparison in asked])
    feedback = feedback if before.feedback is None else before.feedback.plus(feedback)
    preferences = collect(training.store, feedback.ids)
    learner, generator = node.reward_learner, torch_generator(rng)
    start = before.reward_model if learner.goes_on else None
    start = start or learner.initial(feedback.first.shape[1], generator)
    model, figures = learner.fit(start, feedback.first, feedback.second, preferences, generator=generator)

    policy = node.learner.improve(
        before.policy, Joined(node=node, assist=reward.assist, model=model),
        lambda chance, count: draw(node, nodes, chance, count), rng,
        version=f"{training.protocol}/{node.name}/{iteration + 1}",
    )  # fmt: skip
    return Trained(policy=policy, untrained=before.untrained, reward_model=model, feedback=feedback,
                   fits=(*before.fits, figures), check_readings=before.check_readings + judging.checks)  # fmt: skip


def draw(node: Node, nodes: Mapping[str, Trained], rng: np.random.Generator, count: int) -> Any:
    """Training inputs: the task's own, or those that other nodes' policies lead to."""
    if node.induce is None:
        return node.task.sample(rng, count, "train")
    return node.induce(rng, count, {name: trained.policy for name, trained in nodes.items()})


def helpers_of(tree: Tree, node: Node, nodes: Mapping[str, Trained]) -> Helpers:
    """The node's direct helpers, as far as they are trained by now."""
    return trained_helpers(tree, node, {name: nodes[name].policy for name in node.helpers})
