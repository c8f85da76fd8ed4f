"""Faults strike as often as they should, errors are followed without remainder, the model finds what it should."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardtree.diagnostics.error_propagation import (
    Chain,
    Propagation,
    attributed,
    by_recursion,
    compounded,
    distinct,
    doubt,
    error_of,
    fit,
    levels_from,
    measure,
    task_of,
    traced,
)
from rewardtree.diagnostics.faults import Fault, FaultKind, Planted, plant, sights, tampering
from rewardtree.domains.algorithms.assignments import Assignments
from rewardtree.domains.algorithms.finding import Finding
from rewardtree.domains.algorithms.paths import Paths
from rewardtree.domains.algorithms.powering import Powering
from rewardtree.errors import ConfigError, TreeError
from rewardtree.policies.naming import NamingLearner
from rewardtree.preferences import open_store
from rewardtree.tasks.decomposition import Decomposition, Questions, everything, one_each, truth
from rewardtree.tasks.levels import LevelTask, level_name
from rewardtree.tasks.task import Question
from rewardtree.tree.checkpoint import Trained
from rewardtree.tree.loop import Training, train
from rewardtree.tree.node import Budget, Node, Tree
from rewardtree.tree.stand_ins import ideal
from toy import toy_tree


class Right:
    """A policy that is always right."""

    version = "right"

    def __init__(self, task: LevelTask) -> None:
        self.task = task

    def answer(self, inputs: Questions) -> Any:
        return self.task.ideal(inputs)


def tree_of(family: Powering, **learning: Any) -> Tree:
    nodes = {}
    for level in range(family.depth + 1):
        task = LevelTask(family=family, level=level)
        below = tuple(dict.fromkeys(level_name(part) for part in family.parts(level)))
        nodes[task.name] = Node(
            name=task.name, task=task, learner=NamingLearner(task=task, **learning), helpers=below,
            budget=Budget(iterations=1, labels=600), claims_in_reward=bool(below),
            warm_start=level_name(level - 1) if level else None,
        )  # fmt: skip
    return Tree(nodes=nodes, root=level_name(family.depth))


def planted_in(tree: Tree, kind: FaultKind, rate: float, node: str = "level_0", seed: int = 0) -> Planted:
    return plant(tree, Fault(node=node, kind=kind, rate=rate), seed)


def asked_of(family: Powering, level: int, worlds: int, seed: int = 0) -> Questions:
    return everything(family, one_each(family, np.random.default_rng(seed), worlds, "train", level), level)


FAMILY = Powering(depth=4, size=11)
TREE = tree_of(FAMILY)


@pytest.mark.parametrize("level", [0, 2])
def test_random_faults_are_as_many_as_asked_and_drawn_anew_for_every_question_and_world(level: int) -> None:
    planted = planted_in(TREE, "random", 0.1, level_name(level))
    asked = asked_of(FAMILY, level, 1000)
    right = truth(FAMILY, level, asked)
    said = planted(asked, right)
    struck = said != right
    assert abs(struck.mean() - 0.1) < 4 * (0.09 / len(asked)) ** 0.5
    assert ((said >= 0) & (said < 11)).all() and len(np.unique((said - right)[struck] % 11)) == 10
    by_world = struck.reshape(1000, 11)
    again = by_world[1:] & by_world[:-1]
    assert abs(again.mean() - 0.01) < 4 * (0.01 / again.size) ** 0.5, (
        "struck in one world, struck in the next by chance"
    )
    twice = np.repeat(np.arange(len(asked)), 2)[1:]
    np.testing.assert_array_equal(planted(asked.take(twice), right[twice]), said[twice], "one answer a question")
    other = plant(TREE, planted.fault, 1)
    assert (other(asked, right) != said).any()


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1])
@pytest.mark.parametrize("seed", [0, 1])
def test_systematic_faults_strike_a_fixed_share_of_questions_always_alike(rate: float, seed: int) -> None:
    planted = planted_in(TREE, "systematic", rate, seed=seed)
    asked = asked_of(FAMILY, 0, 2000, seed=3)
    right = truth(FAMILY, 0, asked)
    said, told = planted(asked, right), sights(asked)
    struck = said != right
    assert len(np.unique(told)) == 110, "an element, and where one step leads from it"
    assert abs(struck.mean() - rate) <= 1 / 220 + 4 * (rate / len(asked)) ** 0.5
    for sight in np.unique(told[struck]):
        assert len(np.unique(said[told == sight])) == 1
    fewer = planted_in(TREE, "systematic", rate / 2, seed=seed)(asked, right) != right
    assert not (fewer & ~struck).any(), "those of a lower rate are among those of a higher"


@pytest.mark.parametrize("kind", ["random", "systematic"])
def test_a_rate_of_nothing_plants_nothing(kind: FaultKind) -> None:
    asked = asked_of(FAMILY, 0, 200)
    right = truth(FAMILY, 0, asked)
    np.testing.assert_array_equal(planted_in(TREE, kind, 0.0)(asked, right), right)


def test_what_cannot_be_planted_is_said() -> None:
    with pytest.raises(ConfigError, match="share from 0 to below 1"):
        Fault(node="level_0", kind="random", rate=1.5)
    with pytest.raises(TreeError, match="no node 'level_9' to plant a fault in; choose among level_0"):
        planted_in(TREE, "random", 0.1, "level_9")
    with pytest.raises(ConfigError, match="'left' are not"):
        plant(toy_tree(), Fault(node="left", kind="random", rate=0.1), 0)
    with pytest.raises(ConfigError, match="does not answer with names"):
        task_of(toy_tree().nodes["left"])


def test_only_the_named_helper_is_tampered_with() -> None:
    planted = planted_in(TREE, "random", 0.5)
    helper, tamper = ideal(task_of(TREE.nodes["level_0"])), tampering(planted)
    assert tamper("level_1", helper) is helper and tampering(None)("level_0", helper) is helper
    asked = asked_of(FAMILY, 0, 100)
    question = Question(helper="level_0", quantity="part_0", inputs=asked)
    claim, told = helper(question), tamper("level_0", helper)(question)
    assert 0.4 < (claim.value != told.value).mean() < 0.6
    assert replace(told, value=claim.value).version == claim.version


def chain_of(planted: Planted | None, first: str = "level_0") -> Chain:
    nodes = {n: Trained(policy=Right(task_of(node)), untrained=None) for n, node in TREE.nodes.items()}
    return Chain(tree=TREE, nodes=nodes, first=first, planted=planted)


def each(family: Decomposition, level: int, count: int = 60) -> Questions:
    return one_each(family, np.random.default_rng(level), count, "train", level)


@pytest.mark.parametrize(
    ("family", "first", "calls", "different"),
    [
        (FAMILY, 0, [1, 2, 4, 8, 16], [1, 2, 4, 8, 11]),
        (FAMILY, 1, [1, 2, 4, 8], [1, 2, 4, 8]),
        (Finding(depth=3), 0, [1, 2, 3, 4], [1, 2, 3, 4]),
        (Finding(depth=3), 1, [1, 1, 1], [1, 1, 1]),
    ],
)
def test_recursion_takes_a_call_a_part_and_counts_different_questions_once(
    family: Decomposition, first: int, calls: list[int], different: list[int]
) -> None:
    found = [traced(family, level, each(family, level), first) for level in range(first, family.depth + 1)]
    assert [numbers.shape for numbers in found] == [(60, count) for count in calls]
    for numbers, count in zip(found, different, strict=True):
        np.testing.assert_array_equal(distinct(numbers), np.full(60, count))


def test_what_recursion_asks_is_what_right_answers_lead_to() -> None:
    asked = each(FAMILY, 4)
    path = [asked.asked]
    for _ in range(15):
        path.append(asked.worlds.facts[asked.row, path[-1]])
    np.testing.assert_array_equal(traced(FAMILY, 4, asked, 0), np.stack(path, axis=1))
    assert levels_from(TREE, "level_2") == ("level_2", "level_3", "level_4")


@pytest.mark.parametrize("family", [Assignments(depth=3), Paths(depth=2)])
def test_parts_that_share_a_question_put_it_once(family: Decomposition) -> None:
    for level in range(family.depth + 1):
        numbers = traced(family, level, each(family, level), 0)
        np.testing.assert_array_equal(distinct(numbers), [len(set(row)) for row in numbers.tolist()])


def test_a_fault_that_strikes_a_question_twice_counts_once() -> None:
    """Systematic faults: the error of recursion grows with different questions, not with calls."""
    rate, names, errors = 0.05, np.array([11]), []
    for seed in range(30):
        chain = chain_of(planted_in(TREE, "systematic", rate, seed=seed))
        asked = each(FAMILY, 4, 300)
        errors.append((by_recursion(chain, 4, asked) != truth(FAMILY, 4, asked)).mean())
    of_different, of_calls = (float(error_of(n * doubt(np.array([rate]), names), names)[0]) for n in (11, 16))
    assert abs(np.mean(errors) - of_different) < 0.03 < of_calls - of_different - 0.03


@pytest.mark.parametrize("first", [0, 2])
def test_the_error_of_recursion_is_what_independent_faults_make_it(first: int) -> None:
    """A wrong answer is right again by chance: doubts add up exactly, and 1 - (1 - p)^different is the upper end."""
    rate, names = 0.05, np.array([11])
    chain = chain_of(planted_in(TREE, "random", rate, level_name(first)), level_name(first))
    for level in range(first, 5):
        asked, count = each(FAMILY, level, 5000), min(11, 2 ** (level - first))
        error = (by_recursion(chain, level, asked) != truth(FAMILY, level, asked)).mean()
        expected = float(error_of(count * doubt(np.array([rate]), names), names)[0])
        assert abs(error - expected) < 4 * (expected * (1 - expected) / 5000) ** 0.5
        assert expected <= compounded(rate, float(count)) + 1e-12 < expected + 0.06
    clean = chain_of(None, level_name(first))
    asked = asked_of(FAMILY, 4, 50)
    np.testing.assert_array_equal(by_recursion(clean, 4, asked), truth(FAMILY, 4, asked))


@given(st.integers(0, 2**32 - 1), st.lists(st.sampled_from(["helper", "reward_model", "optimisation"]), unique=True))
def test_what_steps_add_adds_up_to_the_error(seed: int, sources: list[str]) -> None:
    rng = np.random.default_rng(seed)
    right = rng.integers(4, size=30)
    way = {source: rng.integers(4, size=30) for source in sources}
    enters, changed = attributed(right, way)
    last = way[sources[-1]] if sources else right
    np.testing.assert_array_equal(np.sum([np.zeros(30), *enters.values()], axis=0), (last != right).astype(float))
    assert all((np.abs(enters[s]) <= changed[s]).all() for s in sources), "what is not changed adds nothing"


@given(st.floats(0, 0.9), st.integers(2, 40))
def test_doubt_and_error_are_two_names_of_one_thing(share: float, names: int) -> None:
    error, many = np.array([share * (1 - 1 / names)]), np.array([names])
    np.testing.assert_allclose(error_of(doubt(error, many), many), error, atol=1e-9)


DIFFERENT = [1.0, 2.0, 4.0, 5.5, 11.0]
"""Growth that is not the same from level to level."""


def simulated(model: Propagation, starts: list[float], noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors before and after all steps but the last, and their growth."""
    rng, different = np.random.default_rng(0), DIFFERENT[:-1]
    lines = np.array([model.predict(start, [11] * 4, different) for start in starts])
    lines = np.clip(lines + noise * rng.standard_normal(lines.shape), 0, 0.9)
    return lines[:, :-1].ravel(), lines[:, 1:].ravel(), np.tile(np.divide(different[1:], different[:-1]), len(starts))


