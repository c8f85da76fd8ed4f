"""A policy for answering tasks: a distribution over places and over the value given at a place.

Both are enumerable, so improvement against a reward model is solved exactly and the network is fitted to the
solution.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from rewardtree.policies.learner import Draw, Reward
from rewardtree.policies.means import peaked_means
from rewardtree.tasks.answers import Answers, AnswerTask, Scenes

Weights = dict[str, Tensor]
SMOOTH = 0.1
"""Width in units of the task's scale within which the distribution over values is round at its peak."""
SCENES_AN_UPDATE = 32
PLACES = 48
"""Places of a scene that an update looks at, at most."""
STRETCH = 2**14
"""Places that are looked at together."""
RATE = 2e-2
"""Of Adam, annealed to zero."""


@runtime_checkable
class PeakedReward(Protocol):
    """A reward model that can score all answers at many places at once."""

    def candidates(
        self, features: Float[Tensor, "places features"], steps: Float[Tensor, " levels"]
    ) -> tuple[Float[Tensor, " places"], Float[Tensor, "places levels"]]:
        """The reward of pointing at each place and what each value costs there, in nats of preference."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class AnsweringPolicy:
    """A network that sees one place at a time.

    Of each it gives a logit for pointing there, and a distribution over values to give there.

    Values follow softmax(-sharpness * |value - location|) on the grid, rounded at the peak; this is the
    family in which the exact improvement against a peaked reward lies.

    Attributes:
        weights: of the network, with the features' `mean` and `std`.
        low, high: range of values.
        levels: number of values.
        scale: unit of the quantity, as the task has it.
        version: changes with every improvement.
    """

    weights: Weights
    low: float
    high: float
    levels: int
    scale: float
    version: str

    def _heads(self, features: Float[Tensor, "... features"]) -> Float[Tensor, "... outputs"]:
        """A stretch of places after the other, so that what lies between the layers stays in the processor's cache."""
        stretches = features.reshape(-1, features.shape[-1]).split(STRETCH)
        found = torch.cat([forward(self.weights, one) for one in stretches])
        return found.reshape(*features.shape[:-1], -1)

    def _value_logits(self, features: Float[np.ndarray, "... features"]) -> Float[Tensor, "... levels"]:
        return value_logits(self._heads(torch.as_tensor(features)), self.steps())

    def steps(self) -> Float[Tensor, " levels"]:
        """The values it may give, above `low` in units of `scale`."""
        return ((self.grid() - self.low) / self.scale).float()

    def _choose(self, scenes: Scenes) -> Float[Tensor, "batch places"]:
        logits = self._heads(torch.as_tensor(scenes.features))[..., 0]
        return torch.where(torch.as_tensor(scenes.valid), logits, torch.tensor(-torch.inf))

    def grid(self) -> Float[Tensor, " levels"]:
        """The values it may give, in the quantity's unit."""
        return torch.linspace(self.low, self.high, self.levels, dtype=torch.float64)

    def propose(self, inputs: Scenes, rng: np.random.Generator) -> Answers:
        """One sampled answer an input."""
        with torch.inference_mode():
            gumbel = torch.as_tensor(rng.gumbel(size=inputs.valid.shape))
            place = (self._choose(inputs) + gumbel).argmax(1).numpy()
            place = np.where(inputs.asked >= 0, inputs.asked, place)
            logits = self._value_logits(inputs.features[np.arange(len(place)), place])
            level = (logits + torch.as_tensor(rng.gumbel(size=tuple(logits.shape)))).argmax(1)
        return Answers(place=place, value=self.grid()[level].numpy())

    def answer(self, inputs: Scenes) -> Answers:
        """The place that it is surest of, and the mean of the values that it would give there."""
        with torch.inference_mode():
            place = self._choose(inputs).argmax(1).numpy()
            place = np.where(inputs.asked >= 0, inputs.asked, place)
            values = self.values(inputs.features[np.arange(len(place)), place])
        return Answers(place=place, value=values)

    def values(self, features: Float[np.ndarray, "... features"]) -> Float[np.ndarray, "..."]:
        """The mean of the values that it would give at places with these features."""
        with torch.inference_mode():
            out = self._heads(torch.as_tensor(features)).reshape(-1, 3)
            location, sharpness = out[:, 1].numpy(), functional.softplus(out[:, 2]).numpy()
        found = peaked_means(location, sharpness, self.steps().numpy(), SMOOTH).reshape(features.shape[:-1])
        mean: Float[np.ndarray, "..."] = found.astype(float) * self.scale + self.low
        return mean

    def items(self, inputs: Scenes) -> Float[np.ndarray, "batch places"]:
        """The value that it would give at every place; nan where there is none."""
        return np.where(inputs.valid, self.values(inputs.features), np.nan)


