"""Estimates with intervals: over seeds where there are several, else over items."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float
from scipy import stats

Estimate: TypeAlias = dict[str, Any]
"""`{mean, low, high, n, unit}`; a 95 % interval."""
UNDEFINED = "undefined"
RESAMPLES = 4000


def of_items(values: Float[np.ndarray, " items"]) -> dict[str, float]:
    """What one seed has to say: mean, standard error and number of items, not counting nan."""
    known = np.asarray(values, dtype=float)
    known = known[~np.isnan(known)]
    if len(known) == 0:
        return {"mean": float("nan"), "error": float("nan"), "n": 0}
    error = float(known.std(ddof=1) / len(known) ** 0.5) if len(known) > 1 else 0.0
    return {"mean": float(known.mean()), "error": error, "n": len(known)}


def one(value: float) -> dict[str, float]:
    """A number that is known, as one seed has to say it."""
    return {"mean": float(value), "error": 0.0, "n": 1}


def over_seeds(facts: Sequence[dict[str, float]]) -> Estimate:
    """One estimate from what every seed has to say.

    With several seeds, Student's interval of their means; with one, the normal interval of its items.
    """
    facts = [fact for fact in facts if fact["n"]]
    if not facts:
        return {"mean": None, "low": None, "high": None, "n": 0, "unit": "seeds"}
    means = np.array([fact["mean"] for fact in facts])
    if len(means) == 1:
        half, count, unit = 1.96 * facts[0]["error"], int(facts[0]["n"]), "items"
    else:
        half = float(stats.t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / len(means) ** 0.5)
        count, unit = len(means), "seeds"
    mean = float(means.mean())
    return {"mean": mean, "low": mean - half, "high": mean + half, "n": count, "unit": unit}


def gap_recovered(
    assisted: Sequence[dict[str, float]],
    unaided: Sequence[dict[str, float]],
    expert: Sequence[dict[str, float]],
) -> Estimate | str:
    """(assisted - unaided) / (expert - unaided), by a paired bootstrap over seeds; over items' errors with one seed.

    Returns:
        The estimate, or `UNDEFINED` where the interval of the denominator holds zero.
    """
    means = np.array([[fact["mean"] for fact in kind] for kind in (assisted, unaided, expert)])
    rng = np.random.default_rng(0)
    seeds = means.shape[1]
    if seeds > 1:
        rows = rng.integers(seeds, size=(RESAMPLES, seeds))
        drawn = means[:, rows].mean(axis=2)
    else:
        errors = np.array([[fact["error"] for fact in kind] for kind in (assisted, unaided, expert)])
        drawn = means + errors * rng.standard_normal((3, RESAMPLES))
    denominator = drawn[2] - drawn[1]
    low, high = np.quantile(denominator, [0.025, 0.975])
    if low <= 0 <= high:
        return UNDEFINED
    centre = means.mean(axis=1)
    count, unit = (seeds, "seeds") if seeds > 1 else (int(assisted[0]["n"]), "items")
    bounds = np.quantile((drawn[0] - drawn[1]) / denominator, [0.025, 0.975])
    share = float((centre[0] - centre[1]) / (centre[2] - centre[1]))
    return {"mean": share, "low": float(bounds[0]), "high": float(bounds[1]), "n": count, "unit": unit}
