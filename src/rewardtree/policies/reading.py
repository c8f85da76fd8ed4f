"""A language model as the policy of an answering task: it reads the words of a few places and says what is there.

Of every place on a short list it is asked one question, with a few verdicts as answers, each of which stands for a
value. The probabilities of these words are what it believes of the place. It points where its beliefs have the greatest
merit, and gives a value that it believes in; so both are improved by the same weights, and whoever believes rightly of
every place points rightly.

The short list are the places that catch the eye (`Scenes.prominence`), or the one that is asked about: what is not on
it is not read, and is never pointed at.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rewardtree.errors import TaskError
from rewardtree.language.encoding import Encoder
from rewardtree.language.passes import log_probabilities_under
from rewardtree.language.references import LanguageModel, Weights
from rewardtree.tasks.answers import Answers, AnswerTask, Scenes

NOWHERE = -1
"""No place: where a scene has fewer than the short list."""
SHARPNESS = 8.0
"""Nats for a place whose expected merit is one unit of the task's scale greater."""
LATELY = 8
"""Batches of which it is kept what was believed: evaluators with other means ask the same of a helper."""
Places: TypeAlias = Int[np.ndarray, "batch listed"]
Beliefs: TypeAlias = Float[Tensor, "queries verdicts"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """A question about a place, as a text that breaks off, and the verdicts with which it may go on, one a value."""

    prompt: str
    verdicts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """How an answering task is put to language models.

    Attributes:
        ask: the queries about some places of scenes, one a scene and place in order; called with the number of each
            scene of a batch and its place, and never with `NOWHERE`.
        values: what the verdicts stand for.
        listed: places on the short list, at most.
    """

    ask: Callable[[Scenes, Int[np.ndarray, " queries"], Int[np.ndarray, " queries"]], Sequence[Query]]
    values: tuple[float, ...]
    listed: int = 8

    def places(self, scenes: Scenes) -> Places:
        """The short list of each scene: the one place that is asked about, or those that catch the eye."""
        count = min(self.listed, scenes.valid.shape[1])
        found = np.where(scenes.valid, -scenes.prominence, np.inf).argsort(axis=1, kind="stable")[:, :count]
        found = np.where(np.take_along_axis(scenes.valid, found, axis=1), found, NOWHERE)
        alone = np.full_like(found, NOWHERE)
        alone[:, 0] = scenes.asked
        return np.where(scenes.asked[:, None] >= 0, alone, found)


Believe: TypeAlias = Callable[[Weights, Sequence[Query]], Beliefs]
"""Log-probabilities of every query's verdicts under some weights, differentiable in them where there are any."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Believing:
    """What a model in this process believes: the probability of each verdict's words after the prompt.

    Prompts are texts that a verdict goes on with, and are read as they stand, in no chat template: models of 135M
    parameters go on rightly with what they answer wrongly. A prompt is read once for all of its verdicts.
    """

    model: LanguageModel

    def __call__(self, weights: Weights, queries: Sequence[Query]) -> Beliefs:
        """Log-probabilities of the verdicts, of which each query's add up to one."""
        encoder = Encoder(model=self.model, style="plain")
        words = [f" {verdict}" for query in queries for verdict in query.verdicts]
        prompts = encoder.prompts([query.prompt for query in queries])
        each = [prompt for prompt, query in zip(prompts, queries, strict=True) for _ in query.verdicts]
        rows = encoder.joined(each, encoder.outputs(words, finished=False))
        begins = np.array([len(prompt) for prompt in each])
        found = log_probabilities_under(self.model, weights, rows, begins)
        return torch.log_softmax(found.view(len(queries), -1), dim=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingPolicy:
    """Points and gives a value by what a language model believes of the places on a short list.

    Attributes:
        task: of the answers.
        reading: how it is put to the model.
        believe: what the model believes.
        weights: what was learnt.
        version: names these weights.
        prefer: nats by which each answer to each scene is likelier than the model has it; None for none.
    """

    task: AnswerTask
    reading: Reading
    believe: Believe
    weights: Weights
    version: str
    prefer: Callable[[Scenes, Answers], Float[np.ndarray, " batch"]] | None = None
    _lately: dict[tuple[Query, ...], Beliefs] = field(init=False, repr=False, compare=False, default_factory=dict)

    def beliefs(
        self, weights: Weights, inputs: Scenes
    ) -> tuple[Places, Float[Tensor, "batch listed"], Float[Tensor, "batch listed verdicts"]]:
        """The short list, log-probabilities of pointing at each place of it, and of the verdicts there."""
        places = self.reading.places(inputs)
        scene, slot = np.nonzero(places != NOWHERE)
        if len(np.unique(scene)) < len(places):
            raise TaskError(f"{self.task.name}: a scene without places cannot be read; leave it out")
        told = self._told(weights, self.reading.ask(inputs, scene, places[scene, slot]))
        verdicts = torch.zeros(*places.shape, told.shape[1]).index_put((_index(scene), _index(slot)), told)
        merit = torch.as_tensor(self.task.merit(np.array(self.reading.values)) / self.task.scale, dtype=torch.float32)
        pointing = SHARPNESS * (verdicts.exp() * merit).sum(-1)
        pointing = pointing.masked_fill(torch.as_tensor(places == NOWHERE), -torch.inf)
        pointing = torch.log_softmax(pointing, dim=1)
        if self.prefer is None:
            return places, pointing, verdicts
        values = np.array(self.reading.values)
        every = Answers(place=np.repeat(places[scene, slot], len(values)), value=np.tile(values, len(scene)))
        likelier = torch.as_tensor(self.prefer(inputs.take(np.repeat(scene, len(values))), every), dtype=torch.float32)
        joint = pointing[..., None] + verdicts
        joint = joint.index_put((_index(scene), _index(slot)), likelier.view(len(scene), -1), accumulate=True)
        joint = joint - joint.flatten(1).logsumexp(1)[:, None, None]
        return places, joint.logsumexp(2), torch.log_softmax(joint.nan_to_num(neginf=-1e9), dim=2)

    def _told(self, weights: Weights, queries: Sequence[Query]) -> Beliefs:
        """What is believed of queries, each of which is read once, as samples of one input put them many times.

        What was read lately under the policy's own weights is found again, if all of it is asked again: results are to
        the bit those of reading it anew.
        """
        once = tuple(dict.fromkeys(queries))
        lately = weights is self.weights and not torch.is_grad_enabled()
        found = self._lately.get(once) if lately else None
        if found is None:
            found = self.believe(weights, once)
            if lately:
                self._lately[once] = found
                while len(self._lately) > LATELY:
                    self._lately.pop(next(iter(self._lately)))
        numbers = {query: number for number, query in enumerate(once)}
        return found[_index(np.array([numbers[query] for query in queries]))]

    def propose(self, inputs: Scenes, rng: np.random.Generator) -> Answers:
        """One sampled answer an input."""
        with torch.no_grad():
            places, pointing, verdicts = self.beliefs(self.weights, inputs)
        every = np.arange(len(inputs))
        slot = (pointing.numpy() + rng.gumbel(size=places.shape)).argmax(axis=1)
        told = verdicts.numpy()[every, slot]
        verdict = (told + rng.gumbel(size=told.shape)).argmax(axis=1)
        return Answers(place=places[every, slot], value=np.array(self.reading.values)[verdict])

    def answer(self, inputs: Scenes) -> Answers:
        """The place that it would most likely point at, and the mean of the values that it believes in there."""
        with torch.no_grad():
            places, pointing, verdicts = self.beliefs(self.weights, inputs)
        every, slot = np.arange(len(inputs)), pointing.numpy().argmax(axis=1)
        return Answers(place=places[every, slot], value=self._means(verdicts)[every, slot])

    def items(self, inputs: Scenes) -> Float[np.ndarray, "batch places"]:
        """The mean of the values that it believes in at every place on the short list; nan elsewhere."""
        with torch.no_grad():
            places, _, verdicts = self.beliefs(self.weights, inputs)
        found = np.full(inputs.valid.shape, np.nan)
        rows, slots = np.nonzero(places != NOWHERE)
        found[rows, places[rows, slots]] = self._means(verdicts)[rows, slots]
        return found

    def _means(self, verdicts: Float[Tensor, "batch listed verdicts"]) -> Float[np.ndarray, "batch listed"]:
        means: Float[np.ndarray, "batch listed"] = verdicts.double().exp().numpy() @ np.array(self.reading.values)
        return means

    def log_probability(self, weights: Weights, inputs: Scenes, outputs: Answers) -> Float[Tensor, " batch"]:
        """Of these answers; differentiable in the weights.

        Raises:
            TaskError: where an answer is none that it could give.
        """
        places, pointing, verdicts = self.beliefs(weights, inputs)
        here = places == outputs.place[:, None]
        said = np.isclose(outputs.value[:, None], np.array(self.reading.values))
        if not (here.any(axis=1) & said.any(axis=1)).all():
            raise TaskError(f"{self.task.name}: an answer points beyond the short list, or has a value of no verdict")
        every, slot, verdict = (_index(one) for one in (np.arange(len(places)), here.argmax(1), said.argmax(1)))
        return pointing[every, slot] + verdicts[every, slot, verdict]

    def with_weights(self, weights: Weights, version: str) -> "ReadingPolicy":
        """The same policy with other weights."""
        return replace(self, weights=weights, version=version)


def _index(numbers: Int[np.ndarray, " numbers"]) -> Int[Tensor, " numbers"]:
    return torch.as_tensor(numbers)


def reader(
    task: AnswerTask, reading: Reading, *, model: LanguageModel, weights: Weights, version: str
) -> ReadingPolicy:  # fmt: skip
    """The policy of a model in this process; bound to a task, it is what `LanguageLearner.policy` takes."""
    return ReadingPolicy(task=task, reading=reading, believe=Believing(model=model), weights=weights, version=version)
