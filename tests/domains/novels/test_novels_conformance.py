"""The domain's tasks conform, and their boards show nothing that an instrument reads."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from rewardtree.domains.novels.consistency import BOOK, ConsistencyTask, consistency_task, revisions_of
from rewardtree.domains.novels.domain import DOMAIN, pictures
from rewardtree.domains.novels.facts import INSTRUMENT, Draw, facts_task
from rewardtree.domains.novels.nodes import drawing
from rewardtree.domains.novels.revisions import Revisions, field_of
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
from rewardtree.tree.stand_ins import adversarial, heuristic, ideal, random_places, shuffled


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
