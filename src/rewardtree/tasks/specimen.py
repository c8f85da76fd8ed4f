"""A task under inspection: what its checks draw, ask and compare."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import SkipTest

import numpy as np

from rewardtree.tasks.exhibit import NO_CLAIMS, Claim, Claims, Exhibit, Probe
from rewardtree.tasks.meter import Meter
from rewardtree.tasks.task import ROUNDS, Measured, Question, Split, View
from rewardtree.tasks.texts import NOTHING, Texts

Answer = Callable[[Question], Claim]
OtherFields = Callable[[Any, Any, np.random.Generator], tuple[Any, Any] | None]


CHECKED = 48
"""Texts that are read to check a field."""


def shuffled_fields(inputs: Any, outputs: Any, rng: np.random.Generator) -> tuple[Any, Any] | None:
    """The same batch behind other instrument fields, where the inputs hold a mapping called `fields`.

    Args:
        inputs: a batch.
        outputs: left as they are.
        rng: moves the values to other places.

    Returns:
        Inputs and outputs, or None where the inputs hold no such mapping.
    """
    fields = getattr(inputs, "fields", None)
    if not isinstance(fields, Mapping) or not dataclasses.is_dataclass(inputs) or isinstance(inputs, type):
        return None
    return replace(inputs, fields=moved_fields(fields, rng)), outputs


@dataclass(frozen=True, kw_only=True, slots=True)
class Specimen:
    """A task and what its checks need.

    Attributes:
        task: is checked; one with a true reward.
        helpers: who answers the task's questions ideally, by the name of the helper; with every helper that
            is asked.
        other_fields: the same inputs and outputs behind other instrument fields; None where the domain cannot
            change fields without changing outputs, which skips the checks of non-interference that need it.
        count: inputs that most checks draw.
        drawn: inputs that are drawn of each split to look for shared ones.
        tolerance: relative difference within which numbers of a batch and of its rows agree.
    """

    task: Measured
    helpers: Mapping[str, Answer] = field(default_factory=dict)
    other_fields: OtherFields = shuffled_fields
    count: int = 12
    drawn: int = 64
    tolerance: float = 1e-5

    def batch(self, seed: int = 0, split: Split = "train") -> tuple[Any, Any]:
        """Inputs and base outputs."""
        rng = np.random.default_rng(seed)
        inputs = self.task.sample(rng, self.count, split)
        return inputs, self.task.base_outputs(rng, inputs)

    def rounds(self, inputs: Any, outputs: Any) -> list[list[tuple[Question, Claim]]]:
        """Every round of questions, with the ideal claims that answer them.

        Raises:
            SkipTest: where a question goes to somebody whom the specimen does not name.
        """
        rounds: list[list[tuple[Question, Claim]]] = []
        claims: dict[str, Claim] = {}
        while questions := list(self.task.questions(inputs, outputs, claims)):
            assert len(rounds) < ROUNDS, f"still asks after {ROUNDS} rounds"
            for question in questions:
                if question.helper not in self.helpers:
                    raise SkipTest(f"{self.task.name} asks {question.helper}: name who answers in `helpers`")
            rounds.append([(question, self.helpers[question.helper](question)) for question in questions])
            claims |= {question.quantity: claim for question, claim in rounds[-1]}
        return rounds

    def claims(self, inputs: Any, outputs: Any) -> Claims:
        """The ideal claims of all rounds."""
        return {q.quantity: claim for round_ in self.rounds(inputs, outputs) for q, claim in round_}

    def views(self, inputs: Any, outputs: Any) -> list[tuple[View, Claims]]:
        """The view without claims, and with ideal claims where the task asks for any."""
        shown: list[tuple[View, Claims]] = [(self.task.view(inputs, outputs, NO_CLAIMS), NO_CLAIMS)]
        try:
            claims = self.claims(inputs, outputs)
        except SkipTest:
            return shown
        return [*shown, (self.task.view(inputs, outputs, claims), claims)] if claims else shown


def digests(batch: Any) -> list[str]:
    """Every item's record as canonical text."""
    return [json.dumps(record, sort_keys=True, allow_nan=False) for record in batch.digest()]


