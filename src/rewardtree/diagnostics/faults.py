"""Faults planted in what one node says while it helps: fresh ones, and ones that can be learnt.

A *random* fault replaces an answer by another name that the level allows, drawn for every question and world. A
*systematic* fault does so to a fixed share of questions, told by what a question shows by itself (its number and its
own token), always by the same step from the answer given: whoever imitates the node can learn the fault with the rest.
In both, the same question about the same world always gets the same answer.

The fault is in what the node says, not in its network: a level above that stands on that network's answers has to learn
the fault, and may do so late. Beside the error of recursion one sees whether it did.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, UInt64

from rewardtree.errors import ConfigError, TreeError
from rewardtree.tasks.decomposition import Names, Questions, everything, named, one_each
from rewardtree.tasks.exhibit import Claim
from rewardtree.tasks.levels import LevelTask
from rewardtree.tasks.task import Question
from rewardtree.tree.assistance import Helper
from rewardtree.tree.node import Tree

FaultKind = Literal["random", "systematic"]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
SAMPLE = 1500
"""Worlds by whose questions the share that a systematic fault strikes is set."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What is planted where.

    Attributes:
        node: whose answers are at fault.
        kind: `random` or `systematic`.
        rate: share of answers that are replaced; 0 plants nothing.

    Raises:
        ConfigError: where the rate is no share below 1.
    """

    node: str
    kind: FaultKind
    rate: float

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise ConfigError(f"a fault's rate is a share from 0 to below 1, not {self.rate}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Planted:
    """A fault, ready to strike a level's answers.

    Attributes:
        fault: what is planted.
        task: of the level.
        seed: all chance follows from it.
        below: the fault strikes questions whose number from 0 to 1 is below this.
    """

    fault: Fault
    task: LevelTask
    seed: int
    below: float

    def __call__(self, asked: Questions, names: Names) -> Names:
        """Answers with the fault among them.

        A struck answer is another name that the level allows, so it is wrong if the answer was right. The same batch
        always gets the same answers, so that a training which goes on equals one that was never stopped.
        """
        allowed = np.flatnonzero(self.task.family.allowed(self.task.level))
        told = sights(asked)
        if self.fault.kind == "random":
            told = mixed(told ^ asked.keys[asked.row].astype(np.uint64), 2)
        struck = shares(told, self.seed) < self.below
        step = 1 + (mixed(told, self.seed + 1) % np.uint64(len(allowed) - 1)).astype(np.int64)
        other = allowed[(np.searchsorted(allowed, names) + step) % len(allowed)]
        return np.where(struck, other, names)


def plant(tree: Tree, fault: Fault, seed: int) -> Planted:
    """Make a fault ready for a node of a tree.

    Args:
        tree: with the node.
        fault: what to plant.
        seed: chooses the questions that a systematic fault strikes: those of a lower rate are among those of a higher.

    Raises:
        TreeError: where there is no such node.
        ConfigError: where its task is not a level of a decomposition.
    """
    if fault.node not in tree.nodes:
        raise TreeError(f"there is no node {fault.node!r} to plant a fault in; choose among {', '.join(tree.nodes)}")
    task = tree.nodes[fault.node].task
    if not isinstance(task, LevelTask):
        raise ConfigError(
            f"faults can be planted where answers are names, which those of {fault.node!r} are not; use the algorithms"
        )
    below = _threshold(task, fault.rate, seed) if fault.kind == "systematic" else fault.rate
    return Planted(fault=fault, task=task, seed=seed, below=below)


def _threshold(task: LevelTask, rate: float, seed: int) -> float:
    """What share of the numbers from 0 to 1 is struck, so that a share `rate` of all questions is, as nearly as can be.

    There may be few different questions by what each shows, so a threshold of `rate` itself might strike none.
    """
    worlds = one_each(task.family, np.random.default_rng(seed), SAMPLE, "train", task.level)
    told = sights(everything(task.family, worlds, task.level))
    found, counts = np.unique(told, return_counts=True)
    place = shares(found, seed)
    order = np.argsort(place)
    struck = np.concatenate([[0.0], np.cumsum(counts[order]) / counts.sum()])
    kept = int(np.abs(struck - rate).argmin())
    ends = np.concatenate([[0.0], place[order], [1.0]])
    return float((ends[kept] + ends[kept + 1]) / 2) if kept else 0.0


def sights(asked: Questions) -> UInt64[np.ndarray, " batch"]:
    """A number for what each question shows by itself: its own number, and the token of that number."""
    tokens = asked.worlds.tokens[asked.row, asked.asked]
    told = mixed(asked.asked.astype(np.uint64), 0)
    for column in tokens.T:
        told = mixed(told ^ column.astype(np.uint64), 1)
    return told


def mixed(numbers: UInt64[np.ndarray, " batch"], salt: int) -> UInt64[np.ndarray, " batch"]:
    """Whole numbers scattered over 64 bits (Steele, Lea and Flood 2014, "splitmix")."""
    start = np.uint64((salt + 1) * 0x9E3779B97F4A7C15 % 2**64)
    x = numbers + start
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: UInt64[np.ndarray, " batch"] = x ^ (x >> np.uint64(31))
    return found


def shares(told: UInt64[np.ndarray, " batch"], salt: int) -> Float[np.ndarray, " batch"]:
    """Numbers from 0 to below 1 that follow from what questions show."""
    found: Float[np.ndarray, " batch"] = (mixed(told, salt) >> np.uint64(11)).astype(float) / 2.0**53
    return found


def faulty(helper: Helper, planted: Planted) -> Helper:
    """The helper, with the fault in what it says."""
    family = planted.task.family

    def answer(question: Question) -> Claim:
        claim = helper(question)
        return replace(claim, value=planted(question.inputs, named(family, claim.value)).astype(float))

    return answer


def tampering(planted: Planted | None) -> Callable[[str, Helper], Helper]:
    """What becomes of each helper by its node's name: for `Training.tamper`; nothing where nothing is planted."""

    def tamper(name: str, helper: Helper) -> Helper:
        return faulty(helper, planted) if planted is not None and name == planted.fault.node else helper

    return tamper
