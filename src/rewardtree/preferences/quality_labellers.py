"""One labeller's figures: speed, accuracy, consistency, bias, use of claims, reliance on helpers."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from rewardtree.preferences.quality_agreement import Consensus, agreement
from rewardtree.preferences.quality_columns import FIRST, NONE, SECOND, TIE, Columns
from rewardtree.preferences.quality_intervals import NOTHING, Figure, number, shares

FASTEST = 1.0
"""Seconds below which nobody can have looked at both outputs."""
FAST = 0.2
"""Below this part of everybody's median at a node an answer counts as too fast."""
HOUR = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Reliance:
    """How far a labeller goes with the side that most of the helpers' verdicts favour, claims in sight.

    Ties and "can't tell" do not follow. Trust fits where `followed` is near `helpers_right`; it is blind where
    `followed_wrong` is as high as `followed_right`.

    Attributes:
        followed: of all answers to comparisons whose helpers favour a side.
        followed_right: of those whose known answer is the helpers'.
        followed_wrong: of those whose known answer is the other one.
        helpers_right: how often the helpers were right in the known comparisons that this labeller answered.
        excess: `followed` in the known comparisons less `helpers_right`: above 0 trust is larger than deserved.
    """

    followed: Figure
    followed_right: Figure
    followed_wrong: Figure
    helpers_right: Figure
    excess: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Consistency:
    """Answers to comparisons that were put twice.

    Attributes:
        same_side: how often the side (first, second, or none) was the same.
        correlation: of the two five-point answers; None with fewer than 3 pairs or without any spread.
    """

    same_side: Figure
    correlation: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Labeller:
    """One labeller's figures; shares have Wilson's intervals. An answer and its revision are one answer.

    Attributes:
        name: of the account.
        answers: comparisons answered.
        last_hour: those in the hour before now; None where no time was given.
        last_answer: time of the last one.
        seconds: median time of a (first) answer.
        accuracy: on comparisons whose answer is known; ties and "can't tell" count half.
        consistency: on repeats.
        too_fast: first answers in less than a second, or a fifth of everybody's median at the node.
        fast_limits: smallest and largest of those limits over the nodes that this labeller answered; None if none.
        cannot_tell: answers "can't tell".
        ties: answers that both are equally good.
        displayed_first: of answers with a side, those for the output displayed first (on the left): half without bias.
        reliance: on helpers.
        openings: claims opened an answer, where there were any to open.
        opened: share of the claims that could be opened that were.
        readings: instruments' readings an answer.
        agreement: how often another labeller took the same side; see `quality_agreement.agreement`.
        confusion: for `first` and `second` (the true side), probabilities of the answers `first`, `tie`, `second` by
            Dawid and Skene's model.
    """

    name: str
    answers: int
    last_hour: int | None
    last_answer: float
    seconds: float | None
    accuracy: Figure
    consistency: Consistency
    too_fast: Figure
    fast_limits: tuple[float, float] | None
    cannot_tell: Figure
    ties: Figure
    displayed_first: Figure
    reliance: Reliance
    openings: float | None
    opened: Figure
    readings: float | None
    agreement: Figure
    confusion: Mapping[str, Mapping[str, float]]