def policy_of(task: AnswerTask, weights: Weights, version: str) -> AnsweringPolicy:
    """The policy with these weights, answering in the task's range and unit."""
    return AnsweringPolicy(
        weights=weights,
        low=task.low,
        high=task.high,
        levels=task.levels,
        scale=task.scale,
        version=version,
    )


def initial_policy(task: AnswerTask, scenes: Scenes, generator: torch.Generator, hidden: int = 24) -> AnsweringPolicy:
    """An untrained policy: it points anywhere and gives values about the usual one.

    Args:
        task: gives the range and number of values.
        scenes: set the scale of the features.
        generator: draws the hidden layer.
        hidden: its width.
    """
    width = scenes.features.shape[-1]
    seen = torch.as_tensor(scenes.features[scenes.valid])
    weights = {
        "hidden": torch.randn(width, hidden, generator=generator) / width**0.5,
        "hidden_bias": torch.zeros(hidden),
        "out": torch.zeros(hidden, 3),
        "skip": torch.zeros(width, 3),
        "out_bias": torch.tensor([0.0, (task.usual - task.low) / task.scale, 0.0]),
        "mean": seen.mean(0),
        "std": seen.std(0).clamp_min(1e-3),
    }
    return policy_of(task, weights, "untrained")


def forward(weights: Weights, features: Float[Tensor, "... features"]) -> Float[Tensor, "... 3"]:
    """The network: column 0 points, 1 is the value's location, 2 its sharpness before a softplus."""
    x = (features - weights["mean"]) / weights["std"]
    hidden = functional.silu(x @ weights["hidden"] + weights["hidden_bias"])
    return hidden @ weights["out"] + x @ weights["skip"] + weights["out_bias"]


def value_logits(out: Float[Tensor, "... 3"], steps: Float[Tensor, " levels"]) -> Float[Tensor, "... levels"]:
    """Logits over the values of a grid."""
    apart = torch.sqrt((steps - out[..., 1:2]) ** 2 + SMOOTH**2) - SMOOTH
    return -functional.softplus(out[..., 2:3]) * apart


def tilted(
    log_prior: Float[Tensor, "... choices"], reward: Float[Tensor, "... choices"], beta: float
) -> Float[Tensor, "... choices"]:
    """Log of the distribution that maximises E[reward] - beta KL(. || prior).

    Its closed form is softmax(log prior + reward / beta); see Korbak et al. 2022 (arXiv 2205.11275), eq. 4.
    """
    return torch.log_softmax(log_prior + reward / beta, dim=-1)


