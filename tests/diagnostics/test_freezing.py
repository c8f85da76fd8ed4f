"""A frozen reward model is fitted once to as many labels, and its policy is improved as often."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rewardtree.diagnostics import distribution_shift
from rewardtree.diagnostics.distribution_shift import newest, shifted
from rewardtree.diagnostics.freezing import Arm, frozen, refreshed
from rewardtree.preferences import open_store
from rewardtree.tree.evaluating import judge_of, known
from rewardtree.tree.loop import Training, helpers_of, train
from rewardtree.tree.measure import Pairs
from rewardtree.tree.node import Budget
from toy import toy_tree

TREE = toy_tree(budget=Budget(iterations=3, labels=40))


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Arm, Arm]:
    out = tmp_path_factory.mktemp("frozen")
    return out, *both(out)


def both(out: Path) -> tuple[Arm, Arm]:
    with open_store(out / "store.db") as store:
        training = Training(tree=TREE, protocol="tree", seed=0, store=store, out=out)
        nodes = train(training)
        once = Training(tree=TREE, protocol="frozen", seed=0, store=store, out=out)
        below = {name: nodes[name] for name in ("left", "right")}
        return refreshed(training, "product"), frozen(once, "product", below)


def test_labels_and_improvements_are_as_many(trained: tuple[Path, Arm, Arm]) -> None:
    _, mine, other = trained
    assert len(mine.rounds) == len(other.rounds) == 3
    feedback = [arm.rounds[-1].feedback for arm in (mine, other)]
    assert [len(given.ids) for given in feedback if given is not None] == [120, 120]
    assert len(mine.rounds[0].feedback.ids) == 40 and len(other.rounds[0].feedback.ids) == 120  # type: ignore[union-attr]
    versions = [trained.policy.version for trained in other.rounds]
    assert versions == [f"frozen/product/{number}" for number in (1, 2, 3)]


def test_the_model_stays_and_the_policy_does_not(trained: tuple[Path, Arm, Arm]) -> None:
    _, mine, other = trained

    def same(arm: Arm, what: str) -> bool:
        first, last = (getattr(arm.rounds[at], what).weights for at in (0, -1))
        return all(torch.equal(first[name], last[name]) for name in first)

    assert same(other, "reward_model") and not same(mine, "reward_model")
    assert not same(other, "policy")


def test_what_is_kept_leads_to_the_same(trained: tuple[Path, Arm, Arm], tmp_path: Path) -> None:
    out, _, other = trained
    shutil.copytree(out, tmp_path / "kept")
    shutil.rmtree(tmp_path / "kept" / "frozen" / "product" / "iteration-002")
    again = both(tmp_path / "kept")[1]
    for name, weights in other.rounds[-1].policy.weights.items():
        assert torch.equal(weights, again.rounds[-1].policy.weights[name])


def test_newest_pairs_are_on_the_same_inputs_and_no_ties(trained: tuple[Path, Arm, Arm]) -> None:
    _, mine, _ = trained
    node = mine.node
    pairs = [newest(node, trained.policy, 1.0, 50) for trained in mine.rounds]
    for one in pairs:
        assert (one.difference != 0).all() and len(one.inputs) == len(one.difference)
        apart = [node.task.true_reward(one.inputs, side) for side in one.outputs]
        np.testing.assert_array_equal(np.sign(apart[0] - apart[1]), np.sign(one.difference))
    assert {*pairs[0].inputs.origin.tolist()} & {*pairs[2].inputs.origin.tolist()}


def test_a_model_is_asked_before_and_after_it_sees_the_newest(
    trained: tuple[Path, Arm, Arm], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, mine, other = trained
    with open_store(out / "store.db") as store:
        nodes = train(Training(tree=TREE, protocol="tree", seed=0, store=store, out=out))
    node, helpers = mine.node, helpers_of(TREE, mine.node, nodes)
    experience = known({}, TREE, node, 0)
    judge = judge_of(experience, node, helpers, np.random.default_rng(0))
    asked: list[object] = []

    def right(node: object, helpers: object, model: object, pairs: Pairs) -> np.ndarray:
        asked.append(model)
        return np.full(len(pairs.difference), float(len(asked)))

    monkeypatch.setattr(distribution_shift, "reward_model_accuracy", right)
    steps = shifted((mine, other), helpers, judge, experience.scale, 60)
    assert [sorted(step) for step in steps] == [
        ["evaluator", "evaluator_of_frozen", "fresh", "frozen"],
        *[["evaluator", "evaluator_of_frozen", "fresh", "frozen", "stale"]] * 2,
        ["evaluator", "evaluator_of_frozen", "frozen", "stale"],
    ]
    kept = [trained.reward_model for trained in mine.rounds]
    once = other.rounds[0].reward_model
    assert asked == [once, kept[0], once, kept[1], kept[0], once, kept[2], kept[1], once, kept[2]]
    assert all((step["evaluator"] >= 0).all() and (step["evaluator"] <= 1).all() for step in steps)
    alone = replace(other, rounds=tuple(replace(one, policy=one.untrained) for one in other.rounds))
    still = shifted((mine, alone), helpers, judge, experience.scale, 60)
    np.testing.assert_array_equal(still[0]["evaluator_of_frozen"], still[3]["evaluator_of_frozen"])
