"""The domain's tasks conform, and their boards show nothing that an instrument reads."""

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from rewardtree.domains.novels.chapters import Chapters, DrawChapters, Fillings, decoded, encoded
from rewardtree.domains.novels.consistency import ConsistencyTask, consistency_task, revisions_of
from rewardtree.domains.novels.domain import DOMAIN, pictures
from rewardtree.domains.novels.excerpts import excerpts_task
from rewardtree.domains.novels.facts import Draw, facts_task
from rewardtree.domains.novels.revising import RevisingTask
from rewardtree.domains.novels.summary import (
    PRESENT,
    DrawStage,
    parts_task,
    shares,
    stage_of,
    summary_task,
)
from rewardtree.evaluators.simulated import Bounds
from rewardtree.tasks.answers import Answers, AnswerTask, Scenes
from rewardtree.tasks.backdrop import backdrop
from rewardtree.tasks.board import unpack
from rewardtree.tasks.conformance import TaskConformance
from rewardtree.tasks.specimen import Specimen
from rewardtree.tree.assistance import ask
from rewardtree.tree.comparing import Side, exhibits
from rewardtree.tree.domain import Settings
from rewardtree.tree.node import Budget, Tree
from rewardtree.tree.showing import show
from rewardtree.tree.stand_ins import answering, ideal


def other_books(inputs: Scenes, outputs: Answers, rng: np.random.Generator) -> tuple[Scenes, Answers]:
    """The same chapters, as if the book's passages stated other values, and the truth were another one."""
    revisions = revisions_of(inputs)
    volumes = tuple(replace(one, holds=~one.holds) for one in revisions.volumes)
    other = replace(revisions, volumes=volumes, truth=-revisions.truth)
    fields = {"differs": other.edited.astype(float)}
    return replace(inputs, backdrop=backdrop(other), fields=fields), outputs


def other_stages(inputs: Scenes, outputs: Answers, rng: np.random.Generator) -> tuple[Scenes, Answers]:
    """The same chapters, as if whoever is mentioned were on stage, and whoever is not."""
    stage = stage_of(inputs)
    volumes = tuple(replace(one, on_stage=~one.on_stage) for one in stage.volumes)
    other = replace(stage, volumes=volumes)
    return replace(inputs, backdrop=backdrop(other), fields={PRESENT: shares(other)}), outputs


def other_chapters(inputs: Chapters, outputs: Fillings, rng: np.random.Generator) -> tuple[Chapters, Fillings]:
    """The same chapters, as if passages said the contrary, and others were on stage."""
    volumes = tuple(replace(one, on_stage=~one.on_stage) for one in inputs.revisions.volumes)
    revisions = replace(inputs.revisions, volumes=volumes, truth=-inputs.revisions.truth)
    codes = encoded(np.where(inputs.revisions.valid[:, None, :], -decoded(inputs.codes.astype(float)), 1))
    return replace(inputs, revisions=revisions, codes=codes.astype(int), own=-inputs.own), outputs


class Conformance(TaskConformance):
    """All tasks, made once a session."""

    made: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _make(self, drawn: Draw, draw_chapters: DrawChapters, draw_stage: DrawStage) -> None:
        if not self.made:
            tasks = (
                facts_task(drawn), consistency_task(drawn), parts_task(draw_stage), summary_task(draw_stage),
                excerpts_task(draw_chapters), RevisingTask(draw=draw_chapters),
            )  # fmt: skip
            self.made.update({task.name: task for task in tasks})

    def helping(self, *names: str) -> dict[str, Any]:
        return {name: ideal(answering(self.made[name])) for name in names}


class TestFacts(Conformance):
    @property
    def specimen(self) -> Specimen:
        return Specimen(task=self.made["facts"])


class TestConsistency(Conformance):
    @property
    def specimen(self) -> Specimen:
        return Specimen(
            task=self.made["consistency"], helpers=self.helping("facts"), other_fields=other_books
        )


class TestParts(Conformance):
    @property
    def specimen(self) -> Specimen:
        return Specimen(task=self.made["parts"])


class TestSummary(Conformance):
    @property
    def specimen(self) -> Specimen:
        return Specimen(task=self.made["summary"], helpers=self.helping("parts"), other_fields=other_stages)


class TestExcerpts(Conformance):
    @property
    def specimen(self) -> Specimen:
        return Specimen(task=self.made["excerpts"])


class TestPassage(Conformance):
    @property
    def specimen(self) -> Specimen:
        helpers = self.helping("consistency", "summary", "excerpts")
        return Specimen(task=self.made["passage"], helpers=helpers, other_fields=other_chapters)


