"""Assistance: questions in rounds, claims by quantity, and the stand-ins for a helper."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rewardtree.errors import TaskError
from rewardtree.policies.answering import AnsweringLearner
from rewardtree.tasks.answers import Answers, AnswerTask, Scenes
from rewardtree.tasks.conformance import TaskConformance
from rewardtree.tasks.exhibit import NO_CLAIMS, Claim, Claims
from rewardtree.tasks.specimen import Specimen
from rewardtree.tasks.task import ROUNDS, Question
from rewardtree.tree.assistance import ask, unaided
from rewardtree.tree.stand_ins import adversarial, answering, heuristic, ideal, random_places, shuffled, trained
from toy import PLACES, toy_tasks

TASKS = toy_tasks()
HELPERS = {name: ideal(TASKS[name]) for name in ("left", "right")}


class TwoRounds:
    """The product task; it asks for the right number only once it knows the left one, and replies to that."""

    name = "product"
    quantities = ("left", "right")

    def __init__(self, rounds: int = 2) -> None:
        self.rounds = rounds

    def __getattr__(self, name: str) -> Any:
        return getattr(TASKS["product"], name)

    def questions(self, inputs: Scenes, outputs: Answers, claims: Claims) -> Sequence[Question]:
        left, right = TASKS["product"].questions(inputs, outputs, NO_CLAIMS)
        if "left" not in claims:
            return [left]
        if self.rounds == 2 and "right" not in claims:
            place = claims["left"].place
            asked = replace(right.inputs, asked=place)
            return [replace(right, inputs=asked, turn=1, in_reply_to="left")]
        if len(claims) < self.rounds and self.rounds > 2:
            return [replace(left, quantity=f"again {len(claims)}", turn=len(claims))]
        return ()


class TestTwoRounds(TaskConformance):
    @property
    def specimen(self) -> Specimen:
        return Specimen(task=two_rounds(), helpers=HELPERS)


def two_rounds(rounds: int = 2) -> Any:
    return TwoRounds(rounds)


def batch(count: int = 30, seed: int = 0, task: str = "product") -> tuple[Scenes, Answers]:
    rng = np.random.default_rng(seed)
    inputs = TASKS[task].sample(rng, count, "train")
    return inputs, TASKS[task].base_outputs(rng, inputs)


def asked_of(task: str, count: int = 200) -> Question:
    """A question that is half about the greatest value, half about a place that is named."""
    inputs, _ = batch(count, task=task)
    return Question(helper=task, quantity=task, inputs=inputs)


def at(field: np.ndarray, place: np.ndarray) -> np.ndarray:
    found: np.ndarray = field[np.arange(len(place)), place]
    return found


def test_one_round() -> None:
    inputs, outputs = batch()
    claims = ask(TASKS["product"], HELPERS, inputs, outputs)
    assert {q: c.author for q, c in claims.items()} == {"left": "left", "right": "right"}
    for name, claim in claims.items():
        np.testing.assert_array_equal(claim.value, at(inputs.fields[name], outputs.place))


def test_the_second_round_follows_from_the_first() -> None:
    inputs, outputs = batch()
    heard: list[tuple[str, int, str | None]] = []

    def listening(name: str) -> Any:
        def answer(question: Question) -> Claim:
            heard.append((question.quantity, question.turn, question.in_reply_to))
            return HELPERS[name](question)

        return answer

    claims = ask(two_rounds(), {n: listening(n) for n in HELPERS}, inputs, outputs)
    assert heard == [("left", 0, None), ("right", 1, "left")]
    assert (claims["right"].turn, claims["right"].in_reply_to) == (1, "left")
    np.testing.assert_array_equal(claims["right"].value, at(inputs.fields["right"], outputs.place))


def test_as_many_rounds_as_are_allowed_and_no_more() -> None:
    inputs, outputs = batch()
    assert len(ask(two_rounds(ROUNDS), HELPERS, inputs, outputs)) == ROUNDS
    with pytest.raises(TaskError, match=f"after {ROUNDS} rounds"):
        ask(two_rounds(ROUNDS + 1), HELPERS, inputs, outputs)


def test_a_question_to_nobody_is_refused() -> None:
    with pytest.raises(TaskError, match=r"asks 'right', which is not among its helpers \['left'\]"):
        ask(TASKS["product"], {"left": HELPERS["left"]}, *batch())


def test_a_leaf_asks_nothing() -> None:
    assert ask(TASKS["left"], {}, *batch(task="left")) == {}
    assert unaided(*batch()) == {}


def test_a_trained_helper_says_what_its_policy_answers() -> None:
    task = TASKS["left"]
    policy = AnsweringLearner(task=task).initial(np.random.default_rng(0))
    question = asked_of("left")
    claim, answer = trained(task, policy)(question), policy.answer(question.inputs)
    np.testing.assert_array_equal(claim.place, answer.place)
    np.testing.assert_array_equal(claim.value, answer.value)
    assert (claim.version, claim.revealed) == ("untrained", False)
    total = trained(task, policy)(replace(question, total=True))
    np.testing.assert_allclose(total.value, policy.items(question.inputs).sum(axis=1))


def test_an_ideal_helper_is_right() -> None:
    question = asked_of("left")
    scenes = question.inputs
    claim = ideal(TASKS["left"])(question)
    free = scenes.asked < 0
    np.testing.assert_array_equal(claim.place[free], scenes.fields["left"][free].argmax(axis=1))
    np.testing.assert_array_equal(claim.place[~free], scenes.asked[~free])
    np.testing.assert_array_equal(claim.value, at(scenes.fields["left"], claim.place))
    total = ideal(TASKS["left"])(replace(question, total=True))
    np.testing.assert_allclose(total.value, scenes.fields["left"].sum(axis=1))


def test_a_shuffled_helper_speaks_of_other_outputs_but_stays_where_it_was_asked() -> None:
    question = asked_of("left")
    honest = ideal(TASKS["left"])(question)
    said = shuffled(ideal(TASKS["left"]), np.random.default_rng(1))(question)
    assert sorted(said.value) == sorted(honest.value) and (said.value != honest.value).mean() > 0.9
    asked = question.inputs.asked >= 0
    np.testing.assert_array_equal(said.place[asked], question.inputs.asked[asked])
    assert (said.place[~asked] != honest.place[~asked]).mean() > 0.5


def controls(task: AnswerTask) -> Mapping[str, Any]:
    return {
        "random": random_places(task, np.random.default_rng(1)),
        "heuristic": heuristic(task),
        "adversarial": adversarial(task, np.random.default_rng(1)),
    }


@pytest.mark.parametrize("kind", ["random", "heuristic", "adversarial"])
def test_controls_answer_where_they_are_asked(kind: str) -> None:
    question = asked_of("left")
    claim = controls(TASKS["left"])[kind](question)
    asked = question.inputs.asked >= 0
    np.testing.assert_array_equal(claim.place[asked], question.inputs.asked[asked])


@pytest.mark.parametrize("kind", ["random", "adversarial"])
def test_random_places_and_adversaries_are_never_refuted_where_they_point(kind: str) -> None:
    question = asked_of("left")
    claim = controls(TASKS["left"])[kind](question)
    np.testing.assert_array_equal(claim.value, at(question.inputs.fields["left"], claim.place))


def test_random_places_are_random_and_adversaries_hide_the_greatest_half_of_the_time() -> None:
    question = asked_of("left", 2000)
    free = question.inputs.asked < 0
    field = question.inputs.fields["left"][free]
    random = controls(TASKS["left"])["random"](question).place[free]
    assert np.bincount(random, minlength=PLACES).min() > 0.8 * free.sum() / PLACES
    hidden = controls(TASKS["left"])["adversarial"](question).place[free]
    assert np.isin(hidden, (0, 1, 2, 3, 4, 5)).all()
    assert (hidden == field.argmin(axis=1)).mean() == pytest.approx(0.5, abs=0.06)
    assert (hidden == field.argmax(axis=1)).mean() == pytest.approx(0.5, abs=0.06)


def test_a_heuristic_points_at_what_catches_the_eye() -> None:
    question = asked_of("left")
    free = question.inputs.asked < 0
    claim = controls(TASKS["left"])["heuristic"](question)
    np.testing.assert_array_equal(claim.place[free], question.inputs.prominence[free].argmax(axis=1))


def test_adversaries_leave_out_the_largest_items_of_a_total_also_where_many_are_as_large() -> None:
    """Of three items that are 1 and three that are 0 the liar tells of the latter alone."""
    scenes = asked_of("left", 400).inputs
    for field, kept in ((np.tile([1.0, 0.0], (400, 3)), 3), (np.tile(np.arange(6.0), (400, 1)), 5)):
        question = Question(helper="left", quantity="q", inputs=replace(scenes, fields={"left": field}), total=True)
        items = adversarial(TASKS["left"], np.random.default_rng(1))(question).items
        assert items is not None
        told = (~np.isnan(items)).sum(axis=1)
        assert set(told) == {kept, 6} and (told == kept).mean() == pytest.approx(0.5, abs=0.1)
        assert not np.any(items[told == kept] == field.max())


def test_only_answering_tasks_can_help() -> None:
    assert answering(TASKS["left"]) is TASKS["left"]
    with pytest.raises(TaskError, match="product cannot help"):
        answering(two_rounds())
