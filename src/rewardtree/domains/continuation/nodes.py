"""The tree of the domain: one node, whose policy writes and whose reward model reads, both language models."""

from dataclasses import replace
from functools import partial
from typing import Any

from rewardtree.domains.continuation.continuing import ContinuationTask
from rewardtree.domains.continuation.openings import Openings, Source
from rewardtree.errors import ConfigError
from rewardtree.language.encoding import Encoder, Rows
from rewardtree.language.named import ready
from rewardtree.language.passes import Sampling
from rewardtree.language.references import SMALL, LanguageModel
from rewardtree.policies.gradient import Ascent
from rewardtree.policies.language import LanguageLearner, Outputs, Writer
from rewardtree.policies.scaled import EngineLearner
from rewardtree.rewards.language import Fitting, LanguageRewards
from rewardtree.tasks.exhibit import Claims
from rewardtree.tree.domain import Settings
from rewardtree.tree.node import Node, Tree


def continuation_tree(source: Source, settings: Settings) -> Tree:
    """The tree.

    Args:
        source: of openings; names the model that writes.
        settings: budgets, evaluators' limits, and which model or engine does what.

    Raises:
        ConfigError: where an engine is to learn from a reward model on another language model.
    """
    task, model = ContinuationTask(source=source), source.encoder.model
    reading, observe = model, None
    other = settings.rewards.get(task.name)
    if other is not None and other.name != model.ref.name:
        if task.name in settings.engines:
            raise ConfigError(f"rewards.{task.name} = {other.name!r}, and engines hand over tokens of "
                              f"{model.ref.name!r}; leave rewards.{task.name} out")  # fmt: skip
        reading = ready(other)
        observe = partial(read_again, source.encoder, Encoder(model=reading, style=source.encoder.style))
    node = Node(
        name=task.name, task=task, learner=learner_of(task, source, settings), budget=settings.root,
        bounds=settings.bounds, selection=settings.selection, observe=observe,
        reward=LanguageRewards(model=reading, fitting=fitting_of(reading)),
    )  # fmt: skip
    return Tree(nodes={node.name: node}, root=node.name)


def learner_of(task: ContinuationTask, source: Source, settings: Settings) -> Any:
    """What improves the policy: an engine where one is named, else the loop in this process."""
    sampling, model = Sampling(tokens=source.tokens), source.encoder.model
    engine = settings.engines.get(task.name)
    if engine is not None:
        training = replace(engine, sampling=sampling, style=source.encoder.style, steps=settings.model_updates)
        return EngineLearner(model=model, training=training, prompts=prompts_of)
    return LanguageLearner(model=model, policy=partial(Writer, sampling=sampling),
                           ascent=ascent_of(model, settings.model_updates))  # fmt: skip


def prompts_of(inputs: Openings) -> list[str]:
    """What engines are given."""
    return inputs.prompts


def ascent_of(model: LanguageModel, updates: int) -> Ascent:
    """A large model's adapters learn faster, and it writes slower."""
    if model.parameters >= SMALL:
        return Ascent(updates=updates, inputs=2, samples=8, beta=0.1, rate=3e-4)
    return Ascent(updates=updates, inputs=8, samples=8, beta=0.1, rate=1e-3)


def fitting_of(model: LanguageModel) -> Fitting:
    """Some hundred answers are few: small models read them over and over."""
    return Fitting() if model.parameters >= SMALL else Fitting(epochs=6, rate=1e-3)


def read_again(writing: Encoder, reading: Encoder, inputs: Openings, outputs: Outputs, claims: Claims) -> Rows:
    """Openings and continuations in the tokens of another model than that which writes."""
    words = writing.texts(outputs.ids)
    return reading.rows(inputs.prompts, words)
