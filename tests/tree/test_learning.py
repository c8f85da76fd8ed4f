"""Learning from simulated preferences alone: the toy's leaf at once, the chip's heat helper over three seeds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rewardtree.domains.chip.domain import pools
from rewardtree.domains.chip.nodes import chip_tasks
from rewardtree.evaluators.calibration import Experience
from rewardtree.policies.answering import AnsweringLearner
from rewardtree.preferences import open_store
from rewardtree.tasks.answers import AnswerTask
from rewardtree.tree.checkpoint import Trained
from rewardtree.tree.loop import Training, train
from rewardtree.tree.node import Budget, Node, Tree
from toy import toy_node, toy_tasks

SEEDS = 3


def trained(node: Node, seed: int, out: Path, experiences: dict[str, Experience]) -> Trained:
    with open_store(out / f"{seed}.sqlite") as store:
        training = Training(
            tree=Tree(nodes={node.name: node}, root=node.name), protocol="rrm", seed=seed, store=store,
            out=out / str(seed), experiences=experiences,
        )  # fmt: skip
        found = train(training)[node.name]
        assert sum(row.labels for row in store.ledger()) == node.budget.total
    return found


def errors(task: Any, policy: Any) -> np.ndarray:
    """Means over the test split, in units of `scale`: from the best place, and of the value from what is there."""
    inputs = task.sample(np.random.default_rng(99), 300, "test")
    measures = task.measures(inputs, policy.answer(inputs))
    return np.array([measures["regret"].mean(), measures["value_error"].mean()])


def test_one_iteration_teaches_the_toys_leaf(tmp_path: Path) -> None:
    node = toy_node("left", budget=Budget(iterations=1, labels=300), learner=AnsweringLearner(task=toy_tasks()["left"]))
    found = trained(node, 0, tmp_path, {})
    before, after = errors(node.task, found.untrained), errors(node.task, found.policy)
    assert before[0] > 0.4 and before[1] > 0.7
    assert after[0] < 0.1 and after[1] < 0.35


@pytest.mark.slow
def test_three_hundred_answers_teach_where_it_is_hot_and_how_hot(tmp_path: Path) -> None:
    """Regret below a tenth, and values within half, of a usual difference of 10 K, which base answers are far from."""
    task = chip_tasks(pools(0))["heat"]
    assert isinstance(task, AnswerTask)
    budget = Budget(iterations=2, labels=150)
    node = Node(name="heat", task=task, learner=AnsweringLearner(task=task), budget=budget, peaked=True)
    experiences: dict[str, Experience] = {}
    found = [trained(node, seed, tmp_path, experiences) for seed in range(SEEDS)]
    before = np.mean([errors(task, each.untrained) for each in found], axis=0)
    after = np.array([errors(task, each.policy) for each in found])
    assert before[0] > 0.8 and before[1] > 1.0
    assert after.mean(axis=0)[0] < 0.1 and after.mean(axis=0)[1] < 0.5
    assert after.max(axis=0)[0] < 0.2 and after.max(axis=0)[1] < 0.8
