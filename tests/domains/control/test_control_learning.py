"""The whole loop on the tiny environment: what comparisons teach, and that going on is going on."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from line import HORIZON, line

from rewardtree.domains.control.learner import ControlLearner
from rewardtree.domains.control.nodes import checked, control_tree
from rewardtree.domains.control.task import SegmentTask
from rewardtree.errors import ConfigError
from rewardtree.evaluators.simulated import Bounds
from rewardtree.preferences import open_store
from rewardtree.rewards.segments import SegmentRewards
from rewardtree.tree.checkpoint import Trained, folder
from rewardtree.tree.domain import Settings
from rewardtree.tree.loop import Training, train
from rewardtree.tree.node import Budget, Node, Tree

SETTINGS: dict[str, Any] = {
    "n_epochs": 8, "batch_size": 40, "learning_rate": 3e-3, "policy_kwargs": {"net_arch": [16]},
}  # fmt: skip


def node_of(**given: Any) -> Node:
    task = SegmentTask(environment=line(), segment=8)
    learner = ControlLearner(
        environment=line(), updates=6, rollout=40, together=4, segment=8, settings=SETTINGS, kept=400
    )  # fmt: skip
    budget = Budget(iterations=3, labels=40, decay=1.0, candidates=3)
    return Node(
        name="behaviour", task=task, learner=learner, budget=budget, bounds=Bounds(budget=4),
        selection="disagreement", reward=SegmentRewards(columns=4, hidden=16), **given,
    )  # fmt: skip


def trained(out: Path, node: Node | None = None, seed: int = 0) -> Trained:
    node = node or node_of()
    out.mkdir(exist_ok=True)
    with open_store(out / "store.db") as store:
        tree = Tree(nodes={node.name: node}, root=node.name)
        found = train(Training(tree=tree, protocol="rrm", seed=seed, store=store, out=out))[node.name]
        assert sum(row.labels for row in store.ledger()) == node.budget.total
        if node.task.environment == line():
            assert sum(row.readings for row in store.ledger()) == 4 * node.budget.total
    return found


def test_comparisons_teach_where_to_go(tmp_path: Path) -> None:
    """Over two seeds, 120 comparisons each: from where untrained policies are most of the way to the goal."""
    node, worth = node_of(), []
    starts = node.task.sample(np.random.default_rng(9), 50, "test")
    for seed in range(2):
        found = trained(tmp_path / str(seed), seed=seed)
        assert found.policy.steps == (1 + 3 * 6) * 160
        policies = (found.untrained, found.policy)
        worth.append([node.task.true_reward(starts, policy.answer(starts)).mean() / HORIZON for policy in policies])
    before, after = np.mean(worth, axis=0)
    assert before < -0.6 and after > -0.35


def test_resumed_is_uninterrupted_bit_for_bit(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "broken")
    shutil.rmtree(folder(tmp_path / "broken", "rrm", "behaviour", 2))
    resumed = trained(tmp_path / "broken")
    assert all(value.equal(whole.policy.weights[name]) for name, value in resumed.policy.weights.items())
    model: Any = whole.reward_model
    again: Any = resumed.reward_model
    assert all(value.equal(model.weights[name]) for name, value in again.weights.items())


@pytest.mark.parametrize("name", ["Pendulum-v1", "HalfCheetah-v5", "Hopper-v5", "Reacher-v5", "CartPole-v1"])
def test_environments_by_id(name: str, tmp_path: Path) -> None:
    options = {
        "env": name, "horizon": 30, "segment": 10, "rollout": 16, "together": 2,
        "ppo": {"batch_size": 16, "n_epochs": 1}, "fit": {"steps": 1.0},
    }  # fmt: skip
    budget = Budget(iterations=1, labels=4)
    tree = control_tree(
        Settings(seed=0, helper=budget, root=budget, bounds=Bounds(budget=4), updates=1, options=options)
    )
    node = tree.nodes[tree.root]
    found = trained(tmp_path, node)
    starts = node.task.sample(np.random.default_rng(0), 2, "test")
    assert len(found.policy.answer(starts)) == 2 and found.policy.steps == 64


@pytest.mark.parametrize("options", [{"speed": 1}, {"segment": 0}, {"members": "many"}, {"ppo": 3}])
def test_wrong_options_are_said(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        checked(options)
