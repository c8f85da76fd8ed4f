"""The root's policy: a graph network that scores blocks, and sequence pairs drawn from the scores.

Each block gets one score for either sequence and one logit for being turned. A sequence is drawn by repeatedly choosing
the next block with probability proportional to exp(score) among those left (Plackett 1975; drawn by sorting scores with Gumbel noise,
Yellott 1977), so its log-probability is exact. The network sees the netlist alone, so it places netlists that it
never trained on.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from rewardtree.domains.chip.layouts import Designs, Layouts
from rewardtree.domains.chip.netlist import NetlistBatch
from rewardtree.domains.chip.layouts import random_layouts
from rewardtree.policies.answering import torch_generator
from rewardtree.policies.gradient import Ascent, Weights, improve
from rewardtree.policies.learner import Draw, Reward

SPECTRAL = 4
"""Eigenvectors of the netlist's Laplacian by which blocks are told apart."""
FEATURES = 9 + 2 * SPECTRAL
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
            scores = forward(self.weights, *graph(inputs.netlists)).double().numpy()
        mask = inputs.netlists.mask
        noisy = np.where(mask[..., None], scores[..., :2] + rng.gumbel(size=(*mask.shape, 2)), -np.inf)
        turned = rng.random(mask.shape) < 1 / (1 + np.exp(-scores[..., 2]))
        order = (-noisy).argsort(axis=1, kind="stable")
        return Layouts(netlists=inputs.netlists, first=order[..., 0], second=order[..., 1], rotated=turned)

    def answer(self, inputs: Designs) -> Layouts:
        """The most probable layout of each input."""
        with torch.inference_mode():
            scores = forward(self.weights, *graph(inputs.netlists)).double().numpy()
        order = (-np.where(inputs.netlists.mask[..., None], scores[..., :2], -np.inf)).argsort(axis=1, kind="stable")
        return Layouts(netlists=inputs.netlists, first=order[..., 0], second=order[..., 1], rotated=scores[..., 2] > 0)

    def log_probability(self, weights: Weights, inputs: Designs, outputs: Layouts) -> Float[Tensor, " batch"]:
        """Log-probability of layouts."""
        scores = forward(weights, *graph(inputs.netlists))
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
    return ((ordered - left) * mask.gather(1, order)).sum(1)


def graph(lists: NetlistBatch) -> tuple[Float[Tensor, "batch blocks features"], Float[Tensor, "batch blocks blocks"]]:
    """What the network sees of netlists: a record a block, and how strongly blocks are wired to each other."""
    used = lists.pins >= 0
    batch, nets, degree = lists.pins.shape
    incidence = np.zeros((batch, nets, lists.mask.shape[1]))
    rows, columns, slots = np.nonzero(used)
    incidence[rows, columns, lists.pins[rows, columns, slots]] = 1.0
    weight = lists.activity / np.maximum(used.sum(axis=2) - 1, 1)
    wired = np.einsum("bnk,bn,bnl->bkl", incidence, weight, incidence, optimize=True)
    wired[:, np.arange(wired.shape[1]), np.arange(wired.shape[1])] = 0.0
    strength = wired.sum(axis=2)
    scale = 1 / np.sqrt(np.maximum(strength, 1e-6))
    laplacian = np.eye(wired.shape[1]) - scale[:, :, None] * wired * scale[:, None]
    laplacian += 10.0 * np.where(lists.mask[:, :, None] & lists.mask[:, None], 0.0, np.eye(wired.shape[1]))
    vectors = np.linalg.eigh(laplacian)[1][..., 1 : 1 + SPECTRAL] * np.sqrt(lists.mask.sum(axis=1))[:, None, None]
    anchor = np.abs(vectors).argmax(axis=1)[:, None]
    vectors = vectors * np.sign(np.take_along_axis(vectors, anchor, axis=1))
    area = np.maximum(lists.width * lists.height, 1e-9)
    density = np.where(lists.mask, lists.power / area, 0.0)
    record = [lists.width / 2, lists.height / 2, density, lists.power, lists.leakage * 5, lists.secret, lists.untrusted,
              lists.critical, strength * 8]  # fmt: skip
    features = np.concatenate([np.stack(record, axis=-1), vectors, np.abs(vectors)], axis=-1) * lists.mask[..., None]
    spread = wired / np.maximum(wired.sum(axis=2, keepdims=True), 1e-9)
    return torch.as_tensor(features, dtype=torch.float32), torch.as_tensor(spread, dtype=torch.float32)


def initial_placer(generator: torch.Generator, hidden: int = 48) -> Placer:
    """An untrained policy: all sequence pairs and turns are equally likely."""

    def layer(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=generator) / rows**0.5

    weights = {
        "enter": layer(FEATURES, hidden), "enter_bias": torch.zeros(hidden),
        **{f"{part}{i}": layer(hidden, hidden) for i in range(2) for part in ("self", "wired", "all")},
        "out": torch.zeros(hidden, 3), "out_bias": torch.zeros(3),
    }  # fmt: skip
    return Placer(weights=weights, version="untrained")


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
