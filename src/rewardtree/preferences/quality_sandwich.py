"""What helpers' claims do for people: accuracy on known comparisons by condition, and changes of mind.

Sandwiching (Cotra 2021; Bowman et al. 2022, arXiv 2211.03540) from people alone: each labeller is its own control.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from rewardtree.preferences.quality_columns import CONDITIONS, NONE, Columns
from rewardtree.preferences.quality_intervals import (
    ENOUGH_LABELLERS,
    NORMAL,
    NOTHING,
    OVER_LABELLERS,
    Figure,
    Z,
    bootstrap,
    clustered_mean,
    clustered_share,
    share,
)

UNAIDED, ASSISTED, REVISED = range(len(CONDITIONS))


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """What became of first answers when the claims were revealed; shares with Wilson's intervals.

    Attributes:
        moved: of all pairs, those whose side changed.
        followed: of the pairs that moved and whose helpers favour a side, those that moved to that side.
        wrong_to_right: of the known pairs that began wrong (or without a side), those that ended right.
        right_to_wrong: of the known pairs that began right, those that did not end right.
    """

    moved: Figure
    followed: Figure
    wrong_to_right: Figure
    right_to_wrong: Figure


@dataclass(frozen=True, kw_only=True, slots=True)
class Sandwich:
    """Accuracy on known comparisons; ties and "can't tell" count half.

    Attributes:
        unaided: of answers without claims: those that never get any, and first answers.
        assisted: of answers with claims from the start.
        revised: of answers after the claims were revealed.
        revised_against_unaided: mean difference of the two answers of one labeller to one comparison.
        assisted_against_unaided: difference between a labeller's accuracies on different comparisons, averaged over
            labellers who have both, weighted by n_assisted n_unaided / (n_assisted + n_unaided) (Mantel-Haenszel).
        changes: changes of mind.
    """

    unaided: Figure
    assisted: Figure
    revised: Figure
    revised_against_unaided: Figure
    assisted_against_unaided: Figure
    changes: Changes


def sandwich(table: Columns) -> Sandwich:
    """Compares the conditions under which people answered."""
    correct = table.correct()
    known = ~np.isnan(correct)

    def accuracy(condition: int) -> Figure:
        kept = known & (table.condition == condition)
        return clustered_share(correct[kept], table.labeller[kept], table.comparison[kept])

    before, after = _pairs(table)
    both = known[before]
    start, end = before[both], after[both]
    paired = clustered_mean(correct[end] - correct[start], table.labeller[end], table.comparison[end])
    return Sandwich(
        unaided=accuracy(UNAIDED),
        assisted=accuracy(ASSISTED),
        revised=accuracy(REVISED),
        revised_against_unaided=paired,
        assisted_against_unaided=_within_labellers(table, correct, known),
        changes=_changes(table, before, after),
    )


def _pairs(table: Columns) -> tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]:
    """Positions of the unaided and the revised answers of one labeller to one comparison."""
    after = np.flatnonzero((table.condition[1:] == REVISED) & (table.condition[:-1] == UNAIDED)) + 1
    same = (table.labeller[after] == table.labeller[after - 1]) & (
        table.comparison[after] == table.comparison[after - 1]
    )
    return after[same] - 1, after[same]


def _within_labellers(
    table: Columns, correct: Float[np.ndarray, " answers"], known: Bool[np.ndarray, " answers"]
) -> Figure:
    """Whole labellers are resampled where there are enough of them; else the interval is the normal one of answers."""
    with_claims = known & (table.condition == ASSISTED)
    without = known & (table.condition == UNAIDED)
    right_with, n_with = table.totals(correct, with_claims)
    right_without, n_without = table.totals(correct, without)
    both = np.flatnonzero((n_with > 0) & (n_without > 0))
    if not len(both):
        return NOTHING
    a, b = n_with[both], n_without[both]
    weight = a * b / (a + b)
    gain = right_with[both] / a - right_without[both] / b
    mean, count = float(weight @ gain / weight.sum()), int(a.sum() + b.sum())
    if len(both) >= ENOUGH_LABELLERS:
        low, high = bootstrap(weight * gain, weight, both)
        return Figure(mean=mean, low=low, high=high, n=count, by=OVER_LABELLERS)
    if count < 3:
        return Figure(mean=mean, low=None, high=None, n=count)
    spread = correct[(with_claims | without) & np.isin(table.labeller, both)].var(ddof=1)
    half = Z * float(np.sqrt(spread * (weight**2 * (1 / a + 1 / b)).sum()) / weight.sum())
    return Figure(mean=mean, low=mean - half, high=mean + half, n=count, by=NORMAL)


def _changes(table: Columns, before: Int[np.ndarray, " pairs"], after: Int[np.ndarray, " pairs"]) -> Changes:
    start, end = table.side[before], table.side[after]
    question = table.comparison[after]
    verdict, known = table.asked.verdict[question], table.asked.known[question]
    moved = start != end
    led = moved & (verdict != NONE)
    correct = table.correct()
    judged = ~np.isnan(correct[after]) & (known != NONE)
    began, ended = correct[before] == 1, correct[after] == 1
    return Changes(
        moved=share(float(moved.sum()), len(moved)),
        followed=share(float((end[led] == verdict[led]).sum()), int(led.sum())),
        wrong_to_right=share(float((judged & ~began & ended).sum()), int((judged & ~began).sum())),
        right_to_wrong=share(float((judged & began & ~ended).sum()), int((judged & began).sum())),
    )
