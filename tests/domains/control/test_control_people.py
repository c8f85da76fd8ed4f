"""A whole training of control with people who answer late, as the policy goes on learning (Christiano et al. 2017)."""

import threading
import time
from pathlib import Path

import pytest
from line import line

from rewardtree.domains.control.nodes import control_tree
from rewardtree.evaluators.simulated import Bounds
from rewardtree.preferences import open_store
from rewardtree.preferences.labelling import open_labelling
from rewardtree.tree import asking
from rewardtree.tree.asking import People
from rewardtree.tree.domain import Settings
from rewardtree.tree.loop import Training, train
from rewardtree.tree.node import Budget

ITERATIONS, LABELS = 4, 6
OPTIONS = {
    "env": line().id, "segment": 8, "rollout": 20, "together": 4, "ppo": {"batch_size": 40, "n_epochs": 2},
}  # fmt: skip


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_the_policy_learns_on_while_comparisons_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    """The person rests through the second iteration, which has only the answers of the first; the last has them all."""
    monkeypatch.setattr(asking, "LOOK", 0.02)
    budget = Budget(iterations=ITERATIONS, labels=LABELS)
    tree = control_tree(Settings(seed=0, helper=budget, root=budget, bounds=Bounds(budget=4), updates=1,
                                 options=OPTIONS))  # fmt: skip
    people = People(nodes=frozenset(tree.nodes), share=share, ahead=1, wait=60.0, gold=0.0,
                    repeats=0.0)  # fmt: skip
    desk, done, over, given = open_labelling(tmp_path / "labels.db", "key"), threading.Event(), [0], [0]
    each = round(LABELS * share)

    def late() -> None:
        while not done.is_set():
            work = desk.next("ada") if over[0] != 1 else None
            if work is None:
                time.sleep(0.01)
                continue
            desk.answer("ada", work.token, "first")
            given[0] += 1

    learnt = []
    with open_store(tmp_path / "labels.db", run="key/0") as store:
        person = threading.Thread(target=late)
        person.start()

        def observe(node: object, iteration: int, trained: object) -> None:
            learnt.append(given[0])
            over[0] = iteration + 1

        try:
            found = train(Training(tree=tree, protocol="rrm", seed=0, store=store, out=tmp_path, people=people,
                                   observe=observe))[tree.root]  # fmt: skip
        finally:
            done.set()
            person.join()
            desk.close()
        labels = {row.evaluator: row.labels for row in store.ledger()}
    assert learnt[:2] == [each, each] and learnt[2] >= 2 * each and learnt[3] == ITERATIONS * each
    assert labels.pop("person/ada") == ITERATIONS * each and sum(labels.values()) == ITERATIONS * (LABELS - each)
    assert found.policy.steps == (1 + ITERATIONS) * 80 and found.fits[-1].pairs == ITERATIONS * LABELS
