"""Reward models: batched members against members alone, what fits learn, what they leave out, and files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.stats import poisson, spearmanr
from torch.nn import functional

from rewardtree.errors import RunError
from rewardtree.rewards import ensemble
from rewardtree.rewards.bradley_terry import preference_loss
from rewardtree.rewards.ensemble import (
    ENOUGH,
    SMOOTH,
    Fit,
    RewardModel,
    RewardShape,
    fit,
    initial,
    load_reward_model,
    member_rewards,
)

SHAPES = [
    RewardShape(features=5),
    RewardShape(features=5, hidden=0),
    RewardShape(features=5, peaked=True),
    RewardShape(features=5, peaked=True, hidden=0),
]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def model_of(shape: RewardShape, seed: int = 0) -> RewardModel:
    """A model whose every weight is random."""
    model = initial(shape, generator(seed))
    chance = generator(seed + 1)
    weights = {n: v + 0.3 * torch.randn(v.shape, generator=chance) for n, v in model.weights.items()}
    return replace(model, weights=weights | {"std": torch.rand(weights["std"].shape, generator=chance) + 0.5,
                                             "temperature": torch.tensor(1.7)})  # fmt: skip


def compared(
    reward: np.ndarray, rng: np.random.Generator, *, soft: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows to pair and answers: noisy votes, or the probabilities themselves."""
    half = len(reward) // 2
    probability = 1 / (1 + np.exp(-(reward[:half] - reward[half:])))
    answers = probability if soft else (rng.random(half) < probability).astype(float)
    return np.arange(half), np.arange(half, 2 * half), answers


@pytest.mark.parametrize("shape", SHAPES)
def test_members_together_are_members_alone(shape: RewardShape) -> None:
    """Each member is worked out by a plain network of its own."""
    model = model_of(shape)
    x = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    scored = model.score_members(x)
    for member in range(shape.members):
        w = {n: v[member] for n, v in model.weights.items() if n not in ("mean", "std", "temperature")}
        seen = torch.as_tensor(x[:, :4] if shape.peaked else x)
        seen = (seen - model.weights["mean"]) / model.weights["std"]
        if shape.hidden:
            hidden = functional.silu(seen @ w["first"] + w["first_bias"])
            hidden = functional.silu(hidden @ w["second"] + w["second_bias"])
            out = hidden @ w["out"] + w["out_bias"] + seen @ w["skip"]
        else:
            out = seen @ w["out"] + w["out_bias"]
        reward = out[:, 0]
        if shape.peaked:
            away = torch.as_tensor(x[:, 4]) - out[:, 1]
            reward = reward - functional.softplus(w["steepness"]) * (torch.sqrt(away**2 + SMOOTH**2) - SMOOTH)
        np.testing.assert_allclose(scored[member], (reward / 1.7).numpy(), rtol=1e-4, atol=1e-5)
    mean, spread = model.score(x)
    np.testing.assert_allclose(mean, scored.mean(axis=0))
    np.testing.assert_allclose(spread, scored.std(axis=0))


@pytest.mark.parametrize("shape", SHAPES[2:])
def test_candidates_are_the_scores_of_chosen_places(shape: RewardShape) -> None:
    model = model_of(shape)
    places = torch.randn(6, 3, generator=generator(5))
    steps = torch.linspace(-1, 2, 9)
    pointing, cost = model.candidates(places, steps)
    for index, step in enumerate(steps):
        rows = torch.cat([places, torch.ones(6, 1), torch.full((6, 1), float(step))], dim=1)
        np.testing.assert_allclose(
            (pointing - cost[:, index]).numpy(), model.score(rows.numpy())[0], rtol=1e-4, atol=1e-5
        )
    assert (cost >= 0).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_saved_and_loaded_it_is_the_same(shape: RewardShape, tmp_path: Path) -> None:
    model = model_of(shape)
    model.save(tmp_path / "model.safetensors")
    loaded = load_reward_model(tmp_path / "model.safetensors")
    assert loaded.shape == shape and loaded.weights.keys() == model.weights.keys()
    assert all(torch.equal(loaded.weights[n], v) for n, v in model.weights.items())
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    np.testing.assert_array_equal(loaded.score_members(x), model.score_members(x))


