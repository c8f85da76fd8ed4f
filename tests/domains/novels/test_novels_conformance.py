"""The domain's tasks conform, and their boards show nothing that an instrument reads."""

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from rewardtree.domains.novels.consistency import ConsistencyTask, consistency_task, revisions_of
from rewardtree.domains.novels.domain import DOMAIN, pictures
from rewardtree.domains.novels.facts import INSTRUMENT, Draw, facts_task
from rewardtree.domains.novels.revisions import Revisions, field_of
from rewardtree.evaluators.simulated import Bounds
from rewardtree.tasks.answers import Answers, AnswerTask, Scenes
from rewardtree.tasks.backdrop import backdrop, single
from rewardtree.tasks.board import unpack
from rewardtree.tasks.conformance import TaskConformance
from rewardtree.tasks.specimen import Specimen
from rewardtree.tree.assistance import ask
from rewardtree.tree.comparing import Side, exhibits
from rewardtree.tree.domain import Settings
from rewardtree.tree.node import Budget
from rewardtree.tree.showing import show
from rewardtree.tree.stand_ins import ideal


def elsewhere(revisions: Revisions, rng: np.random.Generator) -> Revisions:
    """The same chapters, as if other words stood in the book's passages, and the truth were another one."""
    volumes = []
    for one in revisions.volumes:
        moved = rng.permutation(len(one.texts))
        texts = tuple(one.texts[number] for number in moved)
        volumes.append(replace(one, texts=texts, holds=one.holds[:, moved], speaks=one.speaks[:, moved]))
    return replace(revisions, volumes=tuple(volumes), truth=-revisions.truth)


def other_books(inputs: Scenes, outputs: Answers, rng: np.random.Generator) -> tuple[Scenes, Answers]:
    other = elsewhere(revisions_of(inputs), rng)
    fields = {"differs": other.edited.astype(float)}
    return replace(inputs, backdrop=backdrop(other), fields=fields), outputs


def other_facts(inputs: Scenes, outputs: Answers, rng: np.random.Generator) -> tuple[Scenes, Answers]:
    questions, item = single(inputs.backdrop)
    other = elsewhere(questions.revisions, rng)
    fields = {INSTRUMENT: field_of(other, questions.column)[item]}
    shown = replace(inputs.backdrop, batches=(replace(questions, revisions=other),))
    return replace(inputs, backdrop=shown, fields=fields), outputs


class Conformance(TaskConformance):
    """Both tasks, made once a session."""

    made: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _make(self, drawn: Draw) -> None:
        if not self.made:
            self.made.update(facts=facts_task(drawn), consistency=consistency_task(drawn))


class TestFacts(Conformance):
    @property
    def specimen(self) -> Specimen:
        return Specimen(task=self.made["facts"], other_fields=other_facts)


class TestConsistency(Conformance):
    @property
    def specimen(self) -> Specimen:
        return Specimen(
            task=self.made["consistency"], helpers={"facts": ideal(self.made["facts"])}, other_fields=other_books
        )


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


def test_pictures_are_drawn(folder: Any, drawn: Draw) -> None:
    tree = DOMAIN.build(
        Settings(seed=0, helper=Budget(), root=Budget(), bounds=Bounds(), options={"books": str(folder), "shelf": 64})
    )
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