@pytest.mark.parametrize(("floor", "share"), [(0.0, 1.0), (0.01, 0.15), (0.02, 0.7), (0.0, 0.0)])
def test_the_model_finds_what_curves_were_made_with(floor: float, share: float) -> None:
    true = Propagation(floor=floor, share=share)
    starts = [0.0, 0.01, 0.05, 0.1] * 3
    before, after, growth = simulated(true, starts, 0.0)
    names = np.full(len(before), 11)
    exact = fit(before, after, (names, names), growth)
    assert exact.floor == pytest.approx(floor, abs=1e-3) and exact.share == pytest.approx(share, abs=1e-3)
    before, after, growth = simulated(true, starts, 0.004)
    noisy = fit(before, after, (names, names), growth)
    assert abs(noisy.floor - floor) < 0.01 and abs(noisy.share - share) < 0.07
    foretold, there = (m.predict(0.1, [11] * 5, DIFFERENT)[-1] for m in (noisy, true))
    assert abs(foretold - there) < 0.04


def test_a_share_of_one_is_compounding_over_all_different_answers() -> None:
    error = Propagation(floor=0.0, share=1.0).predict(0.03, [10**6] * 5, DIFFERENT)
    np.testing.assert_allclose(error, [compounded(0.03, different) for different in DIFFERENT], rtol=1e-4)


