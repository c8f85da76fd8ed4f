"""Policy gradient where outputs cannot be enumerated: leave-one-out baselines and a divergence."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rewardtree.errors import ConfigError

Weights = dict[str, Tensor]


@runtime_checkable
class SampledPolicy(Protocol):
    """What the gradient needs of a policy: samples, and their log-probability given the weights."""

    @property
    def weights(self) -> Weights:
        """Of the network."""
        ...

    def propose(self, inputs: Any, rng: np.random.Generator) -> Any:
        """One sampled output an input."""
        ...

    def log_probability(self, weights: Weights, inputs: Any, outputs: Any) -> Float[Tensor, " batch"]:
        """Of these outputs under these weights; differentiable in them."""
        ...

    def with_weights(self, weights: Weights, version: str) -> Any:
        """The same policy with other weights."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Ascent:
    """How a policy is improved.

    Attributes:
        updates: of Adam.
        inputs: an update.
        samples: an input.
        beta: nats of reward a nat of divergence.
        rate: of Adam, annealed to zero.
    """

    updates: int = 150
    inputs: int = 48
    samples: int = 6
    beta: float = 0.02
    rate: float = 1e-2

    def __post_init__(self) -> None:
        if min(self.updates, self.inputs) < 1 or self.samples < 2 or self.beta < 0 or self.rate <= 0:
            raise ConfigError(
                "an ascent needs 1 update and input or more, 2 samples or more, beta 0 or more, rate above 0"
            )


def leave_one_out(rewards: Float[Tensor, "inputs samples"]) -> Float[Tensor, "inputs samples"]:
    """Each reward less the mean of the other samples' of the same input.

    RLOO: Ahmadian et al. 2024 (arXiv 2402.14740), eq. 7; Kool et al. 2019. Unbiased, as the baseline does not
    depend on the sample.
    """
    samples = rewards.shape[1]
    return (rewards - rewards.mean(1, keepdim=True)) * (samples / (samples - 1))


def improve(
    policy: SampledPolicy,
    reference: Weights,
    score: Callable[[Any, Any], Float[np.ndarray, " batch"]],
    draw: Callable[[np.random.Generator, int], Any],
    rng: np.random.Generator,
    *,
    version: str,
    ascent: Ascent,
) -> Any:
    """Maximise E[score] - beta KL(policy || reference) by REINFORCE with leave-one-out baselines.

    The divergence enters as a reward a sample, -beta (log p - log p_ref), whose expectation is the divergence
    (Ahmadian et al. 2024, section 2.1).

    Args:
        policy: where to start.
        reference: weights of the policy to stay near.
        score: rewards of outputs; no label is spent on them.
        draw: fresh inputs.
        rng: the only source of chance.
        version: of the improved policy.
        ascent: how far and how steadily.
    """
    weights = {name: value.clone() for name, value in policy.weights.items()}
    learnt = [value.requires_grad_(True) for name, value in weights.items() if name not in ("mean", "std")]
    optimizer = torch.optim.Adam(learnt, lr=ascent.rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, ascent.updates)
    for _ in range(ascent.updates):
        batch = draw(rng, ascent.inputs)
        batch = batch.take(np.repeat(np.arange(len(batch)), ascent.samples))
        current = policy.with_weights({n: v.detach() for n, v in weights.items()}, version)
        outputs = current.propose(batch, rng)
        reward = torch.as_tensor(score(batch, outputs), dtype=torch.float32)
        log_probability = policy.log_probability(weights, batch, outputs)
        with torch.no_grad():
            divergence = log_probability - policy.log_probability(reference, batch, outputs)
            regularised = (reward - ascent.beta * divergence).view(ascent.inputs, ascent.samples)
            advantage = leave_one_out(regularised).view(-1)
            advantage = advantage / advantage.std().clamp_min(1e-6)
        optimizer.zero_grad(set_to_none=True)
        (-(advantage * log_probability).mean()).backward()
        torch.nn.utils.clip_grad_norm_(learnt, 1.0)
        optimizer.step()
        schedule.step()
    return policy.with_weights({n: v.detach() for n, v in weights.items()}, version)
