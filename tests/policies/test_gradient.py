"""The policy gradient: leave-one-out baselines are unbiased, and ascent ends at the closed form."""

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import log_softmax, softmax

from rewardtree.errors import ConfigError
from rewardtree.policies.gradient import Ascent, Weights, improve, leave_one_out

CHOICES = 3
REWARDS = torch.tensor([[0.3, -0.2, 1.0], [1.0, 0.4, 0.0]])


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Inputs: numbers of rows of a table."""

    row: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    def take(self, rows: np.ndarray) -> "Rows":
        return Rows(row=self.row[rows])


@dataclass(frozen=True, kw_only=True)
class Table:
    """A policy with a logit for each choice in each row."""

    weights: Weights
    version: str = "untrained"

    def propose(self, inputs: Rows, rng: np.random.Generator) -> np.ndarray:
        logits = self.weights["logits"].double().numpy()[inputs.row]
        chosen: np.ndarray = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
        return chosen

    def log_probability(self, weights: Weights, inputs: Rows, outputs: np.ndarray) -> torch.Tensor:
        rows = torch.log_softmax(weights["logits"], 1)[torch.as_tensor(inputs.row)]
        return rows.gather(1, torch.as_tensor(outputs)[:, None])[:, 0]

    def with_weights(self, weights: Weights, version: str) -> "Table":
        return replace(self, weights=weights, version=version)


def draw(rng: np.random.Generator, count: int) -> Rows:
    return Rows(row=rng.integers(2, size=count))


def score(inputs: Rows, outputs: Any) -> Any:
    return REWARDS.double().numpy()[inputs.row, outputs]


@given(rewards=st.integers(2, 6).flatmap(lambda n: arrays(float, (3, n), elements=st.floats(-100, 100, width=32))))
def test_each_reward_is_compared_with_the_mean_of_the_others(rewards: np.ndarray) -> None:
    found = leave_one_out(torch.as_tensor(rewards)).numpy()
    for row, column in product(*map(range, rewards.shape)):
        others = np.delete(rewards[row], column).mean()
        assert found[row, column] == pytest.approx(rewards[row, column] - others, abs=1e-9)
    np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-6)


@pytest.mark.parametrize("beta", [0.0, 0.7])
@pytest.mark.parametrize("samples", [2, 3])
def test_its_expectation_is_the_exact_gradient(samples: int, beta: float) -> None:
    """Every outcome of every sample is enumerated; the objective's gradient is autograd's."""
    logits = torch.tensor([0.5, -0.3, 0.1], dtype=torch.float64, requires_grad=True)
    reference = torch.log_softmax(torch.tensor([0.0, 1.0, -1.0], dtype=torch.float64), 0)
    rewards = REWARDS[0].double()
    log_p = torch.log_softmax(logits, 0)
    objective = (log_p.exp() * (rewards - beta * (log_p - reference))).sum()
    (exact,) = torch.autograd.grad(objective, logits)
    expected = torch.zeros(CHOICES, dtype=torch.float64)
    for drawn in product(range(CHOICES), repeat=samples):
        index = torch.tensor(drawn)
        log_p = torch.log_softmax(logits, 0)[index]
        regularised = (rewards[index] - beta * (log_p - reference[index])).detach()
        advantage = leave_one_out(regularised[None])[0]
        (estimate,) = torch.autograd.grad((advantage * log_p).mean(), logits)
        expected += log_p.sum().exp().detach() * estimate
    torch.testing.assert_close(expected, exact, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("beta", [0.3, 1.0])
def test_ascent_ends_at_the_tilted_reference(beta: float) -> None:
    """Korbak et al. 2022 (arXiv 2205.11275), eq. 4: the optimum is softmax(log reference + reward / beta)."""
    reference = torch.tensor([[0.0, 1.0, -0.5], [0.2, 0.0, 0.0]])
    ascent = Ascent(updates=300, inputs=16, samples=8, beta=beta, rate=0.05)
    found = improve(Table(weights={"logits": torch.zeros(2, CHOICES)}), {"logits": reference}, score, draw,
                    np.random.default_rng(0), version="v1", ascent=ascent)  # fmt: skip
    best = softmax(log_softmax(reference.double().numpy(), axis=1) + REWARDS.double().numpy() / beta, axis=1)
    np.testing.assert_allclose(softmax(found.weights["logits"].double().numpy(), axis=1), best, atol=0.05)
    assert found.version == "v1"


def test_without_divergence_the_best_choice_wins() -> None:
    ascent = Ascent(updates=150, inputs=16, samples=4, beta=0.0, rate=0.1)
    start = Table(weights={"logits": torch.zeros(2, CHOICES)})
    found = improve(start, start.weights, score, draw, np.random.default_rng(0), version="v1", ascent=ascent)
    np.testing.assert_array_equal(found.weights["logits"].argmax(1), REWARDS.argmax(1))
    assert softmax(found.weights["logits"].numpy(), axis=1).max(axis=1).min() > 0.95


def test_ascent_is_reproducible_and_leaves_start_and_reference_alone() -> None:
    start = Table(weights={"logits": torch.zeros(2, CHOICES), "mean": torch.ones(1)})
    reference = {"logits": torch.ones(2, CHOICES)}
    found = [
        improve(start, reference, score, draw, np.random.default_rng(s), version="v", ascent=Ascent(updates=5)).weights
        for s in (1, 1, 2)
    ]
    assert torch.equal(found[0]["logits"], found[1]["logits"]) and not torch.equal(
        found[0]["logits"], found[2]["logits"]
    )
    assert not start.weights["logits"].any() and (reference["logits"] == 1).all()
    assert found[0]["mean"] == 1 and not found[0]["logits"].requires_grad


def test_the_reward_is_asked_of_outputs_of_the_current_policy() -> None:
    """A choice that is never good is drawn ever more rarely."""
    shares: list[float] = []

    def watching(inputs: Rows, outputs: Any) -> Any:
        shares.append(float((outputs == 0).mean()))
        return np.where(outputs == 0, -1.0, 1.0)

    start = Table(weights={"logits": torch.zeros(2, CHOICES)})
    improve(start, start.weights, watching, draw, np.random.default_rng(0), version="v",
            ascent=Ascent(updates=60, rate=0.1))  # fmt: skip
    assert shares[0] == pytest.approx(1 / 3, abs=0.1) and np.mean(shares[-10:]) < 0.05


@pytest.mark.parametrize("wrong", [{"updates": 0}, {"inputs": 0}, {"samples": 1}, {"beta": -0.1}, {"rate": 0.0}])
def test_an_ascent_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="ascent"):
        Ascent(**wrong)
