"""Comparisons teach the helper to point, and with it the root's evaluator is right where it was guessing."""

from pathlib import Path

import numpy as np

from rewardtree.domains.novels.domain import DOMAIN
from rewardtree.evaluators.simulated import Bounds
from rewardtree.preferences import open_store
from rewardtree.tree.domain import Settings
from rewardtree.tree.evaluating import experience_of, judge_of
from rewardtree.tree.loop import Training, helpers_of, train
from rewardtree.tree.measure import accuracy, asides, frozen_pairs, policy_rewards
from rewardtree.tree.node import Budget


def test_assisted_beats_unaided_on_a_book_that_nothing_trained_on(folder: Path, tmp_path: Path) -> None:
    settings = Settings(
        seed=0, helper=Budget(iterations=2, labels=200), root=Budget(iterations=1, labels=150), bounds=Bounds(),
        helper_updates=150, updates=60, options={"books": str(folder), "shelf": 64, "root": "consistency"},
    )  # fmt: skip
    tree = DOMAIN.build(settings)
    with open_store(tmp_path / "store.db") as store:
        trained = train(Training(tree=tree, protocol="rrm", seed=0, store=store, out=tmp_path))
    facts, root = (tree.nodes[name] for name in ("facts", "consistency"))
    before, after = (
        policy_rewards(facts, p, 200)[0].mean() for p in (trained["facts"].untrained, trained["facts"].policy)
    )
    assert after - before > 0.5
    experience = experience_of(tree, root, 0)
    pairs = frozen_pairs(root, experience.scale, 800)
    helpers = helpers_of(tree, root, trained)
    right = {
        name: accuracy(judge_of(experience, root, who, np.random.default_rng(0)), root, pairs).noisy
        for name, who in (("unaided", {}), ("assisted", helpers))
    }
    error = sum(values.var() / len(values) for values in right.values()) ** 0.5
    assert right["assisted"].mean() - right["unaided"].mean() > max(0.1, 1.96 * error)
    beside = asides(tree, root, trained, 200, seed=0)
    assert {"unaided_with_search", "unaided_with_index", "held_out_negation_assisted"} <= set(beside)
