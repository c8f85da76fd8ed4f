"""How errors grow with depth (Leike et al. 2018, arXiv 1811.07871, section 3.2): measured level by level, and modelled.

A fault is planted in what one node says while it helps (`rewardtree.diagnostics.faults`), and the levels above are
trained as ever, each with the one below. Measured on test questions, by the answer that each policy is surest of:

- the error of every level, and where it enters: each step from the truth to the policy's answer adds to the error or
  takes from it, and these add up to it;
- the error of *recursion*, which trains nothing above the faulty node: a question falls into parts, and they into
  theirs, down to that node. If every fault among its `calls` answers spoils the result, its error is
  1 - (1 - rate)^calls.

The model: let a level's *doubt* be -log(1 - error / (1 - 1/names)), 0 where it is always right, without end where it
guesses. Where answers are wrong independently of one another, and a wrong one is right again by chance alone, the
doubts of all answers that a result needs add up, whatever their size. A question counts once, however often it is put,
as the same answer comes back: 16 steps on a cycle of 11 put 11 *different* questions. So let different_d be how many
different ones recursion puts to the faulty node, with right answers to all of them, on the average over test questions,
and growth_d = different_d / different_(d-1). Fitted is

    doubt_d = floor + share growth_d doubt_(d-1)

The *share* is that of compounding which is left: 1 says that errors compound over all different answers which a level
needs, 0 that training absorbs them. They grow from level to level where share times growth is above 1. Beyond the
measured levels, growth is taken to be that of the last of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import least_squares

from rewardtree.diagnostics.faults import Planted, tampering
from rewardtree.errors import ConfigError
from rewardtree.evaluators.calibration import Experience
from rewardtree.rewards.learner import Scores
from rewardtree.tasks.answers import Answers
from rewardtree.tasks.decomposition import Decomposition, Names, Questions, by_parts, named, truth
from rewardtree.tasks.exhibit import Claims
from rewardtree.tasks.levels import LevelTask
from rewardtree.tree.assistance import Helpers, ask
from rewardtree.tree.checkpoint import Trained
from rewardtree.tree.evaluating import judge_of, known
from rewardtree.tree.loop import helpers_of
from rewardtree.tree.measure import FROZEN, accuracy, frozen_pairs
from rewardtree.tree.node import Node, Tree
from rewardtree.tree.seen import Joined

SOURCES = ("helper", "reward_model", "optimisation", "fault")
"""Steps from the truth to an answer: what the claims conclude, the reward model's best name, the policy's answer, and
the answer of a faulty node while it helps."""
LEAST = 1e-3
"""The least that is taken to be left of what a level knows; an error at or above guessing has no finite doubt."""
NOTHING = 1e-5
"""A floor or share below this is taken to be 0: a fit that ends at a bound stops short of it."""
DEEPEST = 64
"""Depth at which looking for the end of what is useful ends."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One level on test questions; the arrays have a value a question, `reading_noise` one a test pair.

    Attributes:
        depth: of the tree under the node.
        names: that the level allows.
        calls: answers of the faulty node that recursion takes; 1 at that node.
        different: how many of these are to different questions.
        wrong: the answer is wrong: of the policy, and at the faulty node of what it says while it helps.
        recursion_wrong: the answer by recursion is wrong.
        enters: by source, 1 where the step makes a right answer wrong, -1 where it makes a wrong one right; they add up
            to `wrong`.
        changed: by source, whether the step changes the answer.
        reading_noise: chance that the assisted evaluator's answer differs from that which it gives without noise; it
            reaches answers by way of the reward model alone and is no part of the sum.
    """

    depth: int
    names: int
    calls: int
    different: Int[np.ndarray, " questions"]
    wrong: Bool[np.ndarray, " questions"]
    recursion_wrong: Bool[np.ndarray, " questions"]
    enters: Mapping[str, Float[np.ndarray, " questions"]]
    changed: Mapping[str, Bool[np.ndarray, " questions"]]
    reading_noise: Float[np.ndarray, " pairs"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """A trained tree, the node where errors begin to be followed, and the fault in it, if any."""

    tree: Tree
    nodes: Mapping[str, Trained]
    first: str
    planted: Planted | None = None

    def helpers(self, node: Node) -> Helpers:
        """The node's helpers as they were in its training."""
        tamper = tampering(self.planted)
        return {name: tamper(name, helper) for name, helper in helpers_of(self.tree, node, self.nodes).items()}

    def said(self, level: int, asked: Questions) -> Names:
        """What the node of a level says while it helps."""
        name = next(n for n, node in self.tree.nodes.items() if task_of(node).level == level)
        task = task_of(self.tree.nodes[name])
        names = named(task.family, self.nodes[name].policy.answer(asked).value)
        return self.planted(asked, names) if self.planted is not None and name == self.planted.fault.node else names


