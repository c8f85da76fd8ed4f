"""Answering policies of language models whose weights are not ours, such as those behind endpoints.

They are asked the questions that a model in this process reads (`policies.reading`), as a choice between letters, and
their beliefs stay as they are. What is learnt is which of their answers the reward model likes: instead of drawing some
and keeping the best, all answers on the short list are weighed. An answer's probability is that of the model times
exp(reward / beta), the closed form of improving with a divergence (Korbak et al. 2022, arXiv 2205.11275, eq. 4).
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rewardtree.language.completing import Complete, Completion, Message, Options
from rewardtree.language.references import Weights
from rewardtree.policies.learner import UNTRAINED, Draw, Reward
from rewardtree.policies.reading import Beliefs, Believe, Query, Reading, ReadingPolicy
from rewardtree.tasks.answers import Answers, AnswerTask, Scenes

POLICY = "policy/"
"""What purposes begin with, before the node's name, where a node's policy asks and no judge."""
LETTERS = "ABCDEFGH"
LEAST = 1e-3
"""The probability of a verdict that is not among the likeliest, at least."""
STATED = 0.9
"""That of a letter which comes without log-probabilities."""
CHOICE = (
    "Here is a text that breaks off:\n\n{prompt} ...\n\nHow does it rightly go on?\n{choices}\nReply with one letter."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asking:
    """What a language model that completes prompts believes: the probability of each verdict's letter.

    Attributes:
        complete: the model.
        purpose: who asks, for the accounts.
    """

    complete: Complete
    purpose: str

    def __call__(self, weights: Weights, queries: Sequence[Query]) -> Beliefs:
        """Log-probabilities of the verdicts; all alike where an answer names no letter. Weights play no part."""
        prompts = [(Message(role="user", content=_choice(query)),) for query in queries]
        answers = self.complete(prompts, Options(max_tokens=8, top=5, purpose=self.purpose))
        found = [_chances(answer, len(query.verdicts)) for answer, query in zip(answers, queries, strict=True)]
        return torch.log(torch.tensor(found, dtype=torch.float32))


def _choice(query: Query) -> str:
    choices = "\n".join(f"{letter}: {verdict}" for letter, verdict in zip(LETTERS, query.verdicts, strict=False))
    return CHOICE.format(prompt=query.prompt, choices=choices)


def _chances(answer: Completion, count: int) -> list[float]:
    """Probabilities of so many letters, by the first token where it has log-probabilities, else by the letter named."""
    letters = LETTERS[:count]
    likely = answer.tokens[0].top if answer.tokens else {}
    mass = [sum(math.exp(value) for text, value in likely.items() if text.strip() == one) for one in letters]
    if not any(mass):
        named = re.search(rf"\b([{letters}])\b", answer.text)
        mass = [1 / count] * count
        if named is not None:
            mass = [STATED if one == named[1] else (1 - STATED) / (count - 1) for one in letters]
    mass = [max(one, LEAST) for one in mass]
    return [one / sum(mass) for one in mass]


@runtime_checkable
class Restores(Protocol):
    """What makes reward models from weights; a node's `reward_learner`."""

    def restore(self, weights: dict[str, Tensor]) -> Any:
        """The reward model that had these weights."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class AskingLearner:
    """Weighs the answers of a model that stays as it is; a node's `learner`. Its weights are the reward model's.

    Attributes:
        task: what is asked.
        reading: how it is put to the model.
        believe: what the model believes.
        rewards: of the node; makes reward models from weights.
        observe: what these see of scenes and answers.
        beta: nats of reward a nat of divergence from the model as it is.
    """

    task: AnswerTask
    reading: Reading
    believe: Believe
    rewards: Restores
    observe: Callable[[Scenes, Answers], Any]
    beta: float = 1.0

    def initial(self, rng: np.random.Generator) -> ReadingPolicy:
        """The model as it is."""
        return self.restore({}, UNTRAINED)

    def restore(self, weights: Weights, version: str) -> ReadingPolicy:
        """The policy that had these weights."""
        prefer = partial(self._likelier, self.rewards.restore(weights)) if weights else None
        return ReadingPolicy(task=self.task, reading=self.reading, believe=self.believe, weights=weights,
                             version=version, prefer=prefer)  # fmt: skip

    def _likelier(self, model: Any, scenes: Scenes, answers: Answers) -> Float[np.ndarray, " batch"]:
        """Nats by which a reward model makes answers likelier."""
        found: Float[np.ndarray, " batch"] = model.score(self.observe(scenes, answers))[0] / self.beta
        return found

    def propose(self, policy: ReadingPolicy, inputs: Scenes, rng: np.random.Generator) -> Answers:
        """Its own samples."""
        return policy.propose(inputs, rng)

    def improve(
        self, policy: ReadingPolicy, reward: Reward, draw: Draw, rng: np.random.Generator, *, version: str
    ) -> ReadingPolicy:
        """The model as it is, its answers weighed by this reward."""
        return self.restore(dict(reward.model.weights), version)
