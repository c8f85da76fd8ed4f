"""How far labellers agree: Krippendorff's alpha; a Dawid-Skene aggregate; people against simulated answers."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from scipy.special import stdtrit

from rewardtree.errors import ConfigError
from rewardtree.preferences.quality_columns import FIRST, NONE, SECOND, TIE, Columns
from rewardtree.preferences.quality_intervals import (
    JACKKNIFE,
    NOTHING,
    Figure,
    clustered_share,
    into_blocks,
    number,
    shares,
)

SCALE = 5
"""Places of the five-point answer; probabilities in between go to the nearest."""
GROUPS = 40
"""Blocks of comparisons that the jackknife leaves out in turn."""
TRUST = np.array([[4.0, 1.0, 1.0], [1.0, 1.0, 4.0]])
"""Answers (first, tie, second) that each labeller is taken to have given to each class before: 4 of 5 sides right.

So one answer does not become certainty, nor do many by one labeller whom nothing confirms, and the two classes cannot
change names.
"""
BALANCE = 5.0
"""Comparisons of each class that are taken to have come before: which output is called the first is mostly chance."""


@dataclass(frozen=True, kw_only=True)
class Prior:
    """What is taken to have been seen before, as counts; zeros for the paper's own maximum likelihood.

    Attributes:
        responses: of each labeller to each class; its shape says how many labellers, classes and responses there are.
        items: of each class.
    """

    responses: Float[np.ndarray, "labellers classes responses"]
    items: Float[np.ndarray, " classes"]


@dataclass(frozen=True, kw_only=True)
class Consensus:
    """What Dawid and Skene's model makes of all answers.

    Attributes:
        classes: probability of each class, by item.
        confusion: probability of each response given the class, by labeller.
        prevalence: share of each class.
        iterations: until nothing changed.
    """

    classes: Float[np.ndarray, "items classes"]
    confusion: Float[np.ndarray, "labellers classes responses"]
    prevalence: Float[np.ndarray, " classes"]
    iterations: int


def dawid_skene(
    item: Int[np.ndarray, " answers"],
    labeller: Int[np.ndarray, " answers"],
    response: Int[np.ndarray, " answers"],
    start: Float[np.ndarray, "items classes"],
    prior: Prior,
    fixed: Int[np.ndarray, " items"] | None = None,
    weight: Float[np.ndarray, " items"] | None = None,
) -> Consensus:
    """Estimates true classes and every labeller's confusion matrix from answers alone, by EM.

    Dawid and Skene 1979, Applied Statistics 28(1), equations 2.3 to 2.5, with a Dirichlet prior on each row of a
    confusion matrix and on the prevalence. The packages that have it bring deep-learning frameworks along; this is
    three lines of bincount an iteration.

    Args:
        item: what was judged; an item may have any number of answers, also several by one labeller.
        labeller: who judged.
        response: the answer, from 0; there may be more kinds of responses than classes, such as ties.
        start: first guess of each item's class probabilities, usually its shares of the responses.
        prior: what is taken to have been seen before.
        fixed: the class of items whose class is known, -1 for the others.
        weight: how many items each one stands for; 1 if None.

    Returns:
        The consensus.
    """
    people, classes, responses = prior.responses.shape
    cells = labeller * responses + response
    certain = np.zeros(len(start), bool) if fixed is None else fixed >= 0
    truth = np.eye(classes)[fixed[certain]] if fixed is not None else np.zeros((0, classes))
    times = np.ones(len(start)) if weight is None else weight
    guess, steps = start.astype(float), 0
    guess[certain] = truth
    for steps in range(1, 1001):  # noqa: B007
        many = guess * times[:, None]
        counts = [np.bincount(cells, many[item, k], people * responses) for k in range(classes)]
        given = np.stack(counts, axis=1).reshape(people, responses, classes).transpose(0, 2, 1) + prior.responses
        confusion = given / np.maximum(given.sum(axis=2, keepdims=True), 1e-300)
        seen = many.sum(axis=0) + prior.items
        prevalence = seen / max(seen.sum(), 1e-300)
        logs = np.log(np.maximum(confusion, 1e-12))
        said = [np.bincount(item, logs[:, k].ravel()[cells], len(start)) for k in range(classes)]
        score = np.stack(said, axis=1) + np.log(np.maximum(prevalence, 1e-12))
        better = np.exp(score - score.max(axis=1, keepdims=True))
        better /= better.sum(axis=1, keepdims=True)
        better[certain] = truth
        change = float(np.abs(better - guess).max()) if len(guess) else 0.0
        guess = better
        if change < 1e-6:
            break
    return Consensus(classes=guess, confusion=confusion, prevalence=prevalence, iterations=steps)


def consensus(table: Columns) -> Consensus:
    """Dawid and Skene's model of the final answers.

    A comparison has two classes, first or second better, and three responses: the two and a tie. Two outputs
    are all but never equal, so a tie tells of the labeller, not of the outputs: it may count for a side where a
    labeller gives ties to one side more than to the other. "Can't tell" is no response; "slightly" counts as its
    side, for with a few dozen answers a person a finer matrix is mostly prior. The comparisons whose answer is
    known keep it, and teach the model who can be trusted.
    """
    kept = table.final & (table.side != NONE)
    item, labeller, side = table.comparison[kept], table.labeller[kept], table.side[kept]
    known = np.select([table.asked.known == FIRST, table.asked.known == SECOND], [0, 1], -1)
    prior = Prior(responses=np.tile(TRUST, (len(table.labellers), 1, 1)), items=np.full(2, BALANCE))
    like, one = _alike(item, labeller * 3 + side, known)
    size, first = int(like.max(initial=-1)) + 1, one[item] == np.arange(len(item))
    first |= one[item] < 0
    item, labeller, side = like[item][first], labeller[first], side[first]
    votes = np.stack([np.bincount(item[side == s], minlength=size) for s in (FIRST, SECOND)], axis=1) + 1.0
    fixed = np.full(size, -1)
    fixed[like] = known
    heard = np.bincount(item, minlength=size) > 0
    weight = np.bincount(like, minlength=size) * heard
    start = votes / votes.sum(axis=1, keepdims=True)
    found = dawid_skene(item, labeller, side, start, prior, fixed, weight.astype(float))
    return dataclasses.replace(found, classes=found.classes[like])


def _alike(
    item: Int[np.ndarray, " answers"], answer: Int[np.ndarray, " answers"], known: Int[np.ndarray, " items"]
) -> tuple[Int[np.ndarray, " items"], Int[np.ndarray, " items"]]:
    """Puts items together that have the same single answer by the same labeller: nothing tells them apart.

    Returns:
        The number of each item's group; the position of the group's first answer for those, -1 for the others.
    """
    count = np.bincount(item, minlength=len(known))
    lone = (count == 1) & (known < 0)
    only = np.zeros(len(known), np.int64)
    only[item] = answer
    key = np.where(lone, only, answer.max(initial=0) + 1 + np.arange(len(known)))
    _, like = np.unique(key, return_inverse=True)
    first = np.full(int(like.max(initial=-1)) + 1, len(item))
    np.minimum.at(first, like[item], np.arange(len(item)))
    return like, np.where(lone, first[like], -1)


def aggregated(table: Columns, found: Consensus) -> Mapping[str, float]:
    """The consensus' probability that the first is better, for every comparison that got an answer with a side."""
    voiced = np.bincount(table.comparison[table.final & (table.side != NONE)], minlength=len(table.asked.ids)) > 0
    both = zip(table.asked.ids, found.classes[:, 0].tolist(), voiced.tolist(), strict=True)
    return {name: probability for name, probability, heard in both if heard}


