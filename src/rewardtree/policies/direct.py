"""Policies from demonstrations and from preferences, without a reward model: SFT and DPO.

Both work on any policy with a differentiable `log_probability`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from rewardtree.errors import ConfigError
from rewardtree.policies.gradient import SampledPolicy, Weights


@dataclass(frozen=True, kw_only=True, slots=True)
class Descent:
    """How a policy is fitted to data.

    Attributes:
        epochs: over the data.
        batch: inputs a step.
        rate: of Adam, annealed to zero.
        beta: nats of reward a nat of log-ratio, where the data are preferences.
    """

    epochs: int = 1
    batch: int = 16
    rate: float = 1e-3
    beta: float = 0.1

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch) < 1 or self.rate <= 0:
            raise ConfigError("a descent needs 1 epoch and input or more, and a rate above 0")


def imitate(
    policy: SampledPolicy, inputs: Any, outputs: Any, rng: np.random.Generator, *, version: str, descent: Descent
) -> Any:
    """Maximise the mean log-probability of demonstrated outputs (supervised fine-tuning)."""

    def loss(weights: Weights, rows: Any) -> Tensor:
        return -policy.log_probability(weights, inputs.take(rows), outputs.take(rows)).mean()

    return _fitted(policy, loss, len(inputs), rng, version, descent)


def prefer(
    policy: SampledPolicy,
    inputs: Any,
    sides: tuple[Any, Any],
    probability: Float[np.ndarray, " batch"],
    rng: np.random.Generator,
    *,
    version: str,
    descent: Descent,
) -> Any:
    """Fit the policy's own log-ratios to preferences: DPO (Rafailov et al. 2023, arXiv 2305.18290, eq. 7).

    Args:
        policy: where to start; log-ratios are to it as it is now.
        inputs: one a pair.
        sides: first and second outputs.
        probability: that the first is better; 0.5 is a tie; nan is left out.
        rng: the only source of chance.
        version: of the fitted policy.
        descent: how long and how fast.
    """
    known = np.flatnonzero(~np.isnan(probability))
    target = torch.as_tensor(probability, dtype=torch.float32)

    def ahead(weights: Weights, rows: Any) -> Tensor:
        first, second = (policy.log_probability(weights, inputs.take(rows), side.take(rows)) for side in sides)
        return first - second

    def loss(weights: Weights, rows: Any) -> Tensor:
        rows = known[rows]
        with torch.no_grad():
            before = ahead(policy.weights, rows)
        logits = descent.beta * (ahead(weights, rows) - before)
        return functional.binary_cross_entropy_with_logits(logits, target[torch.as_tensor(rows)])

    return _fitted(policy, loss, len(known), rng, version, descent)


def _fitted(
    policy: SampledPolicy,
    loss: Callable[[Weights, Any], Tensor],
    count: int,
    rng: np.random.Generator,
    version: str,
    descent: Descent,
) -> Any:
    weights = {name: value.clone().requires_grad_(True) for name, value in policy.weights.items()}
    learnt = list(weights.values())
    optimizer = torch.optim.Adam(learnt, lr=descent.rate, fused=True)
    steps = list(_steps(count, descent, rng))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, len(steps)))
    for rows in steps:
        optimizer.zero_grad(set_to_none=True)
        loss(weights, rows).backward()
        torch.nn.utils.clip_grad_norm_(learnt, 1.0)
        optimizer.step()
        schedule.step()
    return policy.with_weights({name: value.detach() for name, value in weights.items()}, version)


def _steps(count: int, descent: Descent, rng: np.random.Generator) -> Iterator[Any]:
    for _ in range(descent.epochs):
        order = rng.permutation(count)
        yield from np.array_split(order, -(-count // descent.batch)) if count else ()
