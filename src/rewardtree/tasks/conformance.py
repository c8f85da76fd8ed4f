"""The conformance suite: what the loop and the evaluators take for granted of a task, as checks to inherit.

A domain's tests subclass `TaskConformance`, once a task, and say what is checked:

    class TestParity(TaskConformance):
        @property
        def specimen(self) -> Specimen:
            return Specimen(task=ParityTask())

pytest then runs every check. `failures` runs them all without pytest. A check that needs more than the specimen gives is
skipped.
"""

import dataclasses
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import SkipTest

import numpy as np

from rewardtree.tasks.exhibit import NO_CLAIMS, Claim, Claims, Exhibit
from rewardtree.tasks.meter import Meter
from rewardtree.tasks.task import ROUNDS, SPLITS, Question, Split, Task, View

Answer = Callable[[Question], Claim]
OtherFields = Callable[[Any, Any, np.random.Generator], tuple[Any, Any] | None]


def shuffled_fields(inputs: Any, outputs: Any, rng: np.random.Generator) -> tuple[Any, Any] | None:
    """The same inputs and outputs behind other instrument fields, where the inputs hold a mapping called `fields`.

    Args:
        inputs: a batch.
        outputs: left as they are.
        rng: moves the values to other places.

    Returns:
        Inputs and outputs, or None where the inputs hold no such mapping.
    """
    fields = getattr(inputs, "fields", None)
    if not isinstance(fields, Mapping) or not dataclasses.is_dataclass(inputs) or isinstance(inputs, type):
        return None
    return replace(inputs, fields=_moved(fields, rng)), outputs


@dataclass(frozen=True, kw_only=True, slots=True)
class Specimen:
    """A task and what its checks need.

    Attributes:
        task: is checked.
        helpers: who answers the task's questions ideally, by the name of the helper; with every helper that is asked.
        other_fields: the same inputs and outputs behind other instrument fields; None where the domain cannot change
            fields without changing outputs, which skips the checks of non-interference that need it.
        count: inputs that most checks draw.
        drawn: inputs that are drawn of each split to look for shared ones.
        tolerance: relative difference within which numbers of a batch and of its rows agree.
    """

    task: Task
    helpers: Mapping[str, Answer] = field(default_factory=dict)
    other_fields: OtherFields = shuffled_fields
    count: int = 12
    drawn: int = 64
    tolerance: float = 1e-5

    def batch(self, seed: int = 0, split: Split = "train") -> tuple[Any, Any]:
        """Inputs and base outputs."""
        rng = np.random.default_rng(seed)
        inputs = self.task.sample(rng, self.count, split)
        return inputs, self.task.base_outputs(rng, inputs)

    def rounds(self, inputs: Any, outputs: Any) -> list[list[tuple[Question, Claim]]]:
        """Every round of questions, with the ideal claims that answer them.

        Raises:
            SkipTest: where a question goes to somebody whom the specimen does not name.
        """
        rounds: list[list[tuple[Question, Claim]]] = []
        claims: dict[str, Claim] = {}
        while questions := list(self.task.questions(inputs, outputs, claims)):
            assert len(rounds) < ROUNDS, f"still asks after {ROUNDS} rounds"
            for question in questions:
                if question.helper not in self.helpers:
                    raise SkipTest(f"{self.task.name} asks {question.helper}: name who answers in `helpers`")
            rounds.append([(question, self.helpers[question.helper](question)) for question in questions])
            claims |= {question.quantity: claim for question, claim in rounds[-1]}
        return rounds

    def claims(self, inputs: Any, outputs: Any) -> Claims:
        """The ideal claims of all rounds."""
        return {q.quantity: claim for round_ in self.rounds(inputs, outputs) for q, claim in round_}

    def views(self, inputs: Any, outputs: Any) -> list[tuple[View, Claims]]:
        """The view without claims, and with ideal claims where the task asks for any."""
        shown: list[tuple[View, Claims]] = [(self.task.view(inputs, outputs, NO_CLAIMS), NO_CLAIMS)]
        try:
            claims = self.claims(inputs, outputs)
        except SkipTest:
            return shown
        return [*shown, (self.task.view(inputs, outputs, claims), claims)] if claims else shown


