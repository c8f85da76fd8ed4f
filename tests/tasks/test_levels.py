"""Levels of a decomposition as tasks: conformance, what an unaided evaluator can read, what claims settle."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rewardtree.domains.algorithms.assignments import Assignments
from rewardtree.domains.algorithms.finding import Finding
from rewardtree.domains.algorithms.paths import Paths
from rewardtree.domains.algorithms.powering import Powering
from rewardtree.domains.algorithms.wildcards import Wildcards
from rewardtree.evaluators.simulated import Bounds
from rewardtree.policies.naming import NamingLearner
from rewardtree.tasks.conformance import TaskConformance
from rewardtree.tasks.decomposition import Decomposition, sample, truth
from rewardtree.tasks.exhibit import NO_CLAIMS, Exhibit
from rewardtree.tasks.levels import FACT, LevelTask, level_name
from rewardtree.tasks.meter import Meter
from rewardtree.tasks.specimen import Specimen
from rewardtree.tree.evaluating import assistance, experience_of, ideal_helpers, judge_of
from rewardtree.tree.measure import accuracy, frozen_pairs
from rewardtree.tree.node import Node, Tree
from rewardtree.tree.stand_ins import CONTROLS, ideal, stand_ins

FAMILIES: list[Decomposition] = [Powering(depth=2), Finding(depth=2), Assignments(depth=2), Wildcards(depth=2), Paths()]


def tree_of(family: Decomposition) -> Tree:
    nodes = {}
    for level in range(family.depth + 1):
        task = LevelTask(family=family, level=level)
        below = tuple(dict.fromkeys(level_name(part) for part in family.parts(level)))
        nodes[task.name] = Node(
            name=task.name, task=task, learner=NamingLearner(task=task), helpers=below, claims_in_reward=bool(below)
        )
    return Tree(nodes=nodes, root=level_name(family.depth))


class Conformance(TaskConformance):
    """Facts are what policies and reward models are given here, so the checks that they show nowhere are left out."""

    family: Decomposition
    level: int

    @property
    def specimen(self) -> Specimen:
        tasks = {level_name(i): LevelTask(family=self.family, level=i) for i in range(self.family.depth + 1)}
        return Specimen(task=tasks[level_name(self.level)], helpers={name: ideal(task) for name, task in tasks.items()})


class TestFact(Conformance):
    family, level = FAMILIES[0], 0


class TestPowering(Conformance):
    family, level = FAMILIES[0], 2


class TestFinding(Conformance):
    family, level = FAMILIES[1], 1


class TestAssignments(Conformance):
    family, level = FAMILIES[2], 1


class TestWildcards(Conformance):
    family, level = FAMILIES[3], 2


class TestPaths(Conformance):
    family, level = FAMILIES[4], 2


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_right_claims_settle_every_level(family: Decomposition) -> None:
    """What a reward model hears of ideal helpers' claims is whether the answer is right."""
    tree = tree_of(family)
    for node in tree.leaves_first():
        if not node.helpers:
            continue
        rng = np.random.default_rng(1)
        inputs = node.task.sample(rng, 60, "train")
        outputs = node.task.base_outputs(rng, inputs)
        claims = assistance(node, ideal_helpers(tree, node))(inputs, outputs)
        heard = node.task.hear(inputs, outputs, claims)[:, 0]
        np.testing.assert_array_equal(heard, node.task.true_reward(inputs, outputs))


@pytest.mark.parametrize("family", FAMILIES[:3], ids=lambda f: f.name)
def test_two_readings_settle_level_1_and_tell_nothing_above(family: Decomposition) -> None:
    tree = tree_of(family)
    found = {}
    for node in tree.leaves_first():
        experience = experience_of(tree, node, 0)
        pairs = frozen_pairs(node, experience.scale, 800)
        for kind, helpers, expert in (
            ("unaided", {}, False), ("ideal", ideal_helpers(tree, node), False), ("expert", {}, True)
        ):  # fmt: skip
            judge = judge_of(experience, node, helpers, np.random.default_rng(1), expert=expert)
            found[node.name, kind] = float(accuracy(judge, node, pairs).noisy.mean())
    assert found["level_0", "unaided"] > 0.97
    assert found["level_1", "unaided"] > 0.93
    assert abs(found["level_2", "unaided"] - 0.5) < 0.04
    for name in ("level_1", "level_2"):
        assert found[name, "ideal"] > 0.97
        assert found[name, "expert"] > 0.97


