"""A tiny world of pictures whose reward is where a light is and what was done."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rewardtree.errors import RunError
from rewardtree.rewards.pixels import SIDE, PixelRewards, PixelShape, step_rewards

SHAPE = PixelShape(stacked=2, actions=3)


def world(count: int, steps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of bytes, and rewards: a step pays 1 where its light is on the left and action 2 is taken."""
    rng = np.random.default_rng(seed)
    left, chosen = rng.random((count, steps)) < 0.5, rng.integers(3, size=(count, steps))
    pictures = rng.integers(40, size=(count, steps + 1, SIDE, SIDE)).astype(np.uint8)
    for row, step in np.ndindex(count, steps):
        pictures[row, step + 1, 18:24, 6 : 12 if left[row, step] else 36][:, -6:] = 255
    rows = SHAPE.pack(pictures, np.eye(3)[chosen], np.ones((count, steps), dtype=bool))
    return rows, (left * 1.0 + (chosen == 2)).sum(axis=1)


def test_a_reward_in_pictures_is_learnt_and_members_are_as_if_alone(tmp_path: Path) -> None:
    (first, one), (second, two) = world(60, 3, 0), world(60, 3, 1)
    generator = torch.Generator().manual_seed(0)
    learner = PixelRewards(shape=SHAPE, hidden=16, steps=40, pairs=24, looks=2, rate=5e-3)
    model, figures = learner.fit(learner.initial(0, generator), first, second,
                                 np.where(one == two, 0.5, one > two), generator=generator)  # fmt: skip
    rows, rewards = world(60, 3, 2)
    assert figures.pairs == 60 and figures.accuracy > 0.7
    assert np.corrcoef(model.score(rows)[0], rewards)[0, 1] > 0.75
    steps = model.score_steps(rows)
    assert steps.shape == (3, 60, 3) and np.allclose(steps.sum(2), model.score_members(rows))
    model.save(tmp_path / "model")
    assert np.array_equal(learner.load(tmp_path / "model").score(rows)[0], model.score(rows)[0])
    with pytest.raises(RunError, match="train it again"):
        learner.load(tmp_path / "nothing")
    alone = {n: w[1:2] if w.dim() else w for n, w in model.weights.items()}
    told = step_rewards(alone, SHAPE, torch.as_tensor(rows), torch.arange(3)) / model.weights["temperature"]
    assert np.allclose(told[0].numpy(), steps[1], atol=1e-4)


def test_what_is_no_step_pays_nothing_and_bytes_come_out_as_they_went_in() -> None:
    rows, _ = world(3, 5, 3)
    pictures, actions, valid = SHAPE.unpack(torch.as_tensor(rows))
    assert (SHAPE.steps(rows.shape[1]), pictures.shape[1], actions.shape[1]) == (5, 6, 5) and bool(valid.all())
    assert np.array_equal(SHAPE.pack(pictures.numpy(), actions.numpy() / 255, valid.numpy()), rows)
    rows[:, -2:] = 0
    scored = PixelRewards(shape=SHAPE).initial(0, torch.Generator().manual_seed(1)).score_steps(rows)
    assert (scored[:, :, 3:] == 0).all() and (scored[:, :, :3] != 0).all()