def improve(
    policy: AnsweringPolicy,
    reward: PeakedReward,
    draw: Callable[[np.random.Generator, int], Scenes],
    rng: np.random.Generator,
    *,
    version: str,
    beta: float = 0.1,
    updates: int = 120,
) -> AnsweringPolicy:
    """Fit the policy to the exact solution of KL-regularised improvement over a uniform prior.

    The joint solution over (place, value) factorises: values at a place follow softmax(reward / beta), and
    places follow the reward plus beta times the log-sum over values. Large scenes are solved on a random
    subset of their places.

    Args:
        policy: where to start.
        reward: a reward model over the task's observations.
        draw: fresh scenes; no label is spent on them.
        rng: the only source of chance.
        version: of the improved policy.
        beta: weight of the divergence, in nats of preference.
        updates: of Adam, each on `SCENES_AN_UPDATE` scenes.
    """
    weights = {name: value.clone() for name, value in policy.weights.items()}
    learnt = [value.requires_grad_(True) for name, value in weights.items() if name not in ("mean", "std")]
    optimizer = torch.optim.Adam(learnt, lr=RATE, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    steps = policy.steps()
    pool = draw(rng, SCENES_AN_UPDATE * 8)
    for _ in range(updates):
        batch = pool.take(rng.choice(len(pool), SCENES_AN_UPDATE, replace=False))
        features, valid = subset(batch, rng, PLACES)
        log_place, log_value = solution(reward, features, valid, steps, beta)
        out = forward(weights, features)
        logits = out[..., 0].masked_fill(~valid, -torch.inf)
        place_loss = -(log_place.exp() * torch.log_softmax(logits, 1).masked_fill(~valid, 0.0)).sum(1).mean()
        values = torch.log_softmax(value_logits(out, steps), -1)
        value_loss = -(log_value.exp() * values).sum(-1)[valid].mean()
        optimizer.zero_grad(set_to_none=True)
        (place_loss + value_loss).backward()
        optimizer.step()
        schedule.step()
    return replace(policy, weights={n: v.detach() for n, v in weights.items()}, version=version)


def subset(scenes: Scenes, rng: np.random.Generator, places: int) -> tuple[Tensor, Tensor]:
    """Features and validity of the same number of random places a scene."""
    if scenes.features.shape[1] <= places:
        return torch.as_tensor(scenes.features), torch.as_tensor(scenes.valid)
    order: Int[np.ndarray, "batch places"] = rng.random(scenes.valid.shape).argpartition(places, axis=1)
    columns = order[:, :places]
    rows = np.arange(len(scenes))[:, None]
    return torch.as_tensor(scenes.features[rows, columns]), torch.as_tensor(scenes.valid[rows, columns])


def solution(
    reward: PeakedReward, features: Tensor, valid: Tensor, steps: Float[Tensor, " levels"], beta: float
) -> tuple[Float[Tensor, "batch places"], Float[Tensor, "batch places levels"]]:
    """Log-probabilities of the optimal places, and of the optimal values there, over uniform priors."""
    batch, places, _ = features.shape
    pointing, cost = reward.candidates(features.reshape(batch * places, -1), steps)
    log_value = torch.log_softmax(-cost / beta, -1)
    total = pointing + beta * torch.logsumexp(-cost / beta, -1)
    total = total.view(batch, places).masked_fill(~valid, -torch.inf)
    log_place = tilted(torch.zeros_like(total), total, beta)
    return log_place.masked_fill(~valid, -1e9), log_value.view(batch, places, -1)


@dataclass(frozen=True, kw_only=True, slots=True)
class AnsweringLearner:
    """The learner of answering tasks.

    Attributes:
        task: what is asked.
        explore: share of proposals that are any prominent place with any value; all of them before the first
            improvement.
        beta: nats of reward a nat of divergence from the uniform policy.
        updates: an improvement.
    """

    task: AnswerTask
    explore: float = 0.3
    beta: float = 0.1
    updates: int = 120

    def initial(self, rng: np.random.Generator) -> AnsweringPolicy:
        """An untrained policy."""
        return initial_policy(self.task, self.task.sample(rng, 64, "train"), torch_generator(rng))

    def restore(self, weights: Weights, version: str) -> AnsweringPolicy:
        """The policy that had these weights."""
        return policy_of(self.task, weights, version)

    def propose(self, policy: AnsweringPolicy, inputs: Scenes, rng: np.random.Generator) -> Answers:
        """The policy's answers, a share of them replaced by explorations."""
        own, other = policy.propose(inputs, rng), self.task.explore(rng, inputs)
        swap = rng.random(len(inputs)) < (1.0 if policy.version == "untrained" else self.explore)
        return Answers(place=np.where(swap, other.place, own.place), value=np.where(swap, other.value, own.value))

    def improve(
        self, policy: AnsweringPolicy, reward: Reward, draw: Draw, rng: np.random.Generator, *, version: str
    ) -> AnsweringPolicy:
        """Fit to the exact improvement; see `improve`."""
        return improve(policy, reward.model, draw, rng, version=version, beta=self.beta, updates=self.updates)


def torch_generator(rng: np.random.Generator) -> torch.Generator:
    """A torch generator whose chance comes from `rng`."""
    return torch.Generator().manual_seed(int(rng.integers(2**63)))