def test_boards_show_the_chapter_and_no_passage_of_the_shelf(drawn: Draw) -> None:
    task = consistency_task(drawn)
    rng = np.random.default_rng(0)
    inputs = task.sample(rng, 4, "train")
    outputs = task.base_outputs(rng, inputs)
    board, (tool,) = task.board(inputs, outputs, 0)
    assert board.data.count("\u25b8") == 1 and len(tool.places) == 64
    assert "differs from the book" in board.data or "is as the book has it" in board.data
    revisions = revisions_of(inputs)
    volumes = tuple(replace(one, holds=~one.holds, speaks=~one.speaks) for one in revisions.volumes)
    other = replace(inputs, backdrop=backdrop(replace(revisions, volumes=volumes)))
    assert task.board(other, outputs, 0)[0] == board
    (question,) = task.questions(inputs, outputs, {})
    facts: AnswerTask = facts_task(drawn)
    told = facts.board(question.inputs, facts.ideal(question.inputs), 1)[0]
    assert told.data.startswith("Asked: does the book say ")
    claim = ideal(facts)(question)
    pointer, statement = task.words(inputs, claim, 0) or ("", "")
    assert pointer.startswith("chapter ") and statement.startswith(pointer)


def tree_of(folder: Any, root: str) -> Tree:
    options = {"books": str(folder), "shelf": 64, "root": root}
    return DOMAIN.build(Settings(seed=0, helper=Budget(), root=Budget(), bounds=Bounds(), options=options))


def test_revisions_are_drawn_and_shown(folder: Any) -> None:
    tree, rng = tree_of(folder, "passage"), np.random.default_rng(0)
    policies = {name: node.learner.initial(rng) for name, node in tree.nodes.items()}
    found = pictures(tree, policies, np.random.default_rng(1))
    assert len(found) == 3
    for one in found:
        assert all(words in one["svg"] for words in ("consistency, all in all: ", "summary: ", "excerpts points at "))
        assert 'class="bad"' in one["svg"] and "A random revision, " in one["caption"]
    task = tree.nodes["passage"].task
    inputs = task.sample(rng, 2, "train")
    outputs = task.base_outputs(rng, inputs)
    helpers = {name: ideal(answering(tree.nodes[name].task)) for name in ("consistency", "summary", "excerpts")}
    side = Side(outputs=outputs, claims=ask(task, helpers, inputs, outputs))
    for packed in show(task, inputs, (side, side), exhibits(task, inputs, (side, side), 2), {}):
        first = unpack(packed)["first"]
        assert first["board"]["data"].count("\u25b8") == inputs.revisions.valid[0].sum()
        assert len(first["claims"]) == 4 and {one["name"] for one in first["instruments"]} == {"passage", "present"}
        assert len(packed) < 20_000
    for name in ("parts", "summary", "excerpts"):
        own = tree.nodes[name].task
        scenes = own.sample(rng, 6, "train")
        board, (tool,) = own.board(scenes, own.base_outputs(rng, scenes), 0)
        assert board.data.startswith("Asked: ") and tool.places


def test_pictures_are_drawn(folder: Any, drawn: Draw) -> None:
    tree = tree_of(folder, "consistency")
    policies = {name: node.learner.initial(np.random.default_rng(0)) for name, node in tree.nodes.items()}
    found = pictures(tree, policies, np.random.default_rng(1))
    assert len(found) == 3
    for one in found:
        assert one["svg"].startswith("<svg") and "The helper facts points at" in one["svg"]
        assert "The trained policy says" in one["caption"]
    assert isinstance(tree.nodes["consistency"].task, ConsistencyTask)


def test_people_get_comparisons_with_passages_to_open(drawn: Draw) -> None:
    facts, task = facts_task(drawn), consistency_task(drawn)
    rng = np.random.default_rng(2)
    inputs = task.sample(rng, 2, "train")
    sides = []
    for _ in range(2):
        outputs = task.base_outputs(rng, inputs)
        sides.append(Side(outputs=outputs, claims=ask(task, {"facts": ideal(facts)}, inputs, outputs)))
    pair = sides[0], sides[1]
    for packed in show(task, inputs, pair, exhibits(task, inputs, pair, 2), {}):
        first = unpack(packed)["first"]
        (claim,) = first["claims"]
        assert len(first["instruments"][0]["values"]) == 64 and claim["instrument"] == "passage"
        assert claim["place_label"].startswith("chapter ") and len(packed) < 10_000
