"""Answering by language models: short lists, chances of places and values, and reward models that weigh answers."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rewardtree.errors import TaskError
from rewardtree.language.completing import Completion, Options, Prompt, Token
from rewardtree.language.references import ModelRef, load
from rewardtree.policies.asking import Asking, AskingLearner
from rewardtree.policies.language import LanguageLearner
from rewardtree.policies.learner import Learner, Policy
from rewardtree.policies.reading import NOWHERE, Beliefs, Query, Reading, ReadingPolicy, reader
from rewardtree.rewards.ensemble import RewardShape, initial
from rewardtree.rewards.learner import EnsembleLearner
from rewardtree.tasks.answers import Answers, AnswerTask, Scenes
from tiny_language import needs_lm, tiny_model
from toy import toy_tasks

VALUES = (10.0, 0.0, 5.0)


def ask(scenes: Scenes, scene: Any, place: Any) -> list[Query]:
    seen = scenes.features[scene, place]
    return [Query(prompt=f"good {left:.4f} {right:.4f}", verdicts=("yes", "no", "old")) for left, right in seen]


READING = Reading(ask=ask, values=VALUES, listed=4)
TASK: AnswerTask = toy_tasks()["left"]


def scenes(count: int = 12) -> Scenes:
    return TASK.sample(np.random.default_rng(0), count, "train")


def believed(weights: Any, queries: Sequence[Query]) -> Beliefs:
    """Sure that it is much where the first number is positive."""
    first = torch.tensor([float(one.prompt.split()[1]) for one in queries])
    return torch.log_softmax(torch.stack([first, -first, torch.zeros(len(first))], 1), 1)


def policy(**given: Any) -> ReadingPolicy:
    settings: dict[str, Any] = {"task": TASK, "reading": READING, "believe": believed, "weights": {}, "version": "v"}
    return ReadingPolicy(**settings | given)


def test_the_short_list_is_what_catches_the_eye_or_is_asked_about() -> None:
    inputs = scenes()
    places = READING.places(inputs)
    for row, found in enumerate(places):
        if inputs.asked[row] >= 0:
            assert found.tolist() == [inputs.asked[row], *[NOWHERE] * 3]
        else:
            assert found.tolist() == np.argsort(-inputs.prominence[row])[:4].tolist()
    few = replace(inputs, valid=np.arange(6) < np.ones((12, 1)) * 2, asked=np.full(12, -1))
    assert ((READING.places(few) == NOWHERE).sum(axis=1) == 2).all()
    with pytest.raises(TaskError, match="without places"):
        policy().answer(replace(few, valid=np.zeros((12, 6), dtype=bool)))


def test_probabilities_of_all_answers_add_up_and_are_those_of_samples() -> None:
    inputs, one = scenes(), policy()
    places = READING.places(inputs)
    total = np.zeros(12)
    for slot in range(4):
        for value in VALUES:
            there = np.where(places[:, slot] == NOWHERE, places[:, 0], places[:, slot])
            chance = one.log_probability({}, inputs, Answers(place=there, value=np.full(12, value))).exp().numpy()
            total += np.where(places[:, slot] == NOWHERE, 0, chance)
    np.testing.assert_allclose(total, 1, atol=1e-5)
    many = inputs.take(np.repeat(np.flatnonzero(inputs.asked < 0)[:1], 4000))
    drawn = one.propose(many, np.random.default_rng(0))
    best = one.answer(many.take(np.array([0])))
    assert best.place[0] == np.bincount(drawn.place).argmax()
    there = drawn.value[drawn.place == best.place[0]]
    assert abs(there.mean() - best.value[0]) < 4 * there.std() / len(there) ** 0.5
    np.testing.assert_allclose(one.items(many)[0, best.place[0]], best.value[0])
    with pytest.raises(TaskError, match="beyond the short list"):
        one.log_probability({}, inputs, Answers(place=places[:, 0], value=np.full(12, 4.0)))


def test_what_was_read_lately_is_not_read_again_but_under_its_own_weights() -> None:
    asked: list[int] = []

    def counted(weights: Any, queries: Sequence[Query]) -> Beliefs:
        asked.append(len(queries))
        return believed(weights, queries)

    one, inputs = policy(believe=counted), scenes()
    one.answer(inputs.take(np.repeat(np.arange(12), 3)))
    assert asked == [int((READING.places(inputs) != NOWHERE).sum())], "samples of an input are read once"
    one.answer(inputs)
    assert len(asked) == 1
    one.with_weights({}, "w").answer(inputs)
    one.log_probability(
        {"w": torch.zeros(1)}, inputs, Answers(place=READING.places(inputs)[:, 0], value=np.full(12, 5.0))
    )
    assert len(asked) == 3


def test_a_model_here_is_read_as_its_whole_rows_are(tmp_path: Path) -> None:
    needs_lm()
    model = load(ModelRef(name=str(tiny_model(tmp_path / "tiny"))))
    learner = LanguageLearner(model=model, policy=lambda **given: reader(TASK, READING, **given))
    one = learner.initial(np.random.default_rng(0))
    assert isinstance(one, Policy) and isinstance(learner, Learner)
    query = Query(prompt="good rain", verdicts=("yes", "no", "abbey"))
    found = one.believe({}, [query, query])[1]
    expected = []
    for verdict in query.verdicts:
        begin = model.tokenizer("good rain", add_special_tokens=False)["input_ids"]
        ids = torch.tensor(begin + model.tokenizer(f" {verdict}", add_special_tokens=False)["input_ids"])
        logits = torch.log_softmax(model.net(input_ids=ids[None]).logits[0], -1)
        expected.append(float(logits[len(begin) - 1 : -1].gather(1, ids[len(begin) :, None]).sum()))
    assert torch.allclose(found, torch.log_softmax(torch.tensor(expected), 0), atol=1e-4)


def completion(text: str, **top: float) -> Completion:
    tokens = (
        (Token(text=text, logprob=0.0, top={f" {one}": float(np.log(p)) for one, p in top.items()}),) if top else ()
    )
    return Completion(text=text, tokens=tokens)


@pytest.mark.parametrize(
    ("answer", "chances"),
    [
        (completion("A", A=0.6, C=0.3), [0.6, 0.001, 0.3]),
        (completion("I say B."), [0.05, 0.9, 0.05]),
        (completion("Who knows"), [1, 1, 1]),
        (completion("D"), [1, 1, 1]),
    ],
)
def test_what_an_answer_with_a_letter_says(answer: Completion, chances: list[float]) -> None:
    def complete(prompts: Sequence[Prompt], options: Options) -> list[Completion]:
        assert "A: yes\nB: no\nC: old" in prompts[0][0].content and options.purpose == "me"
        return [answer for _ in prompts]

    found = Asking(complete=complete, purpose="me")({}, [Query(prompt="good", verdicts=("yes", "no", "old"))])
    np.testing.assert_allclose(found.exp().numpy()[0], np.array(chances) / sum(chances), rtol=1e-4)


class Liking:
    """A reward model joined to what it sees."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def claims(self, inputs: Any, outputs: Any) -> dict[str, Any]:
        return {}

    def __call__(self, inputs: Any, outputs: Any) -> Any:
        return self.model.score(TASK.observe(inputs, outputs))[0]


