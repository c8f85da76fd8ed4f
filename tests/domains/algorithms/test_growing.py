"""A tree of levels as the loop trains it: each level's network stands on the trained one below it, where it may."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rewardtree.domains.algorithms.domain import build, family_of
from rewardtree.errors import RunError
from rewardtree.evaluators.simulated import Bounds
from rewardtree.policies.naming import NamingLearner
from rewardtree.policies.transformer import Weights, regrown
from rewardtree.preferences import open_store
from rewardtree.protocols import flat_reward_modeling, recursive_reward_modeling
from rewardtree.protocols.setting import Outcome, Setting
from rewardtree.tasks.decomposition import everything, one_each
from rewardtree.tree.checkpoint import Trained
from rewardtree.tree.domain import Settings
from rewardtree.tree.evaluating import assistance, ideal_helpers
from rewardtree.tree.node import Budget
from rewardtree.tree.seen import Joined

OPTIONS = {"task": "powering", "depth": 2, "size": 7, "width": 16}


BUDGET = Budget(iterations=2, labels=20)
SETTINGS = Settings(
    seed=0, helper=BUDGET, root=BUDGET, bounds=Bounds(), updates=3, helper_updates=3, options=OPTIONS
)  # fmt: skip


def setting(out: Path, store: Any) -> Setting:
    return Setting(build=build, settings=SETTINGS, store=store, out=out, decomposition=family_of(OPTIONS))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    out = tmp_path_factory.mktemp("grown")
    with open_store(out / "store.db") as store:
        return out, recursive_reward_modeling.run(setting(out, store))


def weights(nodes: Mapping[str, Trained], level: int) -> Weights:
    found: Weights = nodes[f"level_{level}"].policy.weights
    return found


def test_a_level_keeps_what_it_stands_on_as_the_helper_ended_with_it(whole: tuple[Path, Outcome]) -> None:
    nodes = whole[1].nodes
    for level in (1, 2):
        mine, helper = weights(nodes, level), weights(nodes, level - 1)
        assert mine["settled"].tolist() == [below < level for below in range(3)]
        below = [name for name in mine if name.split(".")[0] in {*map(str, range(level)), "embedding", "role"}]
        assert len(below) > 18 * level
        assert all(torch.equal(mine[name], helper[name]) for name in below)
        assert not torch.equal(mine[f"{level}.mix"], mine[f"{level - 1}.mix"]), "its own block has learnt"


def test_a_resumed_level_grows_no_second_time(whole: tuple[Path, Outcome], tmp_path: Path) -> None:
    out, outcome = whole
    shutil.copytree(out, tmp_path / "again")
    for lost in ("level_1/iteration-001", "level_2"):
        shutil.rmtree(tmp_path / "again" / recursive_reward_modeling.NAME / lost)
    with open_store(tmp_path / "again" / "store.db") as store:
        again = recursive_reward_modeling.run(setting(tmp_path / "again", store))
    for level in range(3):
        one, two = weights(outcome.nodes, level), weights(again.nodes, level)
        assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_from_outputs_alone_a_policy_begins_untrained_whoever_judges(
    whole: tuple[Path, Outcome], tmp_path: Path
) -> None:
    with open_store(tmp_path / "store.db") as store:
        given = setting(tmp_path, store)
        for outcome in (
            recursive_reward_modeling.run_output_only(given, whole[1].nodes),
            flat_reward_modeling.run(given, "expert", None),
        ):
            assert not weights(outcome.nodes, 2)["settled"].any()


def test_parts_are_foretold_only_where_the_reward_model_sees_claims() -> None:
    tree = build(SETTINGS)
    node = tree.nodes["level_1"]
    learner = node.learner
    assert isinstance(learner, NamingLearner)
    family = learner.task.family
    asked = everything(family, one_each(family, np.random.default_rng(0), 5, "train", 1), 1)
    for claims in (True, False):
        seen = replace(node, claims_in_reward=claims, warm_start="level_0" if claims else None)
        reward = Joined(node=seen, assist=assistance(node, ideal_helpers(tree, node)), model=None)
        parts = learner.parts(asked, reward)
        assert len(parts) == (2 if claims else 0)
    first = asked.worlds.facts[asked.row, asked.asked]
    reward = Joined(node=node, assist=assistance(node, ideal_helpers(tree, node)), model=None)
    np.testing.assert_array_equal(learner.parts(asked, reward)[0], first)
    np.testing.assert_array_equal(learner.parts(asked, reward)[1], asked.worlds.facts[asked.row, first])


def test_a_level_goes_on_upon_levels_that_went_on(whole: tuple[Path, Outcome]) -> None:
    nodes = whole[1].nodes
    mine, below = weights(nodes, 2), {name: value + 1 for name, value in weights(nodes, 1).items()}
    found = regrown(mine, below, 2)
    assert all(torch.equal(found[name], mine[name]) for name in mine if name.startswith("2.") or name == "settled")
    assert all(torch.equal(found[name], below[name]) for name in mine if name[:2] in ("0.", "1.") or name == "role")


def test_weights_of_another_version_are_refused_with_the_remedy(whole: tuple[Path, Outcome]) -> None:
    learner = whole[1].tree.nodes["level_1"].learner
    old = {name: value for name, value in weights(whole[1].nodes, 1).items() if name != "settled"}
    with pytest.raises(RunError, match="lack settled: an earlier version made them; train again"):
        learner.restore(old, "1")
