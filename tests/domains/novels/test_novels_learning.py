"""Comparisons teach helpers to point, with them evaluators are right where they were guessing, and the root learns."""

from pathlib import Path

import numpy as np
import pytest

from rewardtree.domains.novels.domain import DOMAIN
from rewardtree.evaluators.simulated import Bounds
from rewardtree.preferences import open_store
from rewardtree.tree.domain import Settings
from rewardtree.tree.evaluating import experience_of, judge_of
from rewardtree.tree.loop import Training, helpers_of, train
from rewardtree.tree.measure import accuracy, asides, frozen_pairs, policy_rewards
from rewardtree.tree.node import Budget


@pytest.mark.slow
def test_the_whole_tree_learns_on_a_book_that_nothing_trained_on(folder: Path, tmp_path: Path) -> None:
    settings = Settings(
        seed=0, helper=Budget(iterations=2, labels=200), root=Budget(iterations=1, labels=150), bounds=Bounds(),
        helper_updates=100, updates=60, options={"books": str(folder), "shelf": 64},
    )  # fmt: skip
    tree = DOMAIN.build(settings)
    with open_store(tmp_path / "store.db") as store:
        trained = train(Training(tree=tree, protocol="rrm", seed=0, store=store, out=tmp_path))

    facts, root = tree.nodes["facts"], tree.nodes["passage"]
    before, after = (
        policy_rewards(facts, p, 200)[0].mean() for p in (trained["facts"].untrained, trained["facts"].policy)
    )
    assert after - before > 0.5
    started, ended = (
        policy_rewards(root, policy, 200)[1] for policy in (trained["passage"].untrained, trained["passage"].policy)
    )
    assert abs(started["contradictions"].mean() - 0.5) < 0.1 and ended["contradictions"].mean() < 0.25
    assert ended["foreign_paragraph"].mean() < started["foreign_paragraph"].mean() - 0.2
    for name in ("consistency", "summary", "passage"):
        node = tree.nodes[name]
        experience = experience_of(tree, node, 0)
        pairs = frozen_pairs(node, experience.scale, 600)
        right = {
            who: accuracy(judge_of(experience, node, helpers, np.random.default_rng(0)), node, pairs).noisy
            for who, helpers in (("unaided", {}), ("assisted", helpers_of(tree, node, trained)))
        }
        error = sum(values.var() / len(values) for values in right.values()) ** 0.5
        assert right["assisted"].mean() - right["unaided"].mean() > max(0.1, 1.96 * error), name
    beside = asides(tree, tree.nodes["consistency"], trained, 100, seed=0)
    assert {"unaided_with_search", "unaided_with_index", "held_out_negation_assisted"} <= set(beside)
    beside = asides(tree, root, trained, 60, seed=0)
    assert set(beside) == {"unaided_with_index", *(f"without_{name}" for name in root.helpers)}
