"""Reward models of segments: learnt from sums, a step's reward each, going on from fit to fit; and their files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rewardtree.errors import RunError
from rewardtree.rewards.segments import SegmentModel, SegmentRewards, drawn, standardised

STEPS, COLUMNS = 12, 4
LEARNER = SegmentRewards(columns=COLUMNS, hidden=8)


def pairs(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of both segments, the last steps of some missing; and which is better, by -x^2 + y a step."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(2, count, STEPS, COLUMNS)).astype(np.float32)
    rows[..., 0] += rng.normal(size=(2, count, 1))
    rows[..., -1] = np.arange(STEPS) < rng.integers(STEPS // 2, STEPS + 1, size=(2, count, 1))
    sums = (truth(rows) * rows[..., -1]).sum(axis=2)
    first, second = rows.reshape(2, count, -1)
    return first, second, (sums[0] > sums[1]).astype(float)


def truth(rows: np.ndarray) -> np.ndarray:
    return -(rows[..., 0] ** 2) + rows[..., 1]


def fitted(learner: SegmentRewards, counts: tuple[int, ...]) -> tuple[SegmentModel, list[Any]]:
    """Fitted to so many pairs, one fit after the other."""
    generator, found = torch.Generator().manual_seed(0), []
    model = learner.initial(0, generator)
    for count in counts:
        first, second, better = (part[:count] for part in pairs(max(counts), 0))
        model, figures = learner.fit(model, first, second, better, generator=generator)
        found.append(figures)
    return model, found


@pytest.mark.parametrize("counts", [(150,), (20, 60, 150)])
def test_a_reward_a_step_is_learnt_from_sums(counts: tuple[int, ...]) -> None:
    model, figures = fitted(SegmentRewards(columns=COLUMNS), counts)
    first, second, better = pairs(300, 1)
    right = (model.score(first)[0] > model.score(second)[0]) == (better > 0.5)
    assert right.mean() > 0.85 and figures[-1].accuracy > 0.75
    assert figures[-1].pairs == 150 and 80 < figures[-1].held_out < 150
    rows = first.reshape(300, STEPS, COLUMNS)
    there = rows[..., -1] > 0
    told = model.score_steps(first).mean(axis=0)
    assert np.corrcoef(told[there], truth(rows)[there])[0, 1] > 0.8 and (told[~there] == 0).all()


def test_steps_are_for_comparisons_that_are_new() -> None:
    learner = SegmentRewards(columns=COLUMNS)
    model, figures = fitted(learner, (20, 60, 62))
    assert [one.steps for one in figures] == [60, 120, 10]
    first, second, better = pairs(62, 0)
    better[:] = np.nan
    generator = torch.Generator()
    again, nothing = learner.fit(model, first, second, better, generator=generator)
    assert again is model and nothing.pairs == 0


def test_another_scale_of_what_is_seen_changes_no_reward() -> None:
    model, _ = fitted(SegmentRewards(columns=COLUMNS), (40,))
    first, second, _ = pairs(30, 2)
    rows = torch.as_tensor(np.stack([first, second])).view(2, 30, -1, COLUMNS) * 3 + 1
    rows[..., -1] = 1
    other = SegmentModel(weights=standardised(model.weights, rows))
    assert not torch.equal(other.weights["mean"], model.weights["mean"])
    np.testing.assert_allclose(other.score(first)[0], model.score(first)[0], rtol=1e-3, atol=1e-3)


def test_a_member_never_sees_what_is_not_in_its_draw() -> None:
    np.testing.assert_array_equal(drawn(3, 50), drawn(3, 80)[:, :50])
    assert 0.25 < (drawn(3, 2000) == 0).mean() < 0.5 and (drawn(1, 9) == 1).all()
    learner = SegmentRewards(columns=COLUMNS)
    first, second, better = pairs(20, 0)
    unseen = np.flatnonzero(drawn(3, 20)[0] == 0)
    turned = better.copy()
    turned[unseen] = 1 - turned[unseen]
    models = []
    for told in (better, turned):
        generator = torch.Generator().manual_seed(0)
        models.append(learner.fit(learner.initial(0, generator), first, second, told, generator=generator)[0])
    assert torch.equal(*(model.weights["first"][0] for model in models))
    assert not torch.equal(*(model.weights["first"][1] for model in models))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def rows(rng: np.random.Generator, count: int, padded: bool = False) -> np.ndarray:
    seen = rng.normal(size=(count, STEPS, COLUMNS)).astype(np.float32)
    seen[..., -1] = 1.0
    if padded:
        seen[np.arange(STEPS) >= rng.integers(2, STEPS + 1, size=count)[:, None]] = 0.0
    return seen.reshape(count, -1)


def one_model() -> SegmentModel:
    weights = LEARNER.initial(0, generator()).weights
    return SegmentModel(weights=weights | {"temperature": torch.tensor(1.7), "std": torch.tensor([1.0, 2.0, 0.5])})


def test_a_segment_is_worth_what_its_steps_are() -> None:
    features, one = rows(np.random.default_rng(0), 5, padded=True), one_model()
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
    features, one = rows(np.random.default_rng(0), 7), one_model()
    for member in range(3):
        alone = {n: v[[member]] if v.dim() == 3 else v for n, v in one.weights.items()}
        np.testing.assert_allclose(
            SegmentModel(weights=alone).score_members(features)[0], one.score_members(features)[member], atol=1e-5
        )


def test_unknown_answers_are_left_out_and_none_leave_it_as_it_was() -> None:
    rng = np.random.default_rng(0)
    first, second = (rows(rng, 30) for _ in range(2))
    begun, told = LEARNER.initial(0, generator()), np.full(30, np.nan)
    same, figures = LEARNER.fit(begun, first, second, told, generator=generator())
    assert same is begun and figures.pairs == 0
    told[:20] = (rng.random(20) < 0.5).astype(float)
    other = second.copy()
    other[20:] += 5
    one, two = (
        LEARNER.fit(begun, first, side, told, generator=generator())[0].score(first)[0] for side in (second, other)
    )
    np.testing.assert_array_equal(one, two)


def test_files(tmp_path: Path) -> None:
    features = rows(np.random.default_rng(0), 4)
    one_model().save(tmp_path / "model")
    again = LEARNER.load(tmp_path / "model")
    np.testing.assert_array_equal(again.score(features)[0], one_model().score(features)[0])
    (tmp_path / "broken").write_bytes(b"no weights")
    for name in ("broken", "missing"):
        with pytest.raises(RunError):
            LEARNER.load(tmp_path / name)
