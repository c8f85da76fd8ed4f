"""Simulated evaluators: they depend on nothing that they did not read, and err as their bounds say."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import binomtest

from rewardtree.domains.chip.domain import pools
from rewardtree.domains.chip.nodes import chip_tree
from rewardtree.errors import BudgetError
from rewardtree.evaluators.calibration import Experience, gather
from rewardtree.evaluators.simulated import Bounds, Judgements, attended
from rewardtree.policies.answering import AnsweringLearner
from rewardtree.tasks.answers import AnswerTask, Ask
from rewardtree.tasks.exhibit import Exhibit
from rewardtree.tree.assistance import Helpers
from rewardtree.tree.comparing import exhibits
from rewardtree.tree.domain import Settings
from rewardtree.tree.evaluating import Judge, assistance, ideal_helpers, judge_of
from rewardtree.tree.node import Budget, Node, Tree
from rewardtree.tree.sides import Side
from rewardtree.tree.stand_ins import shuffled
from toy import lists, toy_tasks

KINDS = ("unaided", "assisted", "expert")
ROWS = 60


@dataclass(frozen=True, kw_only=True)
class Case:
    """A node with its ideal helpers and the experience of its evaluators."""

    tree: Tree
    node: Node
    experience: Experience

    def judge(self, kind: str, bounds: Bounds, helpers: Helpers | None = None) -> Judge:
        who = helpers if helpers is not None else ideal_helpers(self.tree, self.node)
        rng = np.random.default_rng(1)
        return judge_of(
            self.experience, self.node, who if kind == "assisted" else {}, rng, expert=kind == "expert", bounds=bounds
        )

    def sides(self, judge: Judge, rows: int = ROWS) -> tuple[Any, tuple[Side, Side]]:
        rng = np.random.default_rng(2)
        inputs = self.node.task.sample(rng, rows, "validation")
        outputs = [self.node.task.base_outputs(rng, inputs) for _ in range(2)]
        first, second = (Side(outputs=side, claims=judge.assist(inputs, side)) for side in outputs)
        return inputs, (first, second)

    def judged(self, kind: str, bounds: Bounds, rows: int = ROWS, helpers: Helpers | None = None) -> Judgements:
        judge = self.judge(kind, bounds, helpers)
        inputs, sides = self.sides(judge, rows)
        shown = exhibits(self.node.task, inputs, sides, judge.evaluator.bounds.budget)
        return judge.evaluator.judge(*shown, np.random.default_rng(3))

    def accuracy(self, kind: str, bounds: Bounds, rows: int = 400, helpers: Helpers | None = None) -> float:
        judge = self.judge(kind, bounds, helpers)
        inputs, sides = self.sides(judge, rows)
        rewards = [self.node.task.true_reward(inputs, side.outputs) for side in sides]
        probability = self.judged(kind, bounds, rows, helpers).probability
        return float(np.where(rewards[0] > rewards[1], probability, 1 - probability).mean())


def case_of(tree: Tree, name: str, pairs: int) -> Case:
    node = tree.nodes[name]
    assist = assistance(node, ideal_helpers(tree, node))
    return Case(tree=tree, node=node, experience=gather(node.task, np.random.default_rng(0), assist, pairs=pairs))


def tree_of(tasks: dict[str, AnswerTask], root: str) -> Tree:
    nodes = {
        name: Node(
            name=name,
            task=task,
            learner=AnsweringLearner(task=task),
            helpers=tuple(ask.helper for ask in task.asks.values()),
        )
        for name, task in tasks.items()
    }
    return Tree(nodes=nodes, root=root)


@lru_cache
def toy(name: str, unit: float = 1.0) -> Case:
    return case_of(tree_of(toy_tasks(unit), "product"), name, 600)


@lru_cache
def chip(name: str) -> Case:
    budget = Budget()
    tree = chip_tree(pools(0), Settings(seed=0, helper=budget, root=budget, bounds=Bounds()))
    return case_of(tree, name, 240)


Log = list[tuple[int, str, np.ndarray]]


@contextmanager
def watched() -> Iterator[Log]:
    """Notes every granted reading: the exhibit, the instrument and the places, -1 where it was refused."""
    log: Log = []
    original = Exhibit.read

    def read(self: Exhibit, instrument: str, places: Any, wanted: Any = None) -> Any:
        values, granted = original(self, instrument, places, wanted)
        log.append((id(self), instrument, np.where(granted, places, -1)))
        return values, granted

    Exhibit.read = read  # type: ignore[method-assign]
    try:
        yield log
    finally:
        Exhibit.read = original  # type: ignore[method-assign]


def behind_other_values(
    shown: tuple[Exhibit, Exhibit], log: Log, fresh: tuple[Exhibit, Exhibit]
) -> tuple[Exhibit, Exhibit]:
    """The fresh exhibits with every value changed that was not read."""
    changed = []
    for old, new in zip(shown, fresh, strict=True):
        fields = {}
        for name, values in old.fields.items():
            other = -3.0 * values - np.abs(values).max() - 1.0
            for who, instrument, places in log:
                if who == id(old) and instrument == name:
                    rows, columns = np.nonzero(places >= 0)
                    other[rows, places[rows, columns]] = values[rows, places[rows, columns]]
            fields[name] = other
        changed.append(replace(new, fields=fields))
    return changed[0], changed[1]


def assert_depends_on_readings_only(case: Case, kind: str, bounds: Bounds) -> None:
    judge = case.judge(kind, bounds)
    inputs, sides = case.sides(judge)
    budget = judge.evaluator.bounds.budget
    shown, fresh = (exhibits(case.node.task, inputs, sides, budget) for _ in range(2))
    with watched() as log:
        found = judge.evaluator.judge(*shown, np.random.default_rng(3))
    again = judge.evaluator.judge(*behind_other_values(shown, log, fresh), np.random.default_rng(3))
    np.testing.assert_array_equal(found.probability, again.probability)
    np.testing.assert_array_equal(found.first_better, again.first_better)
    np.testing.assert_array_equal(found.readings, again.readings)
    granted = sum((places >= 0).sum(axis=1) for _, _, places in log) if log else np.zeros(ROWS)
    np.testing.assert_array_equal(found.readings, granted)
    assert budget is None or found.readings.max() <= budget
    if kind != "expert" and found.readings.max() > 0:
        blind = tuple(replace(e, fields={n: -v for n, v in e.fields.items()}) for e in fresh)
        other = judge.evaluator.judge(blind[0], blind[1], np.random.default_rng(3))
        assert not np.array_equal(found.probability, other.probability)


@pytest.mark.parametrize("name", ["heat", "current", "lifetime", "energy", "security", "floorplan"])
@pytest.mark.parametrize("kind", KINDS)
def test_chip_evaluators_depend_on_what_they_read_only(name: str, kind: str) -> None:
    for budget in (0, 2, 4):
        assert_depends_on_readings_only(chip(name), kind, Bounds(budget=budget))


@given(
    places=st.integers(2, 5),
    direction=st.sampled_from([-1, 1]),
    instruments=st.integers(1, 3),
    budget=st.integers(0, 5),
    attention=st.integers(0, 6),
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40)
def test_toy_evaluators_depend_on_what_they_read_only(
    places: int, direction: int, instruments: int, budget: int, attention: int, kind: str, seed: int
) -> None:
    """Tasks with any number of fields that are multiplied, each with a helper of its own."""
    names = tuple(f"field{i}" for i in range(instruments))

    def draw(rng: np.random.Generator, count: int, split: Any) -> Any:
        fields = {n: rng.normal(3.0, 1.0 + i, size=(count, places)) for i, n in enumerate(names)}
        scenes = lists(rng, count, split)
        return replace(
            scenes, features=np.zeros((count, places, 1), dtype=np.float32), valid=np.ones((count, places), dtype=bool),
            prominence=fields[names[0]], fields=fields,
        )  # fmt: skip

    def one(name: str) -> Any:
        return lambda rng, count, split: replace((s := draw(rng, count, split)), fields={name: s.fields[name]})

    given_: dict[str, Any] = {"low": -100.0, "high": 100.0, "usual": 3.0, "scale": 5.0, "direction": direction}
    tasks = {n: AnswerTask(name=n, instruments=(n,), draw=one(n), **given_) for n in names}
    tasks["all"] = AnswerTask(
        name="all", instruments=names, draw=draw, quantity=lambda f: np.prod([f[n] for n in names], axis=0),
        asks={n: Ask(helper=n, columns=slice(0, 1)) for n in names}, **given_,
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    tree = tree_of(tasks, "all")
    assist = assistance(tree.nodes["all"], ideal_helpers(tree, tree.nodes["all"]))
    case = Case(tree=tree, node=tree.nodes["all"], experience=gather(tasks["all"], rng, assist, pairs=90))
    assert_depends_on_readings_only(case, kind, Bounds(budget=budget, attention=attention))


@pytest.mark.parametrize("name", ["left", "product"])
def test_an_expert_is_someone_with_an_unlimited_meter(name: str) -> None:
    expert, unlimited = (toy(name).judged(kind, Bounds(budget=None)) for kind in ("expert", "unaided"))
    np.testing.assert_allclose(expert.probability, unlimited.probability, rtol=1e-12)
    np.testing.assert_array_equal(expert.first_better, unlimited.first_better)


def test_an_expert_hears_no_claims() -> None:
    case = toy("product")
    judge = case.judge("expert", Bounds())
    inputs, sides = case.sides(judge)
    helpers = assistance(case.node, ideal_helpers(case.tree, case.node))
    told = [replace(side, claims=helpers(inputs, side.outputs)) for side in sides]
    alone, with_claims = (
        judge.evaluator.judge(*exhibits(case.node.task, inputs, (a, b), None), np.random.default_rng(0))
        for a, b in (sides, told)
    )
    np.testing.assert_array_equal(alone.probability, with_claims.probability)


@pytest.mark.parametrize("name", ["left", "product"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_lapse_of_one_is_chance(name: str, kind: str) -> None:
    found = toy(name).judged(kind, Bounds(lapse=1.0), rows=2000)
    assert (found.probability == 0.5).all()
    assert binomtest(int(found.first_better.sum()), 2000).pvalue > 1e-3


def test_answers_follow_the_probability_and_the_lapse_bounds_it() -> None:
    found = toy("left").judged("unaided", Bounds(lapse=0.2), rows=4000)
    assert found.probability.min() >= 0.1 and found.probability.max() <= 0.9
    for low in np.arange(0.1, 0.9, 0.2):
        inside = (found.probability >= low) & (found.probability < low + 0.2)
        expected, answers = found.probability[inside].mean(), found.first_better[inside]
        assert abs(answers.mean() - expected) < 5 * np.sqrt(0.25 / len(answers))


@pytest.mark.parametrize("bias", [-1.0, 0.7])
def test_position_bias_shifts_every_answer_by_as_many_nats(bias: float) -> None:
    plain = toy("left").judged("unaided", Bounds(lapse=0.0))
    biased = toy("left").judged("unaided", Bounds(lapse=0.0, position_bias=bias))
    clear = np.abs(logit(plain.probability)) < 20
    np.testing.assert_allclose(logit(biased.probability)[clear] - logit(plain.probability)[clear], bias, atol=1e-6)


def test_without_bias_the_order_of_the_sides_does_not_matter() -> None:
    case = toy("product")
    judge = case.judge("unaided", Bounds(budget=4))
    assert judge.evaluator.plan.first == judge.evaluator.plan.second
    inputs, (first, second) = case.sides(judge)
    one, other = (
        judge.evaluator.judge(*exhibits(case.node.task, inputs, sides, 4), np.random.default_rng(0))
        for sides in ((first, second), (second, first))
    )
    np.testing.assert_allclose(one.probability, 1 - other.probability, atol=1e-12)


@pytest.mark.parametrize("rationality", [0.5, 2.0])
def test_probability_is_boltzmann_rational_over_the_estimates(rationality: float) -> None:
    """Christiano et al. 2017, section 2.2.3, with their constant lapse."""
    case, bounds = toy("left"), Bounds(rationality=rationality, lapse=0.1)
    judge = case.judge("unaided", bounds)
    inputs, sides = case.sides(judge)
    shown, fresh = (exhibits(case.node.task, inputs, sides, 2) for _ in range(2))
    plan = judge.evaluator.plan
    estimates = [
        judge.evaluator.estimate(e, reads)[0] for e, reads in zip(fresh, (plan.first, plan.second), strict=True)
    ]
    expected = 0.9 * expit(rationality * (estimates[0] - estimates[1])) + 0.05
    found = judge.evaluator.judge(*shown, np.random.default_rng(0))
    np.testing.assert_allclose(found.probability, expected, rtol=1e-9)


@pytest.mark.parametrize("unit", [1000.0, 1e-12])
@pytest.mark.parametrize("name", ["left", "product"])
@pytest.mark.parametrize("kind", KINDS)
def test_units_make_no_difference(name: str, kind: str, unit: float) -> None:
    """Rewards and fields a thousand times as large: the same rationality gives the same answers."""
    one, other = (toy(name, u).judged(kind, Bounds(budget=2)) for u in (1.0, unit))
    np.testing.assert_allclose(one.probability, other.probability, atol=1e-6)
    np.testing.assert_array_equal(one.readings, other.readings)


@given(budget=st.integers(0, 6), attention=st.integers(0, 6), kind=st.sampled_from(("unaided", "assisted")))
@settings(max_examples=30)
def test_readings_stay_within_the_budget_and_claims_within_attention(budget: int, attention: int, kind: str) -> None:
    bounds = Bounds(budget=budget, attention=attention)
    judge = toy("product").judge(kind, bounds)
    found = toy("product").judged(kind, bounds)
    planned = len(judge.evaluator.plan.first) + len(judge.evaluator.plan.second)
    assert planned <= budget and (found.readings == planned).all()
    assert (found.claims_seen <= attention).all()
    assert (found.claims_seen == (2 * min(attention // 2, 2) if kind == "assisted" else 0)).all()


def test_what_ideal_helpers_said_is_not_read_again() -> None:
    assert not toy("product").judged("assisted", Bounds(budget=4)).readings.any()


def test_a_budget_of_nothing_reads_nothing() -> None:
    for name, kind in (("left", "unaided"), ("product", "assisted")):
        assert not toy(name).judged(kind, Bounds(budget=0)).readings.any()


def test_claims_that_attention_does_not_reach_make_no_difference() -> None:
    case = toy("product")
    judge = case.judge("assisted", Bounds(budget=2, attention=0))
    inputs, sides = case.sides(judge)
    order = np.random.default_rng(0).permutation(ROWS)
    other = [
        replace(side, claims={n: replace(c.take(order), place=c.place[order]) for n, c in side.claims.items()})
        for side in sides
    ]
    one, two = (
        judge.evaluator.judge(*exhibits(case.node.task, inputs, (a, b), 2), np.random.default_rng(0))
        for a, b in (sides, other)
    )
    np.testing.assert_array_equal(one.probability, two.probability)
    assert not one.claims_seen.any()


def test_attention_goes_to_claims_in_the_tasks_order() -> None:
    case = toy("product")
    judge = case.judge("assisted", Bounds())
    _, sides = case.sides(judge)
    backwards = dict(reversed(list(sides[0].claims.items())))
    assert list(attended(backwards, case.node.task, 12)) == ["left", "right"]
    assert list(attended(backwards, case.node.task, 3)) == ["left"]


def test_ideal_helpers_replace_readings_and_shuffled_ones_are_seen_through() -> None:
    """Without a meter, ideal claims bring the evaluator to the expert's level; shuffled ones leave it where it was."""
    case, bounds = toy("product"), Bounds(budget=0)
    unaided, ideal, expert = (case.accuracy(kind, bounds) for kind in KINDS)
    assert expert > unaided + 0.1
    assert ideal == pytest.approx(expert, abs=0.01)
    liars = {n: shuffled(h, np.random.default_rng(5)) for n, h in ideal_helpers(case.tree, case.node).items()}
    assert case.accuracy("assisted", bounds, helpers=liars) == pytest.approx(unaided, abs=0.06)


def test_more_readings_never_make_it_much_worse() -> None:
    accuracies = [toy("product").accuracy("unaided", Bounds(budget=budget)) for budget in range(5)]
    assert all(later > earlier - 0.02 for earlier, later in pairwise(accuracies))
    assert accuracies[4] > accuracies[0] + 0.1


def test_who_can_read_everything_loses_nothing_to_false_claims() -> None:
    """Neither by their values, as a reading counts for more, nor by their places, as the face names those too."""
    case, bounds = toy("product"), Bounds(budget=4)
    liars = {n: shuffled(h, np.random.default_rng(5)) for n, h in ideal_helpers(case.tree, case.node).items()}
    assert case.accuracy("assisted", bounds, helpers=liars) == pytest.approx(case.accuracy("expert", bounds), abs=0.01)


@pytest.mark.parametrize(
    "wrong", [{"budget": -1}, {"attention": -1}, {"rationality": 0.0}, {"lapse": 1.1}, {"lapse": -0.1}]
)
def test_bounds_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BudgetError):
        Bounds(**wrong)