class TaskConformance(ABC):
    """Checks of one task; a subclass whose name begins with `Test` gives the specimen, and pytest runs them."""

    @property
    @abstractmethod
    def specimen(self) -> Specimen:
        """What is checked. Every check asks for it anew, so keep what takes long to make."""

    def test_is_a_task(self) -> None:
        """It has everything that the loop calls, and quantities with names of their own."""
        task = self.specimen.task
        assert isinstance(task, Task), f"{task!r} lacks a method of Task"
        assert task.name, "the task has no name"
        assert len(set(task.quantities)) == len(task.quantities), "two quantities share a name"

    def test_batches(self) -> None:
        """As many inputs as asked for, an output each; every digest is one JSON-able record an item."""
        specimen = self.specimen
        for batch in specimen.batch():
            assert len(batch) == specimen.count, f"{len(batch)} items where {specimen.count} were asked for"
            assert len(_names(batch)) == specimen.count, "digest gives one record an item"

    def test_shapes_and_numbers(self) -> None:
        """Observations, rewards and measures are finite floats of the shapes that the loop needs."""
        specimen = self.specimen
        task, count = specimen.task, specimen.count
        inputs, outputs = specimen.batch()
        seen = task.observe(inputs, outputs)
        assert seen.ndim == 2 and len(seen) == count, f"observe gives {seen.shape}; give [batch, features]"
        vectors = {"true_reward": task.true_reward(inputs, outputs), **task.measures(inputs, outputs)}
        for name, values in {"observe": seen, **vectors}.items():
            assert np.issubdtype(values.dtype, np.floating), f"{name} is {values.dtype}; give floats"
            assert np.isfinite(values).all(), f"{name} has nan or infinite values"
        for name, values in vectors.items():
            assert values.shape == (count,), f"{name} gives {values.shape}; give [batch]"
        for split in SPLITS:
            assert task.observe(*specimen.batch(1, split)).shape == seen.shape, "splits are observed unlike"

    def test_views(self) -> None:
        """Faces and fields are finite; probes have known names, instruments that exist, and places that exist."""
        specimen = self.specimen
        for view, _ in specimen.views(*specimen.batch()):
            _check_view(specimen, view)

    def test_sense(self) -> None:
        """What an evaluator makes of quantities is finite, a row an output, and each row its own."""
        specimen = self.specimen
        for view, known in _known(specimen):
            sensed = specimen.task.sense(view.face, known)
            assert sensed.ndim == 2 and len(sensed) == specimen.count, f"sense gives {sensed.shape}"
            assert np.isfinite(sensed).all(), "sense has nan or infinite values"
            last = slice(specimen.count - 1, None)
            alone = specimen.task.sense(view.face[last], {n: v[last] for n, v in known.items()})
            _agree(alone, sensed[last], specimen, "sense of one output alone")

    def test_sampling_is_reproducible(self) -> None:
        """The same generator gives the same inputs and outputs; another one gives others."""
        first, again, other = (self.specimen.batch(seed) for seed in (3, 3, 4))
        for name, one, two in zip(("inputs", "outputs"), first, again, strict=True):
            assert _names(one) == _names(two), f"{name} differ with the same generator"
        seen = [self.specimen.task.observe(*batch) for batch in (first, again)]
        assert np.array_equal(*seen), "observations of the same batch differ"
        assert _pairs(first) != _pairs(other), "the generator makes no difference"

    def test_nothing_is_changed_in_place(self) -> None:
        """Showing, observing and scoring outputs leaves them as they were, and gives the same again."""
        specimen = self.specimen
        task, (inputs, outputs) = specimen.task, specimen.batch()
        before = _pairs((inputs, outputs)), task.observe(inputs, outputs).copy()
        rewards = task.true_reward(inputs, outputs).copy()
        for view, known in _known(specimen, inputs, outputs):
            task.sense(view.face, known)
            task.survey(view)
        task.measures(inputs, outputs)
        assert before[0] == _pairs((inputs, outputs)), "the batch was changed"
        assert np.array_equal(before[1], task.observe(inputs, outputs)), "observe changes from call to call"
        assert np.array_equal(rewards, task.true_reward(inputs, outputs)), "true_reward changes from call to call"

    def test_splits_share_no_input(self) -> None:
        """No input of one split is ever drawn in another."""
        specimen = self.specimen
        rng = np.random.default_rng(5)
        drawn = {s: set(_names(specimen.task.sample(rng, specimen.drawn, s))) for s in SPLITS}
        for index, split in enumerate(SPLITS):
            for other in SPLITS[index + 1 :]:
                shared = drawn[split] & drawn[other]
                assert not shared, f"{split} and {other} share {len(shared)} inputs, {min(shared)} for one"

    def test_digests_tell_outputs_apart(self) -> None:
        """Where two records of input and output are the same, so are observation and reward."""
        specimen = self.specimen
        task, (inputs, outputs) = specimen.task, specimen.batch()
        rows = np.zeros(specimen.count, dtype=int)
        inputs = inputs.take(rows)
        outputs = task.base_outputs(np.random.default_rng(6), inputs)
        seen, rewards = task.observe(inputs, outputs), task.true_reward(inputs, outputs)
        first: dict[tuple[str, str], int] = {}
        for row, name in enumerate(_pairs((inputs, outputs))):
            same = first.setdefault(name, row)
            equal = np.array_equal(seen[row], seen[same]) and rewards[row] == rewards[same]
            assert equal, f"two outputs that differ have the same digest {name[1]}"

    def test_take(self) -> None:
        """Rows of a batch, in any order and repeated, are shown and scored as in the whole batch."""
        specimen = self.specimen
        inputs, outputs = specimen.batch()
        last = specimen.count - 1
        for rows in (np.array([last, 0, 0, last // 2]), np.array([1]), np.arange(last + 1)[::-1].copy()):
            taken = inputs.take(rows), outputs.take(rows)
            for whole, part in zip((inputs, outputs), taken, strict=True):
                assert len(part) == len(rows), f"take gives {len(part)} items for {len(rows)} rows"
                assert _names(part) == [_names(whole)[row] for row in rows], "take gives other items"
            _check_rows(specimen, (inputs, outputs), taken, rows)

    def test_true_reward_varies(self) -> None:
        """Base outputs of an input differ in true reward: there is something to judge."""
        specimen = self.specimen
        inputs, outputs = specimen.batch()
        others = specimen.task.base_outputs(np.random.default_rng(7), inputs)
        difference = specimen.task.true_reward(inputs, outputs) - specimen.task.true_reward(inputs, others)
        assert np.any(difference != 0), "base outputs of an input always have the same true reward"

    def test_questions_end(self) -> None:
        """Questions come in rounds that end; each goes by a quantity of the task and has an input a row."""
        specimen = self.specimen
        inputs, outputs = specimen.batch()
        seen: set[str] = set()
        for turn, round_ in enumerate(specimen.rounds(inputs, outputs)):
            for question, claim in round_:
                name = question.quantity
                assert name in specimen.task.quantities, f"{name} is asked for and not among the quantities"
                assert len(question.inputs) == specimen.count, f"{name}: ask one question an output"
                assert claim.place.shape == (specimen.count,), f"{name} got no claim an output"
                assert claim.quantity == name, f"{name} was asked for, {claim.quantity} is claimed"
                assert question.in_reply_to is None or question.in_reply_to in seen, (
                    f"{name} replies to {question.in_reply_to}, which nobody claimed before round {turn}"
                )
            seen |= {question.quantity for question, _ in round_}

    def test_ideal_claims_hold(self) -> None:
        """What ideal helpers claim is what a reading at their place, or the sum of their items, or a survey says."""
        specimen = self.specimen
        for view, claims in specimen.views(*specimen.batch()):
            surveyed = specimen.task.survey(view)
            for name, claim in claims.items():
                if claim.items is not None:
                    _agree(np.nansum(claim.items, axis=1), claim.value, specimen, f"the items of {name}")
                elif claim.check:
                    read = claim.combine({n: _at(view.fields[n], claim.place) for n in claim.check})
                    _agree(read, claim.value, specimen, f"a reading of {name} at the claim's place")
                if name in surveyed:
                    _agree(surveyed[name], claim.value, specimen, f"the survey's {name}")

    def test_survey(self) -> None:
        """A survey names quantities, follows from the fields alone, and agrees with probes of the same quantity."""
        specimen = self.specimen
        for view, _ in specimen.views(*specimen.batch()):
            surveyed = specimen.task.survey(view)
            assert surveyed, "survey concludes nothing"
            for name, values in surveyed.items():
                assert name in specimen.task.quantities, f"survey gives {name}, which is not among the quantities"
                assert values.shape == (specimen.count,), f"survey gives {name} as {values.shape}"
                assert np.isfinite(values).all(), f"survey gives {name} as nan or infinite"
                if name in view.probes:
                    read = _exhibit(view, None).read_probe(view.probes[name])
                    _agree(values, read, specimen, f"the survey's {name}")
            fields = _moved(view.fields, np.random.default_rng(8))
            other = specimen.task.survey(replace(view, fields=fields))
            changed = any(not np.array_equal(surveyed[name], other[name]) for name in surveyed)
            assert changed, "survey stays the same whatever the instruments read"
            face = replace(view, face=view.face + 1.0)
            for name, values in specimen.task.survey(face).items():
                assert np.array_equal(values, surveyed[name]), f"the survey's {name} depends on the face"

    def test_meter_refuses(self) -> None:
        """Past its budget the meter refuses, whatever is read; a survey needs an unlimited one."""
        specimen = self.specimen
        view = specimen.task.view(*specimen.batch(), NO_CLAIMS)
        for budget in (0, 1, 3):
            exhibit = _exhibit(view, budget)
            granted = np.zeros(specimen.count, dtype=int)
            for name, values in view.fields.items():
                read, given = exhibit.read(name, np.tile(np.arange(values.shape[1]), (specimen.count, 1)))
                assert np.array_equal(np.isnan(read), ~given), f"{name} shows what the meter refused"
                granted += given.sum(axis=1)
            places = sum(values.shape[1] for values in view.fields.values())
            assert (granted == min(budget, places)).all(), f"a budget of {budget} grants {granted.max()} readings"
            for probe in view.probes.values():
                assert np.isnan(exhibit.read_probe(probe)).all() or places < budget, f"{probe.quantity} is free"

    def test_probes_read_their_place_only(self) -> None:
        """A probe's quantity stays bit for bit the same when every value elsewhere changes, and it uses its readings."""
        specimen = self.specimen
        for view, _ in specimen.views(*specimen.batch()):
            for name, probe in view.probes.items():
                exhibit = _exhibit(view, None)
                value = exhibit.read_probe(probe)
                assert (exhibit.meter.used == probe.cost).all(), f"{name} costs other than {probe.cost} readings"
                kept = {i: probe.place if i in probe.instruments else None for i in view.fields}
                fields = {i: _elsewhere(values, kept[i]) for i, values in view.fields.items()}
                again = _exhibit(replace(view, fields=fields), None).read_probe(probe)
                assert np.array_equal(value, again), f"{name} depends on what was not read"

    def test_faces_and_probes_show_no_field(self) -> None:
        """Face, places of probes and questions stay bit for bit the same behind other fields."""
        specimen = self.specimen
        batch = specimen.batch()
        inputs, outputs = _behind_other_fields(specimen, batch)
        view, other = specimen.task.view(*batch, NO_CLAIMS), specimen.task.view(inputs, outputs, NO_CLAIMS)
        assert np.array_equal(view.face, other.face), "the face shows what only an instrument may"
        assert view.probes.keys() == other.probes.keys(), "which probes there are depends on the fields"
        for name, probe in view.probes.items():
            assert np.array_equal(probe.place, other.probes[name].place), f"where {name} is depends on the fields"
        asked, again = (specimen.task.questions(*b, NO_CLAIMS) for b in (batch, (inputs, outputs)))
        for one, two in zip(asked, again, strict=True):
            assert one.helper == two.helper and _names(one.inputs) == _names(two.inputs), (
                f"the question for {one.quantity} depends on the fields"
            )

    def test_observations_show_no_field(self) -> None:
        """What a reward model sees stays bit for bit the same behind other fields."""
        specimen = self.specimen
        batch = specimen.batch()
        other = _behind_other_fields(specimen, batch)
        seen = specimen.task.observe(*batch)
        assert np.array_equal(seen, specimen.task.observe(*other)), "observe shows what only an instrument may"


def failures(suite: TaskConformance) -> dict[str, Exception]:
    """Run every check of a suite.

    Args:
        suite: an instance of a subclass.

    Returns:
        What each failed check raised, by its name; skipped checks are left out.
    """
    failed: dict[str, Exception] = {}
    for name in sorted(dir(suite)):
        if name.startswith("test_"):
            try:
                getattr(suite, name)()
            except SkipTest:
                continue
            except Exception as error:
                failed[name] = error
    return failed


def _names(batch: Any) -> list[str]:
    return [json.dumps(record, sort_keys=True, allow_nan=False) for record in batch.digest()]


def _pairs(batch: tuple[Any, Any]) -> list[tuple[str, str]]:
    return list(zip(_names(batch[0]), _names(batch[1]), strict=True))


def _at(field: Any, place: Any) -> Any:
    return field[np.arange(len(place)), place]


def _agree(found: Any, expected: Any, specimen: Specimen, what: str) -> None:
    scale = max(float(np.abs(expected).max(initial=0.0)), 1e-300)
    close = np.allclose(found, expected, rtol=specimen.tolerance, atol=specimen.tolerance * scale)
    assert close, f"{what} disagrees by {np.abs(np.asarray(found) - expected).max():.3g}"


def _exhibit(view: View, budget: int | None) -> Exhibit:
    meter = Meter(len(view.face), budget=budget)
    return Exhibit(face=view.face, probes=view.probes, claims=NO_CLAIMS, fields=view.fields, meter=meter)


def _moved(fields: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """The fields' values at other places of other outputs; no value stays where it was."""
    moved = {}
    for name, values in fields.items():
        shuffled = rng.permutation(values.ravel()).reshape(values.shape)
        moved[name] = np.where(shuffled == values, values + np.abs(values).max() + 1.0, shuffled)
    return moved


def _elsewhere(values: Any, place: Any) -> Any:
    """The field with every value changed but those at `place`."""
    changed = values * 2.0 + 1.0
    if place is not None:
        rows = np.arange(len(place))
        changed[rows, place] = values[rows, place]
    return changed


def _behind_other_fields(specimen: Specimen, batch: tuple[Any, Any]) -> tuple[Any, Any]:
    other = specimen.other_fields(*batch, np.random.default_rng(9))
    if other is None:
        raise SkipTest(f"{specimen.task.name}: give `other_fields` to check that fields show nowhere else")
    views = [specimen.task.view(*b, NO_CLAIMS).fields for b in (batch, other)]
    changed = all(not np.array_equal(views[0][n], views[1][n]) for n in views[0])
    assert changed, "`other_fields` leaves the fields as they were"
    return other


def _known(specimen: Specimen, *batch: Any) -> list[tuple[View, dict[str, Any]]]:
    """Views with every quantity: read, claimed or surveyed; zero where none of these gives it."""
    shown = []
    for view, claims in specimen.views(*(batch or specimen.batch())):
        known = {name: np.zeros(specimen.count) for name in specimen.task.quantities}
        known |= {name: _exhibit(view, None).read_probe(probe) for name, probe in view.probes.items()}
        known |= {name: claim.value for name, claim in claims.items()}
        shown.append((view, known | dict(specimen.task.survey(view))))
    return shown


def _check_view(specimen: Specimen, view: View) -> None:
    count = specimen.count
    assert view.face.ndim == 2 and len(view.face) == count, f"the face is {view.face.shape}; give [batch, face]"
    assert np.isfinite(view.face).all(), "the face has nan or infinite values"
    assert view.fields, "there is no instrument"
    for name, values in view.fields.items():
        assert values.ndim == 2 and len(values) == count, f"field {name} is {values.shape}; give [batch, places]"
        assert np.isfinite(values).all(), f"field {name} has nan or infinite values"
    for name, probe in view.probes.items():
        assert name == probe.quantity, f"probe {probe.quantity} is entered as {name}"
        assert name in specimen.task.quantities, f"{name} is probed and not among the quantities"
        assert probe.instruments, f"probe {name} uses no instrument"
        assert probe.place.shape == (count,), f"probe {name} gives {probe.place.shape} places; give [batch]"
        assert np.issubdtype(probe.place.dtype, np.integer), f"places of probe {name} are {probe.place.dtype}"
        for instrument in probe.instruments:
            assert instrument in view.fields, f"probe {name} uses {instrument}, which is no instrument"
            last = view.fields[instrument].shape[1] - 1
            inside = probe.place.min() >= 0 and probe.place.max() <= last
            assert inside, f"probe {name} is outside of {instrument}'s places 0 to {last}"


def _check_rows(specimen: Specimen, whole: tuple[Any, Any], part: tuple[Any, Any], rows: Any) -> None:
    task = specimen.task
    _agree(task.observe(*part), task.observe(*whole)[rows], specimen, "observe of some rows")
    _agree(task.true_reward(*part), task.true_reward(*whole)[rows], specimen, "true_reward of some rows")
    for name, values in task.measures(*whole).items():
        _agree(task.measures(*part)[name], values[rows], specimen, f"{name} of some rows")
    view, taken = (task.view(*batch, NO_CLAIMS) for batch in (whole, part))
    _agree(taken.face, view.face[rows], specimen, "the face of some rows")
    assert taken.probes.keys() == view.probes.keys(), "some rows have other probes"
    for name, probe in view.probes.items():
        assert np.array_equal(taken.probes[name].place, probe.place[rows]), f"probe {name} of some rows moves"
    for name, values in view.fields.items():
        _agree(taken.fields[name], values[rows], specimen, f"field {name} of some rows")
    surveyed = task.survey(view)
    for name, values in task.survey(taken).items():
        _agree(values, surveyed[name][rows], specimen, f"the survey's {name} of some rows")
