"""The suite passes on sound tasks and catches every way of breaking one."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rewardtree.tasks.answers import Answers
from rewardtree.tasks.conformance import TaskConformance, failures
from rewardtree.tasks.exhibit import Claim, Claims
from rewardtree.tasks.specimen import Specimen
from rewardtree.tasks.task import Question, Split, Task, View
from rewardtree.tasks.texts import Texts
from rewardtree.tree.stand_ins import ideal
from toy import PLACES, toy_tasks

TASKS = toy_tasks()
HELPERS = {name: ideal(TASKS[name]) for name in ("left", "right")}


class TestLeft(TaskConformance):
    @property
    def specimen(self) -> Specimen:
        return Specimen(task=TASKS["left"])


class TestProduct(TaskConformance):
    @property
    def specimen(self) -> Specimen:
        return Specimen(task=TASKS["product"], helpers=HELPERS)


class Broken:
    """The product task; a subclass breaks one thing."""

    def __init__(self) -> None:
        self.sound: Any = TASKS["product"]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sound, name)

    @property
    def name(self) -> str:
        return "product"

    @property
    def quantities(self) -> tuple[str, ...]:
        return ("left", "right")

    def sample(self, rng: np.random.Generator, count: int, split: Split) -> Any:
        return self.sound.sample(rng, count, split)

    def base_outputs(self, rng: np.random.Generator, inputs: Any) -> Any:
        return self.sound.base_outputs(rng, inputs)

    def view(self, inputs: Any, outputs: Any, claims: Claims) -> View:
        view: View = self.sound.view(inputs, outputs, claims)
        return view

    def sense(self, face: Any, known: Mapping[str, Any]) -> Any:
        return self.sound.sense(face, known)

    def questions(self, inputs: Any, outputs: Any, claims: Claims) -> Sequence[Question]:
        asked: Sequence[Question] = self.sound.questions(inputs, outputs, claims)
        return asked

    def survey(self, view: View) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.sound.survey(view)
        return found

    def claim(self, inputs: Any, outputs: Any, *, question: Question, version: str) -> Claim:
        claim: Claim = self.sound.claim(inputs, outputs, question=question, version=version)
        return claim

    def observe(self, inputs: Any, outputs: Any) -> Any:
        return self.sound.observe(inputs, outputs)

    def true_reward(self, inputs: Any, outputs: Any) -> Any:
        return self.sound.true_reward(inputs, outputs)

    def measures(self, inputs: Any, outputs: Any) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.sound.measures(inputs, outputs)
        return found


class NoName(Broken):
    name = ""


class QuantityTwice(Broken):
    quantities = ("left", "right", "left")


class OneTooFew(Broken):
    def sample(self, rng: np.random.Generator, count: int, split: Split) -> Any:
        return super().sample(rng, count - 1, split)


class OwnChance(Broken):
    def sample(self, rng: np.random.Generator, count: int, split: Split) -> Any:
        return super().sample(np.random.default_rng(), count, split)


class DeafToChance(Broken):
    def sample(self, rng: np.random.Generator, count: int, split: Split) -> Any:
        return super().sample(np.random.default_rng(1), count, split)

    def base_outputs(self, rng: np.random.Generator, inputs: Any) -> Any:
        return super().base_outputs(np.random.default_rng(1), inputs)


class OneSplit(Broken):
    def sample(self, rng: np.random.Generator, count: int, split: Split) -> Any:
        origin = np.arange(count)
        return replace(super().sample(rng, count, split), origin=origin)


class Integers(Broken):
    def observe(self, inputs: Any, outputs: Any) -> Any:
        return super().observe(inputs, outputs).astype(int)


class OneVector(Broken):
    def observe(self, inputs: Any, outputs: Any) -> Any:
        return super().observe(inputs, outputs)[:, 0]


class ObservedBySplit(Broken):
    def observe(self, inputs: Any, outputs: Any) -> Any:
        seen = super().observe(inputs, outputs)
        return seen if (inputs.origin % 4 == 0).all() else seen[:, 1:]


class ObservesField(Broken):
    def observe(self, inputs: Any, outputs: Any) -> Any:
        leak = inputs.fields["left"][np.arange(len(inputs)), outputs.place]
        return np.concatenate([super().observe(inputs, outputs), leak[:, None]], axis=1)


class ObservesTheBatch(Broken):
    def observe(self, inputs: Any, outputs: Any) -> Any:
        seen = super().observe(inputs, outputs)
        return seen - seen.mean(axis=0)


class RewardOfTheBatch(Broken):
    def true_reward(self, inputs: Any, outputs: Any) -> Any:
        rewards = super().true_reward(inputs, outputs)
        return rewards / np.abs(rewards).max()


class NanReward(Broken):
    def true_reward(self, inputs: Any, outputs: Any) -> Any:
        return np.where(outputs.place == 0, np.nan, super().true_reward(inputs, outputs))


class ConstantReward(Broken):
    def true_reward(self, inputs: Any, outputs: Any) -> Any:
        return np.ones(len(inputs))


class RewardPerPlace(Broken):
    def true_reward(self, inputs: Any, outputs: Any) -> Any:
        return inputs.fields["left"]


class MeasureIsShort(Broken):
    def measures(self, inputs: Any, outputs: Any) -> Mapping[str, Any]:
        return {"half": super().true_reward(inputs, outputs)[::2]}


class ChangesInputs(Broken):
    def view(self, inputs: Any, outputs: Any, claims: Claims) -> View:
        inputs.features[:, :, 0] += 1
        return super().view(inputs, outputs, claims)


class FieldOnFace(Broken):
    def view(self, inputs: Any, outputs: Any, claims: Claims) -> View:
        view = super().view(inputs, outputs, claims)
        return replace(view, face=np.concatenate([view.face, inputs.fields["left"][:, :1]], axis=1))


class ProbesWhereItIsGreatest(Broken):
    def view(self, inputs: Any, outputs: Any, claims: Claims) -> View:
        view = super().view(inputs, outputs, claims)
        place = inputs.fields["left"].argmax(axis=1)
        return replace(view, probes={**view.probes, "left": replace(view.probes["left"], place=place)})


class ProbeOutside(Broken):
    def view(self, inputs: Any, outputs: Any, claims: Claims) -> View:
        view = super().view(inputs, outputs, claims)
        probe = replace(view.probes["left"], place=np.full(len(inputs), PLACES))
        return replace(view, probes={**view.probes, "left": probe})


class ProbeOfNothing(Broken):
    def view(self, inputs: Any, outputs: Any, claims: Claims) -> View:
        view = super().view(inputs, outputs, claims)
        probe = replace(view.probes["left"], instruments=("up",))
        return replace(view, probes={**view.probes, "left": probe})


class ProbeByAnotherName(Broken):
    def view(self, inputs: Any, outputs: Any, claims: Claims) -> View:
        view = super().view(inputs, outputs, claims)
        return replace(view, probes={"left": view.probes["right"]})


class ProbeWithoutQuantity(Broken):
    def view(self, inputs: Any, outputs: Any, claims: Claims) -> View:
        view = super().view(inputs, outputs, claims)
        probe = replace(view.probes["left"], quantity="middle")
        return replace(view, probes={**view.probes, "middle": probe})


class ProbeThatNeedsNoMeter(Broken):
    def view(self, inputs: Any, outputs: Any, claims: Claims) -> View:
        view = super().view(inputs, outputs, claims)
        truth = inputs.fields["left"][np.arange(len(inputs)), outputs.place]
        probe = replace(view.probes["left"], combine=lambda readings: truth)
        return replace(view, probes={**view.probes, "left": probe})


class ProbeThatSumsUp(Broken):
    def view(self, inputs: Any, outputs: Any, claims: Claims) -> View:
        view = super().view(inputs, outputs, claims)
        total = view.fields["left"].sum(axis=1)
        probe = replace(view.probes["left"], combine=lambda readings: readings["left"] + total)
        return replace(view, probes={**view.probes, "left": probe})


class ProbesOfTheBatch(Broken):
    def view(self, inputs: Any, outputs: Any, claims: Claims) -> View:
        view = super().view(inputs, outputs, claims)
        place = np.full(len(inputs), outputs.place[0])
        return replace(view, probes={**view.probes, "left": replace(view.probes["left"], place=place)})


class NanField(Broken):
    def view(self, inputs: Any, outputs: Any, claims: Claims) -> View:
        view = super().view(inputs, outputs, claims)
        return replace(view, fields={**view.fields, "left": np.where(inputs.valid, np.nan, 0.0)})


class SensesTheBatch(Broken):
    def sense(self, face: Any, known: Mapping[str, Any]) -> Any:
        sensed = super().sense(face, known)
        return sensed - sensed.mean(axis=0)


class SensesOneRowTooMany(Broken):
    def sense(self, face: Any, known: Mapping[str, Any]) -> Any:
        sensed = super().sense(face, known)
        return np.concatenate([sensed, sensed[:1]])


class AsksForever(Broken):
    def questions(self, inputs: Any, outputs: Any, claims: Claims) -> Sequence[Question]:
        return super().questions(inputs, outputs, {})


class AsksByAnotherName(Broken):
    def questions(self, inputs: Any, outputs: Any, claims: Claims) -> Sequence[Question]:
        asked = [] if claims else super().questions(inputs, outputs, claims)
        return [replace(question, quantity=f"new {question.quantity}") for question in asked]


class AsksTooLittle(Broken):
    def questions(self, inputs: Any, outputs: Any, claims: Claims) -> Sequence[Question]:
        rows = np.arange(len(inputs) - 1)
        return [replace(q, inputs=q.inputs.take(rows)) for q in super().questions(inputs, outputs, claims)]


class RepliesToNobody(Broken):
    def questions(self, inputs: Any, outputs: Any, claims: Claims) -> Sequence[Question]:
        return [replace(q, in_reply_to="up") for q in super().questions(inputs, outputs, claims)]


class AsksWithFields(Broken):
    def questions(self, inputs: Any, outputs: Any, claims: Claims) -> Sequence[Question]:
        leak = inputs.fields["left"][..., None].astype(np.float32)
        asked = super().questions(inputs, outputs, claims)
        return [replace(q, inputs=replace(q.inputs, features=q.inputs.features + leak)) for q in asked]


class AsksAboutAnotherPlace(Broken):
    def questions(self, inputs: Any, outputs: Any, claims: Claims) -> Sequence[Question]:
        elsewhere = (outputs.place + 1) % PLACES
        asked = super().questions(inputs, outputs, claims)
        return [replace(q, inputs=replace(q.inputs, asked=elsewhere)) for q in asked]


class SurveysElsewhere(Broken):
    def survey(self, view: View) -> Mapping[str, Any]:
        return {name: values[:, 0] for name, values in view.fields.items()}


class SurveysNothing(Broken):
    def survey(self, view: View) -> Mapping[str, Any]:
        return {}


class SurveysTheFace(Broken):
    def survey(self, view: View) -> Mapping[str, Any]:
        return {name: view.face[:, 0] for name in view.fields}


class SurveysMore(Broken):
    def survey(self, view: View) -> Mapping[str, Any]:
        return {**super().survey(view), "up": view.face[:, 0]}


class ClaimsInAnothersName(Broken):
    def claim(self, inputs: Any, outputs: Any, *, question: Question, version: str) -> Claim:
        return replace(super().claim(inputs, outputs, question=question, version=version), author="left")


class ClaimsWhatNobodyChecks(Broken):
    def claim(self, inputs: Any, outputs: Any, *, question: Question, version: str) -> Claim:
        return replace(super().claim(inputs, outputs, question=question, version=version), check=("up",))


class ForgetsTheQuestion(Broken):
    def claim(self, inputs: Any, outputs: Any, *, question: Question, version: str) -> Claim:
        return super().claim(inputs, outputs, question=replace(question, in_reply_to=None), version=version)


@dataclass(frozen=True, kw_only=True, slots=True)
class Nameless(Answers):
    """Answers without a digest worth the name."""

    def digest(self) -> list[dict[str, Any]]:
        return [{} for _ in self.place]


class NamelessOutputs(Broken):
    def base_outputs(self, rng: np.random.Generator, inputs: Any) -> Any:
        sound = super().base_outputs(rng, inputs)
        return Nameless(place=sound.place, value=sound.value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sorted(Answers):
    """Answers that take rows in rising order."""

    def take(self, rows: Any) -> "Sorted":
        rows = np.sort(rows)
        return Sorted(place=self.place[rows], value=self.value[rows])


class TakesInOrder(Broken):
    def base_outputs(self, rng: np.random.Generator, inputs: Any) -> Any:
        sound = super().base_outputs(rng, inputs)
        return Sorted(place=sound.place, value=sound.value)


class Worded(Broken):
    """Sound: one of its instruments shows numbers in digits, which its rule reads."""

    def view(self, inputs: Any, outputs: Any, claims: Claims) -> View:
        sound, values = super().view(inputs, outputs, claims), inputs.fields["left"]
        table = tuple(map(repr, values.ravel().tolist()))
        texts = Texts(table=table, index=np.arange(values.size).reshape(values.shape))
        return replace(sound, texts={"left": texts})

    def reading(self, inputs: Any, outputs: Any, row: int, instrument: str, text: str) -> float:
        return float(text)


class ReadsOtherWords(Worded):
    def reading(self, inputs: Any, outputs: Any, row: int, instrument: str, text: str) -> float:
        return round(float(text), 9)


class TextsOfOtherPlaces(Worded):
    def view(self, inputs: Any, outputs: Any, claims: Claims) -> View:
        sound = super().view(inputs, outputs, claims)
        texts = sound.texts["left"]
        return replace(sound, texts={"left": replace(texts, index=texts.index[:, ::-1])})


class TextsOfSomePlaces(Worded):
    def view(self, inputs: Any, outputs: Any, claims: Claims) -> View:
        sound = super().view(inputs, outputs, claims)
        texts = sound.texts["left"]
        return replace(sound, texts={"left": replace(texts, index=texts.index[:, 1:])})


class TextsOfTheBatch(Worded):
    def view(self, inputs: Any, outputs: Any, claims: Claims) -> View:
        sound = super().view(inputs, outputs, claims)
        texts = sound.texts["left"]
        return replace(sound, texts={"left": replace(texts, index=texts.index[::-1])})


MUTANTS = {
    ReadsOtherWords: "test_fields_are_what_is_read_in_texts",
    TextsOfOtherPlaces: "test_fields_are_what_is_read_in_texts",
    TextsOfSomePlaces: "test_views",
    TextsOfTheBatch: "test_take",
    NoName: "test_is_a_task",
    QuantityTwice: "test_is_a_task",
    OneTooFew: "test_batches",
    OwnChance: "test_sampling_is_reproducible",
    DeafToChance: "test_sampling_is_reproducible",
    OneSplit: "test_splits_share_no_input",
    Integers: "test_shapes_and_numbers",
    OneVector: "test_shapes_and_numbers",
    ObservedBySplit: "test_shapes_and_numbers",
    ObservesField: "test_observations_show_no_field",
    ObservesTheBatch: "test_take",
    RewardOfTheBatch: "test_take",
    NanReward: "test_shapes_and_numbers",
    ConstantReward: "test_true_reward_varies",
    RewardPerPlace: "test_shapes_and_numbers",
    MeasureIsShort: "test_shapes_and_numbers",
    ChangesInputs: "test_nothing_is_changed_in_place",
    FieldOnFace: "test_faces_and_probes_show_no_field",
    ProbesWhereItIsGreatest: "test_faces_and_probes_show_no_field",
    ProbeOutside: "test_views",
    ProbeOfNothing: "test_views",
    ProbeByAnotherName: "test_views",
    ProbeWithoutQuantity: "test_views",
    ProbeThatNeedsNoMeter: "test_meter_refuses",
    ProbeThatSumsUp: "test_survey",
    ProbesOfTheBatch: "test_take",
    NanField: "test_views",
    SensesTheBatch: "test_sense",
    SensesOneRowTooMany: "test_sense",
    AsksForever: "test_questions_end",
    AsksByAnotherName: "test_questions_end",
    AsksTooLittle: "test_questions_end",
    RepliesToNobody: "test_questions_end",
    AsksWithFields: "test_faces_and_probes_show_no_field",
    AsksAboutAnotherPlace: "test_ideal_claims_hold",
    SurveysElsewhere: "test_survey",
    SurveysNothing: "test_survey",
    SurveysTheFace: "test_survey",
    SurveysMore: "test_survey",
    ClaimsInAnothersName: "test_claims",
    ClaimsWhatNobodyChecks: "test_claims",
    ForgetsTheQuestion: "test_claims",
    NamelessOutputs: "test_digests_tell_outputs_apart",
    TakesInOrder: "test_take",
}


class Given(TaskConformance):
    def __init__(self, specimen: Specimen) -> None:
        self._specimen = specimen

    @property
    def specimen(self) -> Specimen:
        return self._specimen


def suite(task: Any) -> Given:
    return Given(Specimen(task=task, helpers=HELPERS))


def test_the_unbroken_task_passes() -> None:
    assert failures(suite(Broken())) == {}
    assert failures(suite(Worded())) == {}


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize(("mutant", "check"), MUTANTS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_broken_task_is_caught(mutant: type[Broken], check: str) -> None:
    failed = failures(suite(mutant()))
    assert isinstance(failed.get(check), AssertionError), failed


@pytest.mark.usefixtures("shapes_unchecked")
def test_a_task_that_lacks_a_method_is_caught() -> None:
    class Half:
        name = "half"
        quantities = ()

    assert not isinstance(Half(), Task)
    failed = failures(suite(Half()))
    assert "test_is_a_task" in failed


def test_what_the_specimen_does_not_give_is_skipped() -> None:
    unable = Specimen(task=ObservesField(), other_fields=lambda inputs, outputs, rng: None)
    assert failures(Given(unable)) == {}


def test_other_fields_must_differ() -> None:
    idle = Specimen(task=TASKS["left"], other_fields=lambda inputs, outputs, rng: (inputs, outputs))
    failed = failures(Given(idle))
    assert set(failed) == {"test_faces_and_probes_show_no_field", "test_observations_show_no_field"}


def test_importing_the_suite_needs_no_test_runner() -> None:
    code = "import sys, rewardtree.tasks.conformance; print('pytest' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


THIRD_PARTY = """
import numpy as np
from rewardtree.tasks.answers import AnswerTask, Scenes
from rewardtree.tasks.conformance import TaskConformance
from rewardtree.tasks.specimen import Specimen

def draw(rng, count, split):
    features = rng.random((count, 3, 1), dtype=np.float32)
    where = ("train", "calibration", "validation", "test").index(split)
    return Scenes(
        features=features, valid=np.ones((count, 3), dtype=bool), prominence=rng.random((count, 3)),
        fields={"depth": rng.random((count, 3))}, asked=np.full(count, -1),
        origin=rng.integers(2**40, size=count) * 4 + where,
    )

class TestMine(TaskConformance):
    @property
    def specimen(self):
        task = AnswerTask(name="mine", instruments=("depth",), draw=draw, low=0.0, high=1.0, usual=0.5, scale=0.2)
        return Specimen(task=task, other_fields=lambda inputs, outputs, rng: None)
"""


def test_pytest_runs_and_skips_the_checks_of_a_third_party(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(THIRD_PARTY)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "4 skipped" in done.stdout
