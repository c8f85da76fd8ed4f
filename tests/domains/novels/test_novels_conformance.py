"""The domain's tasks conform, and their boards show nothing that an instrument reads."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from rewardtree.domains.novels.chapters import Chapters, DrawChapters, Fillings
from rewardtree.domains.novels.codes import encoded
from rewardtree.domains.novels.consistency import BOOK, ConsistencyTask, consistency_task, revisions_of
from rewardtree.domains.novels.domain import DOMAIN, pictures
from rewardtree.domains.novels.excerpts import excerpts_task
from rewardtree.domains.novels.facts import INSTRUMENT, Draw, facts_task
from rewardtree.domains.novels.nodes import drawing
from rewardtree.domains.novels.revising import RevisingTask
from rewardtree.domains.novels.revisions import Revisions, field_of
from rewardtree.domains.novels.summary import (
    ON_STAGE,
    PRESENT,
    DrawStage,
    parts_task,
    presence,
    stage_of,
    summary_task,
)
from rewardtree.domains.novels.volumes import Volume
from rewardtree.evaluators.judge import Judge
from rewardtree.evaluators.simulated import Bounds
from rewardtree.language.completing import Completion, Options, Prompt
from rewardtree.policies.answering import AnsweringLearner
from rewardtree.tasks.answers import Answers, AnswerTask, Scenes
from rewardtree.tasks.backdrop import backdrop, single
from rewardtree.tasks.board import unpack
from rewardtree.tasks.conformance import TaskConformance
from rewardtree.tasks.plain_boards import quoted
from rewardtree.tasks.specimen import Specimen, reworded
from rewardtree.tree.assistance import ask
from rewardtree.tree.comparing import Side, describe, exhibits
from rewardtree.tree.domain import Settings
from rewardtree.tree.evaluating import experience_of, judge_of
from rewardtree.tree.node import Budget, Node, Tree
from rewardtree.tree.showing import show
from rewardtree.tree.stand_ins import adversarial, answering, heuristic, ideal, random_places, shuffled


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


def retold(volumes: tuple[Volume, ...], rng: np.random.Generator) -> tuple[Volume, ...]:
    """The same books, as if other words stood in their passages; what policies see of them stays."""
    moves = [rng.permutation(len(one.texts)) for one in volumes]
    return tuple(
        replace(
            one, texts=tuple(one.texts[number] for number in moved), holds=one.holds[:, moved],
            speaks=one.speaks[:, moved], on_stage=one.on_stage[:, moved],
        )
        for one, moved in zip(volumes, moves, strict=True)
    )  # fmt: skip


def other_parts(inputs: Scenes, outputs: Answers, rng: np.random.Generator) -> tuple[Scenes, Answers]:
    found, item = single(inputs.backdrop)
    stage = replace(found.stage, volumes=retold(found.stage.volumes, rng))
    shown = replace(inputs.backdrop, batches=(replace(found, stage=stage),))
    fields = {ON_STAGE: stage.seen()[item, found.quarter[item]].astype(float)}
    return replace(inputs, backdrop=shown, fields=fields), outputs


def other_stages(inputs: Scenes, outputs: Answers, rng: np.random.Generator) -> tuple[Scenes, Answers]:
    stage = stage_of(inputs)
    other = replace(stage, volumes=retold(stage.volumes, rng))
    return replace(inputs, backdrop=backdrop(other), fields={PRESENT: presence(other)}), outputs


def retold_chapters(inputs: Chapters, rng: np.random.Generator) -> Chapters:
    """The same chapters, as if other words stood in the book's passages and in theirs, and the truth were another."""
    volumes = retold(inputs.revisions.volumes, rng)
    revisions = replace(inputs.revisions, volumes=volumes, truth=-inputs.revisions.truth)
    columns = [np.full(len(inputs), column) for column in range(inputs.revisions.slot.shape[1])]
    says = np.stack([field_of(revisions, column) for column in columns], axis=2) * revisions.valid[:, None, :]
    return replace(inputs, revisions=revisions, codes=encoded(says.astype(int)).astype(int), own=-inputs.own)


def other_excerpts(inputs: Scenes, outputs: Answers, rng: np.random.Generator) -> tuple[Scenes, Answers]:
    chapters, item = single(inputs.backdrop)
    other = retold_chapters(chapters, rng)
    shown = replace(inputs.backdrop, batches=(other,))
    return replace(inputs, backdrop=shown, fields={INSTRUMENT: other.codes[item].astype(float)}), outputs


