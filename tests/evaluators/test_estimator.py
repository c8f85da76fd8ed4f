"""The estimator: an additive ridge on lines that bend at quantiles."""

import numpy as np
import pytest
from scipy.optimize import minimize

from rewardtree.evaluators.estimator import KNOTS, expand, fit_estimator


def sides(seed: int, columns: int = 3, pairs: int = 800) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.random.default_rng(seed).normal(size=(2, pairs, columns))
    return first, second


def test_terms_are_a_line_and_its_bends() -> None:
    features, knots, spread = np.array([[0.0], [2.0], [5.0]]), np.array([[1.0], [2.0], [4.0]]), np.array([2.0])
    expected = [[-1.0, 0.0, 0.0, 0.0], [0.0, 0.5, 0.0, 0.0], [1.5, 2.0, 1.5, 0.5]]
    np.testing.assert_allclose(expand(features, knots, spread), expected)


def test_coefficients_minimise_the_penalised_squares() -> None:
    first, second = sides(0, columns=2, pairs=60)
    difference = np.random.default_rng(1).normal(size=60)
    found = fit_estimator(first, second, difference, ridge=0.05)
    terms = expand(first, found.knots, found.spread) - expand(second, found.knots, found.spread)

    def loss(coefficients: np.ndarray) -> float:
        return float(((terms @ coefficients - difference) ** 2).mean() + 0.05 * (coefficients**2).sum())

    best = minimize(loss, np.zeros(terms.shape[1]), tol=1e-12)
    np.testing.assert_allclose(found.coefficients, best.x, atol=1e-4)


@pytest.mark.parametrize(
    ("reward", "least"),
    [(lambda x: x[:, 0] - 2 * x[:, 1], 0.999), (lambda x: np.abs(x[:, 0]) + np.maximum(x[:, 2], 1.0), 0.97)],
    ids=["linear", "bent"],
)
def test_additive_rewards_are_learnt_from_differences(reward: object, least: float) -> None:
    assert callable(reward)
    first, second = sides(2)
    estimator = fit_estimator(first, second, reward(first) - reward(second))
    fresh = sides(3)[0]
    assert np.corrcoef(estimator(fresh), reward(fresh))[0, 1] > least


def test_what_is_the_same_everywhere_makes_no_difference() -> None:
    first, second = sides(4)
    difference = first[:, 0] - second[:, 0]
    constant = np.full((len(first), 1), 1e6 / 3)
    noise = np.random.default_rng(0).normal(size=constant.shape) * 1e-11 * constant
    plain = fit_estimator(first, second, difference)
    wider = fit_estimator(np.hstack([first, constant + noise]), np.hstack([second, constant]), difference)
    fresh = sides(5)[0]
    for value in (1e6 / 3, 0.0, -1e9):
        seen = np.hstack([fresh, np.full((len(fresh), 1), value)])
        np.testing.assert_allclose(wider(seen), plain(fresh), atol=1e-9)


@pytest.mark.parametrize("unit", [1e-13, 1e12])
def test_units_of_the_features_make_no_difference(unit: float) -> None:
    first, second = sides(6)
    difference = np.abs(first[:, 0]) - np.abs(second[:, 0])
    fresh = sides(7)[0]
    one = fit_estimator(first, second, difference)(fresh)
    other = fit_estimator(first * unit, second * unit, difference)(fresh * unit)
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def test_a_row_is_estimated_by_itself() -> None:
    first, second = sides(8)
    estimator = fit_estimator(first, second, first[:, 0] - second[:, 0])
    assert estimator.coefficients.shape == ((1 + len(KNOTS)) * 3,)
    np.testing.assert_allclose(estimator(first)[5:6], estimator(first[5:6]), rtol=1e-12)
