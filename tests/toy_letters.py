"""A toy tree of language models: one writes letters, another reads words, and tells in which of them a word stands.

`letter` writes up to 4 words; its true reward is 1 where one of them is "abbey", else 0. Its evaluator can look at one
word of either letter, and asks `word`, which is shown all of them, to point at such a word. Both reward models are
heads on the language model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rewardtree.evaluators.simulated import Bounds
from rewardtree.language.encoding import Encoder, Rows, padded
from rewardtree.language.passes import Sampling
from rewardtree.language.references import LanguageModel, ModelRef, load, save
from rewardtree.policies.direct import Descent, imitate
from rewardtree.policies.gradient import Ascent
from rewardtree.policies.language import LanguageLearner, Outputs, Prompts, Writer, joined
from rewardtree.policies.reading import Query, Reading, reader
from rewardtree.rewards.language import Fitting, Heads, LanguageRewards
from rewardtree.tasks.answers import Answers, AnswerTask, Scenes
from rewardtree.tasks.backdrop import backdrop
from rewardtree.tasks.exhibit import Claim, Claims, Probe
from rewardtree.tasks.task import SPLITS, Question, Split, View, raw_values
from rewardtree.tree.node import Budget, Node, Tree
from tiny_language import tiny_model

WORDS, WANTED, LENGTH = ("abbey", "rain", "park", "old", "new", "good"), "abbey", 4
RARE = np.array([0.1, *[0.18] * 5])
"""How often letters have each word before anything is learnt."""


def words_of(encoder: Encoder, outputs: Outputs) -> list[list[str]]:
    return [text.split()[:LENGTH] for text in encoder.texts(outputs.ids)]


def scenes_of(letters: Sequence[Sequence[str]], origin: Any) -> Scenes:
    """Words as places."""
    valid = np.array([[place < len(one) for place in range(LENGTH)] for one in letters])
    wanted = np.array([[place < len(one) and one[place] == WANTED for place in range(LENGTH)] for one in letters])
    valid[:, 0] = True
    return Scenes(
        features=np.zeros((len(letters), LENGTH, 1), dtype=np.float32), valid=valid, prominence=np.zeros(valid.shape),
        fields={"look": wanted.astype(float)}, asked=np.full(len(letters), -1), origin=np.array(origin),
        backdrop=backdrop([list(one) for one in letters]),
    )  # fmt: skip


def queries(scenes: Scenes, scene: Any, place: Any) -> list[Query]:
    found = []
    for row, column in zip(map(int, scene), map(int, place), strict=True):
        assert scenes.backdrop is not None
        batch, item = scenes.backdrop.find(row)
        word = batch[item][column] if column < len(batch[item]) else "nothing"
        found.append(Query(prompt=f"new {word}", verdicts=("yes", "no")))
    return found


READING = Reading(ask=queries, values=(1.0, 0.0))


def word_task() -> AnswerTask:
    def drawn(rng: np.random.Generator, count: int, split: Split) -> Scenes:
        letters = rng.choice(WORDS, (count, LENGTH), p=[0.3, *[0.14] * 5]).tolist()
        return scenes_of(letters, rng.integers(2**40, size=count) * len(SPLITS) + SPLITS.index(split))

    return AnswerTask(
        name="word", instruments=("look",), draw=drawn, low=0.0, high=1.0, usual=0.0, scale=1.0, levels=2
    )  # fmt: skip


def read_answers(encoder: Encoder, inputs: Scenes, outputs: Answers, claims: Claims) -> Rows:
    """An answer in words, for a reward model."""
    asked = queries(inputs, range(len(inputs)), outputs.place)
    said = [" yes" if value >= 0.5 else " no" for value in outputs.value]
    return encoder.rows([one.prompt for one in asked], said)


@dataclass(frozen=True, kw_only=True, slots=True)
class Letters:
    """Write a letter with the word in it. The true reward is 1 where it is there, else 0."""

    encoder: Encoder
    name: str = "letter"
    quantities: tuple[str, ...] = ("there", "anywhere", "whole")

    def sample(self, rng: np.random.Generator, count: int, split: Split) -> Prompts:
        letter = SPLITS.index(split)
        texts = [" ".join(rng.choice(WORDS, 3)) + " " + "abcd"[letter] for _ in range(count)]
        return Prompts(ids=padded(self.encoder.prompts(texts)))

    def base_outputs(self, rng: np.random.Generator, inputs: Prompts) -> Outputs:
        """Any words."""
        return letters(self.encoder, rng, len(inputs), np.array([0.15, *[0.17] * 5]))

    def _there(self, outputs: Outputs) -> Any:
        return scenes_of(words_of(self.encoder, outputs), np.arange(len(outputs))).fields["look"]

    def view(self, inputs: Prompts, outputs: Outputs, claims: Claims) -> View:
        seen = self._there(outputs)
        place = np.arange(len(seen)) % LENGTH
        return View(
            face=np.zeros((len(seen), 1)), fields={"look": seen},
            probes={"anywhere": Probe(quantity="anywhere", instruments=("look",), place=place)},
        )  # fmt: skip

    def sense(self, face: Any, known: Mapping[str, Any]) -> Any:
        return np.clip(sum(known[name] for name in self.quantities), 0, 1)[:, None]

    def questions(self, inputs: Prompts, outputs: Outputs, claims: Claims) -> Sequence[Question]:
        if claims:
            return []
        letters = words_of(self.encoder, outputs)
        return [Question(helper="word", quantity="there", inputs=scenes_of(letters, np.arange(len(letters))))]

    def survey(self, view: View) -> Mapping[str, Any]:
        return {"whole": view.fields["look"].max(axis=1)}

    def claim(self, inputs: Any, outputs: Any, *, question: Question, version: str) -> Claim:
        raise NotImplementedError

    def observe(self, inputs: Prompts, outputs: Outputs) -> Rows:
        return joined(inputs, outputs)

    def hear(self, inputs: Prompts, outputs: Outputs, claims: Claims) -> Any:
        return raw_values(self.quantities, claims)

    def true_reward(self, inputs: Prompts, outputs: Outputs) -> Any:
        return self._there(outputs).max(axis=1)

    def measures(self, inputs: Prompts, outputs: Outputs) -> Mapping[str, Any]:
        return {}


def letters(encoder: Encoder, rng: np.random.Generator, count: int, chances: Any) -> Outputs:
    texts = [" " + " ".join(rng.choice(WORDS, LENGTH, p=chances)) for _ in range(count)]
    return Outputs(ids=padded(encoder.outputs(texts)))


def letter_model(folder: Path) -> LanguageModel:
    """A tiny model that has learnt to write letters in which the word is rare."""
    model = load(ModelRef(name=str(tiny_model(folder / "random", spread=0.05))))
    encoder, rng = Encoder(model=model, style="plain"), np.random.default_rng(0)
    policy = LanguageLearner(model=model).initial(rng)
    inputs = Letters(encoder=encoder).sample(rng, 192, "train")
    shown = letters(encoder, rng, 192, RARE)
    policy = imitate(policy, inputs, shown, rng, version="shown", descent=Descent(epochs=8, batch=16, rate=1e-2))
    return load(save(model, policy.weights, folder / "letters", version="shown"))


def letter_tree(model: LanguageModel, *, labels: int = 120, iterations: int = 1, updates: int = 20) -> Tree:
    """`letter <- word`, each with a language model as policy and as reward model."""
    encoder, task = Encoder(model=model, style="plain"), word_task()
    given: dict[str, Any] = {
        "budget": Budget(iterations=iterations, labels=labels), "bounds": Bounds(budget=2),
        "reward": LanguageRewards(model=model, heads=Heads(members=2), fitting=Fitting(epochs=4, pairs=16, rate=3e-3)),
    }  # fmt: skip
    ascents = [Ascent(updates=updates, inputs=12, samples=6, beta=beta, rate=5e-3) for beta in (0.5, 0.05)]
    nodes = [
        Node(name="word", task=task, observe=partial(read_answers, encoder),
             learner=LanguageLearner(model=model, policy=partial(reader, task, READING), ascent=ascents[0]), **given),
        Node(name="letter", task=Letters(encoder=encoder), helpers=("word",),
             learner=LanguageLearner(model=model, ascent=ascents[1],
                                     policy=partial(Writer, sampling=Sampling(tokens=5))), **given),
    ]  # fmt: skip
    return Tree(nodes={node.name: node for node in nodes}, root="letter")
