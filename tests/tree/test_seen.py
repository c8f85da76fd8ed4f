"""What reward models see, and which comparisons are asked."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from rewardtree.rewards.ensemble import RewardModel, RewardShape, initial
from rewardtree.tree.evaluating import assistance, ideal_helpers
from rewardtree.tree.node import Selection
from rewardtree.tree.seen import Joined, select
from toy import toy_tree

TREE = toy_tree()
NODE = TREE.nodes["product"]


def batch(count: int) -> tuple[Any, list[Any]]:
    rng = np.random.default_rng(0)
    inputs = NODE.task.sample(rng, count, "train")
    return inputs, [NODE.task.base_outputs(rng, inputs) for _ in range(2)]


def model(features: int = 6) -> RewardModel:
    """Members that differ in all of their weights."""
    found = initial(RewardShape(features=features, peaked=True, hidden=8), torch.Generator().manual_seed(0))
    return found


def joined(
    claims_in_reward: bool = False, selection: Selection = "random", fitted: RewardModel | None = None
) -> Joined:
    node = replace(NODE, claims_in_reward=claims_in_reward, selection=selection)
    return Joined(node=node, assist=assistance(NODE, ideal_helpers(TREE, NODE)), model=fitted)


def test_the_output_alone_or_with_raw_claims_in_the_tasks_order() -> None:
    inputs, (outputs, _) = batch(7)
    alone = joined().observe(inputs, outputs)
    np.testing.assert_array_equal(alone, NODE.task.observe(inputs, outputs))
    both = joined(claims_in_reward=True).observe(inputs, outputs)
    np.testing.assert_array_equal(both[:, :-2], alone)
    for column, name in ((-2, "left"), (-1, "right")):
        truth = inputs.fields[name][np.arange(7), outputs.place]
        np.testing.assert_array_equal(both[:, column], truth.astype(np.float32))
    assert both.dtype == np.float32


def test_before_the_first_fit_every_reward_is_zero() -> None:
    inputs, (outputs, _) = batch(5)
    assert (joined()(inputs, outputs) == 0).all()
    fitted = model()
    np.testing.assert_array_equal(
        joined(fitted=fitted)(inputs, outputs), fitted.score(NODE.task.observe(inputs, outputs))[0]
    )


def test_random_selection_is_a_sample_without_repeats() -> None:
    inputs, outputs = batch(40)
    chosen = [select(joined(), inputs, outputs, 15, np.random.default_rng(s)).tolist() for s in range(200)]
    assert all(rows == sorted(set(rows)) and len(rows) == 15 for rows in chosen)
    counts = np.bincount(np.concatenate(chosen), minlength=40)
    assert counts.min() > 40 and counts.max() < 110


@pytest.mark.parametrize("labels", [1, 10, 39])
def test_selection_by_disagreement_takes_what_the_members_differ_about_most(labels: int) -> None:
    """Christiano et al. 2017, section 2.2.4: the difference of the two rewards varies most between the members."""
    inputs, outputs = batch(40)
    seen = joined(selection="disagreement", fitted=model())
    chosen = select(seen, inputs, outputs, labels, np.random.default_rng(0))
    first, second = (seen.model.score_members(NODE.task.observe(inputs, side)) for side in outputs)  # type: ignore[union-attr]
    spread = np.std([first[m] - second[m] for m in range(4)], axis=0)
    assert len(set(chosen.tolist())) == labels and (np.diff(chosen) > 0).all()
    rest = np.setdiff1d(np.arange(40), chosen)
    assert spread[chosen].min() >= spread[rest].max()


def test_without_a_model_or_a_choice_selection_is_random_or_everything() -> None:
    inputs, outputs = batch(20)
    blind = joined(selection="disagreement")
    one, two = (select(blind, inputs, outputs, 8, np.random.default_rng(s)).tolist() for s in (0, 1))
    assert one != two
    everything = select(joined(selection="disagreement", fitted=model()), inputs, outputs, 20, np.random.default_rng(0))
    assert everything.tolist() == list(range(20))