def other_chapters(inputs: Chapters, outputs: Fillings, rng: np.random.Generator) -> tuple[Chapters, Fillings]:
    return retold_chapters(inputs, rng), outputs


def other_facts(inputs: Scenes, outputs: Answers, rng: np.random.Generator) -> tuple[Scenes, Answers]:
    questions, item = single(inputs.backdrop)
    other = elsewhere(questions.revisions, rng)
    fields = {INSTRUMENT: field_of(other, questions.column)[item]}
    shown = replace(inputs.backdrop, batches=(replace(questions, revisions=other),))
    return replace(inputs, backdrop=shown, fields=fields), outputs


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
    def test_people_are_asked_in_words_that_read_on(self) -> None:
        for task in self.made.values():
            assert not re.search(r"\bthe wh", f"{task.question} {task.guide}"), task.name
        assert self.made["facts"].question == "Which answer rightly says what the book says?"
        assert "1 for the first" in self.made["facts"].guide

    @property
    def specimen(self) -> Specimen:
        return Specimen(task=self.made["facts"], other_fields=other_facts)


class TestConsistency(Conformance):
    @property
    def specimen(self) -> Specimen:
        return Specimen(task=self.made["consistency"], helpers=self.helping("facts"), other_fields=other_books)


class TestParts(Conformance):
    @property
    def specimen(self) -> Specimen:
        return Specimen(task=self.made["parts"], other_fields=other_parts)


class TestSummary(Conformance):
    @property
    def specimen(self) -> Specimen:
        return Specimen(task=self.made["summary"], helpers=self.helping("parts"), other_fields=other_stages)


class TestExcerpts(Conformance):
    @property
    def specimen(self) -> Specimen:
        return Specimen(task=self.made["excerpts"], other_fields=other_excerpts)


class TestPassage(Conformance):
    @property
    def specimen(self) -> Specimen:
        helpers = self.helping("consistency", "summary", "parts", "excerpts")
        return Specimen(task=self.made["passage"], helpers=helpers, other_fields=other_chapters)


def test_boards_show_the_chapter_and_no_passage_of_the_shelf(drawn: Draw) -> None:
    task = consistency_task(drawn)
    rng = np.random.default_rng(0)
    inputs = task.sample(rng, 4, "train")
    outputs = task.base_outputs(rng, inputs)
    board, (tool,) = task.board(inputs, outputs, 0)
    assert not tool.values and not tool.texts
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
    helpers = {name: ideal(answering(tree.nodes[name].task)) for name in tree.nodes["passage"].helpers}
    side = Side(outputs=outputs, claims=ask(task, helpers, inputs, outputs))
    for packed in show(task, inputs, (side, side), exhibits(task, inputs, (side, side), 2), {}):
        first = unpack(packed)["first"]
        assert first["board"]["data"].count("\u25b8") == inputs.revisions.valid[0].sum()
        assert len(first["claims"]) == 5 and {one["name"] for one in first["instruments"]} == {"passage", "chapter"}
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
    shown = exhibits(task, inputs, pair, 2)
    asked = describe(task, inputs, pair, shown, run="a", protocol="b", place="c")
    for row, packed in enumerate(show(task, inputs, pair, shown, {})):
        for seen, name in zip(shown, ("first", "second"), strict=True):
            side = unpack(packed)[name]
            (claim,), (tool,) = side["claims"], side["instruments"]
            assert tool["values"] == [] and claim["instrument"] == "passage" and len(packed) < 20_000
            span = seen.claims[BOOK].span[row].tolist()
            assert asked[row].payload[name]["claims"][0]["span"] == span and claim["place_label"] == quoted(span)
            start, end = map(int, claim["box"])
            assert side["board"]["data"][start:end] == claim["place_label"], "the place that it quotes lights up"
            words = dict(zip((place for place, _, _ in tool["places"]), tool["texts"], strict=True))
            assert words == {place: seen.texts["passage"].at(row, place) for place in words}
            assert max(len(text.split()) for text in words.values()) <= 60
            assert not any(text in side["board"]["data"] for text in words.values())


