"""Which of two policies' outputs readers prefer, where no true reward says which are better."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from rewardtree.preferences import Store
from rewardtree.tree.asking import Asked, People, put, wait_for
from rewardtree.tree.comparing import collect, exhibits
from rewardtree.tree.evaluating import Judge
from rewardtree.tree.judge_accuracy import PURPOSE
from rewardtree.tree.judging import Judges
from rewardtree.tree.measure import FROZEN
from rewardtree.tree.node import Node
from rewardtree.tree.seen import Joined
from rewardtree.tree.sides import Side

READERS = "readers"
"""The protocol under which such comparisons are stored: they teach nothing, and are charged to no scheme."""
Sides = tuple[Any, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """Outputs of two policies to the same inputs.

    Attributes:
        node: whose outputs they are.
        judging: stands where its evaluator stands, and has its helpers.
        inputs: one a comparison.
        outputs: of both.
    """

    node: Node
    judging: Judge
    inputs: Any
    outputs: Sides

    def __len__(self) -> int:
        return len(self.inputs)

    def sides(self) -> tuple[Side, Side]:
        """Outputs with the helpers' claims."""
        first, second = (Side(outputs=o, claims=self.judging.assist(self.inputs, o)) for o in self.outputs)
        return first, second


@dataclass(frozen=True, kw_only=True, slots=True)
class Preferred:
    """What a language model prefers.

    Attributes:
        share: 1 where it prefers the first policy's output, 0 where the second's, half for a tie and for can't tell.
        consistent: whether both orders have the same output as the better one; nan where one could not be read.
    """

    share: Float[np.ndarray, " pairs"]
    consistent: Float[np.ndarray, " pairs"]


def by_judge(judges: Judges, compared: Compared) -> Preferred:
    """Ask a language model, in both orders. It costs as all measuring does, and leaves no labels.

    Raises:
        LanguageError: where the model cannot be had.
    """
    node = compared.node
    judge = replace(judges, calibration=0).of(node, compared.judging)
    judge = replace(judge, options=replace(judge.options, purpose=f"{node.name}/{PURPOSE}"))
    shown = exhibits(node.task, compared.inputs, compared.sides(), judge.bounds.budget)
    judged = judge.judge(*shown, np.random.default_rng(FROZEN))
    assert judged.soft is not None and judged.orders is not None
    orders = judged.orders
    return Preferred(
        share=0.5 + 0.5 * np.sign(np.nan_to_num(judged.soft, nan=0.5) - 0.5),
        consistent=np.where(np.isnan(orders).any(axis=1), np.nan, np.sign(orders[:, 0]) == np.sign(orders[:, 1])),
    )


def by_people(
    store: Store, people: People, compared: Compared, reward: Joined, place: str
) -> Float[np.ndarray, " pairs"]:
    """Ask people, who see either policy's output first in half of the comparisons, and wait for them.

    Args:
        store: of the run.
        people: how they take part.
        compared: what they compare.
        reward: decides what is given out first.
        place: names these comparisons; a run that goes on finds its answers.

    Returns:
        Probability that the first policy's output is better, nan where nobody told.
    """
    rng = np.random.default_rng(FROZEN)
    order = rng.permutation(len(compared))
    halves = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
    asking = replace(people, share=1.0, gold=0.0, enough=0.0)
    found: Float[np.ndarray, " pairs"] = np.full(len(compared), np.nan)
    asked = []
    for swapped, rows in enumerate(halves):
        if len(rows):
            sides = tuple(side.take(rows) for side in compared.sides())
            question = Asked(
                node=compared.node, inputs=compared.inputs.take(rows), judging=compared.judging,
                sides=(sides[swapped], sides[1 - swapped]), place=f"{place}/{swapped}",
            )  # fmt: skip
            asked.append((rows, swapped, put(store, READERS, question, reward, rng, people=asking)))
    wait_for(store, people, compared.node.name, [one for _, _, some in asked for one in some])
    for rows, swapped, some in asked:
        told = collect(store, [one.id for one in some])
        found[rows] = 1 - told if swapped else told
    return found
