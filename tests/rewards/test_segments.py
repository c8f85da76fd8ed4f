"""Reward models of segments: sums over steps, members apart, what fits learn, and files."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rewardtree.errors import RunError
from rewardtree.rewards.segments import SegmentModel, SegmentRewards

COLUMNS, STEPS = 4, 6
LEARNER = SegmentRewards(columns=COLUMNS, hidden=8)


def rows(rng: np.random.Generator, count: int, steps: int = STEPS, padded: bool = False) -> np.ndarray:
    seen = rng.normal(size=(count, steps, COLUMNS)).astype(np.float32)
    seen[..., -1] = 1.0
    if padded:
        seen[np.arange(steps) >= rng.integers(2, steps + 1, size=count)[:, None]] = 0.0
    return seen.reshape(count, -1)


def paid(features: np.ndarray) -> np.ndarray:
    """The true reward: a bent function of a step, summed."""
    steps = features.reshape(len(features), -1, COLUMNS)
    return ((steps[..., 0] - np.abs(steps[..., 1])) * steps[..., -1]).sum(axis=1)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def model(seed: int = 0) -> SegmentModel:
    weights = LEARNER.initial(0, generator(seed)).weights
    return SegmentModel(weights=weights | {"temperature": torch.tensor(1.7), "std": torch.tensor([1.0, 2.0, 0.5])})


def test_a_segment_is_worth_what_its_steps_are() -> None:
    features, one = rows(np.random.default_rng(0), 5, padded=True), model()
    steps = one.score_steps(features)
    there = features.reshape(5, STEPS, COLUMNS)[..., -1] == 1
    assert steps.shape == (3, 5, STEPS) and not steps[:, ~there].any() and steps[:, there].all()
    np.testing.assert_allclose(one.score_members(features), steps.sum(axis=2))
    alone = one.score_steps(features.reshape(-1, COLUMNS))
    np.testing.assert_allclose(alone.reshape(steps.shape), steps, atol=1e-6)
    mean, spread = one.score(features)
    np.testing.assert_allclose(mean, steps.sum(axis=2).mean(axis=0))
    np.testing.assert_allclose(spread, steps.sum(axis=2).std(axis=0))


def test_members_together_are_members_alone() -> None:
    features, one = rows(np.random.default_rng(0), 7), model()
    for member in range(3):
        alone = {n: v[[member]] if v.dim() == 3 else v for n, v in one.weights.items()}
        np.testing.assert_allclose(
            SegmentModel(weights=alone).score_members(features)[0], one.score_members(features)[member], atol=1e-5
        )


def test_answers_teach_rewards_of_single_steps() -> None:
    rng = np.random.default_rng(0)
    first, second = (rows(rng, 300, padded=True) for _ in range(2))
    chance = 1 / (1 + np.exp(-2 * (paid(first) - paid(second))))
    fitted, figures = LEARNER.fit(
        LEARNER.initial(0, generator()), first, second, (rng.random(300) < chance).astype(float), generator=generator()
    )
    fresh = [rows(rng, 500) for _ in range(2)]
    order = np.sign(fitted.score(fresh[0])[0] - fitted.score(fresh[1])[0])
    assert (order == np.sign(paid(fresh[0]) - paid(fresh[1]))).mean() > 0.85
    steps = rows(rng, 500, steps=1)
    assert np.corrcoef(fitted.score(steps)[0], paid(steps))[0, 1] > 0.8
    assert figures.accuracy > 0.75 and figures.pairs == 300 and 200 < figures.held_out < 300


def test_what_cannot_be_learnt_is_stopped_early() -> None:
    rng = np.random.default_rng(0)
    first, second = (rows(rng, 120) for _ in range(2))
    noise = (rng.random(120) < 0.5).astype(float)
    long = SegmentRewards(columns=COLUMNS, hidden=32, steps=300)
    fitted, figures = long.fit(long.initial(0, generator()), first, second, noise, generator=generator())
    assert figures.steps < 300
    fresh = [rows(rng, 200) for _ in range(2)]
    drive = np.abs(fitted.score(fresh[0])[0] - fitted.score(fresh[1])[0])
    assert drive.mean() < 1.0


def test_unknown_answers_are_left_out_and_none_leave_it_as_it_was() -> None:
    rng = np.random.default_rng(0)
    first, second = (rows(rng, 30) for _ in range(2))
    begun, told = LEARNER.initial(0, generator()), np.full(30, np.nan)
    same, figures = LEARNER.fit(begun, first, second, told, generator=generator())
    assert same is begun and figures.pairs == 0
    told[:20] = (paid(first) > paid(second))[:20]
    other = second.copy()
    other[20:] += 5
    one, two = (
        LEARNER.fit(begun, first, side, told, generator=generator())[0].score(first)[0] for side in (second, other)
    )
    np.testing.assert_array_equal(one, two)


def test_files(tmp_path: Path) -> None:
    features = rows(np.random.default_rng(0), 4)
    model().save(tmp_path / "model")
    again = LEARNER.load(tmp_path / "model")
    np.testing.assert_array_equal(again.score(features)[0], model().score(features)[0])
    (tmp_path / "broken").write_bytes(b"no weights")
    for name in ("broken", "missing"):
        with pytest.raises(RunError):
            LEARNER.load(tmp_path / name)
