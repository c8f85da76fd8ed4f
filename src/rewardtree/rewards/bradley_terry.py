"""The Bradley-Terry model of preferences, and how well its probabilities hold. Pure functions."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional


def preference_loss(
    logits: Float[Tensor, "*members pairs"],
    probability: Float[Tensor, " pairs"],
    weight: Float[Tensor, "*members pairs"],
) -> Float[Tensor, "*members"]:
    """Weighted negative log-likelihood of soft preferences.

    Bradley & Terry 1952; Christiano et al. 2017 (arXiv 1706.03741), eq. 1, with a probability in place of a
    vote, so that a tie is 0.5.

    Args:
        logits: difference of the two rewards, in nats.
        probability: that the first is better, in [0, 1].
        weight: zero or more; pairs with weight zero do not count.

    Returns:
        Mean loss in nats a unit of weight.
    """
    loss = functional.binary_cross_entropy_with_logits(logits, probability.expand_as(logits), reduction="none")
    return (loss * weight).sum(-1) / weight.sum(-1).clamp_min(1e-12)


def accuracy(logits: Float[Tensor, " pairs"], probability: Float[Tensor, " pairs"]) -> float:
    """Share of pairs ordered as the preference has it; a tie counts half; nan without pairs."""
    if len(logits) == 0:
        return float("nan")
    agree = torch.sign(logits) * torch.sign(probability - 0.5)
    return float((0.5 + 0.5 * agree).mean())


def calibration_error(logits: Float[Tensor, " pairs"], probability: Float[Tensor, " pairs"], bins: int = 10) -> float:
    """Expected calibration error: mean gap between predicted and observed probability over equal-width bins.

    Guo et al. 2017 (arXiv 1706.04599), eq. 3, on the probability of the side that the model prefers.
    """
    if len(logits) == 0:
        return float("nan")
    confidence = torch.sigmoid(logits.abs())
    observed = torch.where(logits >= 0, probability, 1 - probability)
    index: Int[Tensor, " pairs"] = ((confidence - 0.5) * 2 * bins).long().clamp_max(bins - 1)
    count = torch.bincount(index, minlength=bins).to(confidence)
    gap = torch.bincount(index, confidence - observed, minlength=bins).abs()
    return float(gap.sum() / count.sum())


def fit_temperature(
    logits: Float[Tensor, " pairs"], probability: Float[Tensor, " pairs"], weight: Float[Tensor, " pairs"]
) -> float:
    """The temperature that minimises the loss of `logits / temperature` (Guo et al. 2017, section 4.2).

    Searched over a fixed logarithmic grid from 0.1 to 10, so that the result is the same on every run.
    """
    temperatures = torch.logspace(-1, 1, 81, dtype=logits.dtype)
    losses = preference_loss(logits / temperatures[:, None], probability, weight.expand(81, -1))
    return float(temperatures[losses.argmin()])
