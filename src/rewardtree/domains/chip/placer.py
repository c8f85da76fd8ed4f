"""The root's policy: a graph network that scores blocks, and sequence pairs drawn from the scores.

Each block gets one score for either sequence and one logit for being turned. A sequence is drawn by repeatedly choosing
the next block with probability proportional to exp(score) among those left (Plackett 1975; drawn by sorting scores with
Gumbel noise, Yellott 1977), so its log-probability is exact. The network sees the netlist alone, so it places netlists
that it never trained on.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.special import expit
from torch import Tensor
from torch.nn import functional

from rewardtree.domains.chip.graphs import FEATURES
from rewardtree.domains.chip.layouts import Designs, Layouts, random_layouts
from rewardtree.policies.answering import torch_generator
from rewardtree.policies.gradient import Ascent, Weights, improve
from rewardtree.policies.learner import Draw, Reward

SHARPNESS = 3.0
"""Multiplies the network's scores."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Placer:
    """A policy over sequence pairs.

    Attributes:
        weights: of the network.
        version: changes with every improvement.
    """

    weights: Weights
    version: str

    def propose(self, inputs: Designs, rng: np.random.Generator) -> Layouts:
        """One sampled layout an input."""
        with torch.inference_mode():
            scores = scores_of(self.weights, inputs).double().numpy()
        mask = inputs.netlists.mask
        noisy = np.where(mask[..., None], scores[..., :2] + rng.gumbel(size=(*mask.shape, 2)), -np.inf)
        turned = rng.random(mask.shape) < expit(scores[..., 2])
        order = (-noisy).argsort(axis=1, kind="stable")
        return Layouts(netlists=inputs.netlists, first=order[..., 0], second=order[..., 1], rotated=turned)

    def answer(self, inputs: Designs) -> Layouts:
        """The most probable layout of each input."""
        with torch.inference_mode():
            scores = scores_of(self.weights, inputs).double().numpy()
        order = (-np.where(inputs.netlists.mask[..., None], scores[..., :2], -np.inf)).argsort(axis=1, kind="stable")
        return Layouts(netlists=inputs.netlists, first=order[..., 0], second=order[..., 1], rotated=scores[..., 2] > 0)

    def log_probability(self, weights: Weights, inputs: Designs, outputs: Layouts) -> Float[Tensor, " batch"]:
        """Log-probability of layouts."""
        scores = scores_of(weights, inputs)
        mask = torch.as_tensor(inputs.netlists.mask)
        turned = torch.as_tensor(outputs.rotated).float()
        turns = -functional.binary_cross_entropy_with_logits(scores[..., 2], turned, reduction="none")
        return (
            plackett_luce(scores[..., 0], torch.as_tensor(outputs.first), mask)
            + plackett_luce(scores[..., 1], torch.as_tensor(outputs.second), mask)
            + (turns * mask).sum(1)
        )

    def with_weights(self, weights: Weights, version: str) -> "Placer":
        """The same policy with other weights."""
        return replace(self, weights=weights, version=version)


def plackett_luce(
    scores: Float[Tensor, "batch items"], order: Int[Tensor, "batch items"], mask: Tensor
) -> Float[Tensor, " batch"]:
    """Log-probability of drawing items in this order; masked items come last and do not count."""
    ordered = scores.masked_fill(~mask, -1e9).gather(1, order)
    left = torch.logcumsumexp(ordered.flip(1), 1).flip(1)
    total: Float[Tensor, " batch"] = ((ordered - left) * mask.gather(1, order)).sum(1)
    return total


def initial_placer(generator: torch.Generator, hidden: int = 48) -> Placer:
    """An untrained policy: all sequence pairs and turns are equally likely."""

    def layer(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=generator) / math.sqrt(rows)

    weights = {
        "enter": layer(FEATURES, hidden), "enter_bias": torch.zeros(hidden),
        **{f"{part}{i}": layer(hidden, hidden) for i in range(2) for part in ("self", "wired", "all")},
        "out": torch.zeros(hidden, 3), "out_bias": torch.zeros(3),
    }  # fmt: skip
    return Placer(weights=weights, version="untrained")


def scores_of(weights: Weights, inputs: Designs) -> Float[Tensor, "batch blocks 3"]:
    """The network's scores; a netlist that comes up several times is looked at once."""
    features, wired, which = inputs.graphs
    scores = forward(weights, torch.as_tensor(features), torch.as_tensor(wired))
    return scores.index_select(0, torch.as_tensor(which))


def forward(weights: Weights, features: Tensor, wired: Tensor) -> Float[Tensor, "batch blocks 3"]:
    """Scores for the first and second sequence, and the logit of being turned."""
    hidden = functional.silu(features @ weights["enter"] + weights["enter_bias"])
    for layer in range(2):
        mixed = hidden @ weights[f"self{layer}"] + wired @ (hidden @ weights[f"wired{layer}"])
        hidden = hidden + functional.silu(mixed + hidden.mean(1, keepdim=True) @ weights[f"all{layer}"])
    return SHARPNESS * (hidden @ weights["out"] + weights["out_bias"])


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacerLearner:
    """The learner of the floorplanning task.

    Attributes:
        explore: share of proposals that are uniformly random layouts.
        updates: an improvement.
        beta: nats of reward a nat of divergence from the untrained policy.
    """

    explore: float = 0.3
    updates: int = 80
    beta: float = 0.02

    def initial(self, rng: np.random.Generator) -> Placer:
        """An untrained policy."""
        return initial_placer(torch_generator(rng))

    def restore(self, weights: Weights, version: str) -> Placer:
        """The policy that had these weights."""
        return Placer(weights=weights, version=version)

    def propose(self, policy: Placer, inputs: Designs, rng: np.random.Generator) -> Layouts:
        """The policy's layouts, a share of them replaced by random ones."""
        own, other = policy.propose(inputs, rng), random_layouts(rng, inputs)
        swap = (rng.random(len(inputs)) < self.explore)[:, None]
        return Layouts(
            netlists=inputs.netlists, first=np.where(swap, other.first, own.first),
            second=np.where(swap, other.second, own.second), rotated=np.where(swap, other.rotated, own.rotated),
        )  # fmt: skip

    def improve(self, policy: Placer, reward: Reward, draw: Draw, rng: np.random.Generator, *, version: str) -> Placer:
        """Policy gradient with leave-one-out baselines; see `rewardtree.policies.gradient`."""
        reference = {n: torch.zeros_like(v) if n.startswith("out") else v for n, v in policy.weights.items()}
        ascent = Ascent(updates=self.updates, beta=self.beta)
        improved: Placer = improve(policy, reference, reward, draw, rng, version=version, ascent=ascent)
        return improved
