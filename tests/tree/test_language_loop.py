"""The loop with language models at its nodes, as policies and as reward models: what they learn, and going on."""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rewardtree.evaluators import calibration
from rewardtree.language.references import LanguageModel
from rewardtree.preferences import open_store
from rewardtree.tree import evaluating
from rewardtree.tree.checkpoint import Trained
from rewardtree.tree.loop import Training, train
from rewardtree.tree.measure import policy_rewards
from rewardtree.tree.node import Tree
from tiny_language import needs_lm

SEEDS = 3
EXPERIENCES: dict[str, Any] = {}
"""Of the evaluators; the same for every run, so that it is gathered once."""


@pytest.fixture(scope="module", autouse=True)
def few_pairs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluating, "gather", partial(calibration.gather, pairs=400))
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    needs_lm()
    from toy_letters import letter_model

    return letter_model(tmp_path_factory.mktemp("letters"))


def tree_of(model: LanguageModel, **given: int) -> Tree:
    from toy_letters import letter_tree

    return letter_tree(model, **given)


def trained(tree: Tree, out: Path, seed: int) -> dict[str, Trained]:
    out.mkdir(parents=True, exist_ok=True)
    with open_store(out / "store.db") as store:
        return train(Training(tree=tree, protocol="rrm", seed=seed, store=store, out=out, experiences=EXPERIENCES))


def test_comparisons_teach_language_models_that_write_and_that_help(model: LanguageModel, tmp_path: Path) -> None:
    tree = tree_of(model)
    gains: dict[str, list[float]] = {name: [] for name in tree.nodes}
    for seed in range(SEEDS):
        nodes = trained(tree, tmp_path / str(seed), seed)
        for name, node in tree.nodes.items():
            before, after = (
                policy_rewards(node, one, 150)[0].mean() for one in (nodes[name].untrained, nodes[name].policy)
            )
            gains[name].append(float(after - before))
    for name, found in gains.items():
        error = np.std(found, ddof=1) / SEEDS**0.5
        assert np.mean(found) - 1.96 * error > 0.15, (name, found)


def test_what_is_gone_on_with_is_what_nothing_interrupted(model: LanguageModel, tmp_path: Path) -> None:
    """Half-way through either node: policies, reward models and token ids of two iterations are the same to the bit."""
    small = {"labels": 24, "iterations": 2, "updates": 2}
    whole = trained(tree_of(model, **small), tmp_path / "whole", 0)
    shutil.copytree(tmp_path / "whole", tmp_path / "broken")
    for lost in ("word/iteration-001", "letter/iteration-000", "letter/iteration-001"):
        shutil.rmtree(tmp_path / "broken" / "rrm" / lost)
    again = trained(tree_of(model, **small), tmp_path / "broken", 0)
    for name, node in whole.items():
        other = again[name]
        assert node.feedback is not None and other.feedback is not None
        assert node.feedback.ids == other.feedback.ids and node.feedback.first.dtype == np.int32
        assert np.array_equal(node.feedback.first, other.feedback.first)
        for one, two in ((node.policy, other.policy), (node.reward_model, other.reward_model)):
            assert one.weights.keys() == two.weights.keys()  # type: ignore[union-attr]
            assert all(torch.equal(value, two.weights[key]) for key, value in one.weights.items())  # type: ignore[union-attr]
        assert any(not torch.equal(v, node.untrained.weights[key]) for key, v in node.policy.weights.items())