def test_a_reward_model_weighs_the_answers_of_a_model_that_stays_as_it_is() -> None:
    """In closed form, over all answers of the short list; what it has learnt comes back from its weights."""
    model = initial(RewardShape(features=4, peaked=True, hidden=0), torch.Generator().manual_seed(0))
    chance = torch.Generator().manual_seed(1)
    drawn = {name: value + 0.3 * torch.randn(value.shape, generator=chance) for name, value in model.weights.items()}
    model = replace(model, weights=drawn)
    learner = AskingLearner(task=TASK, reading=READING, believe=believed, rewards=EnsembleLearner(peaked=True),
                            observe=TASK.observe, beta=0.5)  # fmt: skip
    assert isinstance(learner, Learner)
    plain, inputs, joined = learner.initial(np.random.default_rng(0)), scenes(), Liking(model)
    improved = learner.improve(plain, joined, lambda *_: None, np.random.default_rng(0), version="v1")
    better = learner.restore(improved.weights, "v1")
    places = READING.places(inputs)
    answers = [Answers(place=places[:, 0], value=np.full(12, value)) for value in VALUES]
    before, after = ([p.log_probability({}, inputs, one).numpy() for one in answers] for p in (plain, better))
    reward = [model.score(TASK.observe(inputs, one))[0] / 0.5 for one in answers]
    for number in (1, 2):
        np.testing.assert_allclose(after[number] - after[0], before[number] - before[0] + reward[number] - reward[0],
                                   atol=1e-3)  # fmt: skip