def test_the_useful_depth_is_the_last_at_which_the_error_is_small_enough() -> None:
    whole = Propagation(floor=0.0, share=1.0)
    assert whole.useful_depth(0.02, [11] * 2, [1.0, 2.0], 0.1) == 2, "the third level has twice the second's"
    assert whole.useful_depth(0.02, [11] * 4, [1.0, 2.0, 2.0, 2.0], 0.1) == 64, "grows no more"
    assert whole.useful_depth(0.2, [11] * 2, [1.0, 2.0], 0.1) is None
    fading = Propagation(floor=0.01, share=0.25)
    assert fading.useful_depth(0.2, [11] * 2, [1.0, 2.0], 0.1) == 64, "fades, and stays small"
    with pytest.raises(ConfigError, match="two steps"):
        fit(np.array([0.1]), np.array([0.1]), (np.array([11]), np.array([11])), np.array([2.0]))


@pytest.mark.slow
def test_training_absorbs_fresh_faults_and_takes_over_learnable_ones(tmp_path: Path) -> None:
    """One level above a leaf that is wrong on a fifth of what it is asked, on a cycle of 7."""
    tree = tree_of(Powering(depth=1, size=7), width=64, layers=1, updates=700)
    found = {}
    with open_store(tmp_path / "store.db", run="x") as store:
        common: dict[str, Any] = {"tree": tree, "protocol": "rrm", "seed": 0, "store": store}
        leaf = train(Training(**common | {"tree": tree.rooted("level_0")}, out=tmp_path / "leaf"))
        for kind in ("random", "systematic"):
            planted = planted_in(tree, kind, 0.2)
            nodes = train(Training(**common, out=tmp_path / kind, borrowed=leaf, tamper=tampering(planted)))
            chain = Chain(tree=tree, nodes=nodes, first="level_0", planted=planted)
            found[kind] = measure(chain, "level_1", questions=1000, pairs=200, seed=0, experiences={})
    for level in found.values():
        np.testing.assert_allclose(sum(values.mean() for values in level.enters.values()), level.wrong.mean())
        assert level.enters["helper"].mean() > 0.25 and level.calls == 2 and (level.different == 2).all()
    assert found["random"].wrong.mean() < 0.03 and found["random"].enters["optimisation"].mean() < -0.2
    assert abs(found["systematic"].wrong.mean() - found["systematic"].recursion_wrong.mean()) < 0.05