def judge_labellers(table: Columns, found: Consensus, now: float | None) -> tuple[Labeller, ...]:
    """Figures of every labeller, by name.

    Args:
        table: the answers.
        found: consensus of the same answers.
        now: seconds since 1970, for `last_hour`.
    """
    final, sided = table.final, (table.side == FIRST) | (table.side == SECOND)
    correct = table.correct()
    known = final & ~np.isnan(correct)
    limit = fast_limits(table)[table.asked.node[table.comparison]]
    claims = table.asked.claims[table.comparison]
    left = (table.side == FIRST) != table.swapped
    _, answers = table.totals(1, final)
    recent = table.totals(1, final & (table.time > (now or 0) - HOUR))[1].tolist()
    opening = final & (claims > 0) & (table.condition > 0)
    opened, opening_answers = table.totals(table.opened, opening)
    openable, _ = table.totals(claims, opening)
    columns: dict[str, list[Any]] = {
        "name": table.labellers,
        "answers": answers.tolist(),
        "last_hour": [None] * len(answers) if now is None else recent,
        "last_answer": _by_labeller(table, table.time, final, np.max),
        "seconds": _by_labeller(table, table.seconds, table.first, np.median),
        "accuracy": shares(*table.totals(np.nan_to_num(correct), known)),
        "consistency": _consistency(table),
        "too_fast": shares(*table.totals(table.seconds < limit, table.first)),
        "fast_limits": _limits(table, limit),
        "cannot_tell": shares(*table.totals(table.side == NONE, final)),
        "ties": shares(*table.totals(table.side == TIE, final)),
        "displayed_first": shares(*table.totals(left, final & sided)),
        "reliance": _reliance(table),
        "openings": _ratios(opened, opening_answers),
        "opened": shares(np.minimum(opened, openable), openable.astype(np.int64)),
        "readings": _ratios(table.totals(table.readings, final)[0], answers),
        "agreement": agreement(table),
        "confusion": _confusions(found),
    }
    people = [Labeller(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
    return tuple(sorted(people, key=lambda person: person.name))


def fast_limits(table: Columns) -> Float[np.ndarray, " nodes"]:
    """Seconds below which a first answer is too fast, by node."""
    node = table.asked.node[table.comparison]
    medians = [np.median(table.seconds[table.first & (node == n)]) for n in range(len(table.asked.nodes))]
    return np.maximum(FASTEST, FAST * np.array(medians, float))


def _limits(table: Columns, limit: Float[np.ndarray, " answers"]) -> list[tuple[float, float] | None]:
    least = _by_labeller(table, limit, table.first, np.min)
    most = _by_labeller(table, limit, table.first, np.max)
    return [None if a is None or b is None else (a, b) for a, b in zip(least, most, strict=True)]


def _consistency(table: Columns) -> list[Consistency]:
    """Pairs each labeller's answer to a repeat with its answer to the original."""
    final = np.flatnonzero(table.final)
    size = max(len(table.asked.ids), 1)
    key = table.labeller[final] * size + table.comparison[final]  # sorted, as the columns are
    original = table.asked.original[table.comparison[final]]
    again = final[original >= 0]
    wanted = table.labeller[again] * size + original[original >= 0]
    place = np.searchsorted(key, wanted)
    there = place < len(key)
    there[there] = key[place[there]] == wanted[there]
    again, before = again[there], final[place[there]]
    who = table.labeller[again]
    # "Can't tell" and a tie both take no side.
    side = np.where(table.side == NONE, TIE, table.side)
    same = (side[again] == side[before]).astype(float)
    count = np.bincount(who, minlength=len(table.labellers))
    figures = shares(np.bincount(who, same, len(table.labellers)).astype(float), count)
    one, other = table.probability[before], table.probability[again]
    both = ~np.isnan(one) & ~np.isnan(other)
    return [
        Consistency(same_side=figure, correlation=_correlation(one[both & (who == k)], other[both & (who == k)]))
        if figure.n
        else Consistency(same_side=NOTHING, correlation=None)
        for k, figure in enumerate(figures)
    ]


def _correlation(one: Float[np.ndarray, " pairs"], other: Float[np.ndarray, " pairs"]) -> float | None:
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return number(np.corrcoef(one, other)[0, 1])


def _reliance(table: Columns) -> list[Reliance]:
    verdict = table.asked.verdict[table.comparison]
    known = table.asked.known[table.comparison]
    led = table.final & (table.condition > 0) & (verdict != NONE)
    judged = led & ((known == FIRST) | (known == SECOND))
    follows, right = (table.side == verdict).astype(float), verdict == known
    followed = shares(*table.totals(follows, led))
    followed_right = shares(*table.totals(follows, judged & right))
    followed_wrong = shares(*table.totals(follows, judged & ~right))
    helpers_right = shares(*table.totals(right, judged))
    excess = _ratios(table.totals(follows - right, judged)[0], table.totals(1, judged)[1])
    figures = zip(followed, followed_right, followed_wrong, helpers_right, excess, strict=True)
    return [
        Reliance(followed=a, followed_right=b, followed_wrong=c, helpers_right=d, excess=e) for a, b, c, d, e in figures
    ]


def _confusions(found: Consensus) -> list[dict[str, dict[str, float]]]:
    answers, truths = ("first", "tie", "second"), ("first", "second")
    return [
        {truth: dict(zip(answers, row, strict=True)) for truth, row in zip(truths, matrix, strict=True)}
        for matrix in found.confusion.tolist()
    ]


def _by_labeller(
    table: Columns, values: Float[np.ndarray, " answers"], where: Bool[np.ndarray, " answers"], what: Any
) -> list[float | None]:
    """A figure of each labeller's values; the answers are sorted by labeller."""
    who, kept = table.labeller[where], values[where]
    bounds = np.searchsorted(who, np.arange(len(table.labellers) + 1))
    parts = (kept[a:b] for a, b in pairwise(bounds))
    return [number(what(part)) if len(part) else None for part in parts]


def _ratios(above: Float[np.ndarray, " labellers"], below: Int[np.ndarray, " labellers"]) -> list[float | None]:
    return [a / b if b else None for a, b in zip(above.tolist(), below.tolist(), strict=True)]
