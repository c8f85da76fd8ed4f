from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rliable import metrics
from scipy import stats

from rewardtree.errors import RunError
from rewardtree.studies.comparing_schemes import (
    COVERAGE,
    SHARES,
    apart,
    average,
    check,
    clear_winner,
    compare,
    cut,
    interquartile_mean,
    probability_of_improvement,
    scores_of,
)

FEW = 300


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)[:, None]


def estimate(mean: float, half: float) -> dict[str, Any]:
    return {"mean": mean, "low": mean - half, "high": mean + half, "n": 5, "unit": "seeds"}


@pytest.mark.parametrize("seeds", [2, 3, 4, 5, 8, 11])
def test_the_interquartile_mean_is_the_trimmed_mean_of_all_scores(seeds: int) -> None:
    scores = np.random.default_rng(seeds).random((seeds, 2))
    found = interquartile_mean(scores, 20)
    assert found["mean"] == pytest.approx(stats.trim_mean(scores.ravel(), 0.25))
    assert found["low"] <= found["mean"] <= found["high"]
    assert (found["n"], found["unit"]) == (seeds, "seeds")


def test_the_interval_is_that_of_all_resamples() -> None:
    values = np.array([0.1, 0.4, 0.5, 0.9])
    every = [np.sort(values[list(drawn)])[1:3].mean() for drawn in product(range(4), repeat=4)]
    low, high = np.quantile(every, [0.025, 0.975])
    found = interquartile_mean(column(*values), 4000)
    assert found["mean"] == pytest.approx(0.45)
    assert found["low"] == pytest.approx(low, abs=0.02) and found["high"] == pytest.approx(high, abs=0.02)
    # Of three runs, one in 27 resamples is all of the worst: more than one in 40, so the interval reaches it.
    three = interquartile_mean(column(0.2, 0.3, 0.7), 2000)
    assert (three["low"], three["high"]) == pytest.approx((0.2, 0.7))


def test_runs_are_drawn_within_tasks() -> None:
    found = interquartile_mean(np.tile([0.0, 1.0], (6, 1)), FEW)
    assert (found["low"], found["mean"], found["high"]) == (0.5, 0.5, 0.5)


def test_one_seed_has_no_interval_and_none_no_mean() -> None:
    one = interquartile_mean(column(0.7))
    assert (one["mean"], one["low"], one["high"], one["n"]) == (0.7, None, None, 1)
    assert interquartile_mean(column()) == {"mean": None, "low": None, "high": None, "n": 0, "unit": "seeds"}
    better = compare(column(0.7), column(0.5, 0.9))
    assert better.improvement == {"mean": 0.5, "low": None, "high": None, "n": 1, "unit": "seeds"}
    assert better.difference["low"] is None and better.difference["mean"] == pytest.approx(0.0)
    assert compare(column(), column(0.5)).improvement["mean"] is None


@given(
    arrays(float, (5, 2), elements=st.sampled_from([0.0, 0.5, 1.0])), arrays(float, (3, 2), elements=st.floats(0, 1))
)
def test_the_probability_of_improvement_is_the_rank_tests_and_the_packages(a: np.ndarray, b: np.ndarray) -> None:
    found = probability_of_improvement(a, b)
    ranks = [stats.mannwhitneyu(a[:, i], b[:, i], method="asymptotic").statistic / 15 for i in range(2)]
    assert found == pytest.approx(np.mean(ranks))
    assert found == pytest.approx(metrics.probability_of_improvement(a, b))
    assert found + probability_of_improvement(b, a) == pytest.approx(1.0)


def test_comparing_finds_a_difference_and_its_interval() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(0.9, 0.02, (6, 1)), rng.normal(0.8, 0.02, (6, 1))
    better = compare(ours, theirs, FEW)
    iqm = stats.trim_mean(ours, 0.25)[0] - stats.trim_mean(theirs, 0.25)[0]
    assert better.difference["mean"] == pytest.approx(iqm)
    assert 0 < better.difference["low"] < iqm < better.difference["high"]
    assert better.improvement["low"] > 0.9
    same = compare(ours, ours, FEW)
    assert same.improvement["mean"] == 0.5 and same.improvement["low"] < 0.5 < same.improvement["high"]
    assert same.difference["low"] < 0 < same.difference["high"]


