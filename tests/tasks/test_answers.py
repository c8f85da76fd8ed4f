"""Answering tasks: their reward, their ideal, what they show and what they ask."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from rewardtree.errors import TaskError
from rewardtree.tasks.answers import SKEW, Answers, AnswerTask, Scenes, merge, prominent_places, some_asked
from rewardtree.tasks.exhibit import NO_CLAIMS
from rewardtree.tasks.task import Question
from toy import LEFT, PLACES, RIGHT, lists, product, toy_tasks

TASKS = toy_tasks()


def scenes_of(field: list[list[float]], asked: list[int], valid: list[list[bool]] | None = None) -> Scenes:
    values = np.array(field)
    return Scenes(
        features=np.zeros((*values.shape, 2), dtype=np.float32),
        valid=np.ones(values.shape, dtype=bool) if valid is None else np.array(valid),
        prominence=values,
        fields={"left": values},
        asked=np.array(asked),
        origin=np.arange(len(values)),
    )


def test_true_reward_is_the_stated_formula() -> None:
    scenes = scenes_of([[1.0, 7.0], [1.0, 7.0]], asked=[-1, 0])
    answers = Answers(place=np.array([1, 0]), value=np.array([4.0, 4.0]))
    scale, penalty = 2.0, 3.0
    task = replace(TASKS["left"], penalty=penalty)
    chosen, asked = 7.0 / scale - penalty * 3.0 / scale, -penalty * 3.0 / scale
    assert task.true_reward(scenes, answers).tolist() == [chosen, asked]
    least = replace(task, direction=-1)
    assert least.true_reward(scenes, answers).tolist() == [-7.0 / scale - penalty * 3.0 / scale, asked]


def test_true_reward_of_a_derived_quantity() -> None:
    scenes = lists(np.random.default_rng(0), 4, "train")
    answers = Answers(place=np.array([0, 1, 2, 3]), value=np.full(4, 10.0))
    rows = np.arange(4)
    amount = product({n: v[rows, answers.place] for n, v in scenes.fields.items()})
    expected = (amount - np.abs(10.0 - amount)) / 15.0
    np.testing.assert_allclose(TASKS["product"].true_reward(scenes, answers), expected, rtol=1e-12)


@given(seed=st.integers(0, 2**32), direction=st.sampled_from([-1, 1]), name=st.sampled_from(sorted(TASKS)))
def test_no_answer_beats_the_ideal(seed: int, direction: int, name: str) -> None:
    rng = np.random.default_rng(seed)
    task = replace(TASKS[name], direction=direction)
    inputs = task.sample(rng, 8, "train")
    best = task.true_reward(inputs, task.ideal(inputs))
    for outputs in (task.base_outputs(rng, inputs), task.explore(rng, inputs)):
        assert (task.true_reward(inputs, outputs) <= best + 1e-9).all()
    measures = task.measures(inputs, task.ideal(inputs))
    assert np.abs(measures["regret"]).max() == 0 and np.abs(measures["value_error"]).max() == 0


def test_the_ideal_is_a_place_that_exists_or_the_one_asked_about() -> None:
    scenes = scenes_of([[1.0, 9.0, 5.0]] * 2, asked=[-1, 0], valid=[[True, False, True]] * 2)
    ideal = TASKS["left"].ideal(scenes)
    assert ideal.place.tolist() == [2, 0] and ideal.value.tolist() == [5.0, 1.0]


def test_measures_are_in_units_of_scale() -> None:
    scenes = scenes_of([[1.0, 7.0], [1.0, 7.0]], asked=[-1, 0])
    answers = Answers(place=np.array([0, 0]), value=np.array([2.0, 4.0]))
    measures = TASKS["left"].measures(scenes, answers)
    assert measures["regret"].tolist() == [3.0, 0.0] and measures["value_error"].tolist() == [0.5, 1.5]


@pytest.mark.parametrize("make", ["base_outputs", "explore"])
def test_outputs_stay_in_range_and_go_where_they_are_asked(make: str) -> None:
    rng = np.random.default_rng(1)
    task = TASKS["left"]
    inputs = task.sample(rng, 500, "train")
    outputs: Answers = getattr(task, make)(rng, inputs)
    asked = inputs.asked >= 0
    assert 0.4 < asked.mean() < 0.6
    assert (outputs.place[asked] == inputs.asked[asked]).all()
    assert outputs.value.min() >= task.low and outputs.value.max() <= task.high


def test_only_the_answer_is_on_the_face_and_each_field_is_probed_at_its_place() -> None:
    rng = np.random.default_rng(2)
    task = TASKS["product"]
    inputs = task.sample(rng, 5, "train")
    outputs = task.base_outputs(rng, inputs)
    view = task.view(inputs, outputs, NO_CLAIMS)
    np.testing.assert_array_equal(view.face, np.stack([outputs.value / task.scale, np.zeros(5)], axis=1))
    assert set(view.probes) == {"left", "right"}
    for name, probe in view.probes.items():
        assert probe.instruments == (name,) and (probe.place == outputs.place).all()


def test_what_is_sensed_fixes_the_reward() -> None:
    """Someone who knows every quantity needs only to add up."""
    for name, task in TASKS.items():
        rng = np.random.default_rng(3)
        inputs = task.sample(rng, 50, "train")
        outputs = task.base_outputs(rng, inputs)
        view = task.view(inputs, outputs, NO_CLAIMS)
        sensed = task.sense(view.face, task.survey(view))
        expected = task.true_reward(inputs, outputs)
        np.testing.assert_allclose(sensed[:, 0] - task.penalty * sensed[:, 1], expected, atol=1e-9, err_msg=name)


def test_questions_go_to_the_helper_of_each_field_about_the_answers_place() -> None:
    rng = np.random.default_rng(4)
    task = TASKS["product"]
    inputs = task.sample(rng, 5, "train")
    outputs = task.base_outputs(rng, inputs)
    asked = task.questions(inputs, outputs, NO_CLAIMS)
    assert [(q.helper, q.quantity) for q in asked] == [("left", "left"), ("right", "right")]
    for question, columns in zip(asked, (LEFT, RIGHT), strict=True):
        assert (question.inputs.asked == outputs.place).all()
        assert set(question.inputs.fields) == {question.quantity}
        np.testing.assert_array_equal(question.inputs.features, inputs.features[..., columns])
    told = {"left": TASKS["left"].claim(asked[0].inputs, outputs, question=asked[0], version="1")}
    assert [q.quantity for q in task.questions(inputs, outputs, told)] == ["right"]


def test_ideal_answers_to_the_questions_fix_the_quantity() -> None:
    rng = np.random.default_rng(5)
    task = TASKS["product"]
    inputs = task.sample(rng, 20, "train")
    outputs = task.base_outputs(rng, inputs)
    told = {}
    for question in task.questions(inputs, outputs, NO_CLAIMS):
        helper = TASKS[question.helper]
        claim = helper.claim(question.inputs, helper.ideal(question.inputs), question=question, version="ideal")
        assert claim.check == (question.quantity,)
        told[question.quantity] = claim.value
    expected = task.truth(inputs)[np.arange(20), outputs.place]
    np.testing.assert_array_equal(product(told), expected)


def test_a_claim_is_checked_by_the_tasks_own_quantity() -> None:
    rng = np.random.default_rng(6)
    task = TASKS["product"]
    inputs = task.sample(rng, 5, "train")
    question = Question(helper="product", quantity="most", inputs=inputs, turn=1, in_reply_to="left")
    claim = task.claim(inputs, task.ideal(inputs), question=question, version="v")
    assert (claim.author, claim.quantity, claim.turn, claim.in_reply_to) == ("product", "most", 1, "left")
    read = {n: v[np.arange(5), claim.place] for n, v in inputs.fields.items()}
    np.testing.assert_array_equal(claim.combine(read), claim.value)


def test_observation_is_the_places_features_whether_chosen_and_the_value() -> None:
    rng = np.random.default_rng(7)
    task = TASKS["left"]
    inputs = task.sample(rng, 6, "train")
    outputs = task.base_outputs(rng, inputs)
    seen = task.observe(inputs, outputs)
    assert seen.dtype == np.float32
    np.testing.assert_array_equal(seen[:, :2], inputs.features[np.arange(6), outputs.place])
    np.testing.assert_array_equal(seen[:, 2], inputs.asked < 0)
    np.testing.assert_allclose(seen[:, 3], (outputs.value - task.low) / task.scale, rtol=1e-6)


def test_prominent_places_come_by_rank() -> None:
    """The rank's share is the `SKEW`-th power of a uniform number."""
    order = np.random.default_rng(8).permuted(np.tile(np.arange(float(PLACES)), (4000, 1)), axis=1)
    scenes = scenes_of(order.tolist(), [-1] * 4000)
    chosen = prominent_places(np.random.default_rng(9), scenes)
    rank = (PLACES - 1 - order[np.arange(4000), chosen]).astype(int)
    share = np.diff((np.arange(PLACES + 1) / PLACES) ** (1 / SKEW))
    assert chisquare(np.bincount(rank, minlength=PLACES), 4000 * share).pvalue > 0.001