def task_of(node: Node) -> LevelTask:
    """The node's task.

    Raises:
        ConfigError: where it is not a level of a decomposition.
    """
    if not isinstance(node.task, LevelTask):
        raise ConfigError(f"{node.name!r} does not answer with names; follow errors where tasks are levels: algorithms")
    return node.task


def levels_from(tree: Tree, first: str) -> tuple[str, ...]:
    """The node and all nodes that its answers reach, lowest first."""
    return tuple(node.name for node in tree.leaves_first() if first in tree.below(node.name))


def traced(family: Decomposition, level: int, asked: Questions, first: int) -> Int[np.ndarray, "batch calls"]:
    """The numbers of the questions of level `first` that recursion comes to, where every answer is right.

    Args:
        family: of the questions.
        level: of the questions; one that falls into questions of level `first`, or that level itself.
        asked: the questions.
        first: the level whose questions are followed; others that recursion ends at are left out.
    """
    found: list[Names] = []

    def answer(below: int, part: Questions) -> Names:
        if below == first:
            found.append(part.asked)
        return truth(family, below, part) if below <= first else by_parts(family, below, part, answer)

    answer(level, asked)
    return np.stack(found, axis=1)


def distinct(numbers: Int[np.ndarray, "batch calls"]) -> Int[np.ndarray, " batch"]:
    """How many different numbers are in each row."""
    rising = np.sort(numbers, axis=1)
    found: Int[np.ndarray, " batch"] = 1 + (rising[:, 1:] != rising[:, :-1]).sum(axis=1)
    return found


def by_recursion(chain: Chain, level: int, asked: Questions) -> Names:
    """Answers by falling into parts down to the first node; policies above it are not asked."""
    task = task_of(chain.tree.nodes[chain.first])
    if level <= task.level:
        return chain.said(level, asked)
    return by_parts(task.family, level, asked, lambda below, part: by_recursion(chain, below, part))


def measure(
    chain: Chain, name: str, *, questions: int, pairs: int, seed: int, experiences: dict[str, Experience]
) -> Measured:
    """Measure one level.

    Args:
        chain: trained; `name` is one of `levels_from(chain.tree, chain.first)`.
        name: of the node.
        questions: test questions, each about a world of its own.
        pairs: test pairs for the evaluator.
        seed: of the evaluator's experience and its checks of helpers.
        experiences: of evaluators; added to.
    """
    node = chain.tree.nodes[name]
    task, first = task_of(node), task_of(chain.tree.nodes[chain.first])
    inputs = task.sample(np.random.default_rng([FROZEN, 2, *name.encode()]), questions, "test")
    right = truth(task.family, task.level, inputs)
    called = traced(task.family, task.level, inputs, first.level)
    enters, changed = attributed(right, steps(chain, node, inputs))
    helpers = chain.helpers(node)
    experience = known(experiences, chain.tree, node, seed)
    judge = judge_of(experience, node, helpers, np.random.default_rng([seed, 3]))
    judged = accuracy(judge, node, frozen_pairs(node, experience.scale, pairs))
    return Measured(
        depth=chain.tree.depth(name),
        names=int(task.family.allowed(task.level).sum()),
        calls=called.shape[1],
        different=distinct(called),
        wrong=chain.said(task.level, inputs) != right,
        recursion_wrong=by_recursion(chain, task.level, inputs) != right,
        enters=enters,
        changed=changed,
        reading_noise=np.abs(judged.noise_free - judged.noisy),
    )


def steps(chain: Chain, node: Node, inputs: Questions) -> dict[str, Names]:
    """The answers on the way from the truth to what a node says, by the sources that they come from."""
    task, trained, helpers = task_of(node), chain.nodes[node.name], chain.helpers(node)
    found: dict[str, Names] = {}
    claims: Claims = {}
    if helpers:
        claims = ask(task, helpers, inputs, Answers(place=inputs.asked, value=np.zeros(len(inputs))))
        said = [named(task.family, claims[quantity].value) for quantity in task.parts]
        found["helper"] = task.family.conclude(task.level, task.family.context(inputs), said)
    if trained.reward_model is not None:
        found["reward_model"] = best_names(node, trained.reward_model, inputs, claims)
    found["optimisation"] = named(task.family, trained.policy.answer(inputs).value)
    if chain.planted is not None and node.name == chain.planted.fault.node:
        found["fault"] = chain.said(task.level, inputs)
    return found


