"""Shares and means with 95 % intervals: Wilson's for answers, a bootstrap over whole labellers or comparisons."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

Z = 1.959963984540054
"""97.5 % quantile of the normal distribution."""
RESAMPLES = 1000
BLOCKS = 400
"""More groups than this are resampled in as many blocks, which differs little and costs a constant time."""
ENOUGH_LABELLERS = 5
"""A bootstrap over fewer labellers than this would be too narrow; comparisons are resampled instead."""

WILSON = "wilson"
OVER_LABELLERS = "bootstrap over labellers"
OVER_COMPARISONS = "bootstrap over comparisons"
JACKKNIFE = "jackknife over comparisons"
NORMAL = "normal over answers"


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A share, mean or difference.

    Attributes:
        mean: the figure itself, or None where there is nothing to take it from.
        low: lower end of its 95 % interval, or None.
        high: upper end.
        n: answers, pairs or comparisons that it is taken from.
        by: how the interval was made, or "".
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int
    by: str = ""


NOTHING = Figure(mean=None, low=None, high=None, n=0)


def number(value: float) -> float | None:
    """A number for JSON: None where it is not finite."""
    return float(value) if math.isfinite(value) else None


def share(points: float, n: int) -> Figure:
    """The share points / n with Wilson's interval (1927, J. Am. Stat. Assoc. 22); half points are allowed."""
    return shares(np.array([points], float), np.array([n]))[0]


def shares(points: Float[np.ndarray, " groups"], n: Int[np.ndarray, " groups"]) -> list[Figure]:
    """A share for each group; see `share`."""
    known = np.maximum(n, 1)
    mean = points / known
    centre = (mean + Z**2 / (2 * known)) / (1 + Z**2 / known)
    half = Z / (1 + Z**2 / known) * np.sqrt(mean * (1 - mean) / known + Z**2 / (4 * known**2))
    low, high = np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
    return [
        Figure(mean=m, low=min(a, m), high=max(b, m), n=k, by=WILSON) if k else NOTHING
        for m, a, b, k in zip(mean.tolist(), low.tolist(), high.tolist(), n.tolist(), strict=True)
    ]


def clustered_share(
    points: Float[np.ndarray, " answers"],
    labeller: Int[np.ndarray, " answers"],
    comparison: Int[np.ndarray, " answers"],
) -> Figure:
    """A share of answers that several labellers gave, or several got of one comparison.

    Whole labellers are resampled where there are `ENOUGH_LABELLERS`, else whole comparisons. Where all points
    are alike a bootstrap would say that nothing is uncertain; Wilson's interval is given.

    Args:
        points: 1, 0.5 or 0 an answer.
        labeller: who gave it.
        comparison: to what.
    """
    if len(points) == 0 or np.ptp(points) == 0:
        return share(float(points.sum()), len(points))
    return clustered_mean(points, labeller, comparison)


def clustered_mean(
    values: Float[np.ndarray, " answers"],
    labeller: Int[np.ndarray, " answers"],
    comparison: Int[np.ndarray, " answers"],
) -> Figure:
    """The mean of values, by a bootstrap over labellers or comparisons; see `clustered_share`."""
    group, by = clusters(labeller, comparison)
    low, high = bootstrap(values, np.ones(len(values)), group)
    mean = number(values.mean()) if len(values) else None
    return Figure(mean=mean, low=low, high=high, n=len(values), by=by if low is not None else "")


def clusters(
    labeller: Int[np.ndarray, " answers"], comparison: Int[np.ndarray, " answers"]
) -> tuple[Int[np.ndarray, " answers"], str]:
    """What is resampled as a whole: the group of each answer, and what the groups are called."""
    if len(np.unique(labeller)) >= ENOUGH_LABELLERS:
        return labeller, OVER_LABELLERS
    return comparison, OVER_COMPARISONS


def bootstrap(
    above: Float[np.ndarray, " answers"], below: Float[np.ndarray, " answers"], group: Int[np.ndarray, " answers"]
) -> tuple[float, float] | tuple[None, None]:
    """95 % interval of sum(above) / sum(below), whole groups drawn with replacement.

    Returns:
        The interval; (None, None) with fewer than two groups.
    """
    blocks, block = into_blocks(group)
    if blocks < 2:
        return None, None
    sums = np.stack([np.bincount(block, part, blocks) for part in (above, below)], axis=1).round(12)
    # Rounded and in order, so that the same answers give the same interval in whatever order they came in.
    sums = sums[np.lexsort(sums.T)]
    drawn = np.random.default_rng(0).multinomial(blocks, np.full(blocks, 1 / blocks), RESAMPLES) @ sums
    drawn = drawn[drawn[:, 1] > 0]
    if not len(drawn):
        return None, None
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    return float(low), float(high)


def into_blocks(group: Int[np.ndarray, " answers"], most: int = BLOCKS) -> tuple[int, Int[np.ndarray, " answers"]]:
    """Numbers groups from 0, and puts them into `most` blocks at random where there are more; how many there are."""
    present, block = np.unique(group, return_inverse=True)
    if len(present) > most:
        place = np.random.default_rng(0).permutation(len(present)) % most
        return most, place[block]
    return len(present), block


def median(values: Iterable[float]) -> float | None:
    """The median, or None of nothing."""
    known = np.fromiter(values, float)
    return number(np.median(known)) if len(known) else None
