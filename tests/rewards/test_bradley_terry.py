"""Bradley-Terry's loss, accuracy, calibration error and temperature against scipy and plain arithmetic."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_expit
from scipy.stats import bernoulli, entropy

from rewardtree.rewards.bradley_terry import accuracy, calibration_error, fit_temperature, preference_loss

logit = st.floats(-20, 20)
share = st.floats(0, 1)


def tensor(values: object) -> torch.Tensor:
    return torch.as_tensor(np.asarray(values, dtype=float))


@given(rows=st.lists(st.tuples(logit, share, st.floats(0.01, 5)), min_size=1, max_size=8))
def test_loss_is_the_weighted_negative_log_likelihood(rows: list[tuple[float, float, float]]) -> None:
    logits, probability, weight = np.array(rows).T
    each = -(probability * log_expit(logits) + (1 - probability) * log_expit(-logits))
    expected = np.average(each, weights=weight)
    assert float(preference_loss(*map(tensor, (logits, probability, weight)))) == pytest.approx(expected, rel=1e-9)


def test_loss_of_votes_is_that_of_a_bernoulli_variable() -> None:
    rng = np.random.default_rng(0)
    logits, votes = rng.normal(size=50), rng.integers(0, 2, size=50)
    expected = -bernoulli.logpmf(votes, 1 / (1 + np.exp(-logits))).mean()
    assert float(preference_loss(tensor(logits), tensor(votes), torch.ones(50))) == pytest.approx(expected)


@given(logits=st.lists(logit, min_size=2, max_size=5))
def test_a_tie_costs_least_at_zero_and_swapping_sides_changes_nothing(logits: list[float]) -> None:
    ties, one = tensor([0.5] * len(logits)), torch.ones(len(logits)).double()
    tied = float(preference_loss(tensor(logits), ties, one))
    assert tied >= np.log(2) - 1e-12
    assert tied == pytest.approx(float(preference_loss(-tensor(logits), 1 - ties, one)), rel=1e-9)


def test_pairs_of_weight_zero_do_not_count_and_none_at_all_costs_nothing() -> None:
    logits, probability = tensor([1.0, -3.0]), tensor([1.0, 1.0])
    some = float(preference_loss(logits, probability, tensor([2.0, 0.0])))
    assert some == pytest.approx(float(np.log1p(np.exp(-1.0))))
    assert float(preference_loss(logits, probability, tensor([0.0, 0.0]))) == 0.0


def test_members_are_weighted_apart() -> None:
    rng = np.random.default_rng(1)
    logits, weight, probability = rng.normal(size=(3, 9)), rng.random((3, 9)), rng.random(9)
    together = preference_loss(tensor(logits), tensor(probability), tensor(weight))
    apart = [
        float(preference_loss(tensor(a), tensor(probability), tensor(w))) for a, w in zip(logits, weight, strict=True)
    ]
    np.testing.assert_allclose(together, apart, rtol=1e-12)


@pytest.mark.parametrize(
    ("logits", "probability", "expected"),
    [
        ([1, -1], [1, 0], 1.0),
        ([1, -1], [0, 1], 0.0),
        ([0, 2], [1, 1], 0.75),
        ([1, 1], [0.5, 0.9], 0.75),
        ([0], [0.5], 0.5),
    ],
)
def test_accuracy_counts_ties_half(logits: list[float], probability: list[float], expected: float) -> None:
    assert accuracy(tensor(logits), tensor(probability)) == expected


def test_no_pairs_give_nan() -> None:
    assert np.isnan(accuracy(tensor([]), tensor([]))) and np.isnan(calibration_error(tensor([]), tensor([])))


def test_calibration_error_by_hand() -> None:
    """Two bins of ten: confidences 0.52 and 0.53 observed at a half, 0.97 at 1; a preferred second side is turned."""
    confidence = np.array([0.52, 0.53, 0.97])
    sign = np.array([1, -1, -1])
    logits = sign * np.log(confidence / (1 - confidence))
    probability = np.array([1.0, 1.0, 0.0])
    expected = (2 * abs(0.525 - 0.5) + abs(0.97 - 1.0)) / 3
    assert calibration_error(tensor(logits), tensor(probability)) == pytest.approx(expected)


def test_calibration_error_of_true_probabilities_is_small_and_of_bold_ones_is_not() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(scale=2, size=20000)
    votes = rng.random(20000) < 1 / (1 + np.exp(-logits))
    assert calibration_error(tensor(logits), tensor(votes)) < 0.01
    assert calibration_error(tensor(logits * 3), tensor(votes)) > 0.08


@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
def test_temperature_is_that_of_a_continuous_search(temperature: float) -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(scale=2, size=2000)
    votes = (rng.random(2000) < 1 / (1 + np.exp(-logits / temperature))).astype(float)

    def loss(log_temperature: float) -> float:
        x = logits / np.exp(log_temperature)
        return float(-(votes * log_expit(x) + (1 - votes) * log_expit(-x)).mean())

    best = np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x)
    found = fit_temperature(tensor(logits), tensor(votes), torch.ones(2000).double())
    step = 10 ** (2 / 80)
    assert best / step <= found <= best * step


def test_the_least_loss_is_the_entropy_of_the_answers() -> None:
    probability = np.array([0.1, 0.4, 0.8])
    logits = np.log(probability / (1 - probability))
    expected = np.mean([entropy([p, 1 - p]) for p in probability])
    assert float(preference_loss(tensor(logits), tensor(probability), torch.ones(3))) == pytest.approx(expected)
