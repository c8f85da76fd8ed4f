"""A language model as evaluator: it reads what people read, under the same meter.

A comparison is put to it in two parts. First it may look: it is shown both outputs in words with the helpers' claims,
and asks for readings line by line, until it has seen enough or the meter refuses. Then it is asked for its verdict
twice, with all that was read in sight, once with either output first; the log-odds of both answers are averaged, which
takes an additive leaning towards a position out (Zheng et al. 2023, arXiv 2306.05685, section 3.4, who swap and call
inconsistent answers a tie). A temperature fitted on comparisons whose answer is known makes probabilities of them (Guo
et al. 2017, arXiv 1706.04599).

An answer without a verdict that can be read counts as no information in its order; two of them are "can't tell".
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float

from rewardtree.errors import TaskError
from rewardtree.evaluators.exhibit_words import Asked, Reading, View, answered, said, spot_of, value_of
from rewardtree.evaluators.simulated import Bounds, Judgements, attended
from rewardtree.evaluators.verdicts import log_odds
from rewardtree.language.completing import Complete, Completion, Options, Prompt
from rewardtree.tasks.board import Instrument
from rewardtree.tasks.exhibit import Exhibit
from rewardtree.tasks.favouring import verdicts
from rewardtree.tasks.task import Task

ROUNDS = 8
"""Turns of looking at most, where the meter does not end it."""
REQUEST = re.compile(r"^\W*READ\s+([AB])\s+(\S+)\s+(.+?)[.,;*`\s]*$", re.MULTILINE)
LONGEST = 2000
"""Characters of a reason that are kept."""
Sides = tuple[Exhibit, Exhibit]


@dataclass(frozen=True, kw_only=True, slots=True)
class Judge:
    """Stands where a simulated evaluator stands.

    Attributes:
        task: whose outputs it compares; gives question, guide and what is better.
        complete: the language model.
        name: of the evaluator.
        bounds: readings and claims a comparison; the rest of them is for simulations.
        trust: how reliable claims on each quantity were when checked, 0 to 1, as it is told; may be empty.
        view: how claims are shown.
        temperature: by which its log-odds are divided.
        options: for completing.

    Example:
        >>> from rewardtree.language.completing import Completion
        >>> def model(prompts, options):
        ...     return [Completion(text="The first answer is right. VERDICT: A") for _ in prompts]
        >>> judge = Judge(task=task, complete=model)
        >>> judge.judge(first, second, np.random.default_rng(0)).probability  # whatever stands first: no preference
        array([0.5])
    """

    task: Task
    complete: Complete
    name: str = "judge"
    bounds: Bounds = field(default_factory=Bounds)
    trust: Mapping[str, float] = field(default_factory=dict)
    view: View = "evidence"
    temperature: float = 1.0
    options: Options = field(default_factory=lambda: Options(top=5))

    def judge(self, first: Exhibit, second: Exhibit, rng: np.random.Generator) -> Judgements:
        """Compare two outputs of each input. Both exhibits share one meter.

        Args:
            first: exhibits that can be shown in words (`Exhibit.shown`).
            second: the same of the other outputs.
            rng: decides which output stands first while it looks.

        Raises:
            LanguageError: where the language model cannot be had.
            TaskError: where exhibits cannot be shown in words.
        """
        asked = [self._asked((first, second), row) for row in range(len(first))]
        swapped = rng.random(len(asked)) < 0.5
        readings = self._look((first, second), asked, swapped)
        prompts = [one.deciding(order, readings[row]) for order in (False, True) for row, one in enumerate(asked)]
        answers = self.complete(prompts, replace(self.options, verdicts=("A", "B"), lead="VERDICT:"))
        orders = _orders(answers)
        soft = self.probability(orders)
        told = np.where(np.isnan(soft), 0.5, soft)
        return Judgements(
            probability=told,
            first_better=told > 0.5,
            readings=first.meter.used,
            claims_seen=np.array([one.claims for one in asked], dtype=np.int64),
            soft=soft,
            rationales=tuple(_reasons(one) for one in zip(answers[: len(asked)], answers[len(asked) :], strict=True)),
            orders=orders,
        )

    def probability(self, orders: Float[np.ndarray, "batch 2"]) -> Float[np.ndarray, " batch"]:
        """Probability that the first is better, nan where neither order's answer could be read."""
        read = ~np.isnan(orders)
        odds = np.where(read, orders, 0.0).mean(axis=1) / self.temperature
        return np.where(read.any(axis=1), 1 / (1 + np.exp(-odds)), np.nan)

    def _asked(self, sides: Sides, row: int) -> Asked:
        shown = []
        for side in sides:
            if side.shown is None:
                raise TaskError(f"exhibits of {self.task.name} cannot be shown in words; give them `shown`")
            shown.append(side.shown(row))
        found = [attended(side.claims, self.task, self.bounds.attention) for side in sides]
        return Asked(
            question=str(getattr(self.task, "question", f"Which is the better output of {self.task.name}?")),
            guide=str(getattr(self.task, "guide", "")),
            sides=(shown[0], shown[1]),
            view=self.view,
            verdicts=verdicts(self.task, found[0], found[1], row) if self.view == "verdicts" else {},
            trust=self.trust,
            quantities=frozenset(found[0]) | frozenset(found[1]),
            budget=sides[0].meter.budget,
        )

    def _look(self, sides: Sides, asked: list[Asked], swapped: Bool[np.ndarray, " batch"]) -> list[list[Reading]]:
        """Let it read until it has seen enough or nothing is left to read with."""
        readings: list[list[Reading]] = [[] for _ in asked]
        budget = sides[0].meter.budget
        open_ = {
            row: one.looking(bool(swapped[row])) for row, one in enumerate(asked) if one.instruments and budget != 0
        }
        options = replace(self.options, top=0)
        for _ in range(ROUNDS):
            replies = self.complete(list(open_.values()), options) if open_ else []
            going: dict[int, Prompt] = {}
            for (row, prompt), reply in zip(open_.items(), replies, strict=True):
                lines = list(self._read(sides, asked[row], row, bool(swapped[row]), reply.text, readings[row]))
                left = None if budget is None else budget - int(sides[0].meter.used[row])
                if lines and left != 0:
                    count = "" if left is None else f"\n{left} {'reading is' if left == 1 else 'readings are'} left."
                    going[row] = answered(prompt, reply.text, "\n".join(lines) + count)
            open_ = going
        return readings

    def _read(
        self, sides: Sides, asked: Asked, row: int, swapped: bool, reply: str, readings: list[Reading]
    ) -> Iterator[str]:
        """Make the readings that a reply asks for, and say what came of each."""
        for letter, name, place in REQUEST.findall(reply):
            side = "AB".index(letter) ^ swapped
            tool = next((one for one in asked.sides[side].instruments if one.name == name), None)
            spot = None if tool is None else spot_of(tool, place)
            if tool is None or spot is None:
                yield f"There is no {name} at {place} of {letter}."
            elif not _granted(sides[side], tool, spot[0], row):
                yield f"{name} at {spot[1]} of {letter}: refused, as no reading is left."
            else:
                shared = name in sides[side].shared
                value = value_of(tool, spot[0])
                found = Reading(side=side, instrument=name, place=spot[1], value=value, shared=shared)
                readings.append(found)
                yield said(found, swapped)


def _granted(exhibit: Exhibit, tool: Instrument, place: int, row: int) -> bool:
    """Whether the meter grants a reading; it is used by being granted."""
    wanted = np.arange(len(exhibit)) == row
    places = np.where(wanted, place, 0)[:, None]
    use = exhibit.open if tool.texts else exhibit.read
    return bool(use(tool.name, places, wanted)[1][row, 0])


def _orders(answers: list[Completion]) -> Float[np.ndarray, "batch 2"]:
    """Log-odds that the first is better, by the answers as asked and then those the other way round."""
    odds = np.array([np.nan if found is None else found for found in map(log_odds, answers)], dtype=float)
    half = len(odds) // 2
    return np.stack([odds[:half], -odds[half:]], axis=1)


def _reasons(answers: tuple[Completion, Completion]) -> str:
    """Both answers, as asked and the other way round."""
    return "\n".join(
        f"{order}: {one.text.strip()[:LONGEST]}"
        for order, one in zip(("first as A", "second as A"), answers, strict=True)
    )
