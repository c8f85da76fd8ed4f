"""Policies that are language models: one that generates text, and one that chooses among given texts.

Both have what `gradient.improve` needs, which is RLOO with a divergence from a reference; samples of one prompt are
neighbours, so their prompt is read once in generating, in the gradient and in the reference.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rewardtree.language.encoding import Rows, lengths, padded
from rewardtree.language.passes import Sampling, generate, log_probabilities, log_probabilities_under, under
from rewardtree.language.references import LanguageModel, Weights
from rewardtree.policies.gradient import Ascent, improve
from rewardtree.policies.learner import UNTRAINED, Draw, Reward


@runtime_checkable
class Prompted(Protocol):
    """Inputs that are prompts: `Prompts`, or a task's own."""

    @property
    def ids(self) -> Rows:
        """Token ids, padded with -1."""
        ...

    def __len__(self) -> int: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompts:
    """Inputs: token ids of prompts, padded with -1, and for a choice the ids of the candidates of each.

    Attributes:
        ids: of the prompts.
        candidates: `[batch, candidates, tokens]`, padded with -1; None where text is generated.
    """

    ids: Rows
    candidates: Int[np.ndarray, "batch candidates own"] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Int[np.ndarray, " chosen"] | Bool[np.ndarray, " batch"]) -> "Prompts":
        """Some of them."""
        return replace(self, ids=self.ids[rows], candidates=None if self.candidates is None else self.candidates[rows])

    def digest(self) -> list[dict[str, Any]]:
        """Token ids, one record a prompt; those of the candidates too, where there are any."""
        found = _records(self.ids)
        if self.candidates is None:
            return found
        return [one | {"candidates": ids.tolist()} for one, ids in zip(found, self.candidates, strict=True)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """Token ids of outputs, the end token among them where they are finished, padded with -1."""

    ids: Rows

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Int[np.ndarray, " chosen"] | Bool[np.ndarray, " batch"]) -> "Outputs":
        """Some of them."""
        return Outputs(ids=self.ids[rows])

    def digest(self) -> list[dict[str, Any]]:
        """Token ids, one record an output."""
        return _records(self.ids)


def _records(ids: Rows) -> list[dict[str, Any]]:
    return [{"tokens": row[:end].tolist()} for row, end in zip(ids, lengths(ids), strict=True)]


def joined(inputs: Prompted, outputs: Outputs) -> Rows:
    """Rows of prompts with their outputs: what reward models see."""
    begins, own = lengths(inputs.ids), lengths(outputs.ids)
    pairs = zip(inputs.ids, begins, outputs.ids, own, strict=True)
    return padded([[*prompt[:begin].tolist(), *output[:end].tolist()] for prompt, begin, output, end in pairs])


@dataclass(frozen=True, kw_only=True, slots=True)
class Writer:
    """Generates text.

    Attributes:
        model: the backbone, which never changes and is its own reference where `weights` are empty.
        weights: what was learnt of it.
        version: names these weights.
        sampling: how it generates.
    """

    model: LanguageModel
    weights: Weights
    version: str
    sampling: Sampling = field(default_factory=Sampling)

    def propose(self, inputs: Prompted, rng: np.random.Generator) -> Outputs:
        """One sampled output an input."""
        return self._written(inputs, self.sampling, rng)

    def answer(self, inputs: Prompted) -> Outputs:
        """The likeliest next token, one after the other."""
        return self._written(inputs, replace(self.sampling, temperature=0.0), np.random.default_rng(0))

    def _written(self, inputs: Prompted, sampling: Sampling, rng: np.random.Generator) -> Outputs:
        chance = torch.Generator().manual_seed(int(rng.integers(2**63)))
        with torch.inference_mode():
            ids = under(self.model, self.weights, generate, inputs.ids, sampling, self.model.end, chance)
        return Outputs(ids=ids)

    def log_probability(self, weights: Weights, inputs: Prompted, outputs: Outputs) -> Float[Tensor, " batch"]:
        """Of whole outputs, at the temperature 1; differentiable in the weights."""
        return under(self.model, weights, log_probabilities, joined(inputs, outputs), lengths(inputs.ids))  # type: ignore[no-any-return]

    def with_weights(self, weights: Weights, version: str) -> "Writer":
        """The same policy with other weights."""
        return replace(self, weights=weights, version=version)


