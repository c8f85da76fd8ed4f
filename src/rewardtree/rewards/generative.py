"""A generative reward model: a language model is asked, and the probability of its verdict token is the reward.

Zheng et al. 2023 (arXiv 2306.05685) for comparing in both orders; Zhang et al. 2024 (arXiv 2408.15240) for the
verdict's probability as a reward.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import save_file

from rewardtree.errors import LanguageError
from rewardtree.language.encoding import Encoder, Rows, padded
from rewardtree.language.passes import in_buckets, next_token_logits, under
from rewardtree.language.references import Weights


@dataclass(frozen=True, kw_only=True, slots=True)
class Questions:
    """What a judge is asked, and the words that it may answer with.

    Attributes:
        compare: names `{prompt}`, `{first}` and `{second}`.
        verdicts: that the first, and that the second is better.
        rate: names `{text}`, a prompt with its output.
        ratings: that it is good, and that it is not.
    """

    compare: str = (
        "Question:\n{prompt}\n\nAnswer A:\n{first}\n\nAnswer B:\n{second}\n\n"
        "Which answer is better? Reply with one letter, A or B."
    )
    verdicts: tuple[str, str] = ("A", "B")
    rate: str = "{text}\n\nIs the answer above a good one? Reply with one word, Yes or No."
    ratings: tuple[str, str] = ("Yes", "No")


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerativeRewardModel:
    """Judges by the log-odds of two verdict tokens; one member.

    Attributes:
        encoder: of the judge.
        weights: what it has learnt; empty for the model as it is.
        questions: what it is asked.
        temperature: by which log-odds are divided, to be fitted on a calibration split.

    Raises:
        LanguageError: where two verdicts begin with the same token.
    """

    encoder: Encoder
    weights: Weights = field(default_factory=dict)
    questions: Questions = field(default_factory=Questions)
    temperature: float = 1.0

    def __post_init__(self) -> None:
        for words in (self.questions.verdicts, self.questions.ratings):
            tokens = self._tokens(words)
            if tokens[0] == tokens[1]:
                raise LanguageError(f"{words[0]!r} and {words[1]!r} begin with the same token; choose other verdicts")

    def _tokens(self, words: Sequence[str]) -> list[int]:
        return [ids[0] for ids in self.encoder.outputs(words, finished=False)]

    def log_odds(self, questions: Sequence[str], words: tuple[str, str]) -> Float[np.ndarray, " questions"]:
        """Log-odds of the first word against the second as the answer to each question."""
        rows, tokens = padded(self.encoder.prompts(questions)), self._tokens(words)
        model = self.encoder.model
        logits = in_buckets(rows, lambda some, _: under(model, self.weights, next_token_logits, some, tokens))
        found: Float[np.ndarray, " questions"] = (logits[:, 0] - logits[:, 1]).double().numpy() / self.temperature
        return found

    def both_orders(
        self, prompts: Sequence[str], first: Sequence[str], second: Sequence[str]
    ) -> Float[np.ndarray, "orders pairs"]:
        """Log-odds that the first is better, asked as they are and the other way round.

        Their half-difference is how much the judge leans towards what stands first.
        """
        ask, words = self.questions.compare, self.questions.verdicts
        shown = [ask.format(prompt=p, first=a, second=b) for p, a, b in zip(prompts, first, second, strict=True)]
        swapped = [ask.format(prompt=p, first=b, second=a) for p, a, b in zip(prompts, first, second, strict=True)]
        found = self.log_odds([*shown, *swapped], words)
        return np.stack([found[: len(shown)], -found[len(shown) :]])

    def compare(
        self, prompts: Sequence[str], first: Sequence[str], second: Sequence[str]
    ) -> Float[np.ndarray, " pairs"]:
        """Probability that the first is better, by the mean log-odds of both orders."""
        found: Float[np.ndarray, " pairs"] = 1 / (1 + np.exp(-self.both_orders(prompts, first, second).mean(axis=0)))
        return found

    def score_members(self, features: Rows) -> Float[np.ndarray, "members batch"]:
        """Log-odds that each prompt with its output is good."""
        shown = [self.questions.rate.format(text=text) for text in self.encoder.texts(features)]
        return self.log_odds(shown, self.questions.ratings)[None]

    def score(self, features: Rows) -> tuple[Float[np.ndarray, " batch"], Float[np.ndarray, " batch"]]:
        """Log-odds that each is good, and no spread: one member has none."""
        members = self.score_members(features)
        return members[0], np.zeros(members.shape[1])

    def save(self, path: Path) -> None:
        """Write what was learnt and the temperature as safetensors."""
        kept = self.weights | {"temperature": torch.tensor(self.temperature)}
        save_file({name: value.contiguous() for name, value in kept.items()}, path)