def test_whoever_points_at_a_passage_quotes_where_it_stands(drawn: Draw) -> None:
    facts, task = facts_task(drawn), consistency_task(drawn)
    rng = np.random.default_rng(7)
    inputs = task.sample(rng, 8, "train")
    (question,) = task.questions(inputs, task.base_outputs(rng, inputs), {})
    revisions, places = revisions_of(inputs), np.arange(8)
    for helper in (ideal(facts), heuristic(facts), random_places(facts, rng), adversarial(facts, rng)):
        claim = helper(question)
        passages = revisions.shelf[places, claim.place]
        for row, (chapter, start, end) in enumerate(claim.span.tolist()):
            volume = revisions.volumes[revisions.volume[row]]
            assert volume.book.chapters[chapter][start:end] == volume.texts[passages[row]]
    mixed = shuffled(ideal(facts), rng)(question)
    assert sorted(mixed.span.tolist()) == sorted(ideal(facts)(question).span.tolist())


def test_people_and_judges_are_offered_some_passages_the_pointed_ones_among_them(drawn: Draw, folder: Path) -> None:
    task = consistency_task(drawing(folder, 0, 200))
    rng = np.random.default_rng(3)
    inputs = task.sample(rng, 6, "train")
    outputs = [task.base_outputs(rng, inputs) for _ in range(2)]
    helper = {"facts": ideal(facts_task(drawn))}
    sides = [Side(outputs=one, claims=ask(task, helper, inputs, one)) for one in outputs]
    first, second = exhibits(task, inputs, (sides[0], sides[1]), 2)
    for row in range(6):
        offered = [{place for place, _, _ in seen.shown(row).instruments[0].places} for seen in (first, second)]
        assert offered[0] == offered[1] and len(offered[0]) == 64
        for seen in (first, second):
            pointed = {int(one.place[row]) for one in (*seen.probes.values(), *seen.claims.values())}
            assert pointed <= offered[0]


def test_who_reads_words_and_who_reads_numbers_depend_on_nothing_that_they_did_not_open(drawn: Draw) -> None:
    """Every passage that was not opened is exchanged for another one, and all answers stay as they are."""
    facts, task = facts_task(drawn), consistency_task(drawn)
    tree = Tree(
        nodes={
            "facts": Node(name="facts", task=facts, learner=AnsweringLearner(task=facts)),
            "consistency": Node(
                name="consistency", task=task, learner=AnsweringLearner(task=task.answers), helpers=("facts",)
            ),
        },
        root="consistency",
    )
    node, rng = tree.nodes["consistency"], np.random.default_rng(4)
    simulated = judge_of(experience_of(tree, node, 0), node, {"facts": ideal(facts)}, rng).evaluator
    prompts: list[str] = []

    def reads(given: Sequence[Prompt], options: Options) -> list[Completion]:
        told = [" ".join(one.content for one in prompt) for prompt in given]
        prompts.extend(told)
        if "Which output is better" in told[0]:
            return [Completion(text=f"VERDICT: {'AB'[len(one) % 2]}") for one in told]
        return [Completion(text="\n".join(re.findall(r"READ [AB] passage \d+(?=\])", one))) for one in told]

    inputs = task.sample(rng, 5, "train")
    outputs = [task.base_outputs(rng, inputs) for _ in range(2)]
    sides = [Side(outputs=one, claims=ask(task, {"facts": ideal(facts)}, inputs, one)) for one in outputs]
    found = []
    for other in (False, True):
        shown = exhibits(Elsewhere(task) if other else task, inputs, (sides[0], sides[1]), 2)
        numbers = simulated.judge(*shown, np.random.default_rng(5))
        shown = exhibits(Elsewhere(task) if other else task, inputs, (sides[0], sides[1]), 2)
        bare = (replace(one, fields={}) for one in shown)
        words = Judge(task=task, complete=reads).judge(*bare, np.random.default_rng(6))
        found.append((numbers.probability.tolist(), numbers.readings.tolist(), words.orders.tolist(), prompts.copy()))
        prompts.clear()
    assert found[0] == found[1]
    opened = shown[0].texts["passage"].at(0, int(sides[0].claims[BOOK].place[0]))
    told = [one for one in found[0][3] if "What was read" in one]
    assert len(told) == 10 and sum(" ".join(opened.split()) in one for one in told) >= 2
    assert words.readings.tolist() == [2] * 5 and set(numbers.readings.tolist()) == {2}


class Elsewhere:
    """The task behind other words, and so behind other numbers, wherever neither claims nor probes point."""

    def __init__(self, task: ConsistencyTask) -> None:
        self.task = task

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)

    def view(self, inputs: Any, outputs: Any, claims: Any) -> Any:
        view = self.task.view(inputs, outputs, claims)
        places = [one.place for one in (*view.probes.values(), *claims.values())]
        return reworded(view, {INSTRUMENT: places})