@dataclass(frozen=True, kw_only=True, slots=True)
class Chooser:
    """Chooses among an input's candidates by the model's log-probability of each.

    Attributes:
        model: the backbone.
        weights: what was learnt of it.
        version: names these weights.
        temperature: by which log-probabilities are divided.
    """

    model: LanguageModel
    weights: Weights
    version: str
    temperature: float = 1.0

    def logits(self, weights: Weights, inputs: Prompts) -> Float[Tensor, "batch candidates"]:
        """Log-probability of every candidate, over the temperature; differentiable in the weights.

        A prompt is read once for all of its candidates.
        """
        assert inputs.candidates is not None, "a chooser needs candidates"
        batch, count, _ = inputs.candidates.shape
        each = inputs.take(np.repeat(np.arange(batch), count))
        rows = joined(each, Outputs(ids=inputs.candidates.reshape(batch * count, -1)))
        found = log_probabilities_under(self.model, weights, rows, lengths(each.ids))
        return found.view(batch, count) / self.temperature

    def propose(self, inputs: Prompts, rng: np.random.Generator) -> Outputs:
        """One candidate an input, drawn from their softmax."""
        with torch.no_grad():
            logits = self.logits(self.weights, inputs).numpy()
        return self._chosen(inputs, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1))

    def answer(self, inputs: Prompts) -> Outputs:
        """The likeliest candidate of each input."""
        with torch.no_grad():
            return self._chosen(inputs, self.logits(self.weights, inputs).argmax(1).numpy())

    def _chosen(self, inputs: Prompts, place: Int[np.ndarray, " batch"]) -> Outputs:
        assert inputs.candidates is not None
        return Outputs(ids=inputs.candidates[np.arange(len(place)), place])

    def log_probability(self, weights: Weights, inputs: Prompts, outputs: Outputs) -> Float[Tensor, " batch"]:
        """Of having chosen these candidates among the others; differentiable in the weights."""
        assert inputs.candidates is not None
        place = (inputs.candidates == outputs.ids[:, None]).all(axis=2).argmax(axis=1)
        chances = torch.log_softmax(self.logits(weights, inputs), 1)
        return chances[torch.arange(len(place)), torch.as_tensor(place)]

    def with_weights(self, weights: Weights, version: str) -> "Chooser":
        """The same policy with other weights."""
        return replace(self, weights=weights, version=version)


@dataclass(frozen=True, kw_only=True, slots=True)
class LanguageLearner:
    """Makes and improves policies on one language model, by RLOO; a node's `learner`.

    Attributes:
        model: the backbone.
        policy: from a model, weights and version to a policy: `Writer`, `Chooser`, or `policies.reading.reader` for an
            answering task; settings bound by `partial`.
        ascent: how far a policy is improved.
    """

    model: LanguageModel
    policy: Callable[..., Any] = Writer
    ascent: Ascent = field(default_factory=lambda: Ascent(updates=40, inputs=16, samples=4, beta=0.05, rate=1e-3))

    def initial(self, rng: np.random.Generator) -> Any:
        """The model as it is, with fresh adapters where it has any."""
        chance = torch.Generator().manual_seed(int(rng.integers(2**63)))
        return self.restore(self.model.initial(chance), UNTRAINED)

    def restore(self, weights: Weights, version: str) -> Any:
        """The policy that had these weights."""
        return self.policy(model=self.model, weights=weights, version=version)

    def propose(self, policy: Any, inputs: Any, rng: np.random.Generator) -> Any:
        """Its own samples: at the temperature 1 they explore enough."""
        return policy.propose(inputs, rng)

    def improve(self, policy: Any, reward: Reward, draw: Draw, rng: np.random.Generator, *, version: str) -> Any:
        """Maximise the reward less `beta` nats of divergence from the untouched model (Ahmadian et al. 2024)."""
        return improve(policy, {}, reward, draw, rng, version=version, ascent=self.ascent)