def records(batch: tuple[Any, Any]) -> list[tuple[str, str]]:
    """Every row's records of input and output."""
    return list(zip(digests(batch[0]), digests(batch[1]), strict=True))


def agree(found: Any, expected: Any, specimen: Specimen, what: str) -> None:
    """Raise AssertionError where numbers differ by more than the specimen's tolerance."""
    scale = max(float(np.abs(expected).max(initial=0.0)), 1e-300)
    close = np.allclose(found, expected, rtol=specimen.tolerance, atol=specimen.tolerance * scale)
    assert close, f"{what} disagrees by {np.abs(np.asarray(found) - expected).max():.3g}"


def exhibited(view: View, budget: int | None) -> Exhibit:
    """The view as an evaluator sees it who has no helpers."""
    return Exhibit(
        face=view.face, probes=view.probes, claims=NO_CLAIMS, fields=view.fields, texts=view.texts,
        meter=Meter(len(view.face), budget=budget),
    )  # fmt: skip


def moved_fields(fields: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """The fields' values at other places of other outputs; no value stays where it was."""
    moved = {}
    for name, values in fields.items():
        shuffled = rng.permutation(values.ravel()).reshape(values.shape)
        moved[name] = np.where(shuffled == values, values + np.abs(values).max() + 1.0, shuffled)
    return moved


def followed(exhibit: Exhibit, probe: Probe) -> list[Any]:
    """The places that a probe reads one after the other."""
    places = [probe.place]
    for steps in range(probe.follow):
        value = exhibit.read_probe(replace(probe, follow=steps))
        places.append(np.where(np.isfinite(value), value, probe.place).astype(int))
    last = min(exhibit.fields[name].shape[1] for name in probe.instruments) - 1
    return [np.where(place <= last, place, probe.place) for place in places]


def changed_elsewhere(values: Any, places: list[Any]) -> Any:
    """The field with every value changed but those at `places`."""
    changed = values + np.abs(values).max() + 1.0
    for place in places:
        rows = np.arange(len(place))
        changed[rows, place] = values[rows, place]
    return changed


def reworded(view: View, places: Mapping[str, list[Any]]) -> View:
    """The view with other texts and other values everywhere but at `places`, by instrument.

    Every other place has the text that came after its own in the table.
    """
    fields, texts = dict(view.fields), dict(view.texts)
    for name, known in view.texts.items():
        there = known.index != NOTHING
        for place in places.get(name, []):
            there[np.arange(len(place)), place] = False
        texts[name] = replace(known, index=np.where(there, (known.index + 1) % len(known.table), known.index))
        if name in fields:
            fields[name] = changed_elsewhere(fields[name], places.get(name, []))
    return replace(view, fields=fields, texts=texts)


def checked(values: Any, texts: Texts) -> list[tuple[int, int]]:
    """Rows and places whose texts are read to check: some of each value, the seldom ones among them."""
    rows, places = np.nonzero(texts.index != NOTHING)
    _, kind = np.unique(values[rows, places], return_inverse=True)
    count = np.bincount(kind)
    rank = np.empty(len(kind), dtype=int)
    rank[np.argsort(kind, kind="stable")] = np.arange(len(kind)) - np.repeat(np.cumsum(count) - count, count)
    some = np.argsort(rank, kind="stable")[:CHECKED]
    return list(zip(rows[some].tolist(), places[some].tolist(), strict=True))


def behind_other_fields(specimen: Specimen, batch: tuple[Any, Any]) -> tuple[Any, Any]:
    """The batch behind other fields; raises SkipTest where the domain has no such thing."""
    other = specimen.other_fields(*batch, np.random.default_rng(9))
    if other is None:
        raise SkipTest(f"{specimen.task.name}: give `other_fields` to check that fields show nowhere else")
    views = [specimen.task.view(*b, NO_CLAIMS).fields for b in (batch, other)]
    changed = all(not np.array_equal(views[0][n], views[1][n]) for n in views[0])
    assert changed, "`other_fields` leaves the fields as they were"
    return other
