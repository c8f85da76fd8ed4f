"""A language model as a node's evaluator: made for the node, calibrated, and asked beside who else judges there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float

from rewardtree.evaluators.exhibit_words import View
from rewardtree.evaluators.judge import Judge
from rewardtree.evaluators.simulated import Judgements
from rewardtree.language.completing import Complete, Options
from rewardtree.rewards.bradley_terry import fit_temperature
from rewardtree.tasks.exhibit import Exhibit
from rewardtree.tasks.task import Measured, measured
from rewardtree.tree import evaluating
from rewardtree.tree.comparing import exhibits
from rewardtree.tree.node import Node
from rewardtree.tree.sides import Side

Sides = tuple[Exhibit, Exhibit]


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """What a language model said to some comparisons, for figures.

    Attributes:
        ids: of the comparisons.
        labels: whether its answers are labels; else they only stand beside those of people.
        probability: that the first is better, nan for can't tell.
        orders: log-odds that the first is better by either order's answer, nan where it could not be read.
        temperature: by which their mean was divided.
    """

    ids: Sequence[str]
    labels: bool
    probability: Float[np.ndarray, " batch"]
    orders: Float[np.ndarray, "batch 2"]
    temperature: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Judges:
    """How a language model takes part.

    Attributes:
        nodes: names of the nodes whose outputs it compares.
        complete: the model.
        name: as evaluator.
        share: of the comparisons of a node that people do not get; the simulated evaluator answers the others.
        view: how claims are shown to it.
        calibration: comparisons of the calibration split to which its temperature is fitted; 0 to leave it at 1, as
            it is left where there is no true reward.
        seed: of these.
        options: for completing; the node's name becomes their purpose.
        note: told of all that it said, by node and place in training.
    """

    nodes: frozenset[str]
    complete: Complete
    name: str = "judge"
    share: float = 1.0
    view: View = "evidence"
    calibration: int = 32
    seed: int = 0
    options: Options = field(default_factory=lambda: Options(top=5))
    note: Callable[[str, str, Judged], None] = lambda node, place, judged: None

    def judged(
        self, node: Node, judging: "evaluating.Judge", place: str, shown: Sides, ids: Sequence[str],
        rng: np.random.Generator,
    ) -> Judgements:  # fmt: skip
        """Its answers, as labels.

        Args:
            node: whose outputs are compared.
            judging: the node's simulated evaluator, which knows how far claims can be trusted, and its helpers.
            place: where in training this is asked.
            shown: exhibits under a meter of their own.
            ids: of the comparisons.
            rng: decides which output stands first while it looks.

        Raises:
            LanguageError: where the model cannot be had.
        """
        return self._ask(node, judging, place, shown, ids, rng, labels=True)

    def beside(
        self, node: Node, judging: "evaluating.Judge", place: str, shown: Sides, ids: Sequence[str],
        rng: np.random.Generator,
    ) -> None:  # fmt: skip
        """What it says to comparisons that others answer, for figures alone; arguments are those of `judged`."""
        if len(ids):
            self._ask(node, judging, f"{place}/beside", shown, ids, rng, labels=False)

    def _ask(
        self, node: Node, judging: "evaluating.Judge", place: str, shown: Sides, ids: Sequence[str],
        rng: np.random.Generator, *, labels: bool,
    ) -> Judgements:  # fmt: skip
        judge = self.of(node, judging)
        found = judge.judge(*shown, rng)
        assert found.soft is not None and found.orders is not None
        self.note(node.name, place, Judged(ids=ids, labels=labels, probability=found.soft, orders=found.orders,
                                           temperature=judge.temperature))  # fmt: skip
        return found

    def of(self, node: Node, judging: "evaluating.Judge") -> Judge:
        """The node's judge, calibrated with the helpers that it has by now."""
        checked = {name: float(one.reliability) for name, one in judging.evaluator.trust.items()}
        judge = Judge(
            task=node.task, complete=self.complete, name=self.name, bounds=judging.evaluator.bounds, trust=checked,
            view=self.view, options=replace(self.options, purpose=node.name),
        )  # fmt: skip
        if not self.calibration or not isinstance(node.task, Measured):
            return judge
        return calibrated(
            judge, node, judging, self.calibration, np.random.default_rng([self.seed, *node.name.encode()])
        )


def calibrated(
    judge: Judge, node: Node, judging: "evaluating.Judge", pairs: int, rng: np.random.Generator
) -> Judge:  # fmt: skip
    """The judge with a temperature fitted to comparisons of base outputs on the calibration split.

    True rewards enter as (n + 1) / (n + 2) and 1 / (n + 2) (Platt 1999, section 2.2), so that few pairs, all judged
    right, don't make it sure of itself. Where no answer can be read or all are ties the temperature stays.

    Args:
        judge: to calibrate.
        node: whose base outputs are compared.
        judging: gives the helpers' claims.
        pairs: how many.
        rng: draws them; the same draw asks the same, so that the model's answers are found again.
    """
    inputs = node.task.sample(rng, pairs, "calibration")
    outputs = [node.task.base_outputs(rng, inputs) for _ in range(2)]
    first, second = (Side(outputs=side, claims=judging.assist(inputs, side)) for side in outputs)
    found = judge.judge(*exhibits(node.task, inputs, (first, second), judge.bounds.budget), rng)
    assert found.orders is not None
    task = measured(node.task)
    difference = task.true_reward(inputs, outputs[0]) - task.true_reward(inputs, outputs[1])
    truth = 0.5 + np.sign(difference) * (0.5 - 1 / (pairs + 2))
    odds = np.nan_to_num(found.orders).mean(axis=1)
    if not odds.any():
        return judge
    known = torch.from_numpy((~np.isnan(found.orders)).any(axis=1).astype(float))
    temperature = fit_temperature(torch.from_numpy(odds), torch.from_numpy(truth), known)
    return replace(judge, temperature=temperature)
