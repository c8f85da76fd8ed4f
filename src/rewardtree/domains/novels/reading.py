"""What language models read at the nodes of the tree: the words of passages, and what these may be saying of a slot.

They see words alone, as people do who open passages: neither the features of `features.py` nor the reader's rule. Which
passages they are shown is decided by the rule of thumb (`Scenes.prominence`): those with the name and a value's words.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Int

from rewardtree.domains.novels.boards import phrase
from rewardtree.domains.novels.consistency import ConsistencyTask, revisions_of
from rewardtree.domains.novels.revisions import Questions, Revisions, looks_of
from rewardtree.errors import ConfigError
from rewardtree.language.completing import Complete
from rewardtree.language.encoding import Encoder
from rewardtree.language.encoding import Rows as TokenRows
from rewardtree.language.named import ready
from rewardtree.language.references import SMALL, LanguageModel, ModelRef
from rewardtree.policies.asking import POLICY, Asking, AskingLearner
from rewardtree.policies.gradient import Ascent
from rewardtree.policies.language import LanguageLearner
from rewardtree.policies.reading import Query, Reading, reader
from rewardtree.rewards.language import LanguageRewards
from rewardtree.tasks.answers import Answers, AnswerTask, Scenes
from rewardtree.tasks.exhibit import NO_CLAIMS, Claims
from rewardtree.tree.domain import Settings
from rewardtree.tree.node import Node

SPEAKS = "{words}\n\nIn short: the passage above speaks of"
BESIDE = 2
"""Passages that are read beside a slot."""
Rows = Int[np.ndarray, " queries"]


def fact_queries(scenes: Scenes, scene: Rows, place: Rows) -> list[Query]:
    """Of passages: do they speak of the first, of the second, or of neither?"""
    found = []
    for row, column in zip(scene.tolist(), place.tolist(), strict=True):
        assert scenes.backdrop is not None
        questions, item = scenes.backdrop.find(row)
        assert isinstance(questions, Questions)
        revisions, slot = questions.revisions, int(questions.column[item])
        prompt = SPEAKS.format(words=passage_words(revisions, item, column))
        found.append(Query(prompt=prompt, verdicts=(*both(revisions, item, slot), "nobody")))
    return found


def slot_queries(scenes: Scenes, scene: Rows, place: Rows) -> list[Query]:
    """Of slots: do the passages that look most like speaking of one have its other value, or what the chapter has?"""
    revisions = revisions_of(scenes)
    shown = revisions.take(scene)
    looks = np.where(shown.shelf >= 0, np.maximum(*looks_of(shown, place)), -1)
    best = (-looks).argsort(axis=1, kind="stable")[:, :BESIDE]
    found = []
    for row, (column, passages) in enumerate(zip(place.tolist(), best.tolist(), strict=True)):
        words = "\n".join(passage_words(shown, row, one) for one in passages)
        first, second = both(shown, row, column)
        verdicts = (second, first) if shown.filled[row, column] > 0 else (first, second)
        found.append(Query(prompt=SPEAKS.format(words=words), verdicts=verdicts))
    return found


def passage_words(revisions: Revisions, row: int, place: int) -> str:
    """The words of a passage in hand, in one line."""
    passage = int(revisions.shelf[row, place])
    return " ".join(revisions.volumes[revisions.volume[row]].texts[passage].split()) if passage >= 0 else ""


def both(revisions: Revisions, row: int, column: int) -> tuple[str, str]:
    """A slot with its first value, and with its second, in words."""
    if revisions.negation[row]:
        asked = revisions.asked(row, column)
        name = asked.anchor.split(" ", 1)[1]
        return f"{asked.first} {name}", f"{name}, who is no {asked.first}"
    return phrase(revisions, row, column, first=True), phrase(revisions, row, column, first=False)


READINGS: Mapping[str, Reading] = {
    "facts": Reading(ask=fact_queries, values=(1.0, -1.0, 0.0)),
    "consistency": Reading(ask=slot_queries, values=(1.0, 0.0)),
}
"""How the nodes are put to language models, by name."""


def with_model(node: Node, settings: Settings) -> Node:
    """The node with the language model that the settings have for it as its policy; as it is where they have none."""
    model = settings.models.get(node.name)
    if model is None:
        if node.name in settings.rewards:
            raise ConfigError(f"rewards.{node.name}: a reward model that reads words needs a policy that does; name "
                              f"one as models.{node.name}")  # fmt: skip
        return node
    node = with_reward(node, settings)
    task: Any = node.task
    answers = task.answers if isinstance(task, ConsistencyTask) else task
    assert isinstance(answers, AnswerTask)
    return replace(node, learner=learner_of(node, answers, READINGS[node.name], model, settings.model_updates))


def with_reward(node: Node, settings: Settings) -> Node:
    """The node with a reward model that reads answers in words, where the settings have a language model for it."""
    if node.name not in settings.rewards:
        return node
    model = ready(settings.rewards[node.name])
    observe = partial(read_answers, Encoder(model=model, style="plain"), READINGS[node.name])
    return replace(node, reward=LanguageRewards(model=model), observe=observe, peaked=False)


def read_answers(encoder: Encoder, reading: Reading, scenes: Scenes, answers: Answers, claims: Claims) -> TokenRows:
    """Answers as texts that go on with a verdict: what a language model is asked of the place, and the value given.

    A value between two verdicts is told as the nearer one.
    """
    asked = reading.ask(scenes, np.arange(len(scenes)), answers.place)
    nearest = np.abs(answers.value[:, None] - np.array(reading.values)).argmin(axis=1)
    said = [f" {query.verdicts[column]}" for query, column in zip(asked, nearest, strict=True)]
    return encoder.rows([query.prompt for query in asked], said)


def learner_of(node: Node, task: AnswerTask, reading: Reading, model: ModelRef | Complete, updates: int) -> Any:
    """What improves a language model at a node: its weights where they are ours, else which of its answers count."""
    if not isinstance(model, ModelRef):
        return AskingLearner(
            task=task, reading=reading, believe=Asking(complete=model, purpose=f"{POLICY}{node.name}"),
            rewards=node.reward_learner, observe=partial(seen_by_reward, node),
        )  # fmt: skip
    loaded = ready(model)
    policy: Callable[..., Any] = partial(reader, task, reading)
    return LanguageLearner(model=loaded, policy=policy, ascent=ascent_of(loaded, updates))


def seen_by_reward(node: Node, scenes: Scenes, answers: Answers) -> Any:
    """What the node's reward model sees of answers."""
    if node.observe is not None:
        return node.observe(scenes, answers, NO_CLAIMS)
    return node.task.observe(scenes, answers)


def ascent_of(model: LanguageModel, updates: int) -> Ascent:
    """Samples of an input cost nothing, since all are read once; inputs do, and large models learn faster."""
    if model.parameters >= SMALL:
        return Ascent(updates=updates, inputs=4, samples=16, beta=0.1, rate=3e-4)
    return Ascent(updates=updates, inputs=8, samples=16, beta=0.1, rate=3e-3)
