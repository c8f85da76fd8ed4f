"""Learning from simulated preferences alone: the chip's heat helper, with few labels."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rewardtree.domains.chip.domain import pools
from rewardtree.domains.chip.nodes import chip_tasks
from rewardtree.policies.answering import AnsweringLearner
from rewardtree.preferences import open_store
from rewardtree.tasks.answers import AnswerTask
from rewardtree.tree.loop import Training, train
from rewardtree.tree.node import Budget, Node, Tree

SEEDS = 3
LABELS = Budget(iterations=3, labels=100)


@lru_cache(maxsize=1)
def heat() -> AnswerTask:
    task = chip_tasks(pools(0))["heat"]
    assert isinstance(task, AnswerTask)
    return task


def errors(policy: Any) -> dict[str, float]:
    """Means over the test split: how far the place is from the hottest, and the value from what is there, in units of 10 K."""
    inputs = heat().sample(np.random.default_rng(99), 300, "test")
    return {name: float(v.mean()) for name, v in heat().measures(inputs, policy.answer(inputs)).items()}


def test_a_few_hundred_answers_teach_where_it_is_hot_and_how_hot(tmp_path: Path) -> None:
    node = Node(name="heat", task=heat(), learner=AnsweringLearner(task=heat()), budget=LABELS, peaked=True)
    before, after = [], []
    for seed in range(SEEDS):
        with open_store(tmp_path / f"{seed}.sqlite") as store:
            training = Training(tree=Tree(nodes={"heat": node}, root="heat"), protocol="rrm", seed=seed, store=store, out=tmp_path / str(seed))
            trained = train(training)["heat"]
            assert sum(row.labels for row in store.ledger()) == LABELS.total
        before.append(errors(trained.untrained))
        after.append(errors(trained.policy))
    print(before, after)
    regret, value = ([found[name] for found in after] for name in ("regret", "value_error"))
    assert np.mean(regret) < 0.1 and np.mean(value) < 0.5
    assert max(regret) < 0.2 and max(value) < 0.8
    for name in ("regret", "value_error"):
        assert np.mean([found[name] for found in before]) > 3 * np.mean([found[name] for found in after])