def test_files_that_are_no_reward_model_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(RunError, match=r"model\.safetensors"):
        load_reward_model(path)
    path.write_bytes(b"not safetensors")
    with pytest.raises(RunError, match="train it again"):
        load_reward_model(path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(RunError):
        load_reward_model(path)
    save_file({"x": torch.zeros(1)}, path, metadata={"features": "many", "peaked": "0", "hidden": "0", "members": "1"})
    with pytest.raises(RunError):
        load_reward_model(path)


def test_can_tell_nothing_from_abstentions() -> None:
    """Pairs without a preference are left out: the fit is that of the others alone."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3)).astype(np.float32)
    first, second, answers = compared(2 * x[:, 0], rng)
    shape = RewardShape(features=3, hidden=0, members=2)
    answers[::4] = np.nan
    kept = ~np.isnan(answers)
    noisy = [x[first].copy(), x[second].copy()]
    for side in noisy:
        side[~kept] = 1e6
    fitted, figures = fit(initial(shape, generator()), noisy[0], noisy[1], answers, generator=generator(1))
    alone, _ = fit(initial(shape, generator()), x[first][kept], x[second][kept], answers[kept], generator=generator(1))
    assert figures.pairs + figures.held_out == kept.sum()
    for name, value in alone.weights.items():
        assert torch.equal(fitted.weights[name], value), name


def test_without_preferences_the_model_stays_as_it_was() -> None:
    model = initial(RewardShape(features=3), generator())
    x = np.zeros((4, 3), dtype=np.float32)
    fitted, figures = fit(model, x, x, np.full(4, np.nan), generator=generator(1))
    assert fitted is model and figures.pairs == 0 and np.isnan(figures.accuracy)


def test_fits_of_the_same_generator_are_the_same_bit_for_bit_and_leave_their_start_alone() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 4)).astype(np.float32)
    first, second, answers = compared(x[:, 0], rng)
    start = initial(RewardShape(features=4, hidden=8), generator())
    before = {n: v.clone() for n, v in start.weights.items()}
    fits = [fit(start, x[first], x[second], answers, generator=generator(s), steps=60) for s in (1, 1, 2)]
    weights = [model.weights for model, _ in fits]
    assert all(torch.equal(weights[0][n], weights[1][n]) for n in before)
    assert not all(torch.equal(weights[0][n], weights[2][n]) for n in before)
    assert all(torch.equal(start.weights[n], v) for n, v in before.items())
    assert not any(v.requires_grad for v in weights[0].values())


def test_members_learn_from_bootstraps_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of the pairs follow a Poisson distribution of mean 1, drawn once a fit, a member and a pair."""
    seen: list[torch.Tensor] = []
    loss = preference_loss

    def watched(logits: torch.Tensor, probability: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        if logits.dim() == 2:
            seen.append(torch.stack([probability.expand_as(weight), weight]))
        return loss(logits, probability, weight)

    monkeypatch.setattr(ensemble, "preference_loss", watched)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 3)).astype(np.float32)
    names = np.linspace(0, 1, 250)  # each pair is known by its probability
    fit(
        initial(RewardShape(features=3, hidden=0, members=8), generator()),
        x[:250],
        x[250:],
        names,
        generator=generator(1),
    )
    weight_of: dict[float, torch.Tensor] = {}
    for names_, weights in seen[:20]:
        for column in range(weights.shape[1]):
            key = float(names_[0, column])
            assert torch.equal(weight_of.setdefault(key, weights[:, column]), weights[:, column])
    counts = torch.stack(list(weight_of.values())).flatten().numpy()
    assert len(weight_of) == 225 and set(np.unique(counts)) <= set(range(10))
    for count in range(4):
        assert (counts == count).mean() == pytest.approx(poisson.pmf(count, 1), abs=0.04)
    assert not torch.equal(*torch.stack(list(weight_of.values())).T[:2])