@pytest.mark.parametrize("level", [0, 1])
def test_facts_that_are_not_read_change_no_answer(level: int) -> None:
    """Behind other facts wherever it does not read, the evaluator's answer stays bit for bit the same."""
    node = tree_of(FAMILIES[0]).nodes[level_name(level)]
    judge = judge_of(experience_of(tree_of(FAMILIES[0]), node, 0), node, {}, np.random.default_rng(1)).evaluator
    rng = np.random.default_rng(2)
    inputs = node.task.sample(rng, 100, "test")
    sides = [node.task.base_outputs(rng, inputs) for _ in range(2)]
    facts = inputs.worlds.facts
    read = np.zeros(facts.shape, dtype=bool)
    rows = np.arange(100)
    read[rows, inputs.asked] = True
    if level:
        read[rows, facts[rows, inputs.asked]] = True
    other = replace(inputs, worlds=replace(inputs.worlds, facts=np.where(read, facts, (facts + 1) % 11)))
    answers = []
    for shown in (inputs, other):
        meter = Meter(100, budget=2)
        views = [node.task.view(shown, side, NO_CLAIMS) for side in sides]
        exhibits = [
            Exhibit(face=v.face, probes=v.probes, claims=NO_CLAIMS, fields=v.fields, meter=meter, shared=v.shared)
            for v in views
        ]
        answers.append(judge.judge(exhibits[0], exhibits[1], np.random.default_rng(3)).probability)
    np.testing.assert_array_equal(answers[0], answers[1])


def test_an_unaided_evaluator_without_readings_is_at_chance() -> None:
    tree = tree_of(FAMILIES[0])
    node = tree.nodes["level_1"]
    experience = experience_of(tree, node, 0)
    blind = judge_of(experience, node, {}, np.random.default_rng(1), bounds=Bounds(budget=0))
    right = accuracy(blind, node, frozen_pairs(node, experience.scale, 800)).noisy
    assert abs(right.mean() - 0.5) < 0.04


def test_a_probe_follows_what_it_reads_and_pays_for_every_step() -> None:
    family = Powering(depth=1)
    task = LevelTask(family=family, level=1)
    rng = np.random.default_rng(0)
    inputs = task.sample(rng, 20, "train")
    view = task.view(inputs, task.base_outputs(rng, inputs), NO_CLAIMS)
    for budget, known in ((2, True), (1, False)):
        meter = Meter(20, budget=budget)
        exhibit = Exhibit(face=view.face, probes=view.probes, claims=NO_CLAIMS, fields=view.fields, meter=meter)
        read = exhibit.read_probe(view.probes["part_1"])
        assert view.probes["part_1"].cost == 2
        if known:
            np.testing.assert_array_equal(read, truth(family, 1, inputs))
        else:
            assert np.isnan(read).all()
        np.testing.assert_array_equal(meter.used, budget)


def test_no_control_knows_the_answers() -> None:
    family = Finding(depth=2)
    tasks = {level_name(i): LevelTask(family=family, level=i) for i in (0, 1)}
    policies = {name: NamingLearner(task=task).initial(np.random.default_rng(0)) for name, task in tasks.items()}
    node = tree_of(family).nodes["level_2"]
    rng = np.random.default_rng(3)
    inputs = node.task.sample(rng, 200, "train")
    outputs = node.task.base_outputs(rng, inputs)
    wrong = {}
    for control in CONTROLS:
        helpers: Any = stand_ins(control, tasks, policies, policies, rng)
        claims = assistance(node, helpers)(inputs, outputs)
        label = claims["part_1"].value
        assert ((label >= 0) & (label < family.names)).all(), control
        wrong[control] = float((label != truth(family, 2, inputs)).mean())
    assert min(wrong.values()) > 0.2, wrong


def test_splits_share_no_world() -> None:
    keys = {split: set(sample(FAMILIES[0], np.random.default_rng(0), 300, split)[1]) for split in ("train", "test")}
    assert len(keys["train"]) == 300
    assert not keys["train"] & keys["test"]


def test_the_fact_is_the_quantity_of_level_0() -> None:
    assert LevelTask(family=FAMILIES[0], level=0).quantities == (FACT,)