def best_names(node: Node, model: Scores, inputs: Questions, claims: Claims) -> Names:
    """The name that the reward model likes best for each question, all names judged by the same claims."""
    task = task_of(node)
    allowed = np.flatnonzero(task.family.allowed(task.level))
    rows = np.repeat(np.arange(len(inputs)), len(allowed))
    every = inputs.about(inputs.row[rows], inputs.asked[rows])
    repeated = {quantity: claim.take(rows) for quantity, claim in claims.items()}
    outputs = Answers(place=every.asked, value=np.tile(allowed, len(inputs)).astype(float))
    rewards = Joined(node=node, assist=lambda _, __: repeated, model=model)(every, outputs)
    best: Names = allowed[rewards.reshape(len(inputs), len(allowed)).argmax(axis=1)]
    return best


def attributed(
    right: Names, way: Mapping[str, Names]
) -> tuple[dict[str, Float[np.ndarray, " batch"]], dict[str, Bool[np.ndarray, " batch"]]]:
    """What each step on the way from right answers to given ones adds to the error, and which answers it changes."""
    before = right
    enters, changed = {}, {}
    for source, names in way.items():
        enters[source] = (names != right).astype(float) - (before != right)
        changed[source] = names != before
        before = names
    return enters, changed


def doubt(error: Float[np.ndarray, " levels"], names: Int[np.ndarray, " levels"]) -> Float[np.ndarray, " levels"]:
    """What adds up where errors compound; see the module's docstring."""
    found: Float[np.ndarray, " levels"] = -np.log(np.clip(1 - error / (1 - 1 / names), LEAST, 1.0))
    return found


def error_of(doubts: Float[np.ndarray, " levels"], names: Int[np.ndarray, " levels"]) -> Float[np.ndarray, " levels"]:
    """The error at which a level's doubt is that."""
    found: Float[np.ndarray, " levels"] = (1 - 1 / names) * (1 - np.exp(-doubts))
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Propagation:
    """The fitted model, doubt_d = floor + share growth_d doubt_(d-1).

    Attributes:
        floor: doubt that a level has though those below it are always right.
        share: of compounding that is left; small errors are multiplied by share times growth.
    """

    floor: float
    share: float

    def predict(self, error: float, names: Sequence[int], different: Sequence[float]) -> Float[np.ndarray, " levels"]:
        """Errors at levels one above the other.

        Args:
            error: at the lowest of them.
            names: that each level allows, the lowest first.
            different: questions that each puts to the faulty node.
        """
        allowed = np.array(names)
        doubts = [float(doubt(np.array([error]), allowed[:1])[0])]
        for below, level in pairwise(different):
            doubts.append(self.floor + self.share * level / below * doubts[-1])
        return np.concatenate([[error], error_of(np.array(doubts), allowed)[1:]])

    def useful_depth(
        self, error: float, names: Sequence[int], different: Sequence[float], threshold: float
    ) -> int | None:
        """The most levels above the lowest at which the error is no more than `threshold`.

        None where no level's is. `DEEPEST` stands for that many or more. The last of `names` and the last growth of
        `different` hold for all beyond, so two levels or more must be given.
        """
        further, growth = range(1, DEEPEST + 2 - len(names)), different[-1] / different[-2]
        every = [*names, *(names[-1] for _ in further)], [*different, *(different[-1] * growth**n for n in further)]
        found = np.flatnonzero(self.predict(error, *every) <= threshold)
        return int(found[-1]) if len(found) else None


def fit(
    before: Float[np.ndarray, " steps"],
    after: Float[np.ndarray, " steps"],
    names: tuple[Int[np.ndarray, " steps"], Int[np.ndarray, " steps"]],
    growth: Float[np.ndarray, " steps"],
) -> Propagation:
    """Least squares of the error at a level, given that at the level below; floor and share are 0 or more.

    Args:
        before: error at the level below.
        after: error at the level.
        names: that the two levels allow.
        growth: of different questions from the level below to the level.

    Raises:
        ConfigError: where there are fewer than two steps.
    """
    if len(before) < 2:
        raise ConfigError("a model of errors needs two steps from a level to the next; give more seeds, rates or depth")
    doubts = growth * doubt(before, names[0])

    def missed(found: Any) -> Any:
        return error_of(found[0] + found[1] * doubts, names[1]) - after

    found = least_squares(missed, [0.01, 1.0], bounds=([0, 0], [np.inf, np.inf])).x
    floor, share = np.where(found < NOTHING, 0.0, found)
    return Propagation(floor=float(floor), share=float(share))


def compounded(error: float, answers: float) -> float:
    """The error of what needs so many answers, if each that is wrong spoils it: the naive prediction."""
    return float(1 - (1 - error) ** answers)
