"""Intervals against closed forms, and coverage by simulation."""

import numpy as np
import pytest
from scipy import stats

from rewardtree.studies.estimates import UNDEFINED, gap_recovered, of_items, over_seeds


def seeds(means: list[float]) -> list[dict[str, float]]:
    return [{"mean": m, "error": 0.01, "n": 100} for m in means]


def test_several_seeds_give_students_interval() -> None:
    values = [0.1, 0.4, 0.2, 0.7, 0.3]
    found = over_seeds(seeds(values))
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (found["low"], found["high"]) == pytest.approx((low, high))
    assert (found["n"], found["unit"]) == (5, "seeds")


def test_one_seed_gives_the_interval_of_its_items() -> None:
    fact = of_items(np.array([0.0, 1.0, 1.0, np.nan]))
    found = over_seeds([fact])
    assert found["n"] == 3 and found["unit"] == "items"
    assert found["high"] - found["mean"] == pytest.approx(1.96 * np.std([0, 1, 1], ddof=1) / 3**0.5)


def test_nothing_known_is_no_number() -> None:
    assert over_seeds([of_items(np.array([np.nan]))])["mean"] is None


def test_gap_of_paired_seeds() -> None:
    unaided, expert = [0.50, 0.55, 0.60], [0.90, 0.95, 1.00]
    found = gap_recovered(seeds([u + 0.3 for u in unaided]), seeds(unaided), seeds(expert))
    assert isinstance(found, dict)
    assert (found["mean"], found["low"], found["high"]) == pytest.approx((0.75, 0.75, 0.75))


def test_gap_is_undefined_where_there_is_none() -> None:
    assert gap_recovered(seeds([0.6, 0.5, 0.7]), seeds([0.5, 0.6, 0.55]), seeds([0.55, 0.5, 0.62])) == UNDEFINED
