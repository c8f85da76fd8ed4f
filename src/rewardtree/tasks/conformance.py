"""The conformance suite: what the loop and the evaluators take for granted of a task, as checks to inherit.

A domain's tests subclass `TaskConformance`, once a task, and say what is checked:

    class TestParity(TaskConformance):
        @property
        def specimen(self) -> Specimen:
            return Specimen(task=ParityTask())

pytest then runs every check. `failures` runs them all without pytest. A check that needs more than the
specimen gives is skipped.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from unittest import SkipTest

import numpy as np

from rewardtree.tasks.answers import Scenes
from rewardtree.tasks.exhibit import NO_CLAIMS
from rewardtree.tasks.specimen import (
    Specimen,
    agree,
    behind_other_fields,
    changed_elsewhere,
    checked,
    digests,
    exhibited,
    followed,
    moved_fields,
    records,
    reworded,
)
from rewardtree.tasks.task import SPLITS, Measured, Question, ReadsWords, View


class TaskConformance(ABC):
    """Checks of one task; a subclass named `Test...` gives the specimen, and pytest runs them."""

    @property
    @abstractmethod
    def specimen(self) -> Specimen:
        """What is checked. Every check asks for it anew, so keep what takes long to make."""

    def test_is_a_task(self) -> None:
        """It has everything that the loop calls, and quantities with names of their own."""
        task = self.specimen.task
        assert isinstance(task, Measured), f"{task!r} lacks a method of Measured"
        assert task.name, "the task has no name"
        assert len(set(task.quantities)) == len(task.quantities), "two quantities share a name"

    def test_batches(self) -> None:
        """As many inputs as asked for, an output each; every digest is one JSON-able record an item."""
        specimen = self.specimen
        for batch in specimen.batch():
            assert len(batch) == specimen.count, f"{len(batch)} items where {specimen.count} were asked for"
            assert len(digests(batch)) == specimen.count, "digest gives one record an item"

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
        """Faces and fields are finite; probes have known names, instruments that exist, and places that exist.

        Of what is shown for the sake of claims, fields are nan where nothing can be read.
        """
        specimen = self.specimen
        bare = specimen.task.view(*specimen.batch(), NO_CLAIMS).fields
        for view, _ in specimen.views(*specimen.batch()):
            _check_view(specimen, view, bare)

    def test_sense(self) -> None:
        """What an evaluator makes of quantities is finite, a row an output, and each row its own."""
        specimen = self.specimen
        for view, known in _known(specimen):
            sensed = specimen.task.sense(view.face, known)
            assert sensed.ndim == 2 and len(sensed) == specimen.count, f"sense gives {sensed.shape}"
            assert np.isfinite(sensed).all(), "sense has nan or infinite values"
            last = slice(specimen.count - 1, None)
            alone = specimen.task.sense(view.face[last], {n: v[last] for n, v in known.items()})
            agree(alone, sensed[last], specimen, "sense of one output alone")

    def test_sampling_is_reproducible(self) -> None:
        """The same generator gives the same inputs and outputs; another one gives others."""
        first, again, other = (self.specimen.batch(seed) for seed in (3, 3, 4))
        for name, one, two in zip(("inputs", "outputs"), first, again, strict=True):
            assert digests(one) == digests(two), f"{name} differ with the same generator"
        seen = [self.specimen.task.observe(*batch) for batch in (first, again)]
        assert np.array_equal(*seen), "observations of the same batch differ"
        assert records(first) != records(other), "the generator makes no difference"

    def test_nothing_is_changed_in_place(self) -> None:
        """Showing, observing and scoring outputs leaves them as they were, and gives the same again."""
        specimen = self.specimen
        task, (inputs, outputs) = specimen.task, specimen.batch()
        before = records((inputs, outputs)), task.observe(inputs, outputs).copy()
        rewards = task.true_reward(inputs, outputs).copy()
        for view, known in _known(specimen, inputs, outputs):
            task.sense(view.face, known)
            task.survey(view)
        task.measures(inputs, outputs)
        assert before[0] == records((inputs, outputs)), "the batch was changed"
        assert np.array_equal(before[1], task.observe(inputs, outputs)), "observe changes from call to call"
        assert np.array_equal(rewards, task.true_reward(inputs, outputs)), "true_reward changes from call to call"

    def test_splits_share_no_input(self) -> None:
        """No input of one split is ever drawn in another."""
        specimen = self.specimen
        rng = np.random.default_rng(5)
        drawn = {s: set(digests(specimen.task.sample(rng, specimen.drawn, s))) for s in SPLITS}
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
        for row, name in enumerate(records((inputs, outputs))):
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
                assert digests(part) == [digests(whole)[row] for row in rows], "take gives other items"
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
                earlier = question.in_reply_to is None or question.in_reply_to in seen
                assert earlier, f"{name} of round {turn} replies to {question.in_reply_to}, which is not claimed"
            seen |= {question.quantity for question, _ in round_}

    def test_claims(self) -> None:
        """Outputs of a task that helps become claims that carry the question's name and its author's."""
        specimen = self.specimen
        task, (inputs, outputs) = specimen.task, specimen.batch()
        question = Question(helper=task.name, quantity="asked", inputs=inputs, turn=2, in_reply_to="earlier")
        try:
            claim = task.claim(inputs, outputs, question=question, version="a/1")
        except NotImplementedError:
            raise SkipTest(f"{task.name} helps no other node") from None
        said = claim.author, claim.version, claim.quantity, claim.turn, claim.in_reply_to
        assert said == (task.name, "a/1", "asked", 2, "earlier"), f"the claim says {said}"
        assert claim.place.shape == (specimen.count,), f"the claim's places are {claim.place.shape}; give [batch]"
        fields = task.view(inputs, outputs, NO_CLAIMS).fields
        assert set(claim.check) <= set(fields), f"{claim.check} check the claim, which are no instruments"

    def test_ideal_claims_hold(self) -> None:
        """What ideal helpers claim is what a reading where they point, the sum of items or a survey says."""
        specimen = self.specimen
        for view, claims in specimen.views(*specimen.batch()):
            surveyed = specimen.task.survey(view)
            for name, claim in claims.items():
                if claim.items is not None:
                    agree(np.nansum(claim.items, axis=1), claim.value, specimen, f"the items of {name}")
                elif claim.check:
                    at = np.arange(specimen.count), claim.place
                    read = claim.combine({n: view.fields[n][at] for n in claim.check})
                    agree(read, claim.value, specimen, f"a reading of {name} at the claim's place")
                if name in surveyed:
                    agree(surveyed[name], claim.value, specimen, f"the survey's {name}")

    def test_survey(self) -> None:
        """A survey names quantities, follows from the fields, and agrees with probes of the same quantity."""
        specimen = self.specimen
        for view, _ in specimen.views(*specimen.batch()):
            surveyed = specimen.task.survey(view)
            assert surveyed, "survey concludes nothing"
            for name, values in surveyed.items():
                assert name in specimen.task.quantities, f"survey gives {name}, which is not among the quantities"
                assert values.shape == (specimen.count,), f"survey gives {name} as {values.shape}"
                assert np.isfinite(values).all(), f"survey gives {name} as nan or infinite"
                if name in view.probes:
                    read = exhibited(view, None).read_probe(view.probes[name])
                    agree(values, read, specimen, f"the survey's {name}")
            fields = moved_fields(view.fields, np.random.default_rng(8))
            other = specimen.task.survey(replace(view, fields=fields))
            changed = any(not np.array_equal(surveyed[name], other[name]) for name in surveyed)
            assert changed, "survey stays the same whatever the instruments read"

    def test_meter_refuses(self) -> None:
        """Past its budget the meter refuses, whatever is read; a survey needs an unlimited one."""
        specimen = self.specimen
        view = specimen.task.view(*specimen.batch(), NO_CLAIMS)
        for budget in (0, 1, 3):
            exhibit = exhibited(view, budget)
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
        """A probe's quantity stays bit for bit the same when every value that it did not read changes."""
        specimen = self.specimen
        for view, _ in specimen.views(*specimen.batch()):
            for name, probe in view.probes.items():
                exhibit = exhibited(view, None)
                value = exhibit.read_probe(probe)
                assert (exhibit.meter.used == probe.cost).all(), f"{name} costs other than {probe.cost} readings"
                places = followed(exhibited(view, None), probe)
                kept = {i: places if i in probe.instruments else [] for i in view.fields}
                fields = {i: changed_elsewhere(values, kept[i]) for i, values in view.fields.items()}
                again = exhibited(replace(view, fields=fields), None).read_probe(probe)
                assert np.array_equal(value, again), f"{name} depends on what was not read"

    def test_fields_are_what_is_read_in_texts(self) -> None:
        """Where an instrument has texts and a field, the field is the task's rule on each text, bit for bit."""
        specimen, task = self.specimen, self.specimen.task
        given = specimen.batch()
        other = specimen.other_fields(*given, np.random.default_rng(9))
        for batch in (given,) if other is None else (given, other):
            view = _worded(specimen, task.view(*batch, NO_CLAIMS))
            for name in view.texts.keys() & view.fields.keys():
                assert isinstance(task, ReadsWords), f"{name} has texts and a field; give the rule, `reading`"
                texts, values = view.texts[name], view.fields[name]
                for row, place in checked(values, texts):
                    read = task.reading(*batch, row, name, str(texts.at(row, place)))
                    assert read == values[row, place], f"{name} reads other than its texts say"

    def test_words_are_opened_by_the_meter_alone(self) -> None:
        """Opened texts and readings share a meter, and a probe depends on no text that it did not open."""
        specimen = self.specimen
        batch = specimen.batch()
        view = _worded(specimen, specimen.task.view(*batch, NO_CLAIMS))
        for name, texts in view.texts.items():
            exhibit, first = exhibited(view, 1), np.zeros((specimen.count, 1), dtype=int)
            words = exhibit.open(name, first)[0]
            assert words == [[texts.at(row, 0)] for row in range(specimen.count)], f"{name} opens another text"
            assert exhibit.open(name, first)[0] == [[None]] * specimen.count, f"{name} opens what the meter refused"
            assert name not in view.fields or not exhibit.read(name, first)[1].any(), f"{name} has two meters"
        for name, probe in view.probes.items():
            places = followed(exhibited(view, None), probe)
            other = reworded(view, dict.fromkeys(probe.instruments, places))
            value, again = (exhibited(one, None).read_probe(probe) for one in (view, other))
            assert np.array_equal(value, again), f"{name} depends on words that were not read"

    def test_faces_and_probes_show_no_field(self) -> None:
        """Face, places of probes and questions stay bit for bit the same behind other fields."""
        specimen = self.specimen
        batch = specimen.batch()
        inputs, outputs = behind_other_fields(specimen, batch)
        view, other = specimen.task.view(*batch, NO_CLAIMS), specimen.task.view(inputs, outputs, NO_CLAIMS)
        assert np.array_equal(view.face, other.face), "the face shows what only an instrument may"
        assert view.probes.keys() == other.probes.keys(), "which probes there are depends on the fields"
        for name, probe in view.probes.items():
            assert np.array_equal(probe.place, other.probes[name].place), f"where {name} is depends on the fields"
        asked, again = (specimen.task.questions(*b, NO_CLAIMS) for b in (batch, (inputs, outputs)))
        for one, two in zip(asked, again, strict=True):
            same = one.helper == two.helper and digests(one.inputs) == digests(two.inputs)
            if isinstance(one.inputs, Scenes):
                same = same and np.array_equal(one.inputs.features, two.inputs.features)
            assert same, f"the question for {one.quantity} shows what only an instrument may"

    def test_observations_show_no_field(self) -> None:
        """What a reward model sees stays bit for bit the same behind other fields."""
        specimen = self.specimen
        batch = specimen.batch()
        other = behind_other_fields(specimen, batch)
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