def test_the_same_scores_give_the_same_intervals_and_leave_other_draws_alone() -> None:
    scores = np.random.default_rng(0).random((5, 1))
    np.random.seed(11)
    expected = np.random.random()
    np.random.seed(11)
    first = interquartile_mean(scores, FEW)
    assert np.random.random() == expected
    assert interquartile_mean(scores, FEW) == first


def test_intervals_of_few_seeds_hold_what_is_said() -> None:
    rng = np.random.default_rng(0)
    held = []
    for _ in range(800):
        values = rng.standard_normal(3)  # the interquartile mean of three is their mean
        low, high = np.quantile(values[rng.integers(3, size=(400, 3))].mean(axis=1), [0.025, 0.975])
        held.append(low <= 0 <= high)
    assert np.mean(held) == pytest.approx(COVERAGE[3], abs=0.05)


def test_an_average_has_students_interval_cut_off_at_what_can_be() -> None:
    values = [0.9, 0.95, 1.0, None, float("nan")]
    low, high = stats.t.interval(0.95, 2, loc=0.95, scale=stats.sem(values[:3]))
    found = average(values)
    assert (found["mean"], found["low"], found["high"]) == pytest.approx((0.95, low, high))
    assert found["n"] == 3 and high > 1
    assert average(values, within=SHARES)["high"] == 1.0
    assert average([0.9])["low"] is None and average([])["mean"] is None
    assert cut({"mean": 0.5, "low": None, "high": None}, SHARES)["low"] is None


def test_intervals_that_touch_are_not_apart() -> None:
    assert apart(estimate(0.9, 0.04), estimate(0.8, 0.04)) and apart(estimate(0.8, 0.04), estimate(0.9, 0.04))
    assert not apart({"low": 0.8, "high": 0.9}, {"low": 0.9, "high": 1.0})
    for unknown in (None, "undefined", {"mean": 0.1, "low": None, "high": None}):
        assert not apart(estimate(0.9, 0.01), unknown) and not apart(unknown, estimate(0.9, 0.01))


def test_only_a_winner_clear_of_all_others_is_one() -> None:
    rewards = {"a": estimate(0.9, 0.02), "b": estimate(0.8, 0.02), "c": estimate(0.85, 0.02)}
    assert clear_winner(rewards) == "a"
    assert clear_winner(rewards | {"c": estimate(0.88, 0.02)}) is None
    assert clear_winner(rewards | {"d": {"mean": 0.1, "low": None, "high": None}}) is None
    assert clear_winner({"a": rewards["a"]}) is None and clear_winner({}) is None
    exact = {"mean": 1.0, "low": 1.0, "high": 1.0}
    assert clear_winner({"a": exact, "b": exact}) is None and clear_winner({"a": exact, "b": rewards["b"]}) == "a"


def test_failed_runs_have_no_score() -> None:
    rows: list[dict[str, Any]] = [
        {"true_reward": 0.5, "failed": None},
        {"true_reward": float("nan")},
        {"true_reward": None},
        {"true_reward": 0.9, "failed": "it broke"},
    ]
    assert scores_of(rows).tolist() == [[0.5]]
    assert scores_of(rows[1:]).shape == (0, 1)


def test_facts_that_cannot_be_compared_are_refused() -> None:
    run = {"task": "t", "scheme": "a", "seed": 0, "budget": 10}
    check([run, run | {"seed": 1}])
    with pytest.raises(RunError, match="twice"):
        check([run, run])
    with pytest.raises(RunError, match="several tasks: t, u"):
        check([run, run | {"seed": 1, "task": "u"}])
    with pytest.raises(RunError, match="lack scheme, seed or budget"):
        check([{"task": "t", "scheme": "a", "seed": 0}])
