"""Calibration: experience, plans of readings within budgets, and trust that follows from checks."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardtree.errors import BudgetError, TaskError
from rewardtree.evaluators.calibration import (
    CHECKS,
    Experience,
    boltzmann_accuracy,
    calibrate,
    choose_plan,
    gather,
    learn_trust,
)
from rewardtree.evaluators.simulated import Bounds, Plan, Trust
from rewardtree.tasks.answers import Answers
from rewardtree.tasks.exhibit import NO_CLAIMS, Claim
from rewardtree.tree.evaluating import assistance, ideal_helpers
from toy import toy_node, toy_tasks, toy_tree

TREE = toy_tree()
TASKS = toy_tasks()
HONEST = assistance(TREE.nodes["product"], ideal_helpers(TREE, TREE.nodes["product"]))


@pytest.fixture(scope="module")
def experience() -> Experience:
    return gather(TASKS["product"], np.random.default_rng(0), HONEST, pairs=600)


def unaided(inputs: Any, outputs: Any) -> Any:
    return NO_CLAIMS


def claim_of(said: np.ndarray, truth: np.ndarray, **given_: Any) -> tuple[Claim, dict[str, np.ndarray]]:
    """A claim of `said` at random places of a field that holds `truth` there."""
    rng = np.random.default_rng(0)
    place = rng.integers(4, size=len(said))
    field = rng.normal(size=(len(said), 4)) * 50
    field[np.arange(len(said)), place] = truth
    settings_ = {"author": "a", "version": "1", "quantity": "q", "place": place, "value": said, "check": ("f",)}
    return Claim(**settings_ | given_), {"f": field}


def trusted(said: np.ndarray, truth: np.ndarray, **given_: Any) -> Trust:
    trust, used = learn_trust(*claim_of(said, truth, **given_), np.random.default_rng(1))
    assert used == CHECKS
    return trust


TRUTH = np.random.default_rng(5).normal(20.0, 3.0, size=200)


def test_honest_claims_are_trusted_as_they_are() -> None:
    trust = trusted(TRUTH, TRUTH)
    assert trust.slope == pytest.approx(1.0) and trust.reliability == pytest.approx(1.0)
    assert trust.intercept == pytest.approx(0.0, abs=1e-9)


def test_claims_on_another_scale_are_translated() -> None:
    trust = trusted(2 * TRUTH + 3, TRUTH)
    assert trust.reliability == pytest.approx(1.0)
    claim, _ = claim_of(2 * TRUTH + 3, TRUTH)
    np.testing.assert_allclose(trust.adjust(claim), TRUTH)


def test_noisy_claims_are_shrunk_to_the_mean() -> None:
    """Slope and reliability of a regression of truth on claim, with as much noise as there is signal: one half each."""
    noise = np.random.default_rng(6).normal(0.0, 3.0, size=(40, 200))
    trust = [trusted(TRUTH + row, TRUTH) for row in noise]
    assert np.mean([t.reliability for t in trust]) == pytest.approx(0.5, abs=0.06)
    assert np.mean([t.slope for t in trust]) == pytest.approx(0.5, abs=0.06)


def test_shuffled_claims_are_not_trusted() -> None:
    shuffles = [np.random.default_rng(seed).permutation(TRUTH) for seed in range(20)]
    assert np.mean([trusted(said, TRUTH).reliability for said in shuffles]) < 2 / CHECKS


def test_claims_that_say_the_opposite_count_as_none() -> None:
    trust = trusted(-TRUTH, TRUTH)
    assert (trust.slope, trust.reliability) == (0.0, 0.0)
    claim, _ = claim_of(-TRUTH, TRUTH)
    np.testing.assert_allclose(trust.adjust(claim), TRUTH[:CHECKS].mean())


@pytest.mark.parametrize("unit", [1e-15, 1.0, 1e15])
def test_a_claim_that_is_always_the_same_says_nothing_whatever_its_unit(unit: float) -> None:
    trust = trusted(np.full(200, unit / 3), TRUTH * unit)
    assert trust.reliability == 0.0 and trust.intercept == pytest.approx(TRUTH[:CHECKS].mean() * unit)
    assert trusted(TRUTH * unit, TRUTH * unit).reliability == pytest.approx(1.0)


def test_claims_that_nothing_checks_are_trusted_for_free() -> None:
    assert learn_trust(*claim_of(-TRUTH, TRUTH, check=()), np.random.default_rng(0)) == (Trust(), 0)


def test_a_check_costs_a_reading_an_instrument() -> None:
    claim, fields = claim_of(TRUTH, TRUTH, check=("f", "g"), combine=lambda read: read["f"] + 0 * read["g"])
    trust, used = learn_trust(claim, fields | {"g": fields["f"]}, np.random.default_rng(0))
    assert used == 2 * CHECKS and trust.reliability == pytest.approx(1.0)


def test_itemised_claims_are_checked_item_by_item() -> None:
    """Items that say half of what is there are doubled, and the sum with them; absent items are never checked."""
    rng = np.random.default_rng(7)
    field = rng.normal(10.0, 2.0, size=(200, 5))
    items = np.where(rng.random(field.shape) < 0.3, np.nan, field / 2)
    items[:, 2] = field[:, 2] / 2
    claim = Claim(author="a", version="1", quantity="q", place=np.zeros(200, dtype=int), value=np.nansum(items, axis=1),
                  items=items, check=("f",))  # fmt: skip
    trust, used = learn_trust(claim, {"f": field}, np.random.default_rng(8))
    assert used == CHECKS
    assert trust.slope == pytest.approx(2.0) and trust.reliability == pytest.approx(1.0)
    np.testing.assert_allclose(trust.adjust(claim), 2 * claim.value)
    shifted = replace(claim, items=items + 1, value=np.nansum(items + 1, axis=1))
    trust, _ = learn_trust(shifted, {"f": field}, np.random.default_rng(8))
    np.testing.assert_allclose(trust.adjust(shifted), 2 * claim.value)


def test_items_are_checked_where_there_is_something_to_read() -> None:
    """Of a hundred claims half have one item that can be checked; where none can, a total is worth its usual value."""
    rng = np.random.default_rng(7)
    items = rng.normal(10.0, 2.0, size=(100, 3))
    field = np.full(items.shape, np.nan)
    field[::2, 1] = items[::2, 1] / 2
    claim = Claim(author="a", version="1", quantity="q", place=np.zeros(100, dtype=int), value=items.sum(axis=1),
                  items=items, check=("f",))  # fmt: skip
    trust, used = learn_trust(claim, {"f": field}, np.random.default_rng(8))
    assert used == CHECKS // 2 and trust.slope == pytest.approx(0.5) and trust.reliability == pytest.approx(1.0)
    trust, used = learn_trust(claim, {"f": np.full(items.shape, np.nan)}, np.random.default_rng(8))
    assert used == 0 and trust.reliability == 0.0
    np.testing.assert_allclose(trust.adjust(claim), 3 * items.mean())


def test_experience_knows_every_quantity_as_it_is() -> None:
    found = gather(TASKS["product"], np.random.default_rng(0), HONEST, pairs=50)
    rng = np.random.default_rng(0)
    inputs = TASKS["product"].sample(rng, 50, "calibration")
    outputs = [TASKS["product"].base_outputs(rng, inputs) for _ in range(2)]
    rewards = [TASKS["product"].true_reward(inputs, side) for side in outputs]
    np.testing.assert_allclose(found.difference * found.scale, rewards[0] - rewards[1])
    assert found.difference.std() == pytest.approx(1.0)
    for side, output in enumerate(outputs):
        for name in ("left", "right"):
            truth = inputs.fields[name][np.arange(50), output.place]
            np.testing.assert_array_equal(found.quantities[side][name], truth)
    assert found.costs == {"left": 1, "right": 1}


def test_experience_of_a_reward_that_never_differs_is_refused() -> None:
    flat = replace(TASKS["left"], penalty=0.0, quantity=lambda fields: 0.0 * fields["left"])
    with pytest.raises(TaskError, match="left"):
        gather(flat, np.random.default_rng(0), unaided, pairs=20)


@given(
    costs=st.dictionaries(st.sampled_from(["left", "right"]), st.integers(1, 3)),
    budget=st.one_of(st.none(), st.integers(0, 7)),
)
@settings(max_examples=40)
def test_plans_stay_within_the_budget(experience: Experience, costs: dict[str, int], budget: int | None) -> None:
    plan = choose_plan(experience, costs, Bounds(budget=budget))
    spent = sum(costs[name] for name in (*plan.first, *plan.second))
    assert budget is None or spent <= budget
    for reads in (plan.first, plan.second):
        assert len(set(reads)) == len(reads) and set(reads) <= set(costs)


def test_plans_read_what_is_worth_it(experience: Experience) -> None:
    """Both numbers make the product: with room for them all, all are read; a claim that is known needs no reading."""
    costs = {"left": 1, "right": 1}
    assert choose_plan(experience, costs, Bounds(budget=0)) == Plan()
    full = choose_plan(experience, costs, Bounds(budget=4))
    assert set(full.first) == set(full.second) == {"left", "right"}
    assert choose_plan(experience, costs, Bounds(budget=None)) == full
    known = [{n: q["left"] for n in ("left",)} for q in experience.quantities]
    rest = choose_plan(experience, costs, Bounds(budget=2), (known[0], known[1]))
    assert rest == Plan(first=("right",), second=("right",))


def test_with_room_for_one_output_only_all_readings_go_to_the_first(experience: Experience) -> None:
    plan = choose_plan(experience, {"left": 1, "right": 1}, Bounds(budget=1))
    assert len(plan.first) == 1 and plan.second == ()


@pytest.mark.parametrize("rationality", [0.5, 5.0])
def test_boltzmann_accuracy_is_the_share_of_right_answers(rationality: float) -> None:
    rng = np.random.default_rng(0)
    estimate, truth = rng.normal(size=(2, 4000))
    truth[:100] = 0
    bounds = Bounds(rationality=rationality, lapse=0.1)
    trials = []
    for _ in range(40):
        lapses = rng.random(4000) < 0.1
        first = rng.random(4000) < np.where(lapses, 0.5, 1 / (1 + np.exp(-rationality * estimate)))
        trials.append(np.where(truth == 0, 0.5, first == (truth > 0)).mean())
    assert boltzmann_accuracy(estimate, truth, bounds) == pytest.approx(np.mean(trials), abs=0.005)


def test_an_experts_meter_is_unlimited(experience: Experience) -> None:
    with pytest.raises(BudgetError, match="expert"):
        calibrate("expert", experience, Bounds(budget=2), expert=True, rng=np.random.default_rng(0))


def test_calibration_reports_the_readings_of_its_checks(experience: Experience) -> None:
    task = TASKS["product"]
    rng = np.random.default_rng(3)
    inputs = task.sample(rng, CHECKS, "calibration")
    outputs: Answers = task.base_outputs(rng, inputs)
    claims = HONEST(inputs, outputs)
    view = task.view(inputs, outputs, claims)
    evaluator, used = calibrate("assisted", experience, Bounds(budget=0), claims=claims, view=view, rng=rng)
    assert used == 2 * CHECKS
    assert all(trust.reliability == pytest.approx(1.0) for trust in evaluator.trust.values())
    assert set(evaluator.estimators) == {frozenset({"left", "right"})}
    alone, used = calibrate("unaided", experience, Bounds(budget=0), rng=rng)
    assert used == 0 and alone.trust == {} and set(alone.estimators) == {frozenset()}


def test_the_same_generator_makes_the_same_evaluator() -> None:
    node = toy_node("left")
    made = [gather(node.task, np.random.default_rng(s), unaided, pairs=60) for s in (4, 4, 5)]
    first, again, other = (calibrate("u", e, Bounds(), rng=np.random.default_rng(0))[0] for e in made)
    assert first.plan == again.plan and first.usual == again.usual
    for names, estimator in first.estimators.items():
        np.testing.assert_array_equal(estimator.coefficients, again.estimators[names].coefficients)
    assert first.usual != other.usual