def _known(specimen: Specimen, *batch: Any) -> list[tuple[View, dict[str, Any]]]:
    """Views with every quantity: read, claimed or surveyed; zero where none of these gives it."""
    shown = []
    for view, claims in specimen.views(*(batch or specimen.batch())):
        known = {name: np.zeros(specimen.count) for name in specimen.task.quantities}
        known |= {name: exhibited(view, None).read_probe(probe) for name, probe in view.probes.items()}
        known |= {name: claim.value for name, claim in claims.items()}
        shown.append((view, known | dict(specimen.task.survey(view))))
    return shown


def _worded(specimen: Specimen, view: View) -> View:
    if not view.texts:
        raise SkipTest(f"{specimen.task.name} has no texts")
    return view


def _check_view(specimen: Specimen, view: View, bare: Mapping[str, Any]) -> None:
    count = specimen.count
    assert view.face.ndim == 2 and len(view.face) == count, f"the face is {view.face.shape}; give [batch, face]"
    assert np.isfinite(view.face).all(), "the face has nan or infinite values"
    assert view.fields, "there is no instrument"
    for name, values in view.fields.items():
        assert values.ndim == 2 and len(values) == count, f"field {name} is {values.shape}; give [batch, places]"
        fit = np.isfinite(values) if name in bare else ~np.isinf(values)
        assert fit.all(), f"field {name} has {'nan or ' * (name in bare)}infinite values"
    for name, texts in view.texts.items():
        assert len(texts.index) == count, f"texts of {name} are of {len(texts.index)} outputs; give [batch, places]"
        if name in view.fields:
            assert texts.index.shape == view.fields[name].shape, f"{name} has not a text and a value for each place"
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
    agree(task.observe(*part), task.observe(*whole)[rows], specimen, "observe of some rows")
    agree(task.true_reward(*part), task.true_reward(*whole)[rows], specimen, "true_reward of some rows")
    for name, values in task.measures(*whole).items():
        agree(task.measures(*part)[name], values[rows], specimen, f"{name} of some rows")
    view, taken = (task.view(*batch, NO_CLAIMS) for batch in (whole, part))
    agree(taken.face, view.face[rows], specimen, "the face of some rows")
    assert taken.probes.keys() == view.probes.keys(), "some rows have other probes"
    for name, probe in view.probes.items():
        assert np.array_equal(taken.probes[name].place, probe.place[rows]), f"probe {name} of some rows moves"
    for name, values in view.fields.items():
        agree(taken.fields[name], values[rows], specimen, f"field {name} of some rows")
    for name, texts in view.texts.items():
        words = [taken.texts[name].at(row, 0) for row in range(len(rows))]
        assert words == [texts.at(row, 0) for row in rows.tolist()], f"texts of {name} of some rows are others"
    surveyed = task.survey(view)
    for name, values in task.survey(taken).items():
        agree(values, surveyed[name][rows], specimen, f"the survey's {name} of some rows")