def krippendorff_alpha(table: Columns, level: Literal["ordinal", "nominal"]) -> Figure:
    """Krippendorff's alpha of the final five-point answers, over comparisons that two or more labellers answered.

    The interval is Student's, from a jackknife over `GROUPS` blocks of comparisons. Where every answer is the
    same, alpha is not defined.

    Raises:
        ConfigError: the package `krippendorff` is missing.
    """
    kept = table.final & (table.side != NONE)
    point = np.rint(table.probability[kept] * (SCALE - 1)).astype(np.int64)
    size = len(table.asked.ids)
    counts = np.bincount(table.comparison[kept] * SCALE + point, minlength=size * SCALE).reshape(size, SCALE)
    counts = counts[counts.sum(axis=1) >= 2]
    centre = alpha(counts, level)
    if centre is None:
        return Figure(mean=None, low=None, high=None, n=len(counts))
    blocks, block = into_blocks(np.arange(len(counts)), GROUPS)
    parts = [part for b in range(blocks) if (part := alpha(counts[block != b], level)) is not None]
    if len(parts) < 2:
        return Figure(mean=centre, low=None, high=None, n=len(counts))
    error = np.std(parts) * (len(parts) - 1) ** 0.5
    half = float(stdtrit(len(parts) - 1, 0.975) * error)
    return Figure(mean=centre, low=centre - half, high=min(centre + half, 1.0), n=len(counts), by=JACKKNIFE)


def alpha(counts: Int[np.ndarray, "units values"], level: Literal["ordinal", "nominal"]) -> float | None:
    """Krippendorff's alpha from how often each value was given to each unit; None where all values are alike.

    Raises:
        ConfigError: the package `krippendorff` is missing.
    """
    try:
        import krippendorff
    except ImportError as error:
        raise ConfigError("label quality needs the package krippendorff; pip install 'rewardtree[label]'") from error
    pairable = counts[counts.sum(axis=1) >= 2]
    if (pairable.sum(axis=0) > 0).sum() < 2:
        return None
    return number(krippendorff.alpha(value_counts=pairable, level_of_measurement=level))


def agreement(table: Columns) -> list[Figure]:
    """For each labeller, how often another labeller took the same side (first, tie, second) of a comparison.

    Each comparison counts once, with the share of the others who agree.
    """
    kept = table.final & (table.side != NONE)
    size = len(table.asked.ids)
    cell = table.comparison * 3 + table.side
    same = np.bincount(cell[kept], minlength=size * 3)
    others = np.bincount(table.comparison[kept], minlength=size)[table.comparison] - 1
    shared = kept & (others > 0)
    share_of = (same[np.where(kept, cell, 0)] - 1) / np.maximum(others, 1)
    return shares(*table.totals(share_of, shared))


def agreement_with_shadow(table: Columns) -> Figure:
    """How often people take the side of the simulated evaluator's answer to the same comparison.

    Where either takes no side, half a point.
    """
    shadow = table.asked.shadow[table.comparison]
    kept = table.final & (shadow != NONE)
    if not kept.any():
        return NOTHING
    side, shadow = table.side[kept], shadow[kept]
    sided = np.isin(side, (FIRST, SECOND)) & (shadow != TIE)
    points = np.where(sided, (side == shadow).astype(float), 0.5)
    return clustered_share(points, table.labeller[kept], table.comparison[kept])