def linear_fit(seed: int, *, hidden: int = 0, soft: bool = False, pairs: int = 1200) -> tuple[float, Fit]:
    """Rank correlation on fresh inputs with a linear reward that answers followed, and the fit's figures."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=6)
    x = rng.normal(size=(2 * pairs, 6)).astype(np.float32)
    first, second, answers = compared(2 * x @ direction, rng, soft=soft)
    shape = RewardShape(features=6, hidden=hidden)
    model, figures = fit(initial(shape, generator(seed)), x[first], x[second], answers, generator=generator(seed + 9))
    fresh = rng.normal(size=(2000, 6)).astype(np.float32)
    return float(spearmanr(model.score(fresh)[0], fresh @ direction).statistic), figures


@pytest.mark.parametrize("hidden", [0, 32])
def test_a_linear_reward_is_recovered_from_noisy_votes(hidden: int) -> None:
    """Christiano et al. 2017, section 2.2.3: votes of a Boltzmann-rational evaluator suffice."""
    found = [linear_fit(seed, hidden=hidden) for seed in range(5)]
    assert np.mean([correlation for correlation, _ in found]) > 0.97
    assert min(correlation for correlation, _ in found) > 0.95
    for _, figures in found:
        assert figures.pairs == 1080 and figures.held_out == 120 and figures.accuracy > 0.75


def test_soft_probabilities_teach_more_than_votes() -> None:
    soft, hard = ([1 - linear_fit(s, soft=kind, pairs=150)[0] for s in range(5)] for kind in (True, False))
    assert np.mean(soft) < 0.5 * np.mean(hard)


def test_ties_teach_that_rewards_are_equal() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 3)).astype(np.float32)
    shape = RewardShape(features=3, hidden=0)
    model, _ = fit(initial(shape, generator()), x[:300], x[300:], np.full(300, 0.5), generator=generator(1))
    assert np.abs(model.score(x)[0]).max() < 1e-3


def test_probabilities_are_calibrated_where_enough_is_held_out() -> None:
    _, figures = linear_fit(0, hidden=32, pairs=4000)
    assert figures.held_out >= ENOUGH and figures.calibration_error < 0.08
    assert figures.loss < np.log(2)


def test_a_peaked_reward_finds_where_the_peak_is() -> None:
    """R = g(x) - |v - h(x)|: both g and h are recovered from votes."""
    errors, correlations = [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(3000, 4)).astype(np.float32)
        where, high = 3 + x @ np.array([1.0, -0.5, 0, 0]), 2 * x[:, 2]
        value = where + rng.normal(scale=1.5, size=len(x))
        first, second, answers = compared(4 * (high - np.abs(value - where)), rng)
        rows = np.concatenate([x, value[:, None]], axis=1).astype(np.float32)
        shape = RewardShape(features=5, peaked=True, hidden=0)
        model, _ = fit(initial(shape, generator(seed)), rows[first], rows[second], answers, generator=generator(seed))
        out = ensemble.heads(model.weights, torch.as_tensor(x)).mean(0).numpy()
        errors.append(np.abs(out[:, 1] - where).mean())
        correlations.append(np.corrcoef(out[:, 0], high)[0, 1])
    assert np.mean(errors) < 0.25 and min(correlations) > 0.97


def test_members_disagree_most_far_from_what_they_saw() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2)).astype(np.float32)
    first, second, answers = compared(np.sin(2 * x[:, 0]) * 3, rng)
    shape = RewardShape(features=2, hidden=32)
    model, _ = fit(initial(shape, generator()), x[first], x[second], answers, generator=generator(1))
    near, far = model.score(x)[1], model.score(8 * x)[1]
    assert far.mean() > 3 * near.mean()


def test_rewards_of_one_side_do_not_depend_on_the_other() -> None:
    model = model_of(SHAPES[0])
    x = torch.randn(6, 5, generator=generator(3))
    together = member_rewards(model.weights, x, model.shape)
    np.testing.assert_allclose(
        member_rewards(model.weights, x[2:4], model.shape), together[:, 2:4], rtol=1e-5, atol=1e-6
    )