def test_prominent_places_exist() -> None:
    valid = np.random.default_rng(10).random((200, PLACES)) < 0.5
    valid[:, 3] = True
    scenes = replace(lists(np.random.default_rng(11), 200, "train"), valid=valid)
    assert valid[np.arange(200), prominent_places(np.random.default_rng(12), scenes)].all()
    asked = some_asked(np.random.default_rng(13), scenes, share=1.0).asked
    assert valid[np.arange(200), asked].all()


def test_merge_takes_each_scene_whole() -> None:
    rng = np.random.default_rng(14)
    first, second = (TASKS["left"].sample(rng, 6, "train") for _ in range(2))
    swap = np.array([True, False, True, False, False, True])
    merged = merge(first, second, swap)
    for row in range(6):
        source = second if swap[row] else first
        assert merged.take(np.array([row])).digest() == source.take(np.array([row])).digest()
        np.testing.assert_array_equal(merged.features[row], source.features[row])
        np.testing.assert_array_equal(merged.fields["left"][row], source.fields["left"][row])


@pytest.mark.parametrize(
    "wrong",
    [{"direction": 0}, {"low": 20.0}, {"usual": 16.0}, {"scale": 0.0}, {"levels": 1}, {"low": 15.0, "usual": 15.0}],
)
def test_a_task_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(TaskError, match="left"):
        replace(TASKS["left"], **wrong)


def test_the_grid_spans_the_range() -> None:
    task: AnswerTask = TASKS["left"]
    assert (task.grid()[0], task.grid()[-1], len(task.grid())) == (task.low, task.high, task.levels)
