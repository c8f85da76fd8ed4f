"""The policy of every height: a network that scores a source's sentences, and summaries drawn from the scores.

Sentences are drawn one after the other, each with probability proportional to exp(score) among those that still fit
into the limit of words (Plackett 1975), so that a summary's log-probability is exact. A sentence's score has a part
that the network gives it by what it looks like, and a part that changes as the summary grows: its likeness to what is
chosen already. The network is the same at all heights and is not told which one it is at.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from rewardtree.domains.books.choosing import Chosen, Scores, at_random, choose, grow
from rewardtree.domains.books.sources import FEATURES, Sources, Summaries, once
from rewardtree.policies.answering import torch_generator
from rewardtree.policies.gradient import Ascent, Weights, improve
from rewardtree.policies.learner import UNTRAINED, Draw, Reward

CLONED = "cloned"
"""Version of a policy that imitates demonstrations."""
SHARPNESS = 3.0
"""Multiplies the network's scores."""
RATE = 2e-2
"""Of Adam."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Summariser:
    """A policy over summaries.

    Attributes:
        weights: of the network.
        version: changes with every improvement.
    """

    weights: Weights
    version: str

    def propose(self, inputs: Sources, rng: np.random.Generator) -> Summaries:
        """One sampled summary a source."""
        return choose(inputs, self._scores(inputs, rng))

    def answer(self, inputs: Sources) -> Summaries:
        """Of each source the sentence that is likeliest, then the likeliest after it, and so on."""
        return once(inputs, lambda sources: choose(sources, self._scores(sources, None)))

    def _scores(self, inputs: Sources, rng: np.random.Generator | None) -> "Scorer":
        with torch.inference_mode():
            scores = scores_of(self.weights, inputs).double().numpy()
            return Scorer(fresh=scores[:, 0], stale=scores[:, 1], rng=rng)

    def log_probability(self, weights: Weights, inputs: Sources, outputs: Summaries) -> Float[Tensor, " batch"]:
        """Log-probability of summaries in the order in which they were chosen."""
        return drawn(weights, inputs, outputs, retraced(inputs, outputs))

    def with_weights(self, weights: Weights, version: str) -> "Summariser":
        """The same policy with other weights."""
        return replace(self, weights=weights, version=version)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scorer:
    """Scores as a summary grows; with Gumbel noise, fresh at every step, the best is a draw (Yellott 1977)."""

    fresh: Scores
    stale: Scores
    rng: np.random.Generator | None

    def __call__(self, so_far: Chosen) -> Scores:
        """The scores of all sentences as the next one."""
        found: Scores = self.fresh + self.stale * so_far.stale
        return found if self.rng is None else found + self.rng.gumbel(size=found.shape)


Trace: TypeAlias = tuple[Bool[np.ndarray, "batch picks sentences"], Float[np.ndarray, "batch picks sentences"]]
"""Of every step which sentences fitted, and how much of what each says was said."""


def drawn(weights: Weights, inputs: Sources, outputs: Summaries, trace: Trace) -> Float[Tensor, " batch"]:
    """Log-probability of drawing these sentences in this order."""
    may, stale = (torch.as_tensor(part) for part in trace)
    fresh, change = scores_of(weights, inputs)[:, :, None, :].unbind(1)
    masked = (fresh + change * stale).masked_fill(~may, -1e9)
    picks = torch.as_tensor(outputs.picks)
    taken = masked.gather(2, picks.clamp_min(0)[:, :, None])[:, :, 0]
    total: Float[Tensor, " batch"] = ((taken - masked.logsumexp(2)) * (picks >= 0)).sum(1)
    return total


def retraced(inputs: Sources, outputs: Summaries) -> Trace:
    """Of every step which sentences fitted, and how much of what each says was said."""
    steps: list[Chosen] = []

    def again(so_far: Chosen) -> Int[np.ndarray, " batch"]:
        steps.append(so_far)
        return outputs.picks[:, len(steps) - 1]

    grow(inputs, again)
    shape = (*outputs.picks.shape, inputs.sentence.shape[1])
    may, stale = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=np.float32)
    for number, step in enumerate(steps):
        may[:, number], stale[:, number] = step.may, step.stale
    return may, stale


def scores_of(weights: Weights, inputs: Sources) -> Float[Tensor, "batch 2 sentences"]:
    """Scores of sentences of which nothing is said yet, and what changes where all of it is.

    A source that comes up several times is looked at once.
    """
    rows, which = np.unique(inputs.row, return_inverse=True)
    features = torch.as_tensor(inputs.pages.features[rows])
    hidden = functional.silu(features @ weights["enter"] + weights["enter_bias"])
    scores = SHARPNESS * (hidden @ weights["out"] + features @ weights["skip"] + weights["out_bias"])
    return scores.transpose(1, 2).index_select(0, torch.as_tensor(which))


def initial_summariser(generator: torch.Generator, hidden: int = 24) -> Summariser:
    """An untrained policy: every sentence that fits is as likely as the others."""
    count = len(FEATURES)
    weights = {
        "enter": torch.randn(count, hidden, generator=generator) / math.sqrt(count),
        "enter_bias": torch.zeros(hidden), "out": torch.zeros(hidden, 2), "out_bias": torch.zeros(2),
        "skip": torch.zeros(count, 2),
    }  # fmt: skip
    return Summariser(weights=weights, version=UNTRAINED)


def cloned(
    policy: Summariser, shown: Sequence[tuple[Sources, Summaries]], steps: int, rate: float = 2e-2
) -> Summariser:
    """Fit a policy to demonstrated summaries by maximum likelihood, all of them at every step.

    Args:
        policy: where to start.
        shown: demonstrations, those of each height together; heights count alike, by the sentence.
        steps: of Adam.
        rate: of Adam, annealed to zero.
    """
    weights = {name: value.clone().requires_grad_(True) for name, value in policy.weights.items()}
    optimizer = torch.optim.Adam(list(weights.values()), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    traces = [retraced(*pair) for pair in shown]
    for _ in range(steps):
        loss = torch.zeros(())
        for (sources, summaries), trace in zip(shown, traces, strict=True):
            picks = max(1, int((summaries.picks >= 0).sum()))
            loss = loss - drawn(weights, sources, summaries, trace).sum() / picks
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return policy.with_weights({name: value.detach() for name, value in weights.items()}, CLONED)


def mixed(first: Summaries, second: Summaries, swap: Bool[np.ndarray, " batch"]) -> Summaries:
    """The first's summaries, and the second's where so marked."""
    width = max(first.picks.shape[1], second.picks.shape[1])
    one, other = (np.pad(side.picks, ((0, 0), (0, width - side.picks.shape[1])), constant_values=-1)
                  for side in (first, second))  # fmt: skip
    picks: Int[np.ndarray, "batch picks"] = np.where(swap[:, None], other, one)
    return Summaries(picks=picks)


@dataclass(frozen=True, kw_only=True, slots=True)
class SummariserLearner:
    """The learner of every height.

    Attributes:
        explore: share of proposals that are of random sentences.
        updates: an improvement.
        beta: nats of reward a nat of divergence from the policy as it was before the improvement.
        steps: of imitating demonstrations.
    """

    explore: float = 0.2
    updates: int = 80
    beta: float = 0.02
    steps: int = 200

    def initial(self, rng: np.random.Generator) -> Summariser:
        """An untrained policy."""
        return initial_summariser(torch_generator(rng))

    def restore(self, weights: Weights, version: str) -> Summariser:
        """The policy that had these weights."""
        return Summariser(weights=weights, version=version)

    def clone(self, policy: Summariser, shown: Sequence[tuple[Sources, Summaries]]) -> Summariser:
        """The policy after imitating demonstrations; see `cloned`."""
        return cloned(policy, shown, self.steps)

    def propose(self, policy: Summariser, inputs: Sources, rng: np.random.Generator) -> Summaries:
        """The policy's summaries, a share of them replaced by random ones."""
        own, other = policy.propose(inputs, rng), at_random(inputs, rng)
        return mixed(own, other, rng.random(len(inputs)) < self.explore)

    def improve(
        self, policy: Summariser, reward: Reward, draw: Draw, rng: np.random.Generator, *, version: str
    ) -> Summariser:
        """Policy gradient with leave-one-out baselines; see `rewardtree.policies.gradient`."""
        ascent = Ascent(updates=self.updates, inputs=24, beta=self.beta, rate=RATE)
        improved: Summariser = improve(policy, dict(policy.weights), reward, draw, rng, version=version, ascent=ascent)
        return improved
