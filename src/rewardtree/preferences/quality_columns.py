"""Answers as columns of numbers: what every figure of label quality is computed from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from rewardtree.preferences.records import Answer, Records

CONDITIONS = ("unaided", "assisted", "revised")
FIRST, TIE, SECOND, NONE = 0, 1, 2, -1
"""Sides of an answer, in the comparison's own order; NONE is "can't tell", or not known."""


@dataclass(frozen=True, kw_only=True)
class Comparisons:
    """A column a comparison.

    Attributes:
        ids: their ids.
        node: number of the node, in `nodes`.
        nodes: names of the nodes.
        known: the side that is known to be better; NONE where none is.
        shadow: the side of the simulated evaluator's answer; NONE where there is none.
        verdict: the side that most verdicts of the helpers favour; NONE where there are none or they are even.
        verdicts: for each helper, the side that its verdict favours; NONE where it has none.
        claims: how many claims there were to open.
        original: number of the comparison that it repeats, or -1.
    """

    ids: list[str]
    node: Int[np.ndarray, " comparisons"]
    nodes: list[str]
    known: Int[np.ndarray, " comparisons"]
    shadow: Int[np.ndarray, " comparisons"]
    verdict: Int[np.ndarray, " comparisons"]
    verdicts: Mapping[str, Int[np.ndarray, " comparisons"]]
    claims: Int[np.ndarray, " comparisons"]
    original: Int[np.ndarray, " comparisons"]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """A column an answer that counts, sorted by labeller, comparison and condition.

    Withdrawn answers are left out; of several by one labeller to one comparison under one condition the
    latest counts.

    Attributes:
        labellers: names.
        asked: the comparisons.
        labeller: number of the labeller.
        comparison: number of the comparison.
        condition: position in `CONDITIONS`.
        probability: that the first is better; nan for "can't tell".
        side: FIRST, TIE, SECOND or NONE.
        swapped: whether the second was displayed first.
        seconds: time spent.
        readings: instruments' readings used.
        opened: claims opened.
        time: seconds since 1970.
        first: whether it is the labeller's first answer to the comparison.
        final: whether it is the last one: the answer itself, or its revision.
    """

    labellers: list[str]
    asked: Comparisons
    labeller: Int[np.ndarray, " answers"]
    comparison: Int[np.ndarray, " answers"]
    condition: Int[np.ndarray, " answers"]
    probability: Float[np.ndarray, " answers"]
    side: Int[np.ndarray, " answers"]
    swapped: Bool[np.ndarray, " answers"]
    seconds: Float[np.ndarray, " answers"]
    readings: Int[np.ndarray, " answers"]
    opened: Int[np.ndarray, " answers"]
    time: Float[np.ndarray, " answers"]
    first: Bool[np.ndarray, " answers"]
    final: Bool[np.ndarray, " answers"]

    def correct(self) -> Float[np.ndarray, " answers"]:
        """1 for the side that is known to be better, 0 for the other, 0.5 for neither; nan where none is known."""
        return score(self.side, self.asked.known[self.comparison])

    def totals(
        self, values: Any, where: Bool[np.ndarray, " answers"]
    ) -> tuple[Float[np.ndarray, " labellers"], Int[np.ndarray, " labellers"]]:
        """Sum of values (one an answer, or one number) and count of the answers `where`, by labeller."""
        who, size = self.labeller[where], len(self.labellers)
        given = np.broadcast_to(np.asarray(values, float), self.labeller.shape)[where]
        # Of no answers NumPy sums to whole numbers.
        return np.bincount(who, given, size).astype(float), np.bincount(who, minlength=size)


def columns(records: Records) -> Columns:
    """Puts the answers that count into columns."""
    given = [answer for answer in records.answers if not answer.withdrawn]
    people, labeller = _numbered([answer.labeller for answer in given])
    ids, comparison = _numbered([answer.comparison for answer in given])
    kinds = {name: place for place, name in enumerate(CONDITIONS)}
    condition = np.array([kinds[answer.condition] for answer in given], np.int64)
    time = np.array([answer.time for answer in given], float)
    place = (labeller * max(len(ids), 1) + comparison) * len(CONDITIONS) + condition
    order = np.lexsort((time, place))
    order = order[_ends(place[order])]
    pair = place[order] // len(CONDITIONS)
    probability = np.array([answer.probability for answer in given], float)[order]

    def column(name: str, kind: type) -> Any:
        return np.array(list(map(attrgetter(name), given)), kind)[order]

    return Columns(
        labellers=people,
        asked=_asked(ids, given),
        labeller=labeller[order],
        comparison=comparison[order],
        condition=condition[order],
        probability=probability,
        side=sides(probability),
        swapped=column("swapped", bool),
        seconds=column("seconds", float),
        readings=column("readings", np.int64),
        opened=np.array([len(answer.claims_seen) for answer in given], np.int64)[order],
        time=time[order],
        first=np.concatenate([[True], pair[1:] != pair[:-1]])[: len(pair)],
        final=_ends(pair),
    )


def sides(probability: Float[np.ndarray, " any"]) -> Int[np.ndarray, " any"]:
    """The side that probabilities favour; NONE for nan."""
    return np.select([probability > 0.5, probability == 0.5, probability < 0.5], [FIRST, TIE, SECOND], NONE)


def score(side: Int[np.ndarray, " any"], right: Int[np.ndarray, " any"]) -> Float[np.ndarray, " any"]:
    """1 where an answer's side is the right one, 0 where it is the other, 0.5 where it takes none.

    Where the right side is a tie or none, there is nothing to be right about: nan.
    """
    neither = (side == TIE) | (side == NONE)
    points = np.where(neither, 0.5, (side == right).astype(float))
    return np.where((right == FIRST) | (right == SECOND), points, np.nan)


def _asked(ids: list[str], given: Sequence[Answer]) -> Comparisons:
    one = {answer.comparison: answer for answer in given}
    of = [one[name] for name in ids]
    nodes, node = _numbered([answer.node for answer in of])
    places = {name: place for place, name in enumerate(ids)}
    authors = sorted({author for answer in of for author in answer.verdicts})
    meant = {"first": FIRST, "second": SECOND}
    verdicts = {
        author: np.array([meant.get(answer.verdicts.get(author, ""), NONE) for answer in of], np.int64)
        for author in authors
    }
    lead = np.zeros(len(of), np.int64)
    for favoured in verdicts.values():
        lead += (favoured == FIRST).astype(np.int64) - (favoured == SECOND)
    return Comparisons(
        ids=ids,
        node=node,
        nodes=nodes,
        known=sides(np.array([answer.known for answer in of], float)),
        shadow=sides(np.array([answer.shadow for answer in of], float)),
        verdict=np.select([lead > 0, lead < 0], [FIRST, SECOND], NONE),
        verdicts=verdicts,
        claims=np.array([answer.claims for answer in of], np.int64),
        original=np.array([places.get(answer.original or "", -1) for answer in of], np.int64),
    )


def _numbered(names: Sequence[str]) -> tuple[list[str], Int[np.ndarray, " names"]]:
    """Distinct names in order of appearance, and the number of each."""
    numbers = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return list(numbers), np.array([numbers[name] for name in names], np.int64)


def _ends(keys: Int[np.ndarray, " any"]) -> Bool[np.ndarray, " any"]:
    """Marks the last of each group of equal keys in a row."""
    return np.concatenate([keys[1:] != keys[:-1], [True]])[: len(keys)] if len(keys) else np.zeros(0, bool)
