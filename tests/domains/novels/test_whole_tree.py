"""What the root and its helpers rest on: codes, doubtful paragraphs, totals within readings, exact improvement."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rewardtree.domains.novels.chapters import Chapters, DrawChapters, Fillings, clues, fillings
from rewardtree.domains.novels.codes import decoded, encoded
from rewardtree.domains.novels.consistency import consistency_task, filled_scenes
from rewardtree.domains.novels.excerpts import excerpt_scenes, spoken
from rewardtree.domains.novels.facts import Draw
from rewardtree.domains.novels.features import slot_features
from rewardtree.domains.novels.filling import FillingLearner, FillingPolicy
from rewardtree.domains.novels.nodes import Library
from rewardtree.domains.novels.reader import on_stage
from rewardtree.domains.novels.revising import CONTRADICTIONS, GLIMPSE, OPENED, WHEREABOUTS, WHOLE, RevisingTask
from rewardtree.domains.novels.revisions import SLOTS, field_of
from rewardtree.domains.novels.stage import doubtful, quarters
from rewardtree.tasks.exhibit import NO_CLAIMS, Claims
from rewardtree.tree.stand_ins import answering


@pytest.fixture
def chapters(draw_chapters: DrawChapters) -> Chapters:
    return draw_chapters(np.random.default_rng(0), 40, "train")


def test_who_is_talked_about_is_not_on_stage() -> None:
    assert on_stage('"Is Anne here?" asked Wentworth, and "Yes," said Elizabeth.') == {"Wentworth", "Elizabeth"}


def test_a_code_is_what_the_reader_takes_from_a_passage_for_every_slot(chapters: Chapters) -> None:
    says = decoded(chapters.codes.astype(float))
    assert np.array_equal(encoded(says), chapters.codes)
    for column in range(SLOTS):
        assert np.array_equal(says[:, :, column], field_of(chapters.revisions, np.full(len(chapters), column)))
    assert (spoken({"passage": chapters.codes}) == (says != 0).sum(axis=2)).all() and says.any()


def test_slots_of_a_revision_look_as_in_a_chapter_that_came_so(chapters: Chapters) -> None:
    outputs = fillings(chapters, np.random.default_rng(1).random((40, SLOTS)) < 0.5, np.ones(40, dtype=bool))
    asked = filled_scenes(chapters, outputs)
    assert np.array_equal(asked.features, slot_features(replace(chapters.revisions, filled=outputs.slots)))
    differs = (outputs.slots != chapters.revisions.truth) & chapters.revisions.valid
    assert np.array_equal(asked.fields["differs"][asked.valid], differs[asked.valid])


def test_a_host_is_on_stage_elsewhere_in_the_chapter_and_a_guest_is_never_mentioned(books: Library) -> None:
    (volume,) = books["test"]
    section = np.repeat(np.arange(len(volume.sections) - 1), 40)
    found = doubtful(volume, section, np.random.default_rng(0))
    parts = quarters(volume, section, found.own)
    assert (found.own >= 0).mean() > 0.5
    for row in np.flatnonzero(found.own >= 0).tolist():
        here = np.flatnonzero(volume.section == section[row])
        left = parts[row][parts[row] >= 0]
        assert set(left) <= set(here) - {found.own[row]} and volume.section[found.foreign[row]] != section[row]
        assert volume.on_stage[found.host[row], found.own[row]] and volume.on_stage[found.host[row], left].any()
        assert (
            volume.on_stage[found.guest[row], found.foreign[row]] and not volume.mentioned[found.guest[row], here].any()
        )


def test_who_tells_in_a_paragraph_is_no_clue(books: Library) -> None:
    """A name comes up as often where the chapter has it on stage as where it has not."""
    (volume,) = books["test"]
    section = np.random.default_rng(1).integers(len(volume.sections) - 1, size=6000)
    found = doubtful(volume, section, np.random.default_rng(2))
    there = found.own >= 0
    counts = [np.bincount(names[there], minlength=len(volume.cast)) for names in (found.host, found.guest)]
    lead = np.abs(counts[0] - counts[1]).sum() / there.sum() / 2
    assert lead < 0.25, lead  # one that goes by the name alone would be right in 50 + 50 * lead %


def known(task: RevisingTask, count: int, **values: Any) -> dict[str, np.ndarray]:
    """Quantities as somebody knows them who read nothing, but for these."""
    start = {name: np.full(count, -1.0) for name in task.quantities}
    return (
        start | {CONTRADICTIONS: np.full(count, 2.0), WHEREABOUTS: np.zeros(count), GLIMPSE: np.zeros(count)} | values
    )


def test_a_claimed_total_counts_within_what_readings_leave_possible(draw_chapters: DrawChapters) -> None:
    task = RevisingTask(draw=draw_chapters)
    face = np.array([[1, 1, -1, -1, 0, 0, 0, 0, 4]] * 4, dtype=float)
    says = np.zeros((4, SLOTS), dtype=int)
    says[1, :4], says[2, 0] = 1, -1
    opened = np.where([True, True, True, False], encoded(says), -1.0)
    sensed = task.sense(face, known(task, 4, **{OPENED[0]: opened, CONTRADICTIONS: np.array([3.0, 3.0, 0.0, 9.0])}))
    assert sensed[:, 0].tolist() == [3.0, 2.0, 1.0, 4.0]
    assert sensed[:, 1].tolist() == [2.0, 2.0, 2.5, 2.0]


def test_a_reading_of_the_book_holds_for_both_revisions(draw_chapters: DrawChapters, chapters: Chapters) -> None:
    task = RevisingTask(draw=draw_chapters)
    rng = np.random.default_rng(3)
    views = [task.view(chapters, task.base_outputs(rng, chapters), NO_CLAIMS) for _ in range(2)]
    assert np.array_equal(views[0].fields["passage"], views[1].fields["passage"])
    assert views[0].shared == {"passage"} and not np.array_equal(views[0].face, views[1].face)
    assert "differs" not in views[0].fields


def test_the_expert_counts_what_the_book_contradicts(draw_chapters: DrawChapters, chapters: Chapters) -> None:
    task = RevisingTask(draw=draw_chapters)
    outputs = task.base_outputs(np.random.default_rng(4), chapters)
    surveyed = task.survey(task.view(chapters, outputs, NO_CLAIMS))
    foreign = task.measures(chapters, outputs)["foreign_paragraph"]
    spoken_of = (decoded(chapters.codes.astype(float)) != 0).any(axis=1)[chapters.revisions.valid].mean()
    assert spoken_of > 0.95
    assert np.corrcoef(surveyed[WHOLE] + foreign, -task.true_reward(chapters, outputs))[0, 1] > 0.95
    assert ((surveyed[WHEREABOUTS] > 0) == (foreign == 0))[chapters.doubted > 0].mean() > 0.9


def test_the_next_excerpt_has_a_name_that_the_first_has_not(chapters: Chapters) -> None:
    first = excerpt_scenes(chapters).prominence.argmax(axis=1)
    valid = excerpt_scenes(chapters, first).valid
    rows = np.arange(len(chapters))
    new = (chapters.names & ~chapters.names[rows, first][:, None]) != 0
    some = new.any(axis=1)
    assert some.any() and (new | ~valid)[some].all() and not valid[rows, first].any() and valid.any(axis=1).all()


def test_verdicts_help_as_answers(drawn: Draw) -> None:
    task = consistency_task(drawn)
    assert answering(task) is task.answers


class Linear:
    """A reward that is linear in what is seen of a revision."""

    model = None

    def __init__(self, task: RevisingTask, weights: np.ndarray) -> None:
        self._task, self._weights = task, weights

    def claims(self, inputs: Any, outputs: Any) -> Claims:
        return NO_CLAIMS

    def __call__(self, inputs: Any, outputs: Any) -> np.ndarray:
        return np.asarray(self._task.observe(inputs, outputs).astype(float) @ self._weights + 7.0)


def test_improvement_is_the_closed_form(draw_chapters: DrawChapters, chapters: Chapters) -> None:
    """Of two values the odds are exp(difference in reward / beta), slot by slot, whatever stands elsewhere."""
    task = RevisingTask(draw=draw_chapters)
    learner, weights = FillingLearner(task=task, beta=0.5), np.array([0.3, -0.2, 0.1, 0.4])
    reward = Linear(task, weights)
    policy = learner.improve(
        learner.initial(np.random.default_rng(0)), reward, lambda rng, count: draw_chapters(rng, count, "train"),
        np.random.default_rng(1), version="one",
    )  # fmt: skip
    slots, paragraph = policy.logits(chapters)
    outputs = task.base_outputs(np.random.default_rng(2), chapters)
    for column in (0, SLOTS - 1):
        at = np.where(np.arange(SLOTS) == column, [[1], [-1]], 0)
        pair = [replace(outputs, slots=np.where(at[i] != 0, at[i], outputs.slots)) for i in (0, 1)]
        gap = reward(chapters, pair[0]) - reward(chapters, pair[1])
        np.testing.assert_allclose(slots[:, column], gap / 0.5, atol=1e-4)
    sides = [replace(outputs, paragraph=np.full(len(chapters), side)) for side in (1, -1)]
    np.testing.assert_allclose(paragraph, (reward(chapters, sides[0]) - reward(chapters, sides[1])) / 0.5, atol=1e-4)


def test_a_policy_fills_as_its_logits_say(draw_chapters: DrawChapters) -> None:
    chapters = draw_chapters(np.random.default_rng(5), 400, "train")
    learner = FillingLearner(task=RevisingTask(draw=draw_chapters))
    untrained: FillingPolicy = learner.initial(np.random.default_rng(0))
    rng = np.random.default_rng(6)
    drawn = untrained.propose(chapters, rng)
    assert abs((drawn.slots[chapters.revisions.valid] > 0).mean() - 0.5) < 0.05
    sure = learner.restore({"clues": untrained.weights["clues"] + 50.0}, "sure")
    best: Fillings = sure.answer(chapters)
    seen, _ = clues(chapters)
    told = np.abs(seen.sum(axis=2)) > 0.5
    assert told.any() and np.array_equal(sure.propose(chapters, rng).slots[told], best.slots[told])
    assert np.array_equal(best.slots[told], np.where(seen.sum(axis=2) > 0, 1, -1)[told])
