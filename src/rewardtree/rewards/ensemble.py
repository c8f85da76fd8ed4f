"""An ensemble of small networks as one reward model; all members train in one batched computation."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from rewardtree.errors import RunError
from rewardtree.rewards.bradley_terry import accuracy, calibration_error, fit_temperature, preference_loss

Weights = dict[str, Tensor]
DECAY = 3.0
"""Weight decay of the hidden layers; the linear part and the biases are free."""
SMOOTH = 0.1
"""Width in units of the value within which a peak is round."""
ENOUGH = 20
"""Held-out preferences from which on they choose the step and the temperature."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RewardShape:
    """What a reward model looks at.

    Attributes:
        features: columns that it sees.
        peaked: whether the last column is a value for which the reward has a single peak:
            r(x, v) = g(x) - a (sqrt((v - h(x))^2 + s^2) - s), a > 0. A value question is then learnt like a
            regression.
        hidden: width of the two hidden layers; 0 for a linear reward.
        members: networks in the ensemble.
    """

    features: int
    peaked: bool = False
    hidden: int = 48
    members: int = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """How a fit went, on preferences held out from it.

    Attributes:
        accuracy: share of held-out preferences ordered rightly.
        calibration_error: of the tempered probabilities.
        loss: held-out loss in nats.
        steps: steps taken until the held-out loss was least.
        pairs: preferences fitted to.
        held_out: preferences held out.
    """

    accuracy: float
    calibration_error: float
    loss: float
    steps: int
    pairs: int
    held_out: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RewardModel:
    """Predicts a reward and its spread over the members.

    Attributes:
        shape: what it looks at.
        weights: stacked over members, with the input's `mean` and `std`, and `temperature`.
    """

    shape: RewardShape
    weights: Weights

    def score_members(self, features: Float[np.ndarray, "batch features"]) -> Float[np.ndarray, "members batch"]:
        """Every member's reward, in nats of preference."""
        with torch.inference_mode():
            rewards = member_rewards(self.weights, torch.as_tensor(features, dtype=torch.float32), self.shape)
            scored: Float[np.ndarray, "members batch"] = (rewards / self.weights["temperature"]).double().numpy()
        return scored

    def score(
        self, features: Float[np.ndarray, "batch features"]
    ) -> tuple[Float[np.ndarray, " batch"], Float[np.ndarray, " batch"]]:
        """Mean reward and its standard deviation over the members, in nats of preference."""
        members = self.score_members(features)
        return members.mean(axis=0), members.std(axis=0)

    def candidates(
        self, features: Float[Tensor, "places features"], steps: Float[Tensor, " levels"]
    ) -> tuple[Float[Tensor, " places"], Float[Tensor, "places levels"]]:
        """For a peaked reward: that of each place at its best value, and what the values of a grid cost.

        Means over the members, in nats of preference. `features` are those of a place; that the place was
        chosen, not asked about, is added here.
        """
        with torch.inference_mode():
            out = heads(self.weights, torch.cat([features, torch.ones(len(features), 1)], 1))
            cost = peak_cost(self.weights, steps, out[..., 1:2])
            temperature = self.weights["temperature"]
            return out[..., 0].mean(0) / temperature, cost.mean(0) / temperature

    def save(self, path: Path) -> None:
        """Write the weights as safetensors, the shape in their header."""
        shape = self.shape
        header = {name: str(int(value)) for name, value in asdict(shape).items()}
        save_file({k: v.contiguous() for k, v in self.weights.items()}, path, metadata=header)


def load_reward_model(path: Path) -> RewardModel:
    """Read what `RewardModel.save` wrote.

    Raises:
        RunError: where the file is missing or is not a reward model.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata()
        shape = RewardShape(
            features=int(header["features"]), peaked=header["peaked"] == "1", hidden=int(header["hidden"]),
            members=int(header["members"]),
        )  # fmt: skip
        return RewardModel(shape=shape, weights=load_file(path))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} is not a reward model that this version reads; train it again or restore it") from error


def initial(shape: RewardShape, generator: torch.Generator) -> RewardModel:
    """A reward model with random weights."""
    inputs = shape.features - (1 if shape.peaked else 0)
    width, members = (shape.hidden or inputs), shape.members
    outputs = 2 if shape.peaked else 1

    def layer(rows: int, columns: int, gain: float = 1.0) -> Tensor:
        drawn: Tensor = torch.randn(members, rows, columns, generator=generator) * (gain / rows**0.5)
        return drawn

    weights: Weights = {
        "out": layer(width, outputs, 0.3 if shape.hidden else 0.0),
        "out_bias": torch.zeros(members, 1, outputs),
    }
    if shape.hidden:
        weights |= {
            "first": layer(inputs, width, 2**0.5), "first_bias": torch.zeros(members, 1, width),
            "second": layer(width, width, 2**0.5), "second_bias": torch.zeros(members, 1, width),
            "skip": torch.zeros(members, inputs, outputs),
        }  # fmt: skip
    if shape.peaked:
        weights["steepness"] = torch.zeros(members, 1)
    weights |= {"mean": torch.zeros(inputs), "std": torch.ones(inputs), "temperature": torch.ones(())}
    return RewardModel(shape=shape, weights=weights)


def heads(weights: Weights, inputs: Float[Tensor, "batch inputs"]) -> Float[Tensor, "members batch outputs"]:
    """The networks' outputs: the reward, and for a peaked reward the place of its peak."""
    x = ((inputs - weights["mean"]) / weights["std"]).expand(len(weights["out"]), -1, -1)
    if "first" not in weights:
        return torch.baddbmm(weights["out_bias"], x, weights["out"])
    hidden = functional.silu(torch.baddbmm(weights["first_bias"], x, weights["first"]))
    hidden = functional.silu(torch.baddbmm(weights["second_bias"], hidden, weights["second"]))
    return torch.baddbmm(weights["out_bias"], hidden, weights["out"]) + torch.bmm(x, weights["skip"])


def peak_cost(
    weights: Weights, value: Float[Tensor, "..."], peak: Float[Tensor, "members ..."]
) -> Float[Tensor, "members ..."]:
    """How much a value away from the peak costs; never negative."""
    steepness = functional.softplus(weights["steepness"]).view(-1, *[1] * (peak.dim() - 1))
    cost: Tensor = steepness * (torch.sqrt((value - peak) ** 2 + SMOOTH**2) - SMOOTH)
    return cost


def member_rewards(
    weights: Weights, features: Float[Tensor, "batch features"], shape: RewardShape
) -> Float[Tensor, "members batch"]:
    """Rewards of every member, before the temperature."""
    if not shape.peaked:
        return heads(weights, features)[..., 0]
    out = heads(weights, features[:, :-1])
    return out[..., 0] - peak_cost(weights, features[:, -1], out[..., 1])


def fit(
    model: RewardModel,
    first: Float[np.ndarray, "pairs features"],
    second: Float[np.ndarray, "pairs features"],
    probability: Float[np.ndarray, " pairs"],
    *,
    generator: torch.Generator,
    steps: int = 400,
    rate: float = 2e-2,
) -> tuple[RewardModel, Fit]:
    """Fit every member to preferences, each to its own Poisson bootstrap of them.

    Pairs whose probability is nan (can't tell) are left out. A tenth of the others is held out, where there
    are 20 or more; where at least `ENOUGH` are held out, the weights are those at which their loss by the
    mean of the members was least, and the temperature is fitted to them; else the weights are the last and
    the temperature is 1. Starting from a fitted `model` updates it; starting from `initial` refits it.

    Args:
        model: where to start.
        first: observations of the first outputs.
        second: observations of the second outputs.
        probability: that the first is better; 0.5 is a tie.
        generator: draws the split, the bootstraps and the batches.
        steps: of Adam, at most.
        rate: of Adam, annealed to zero by a cosine.

    Returns:
        The fitted model and its held-out figures.
    """
    known = np.flatnonzero(~np.isnan(probability))
    order = known[torch.randperm(len(known), generator=generator).numpy()]
    held = order[: max(1, len(order) // 10)] if len(order) >= 20 else order[:0]
    kept = order[len(held) :]
    tensors = [torch.as_tensor(a, dtype=torch.float32) for a in (first, second, probability)]
    weights = {name: value.clone() for name, value in model.weights.items()}
    if len(kept) == 0:
        nan = float("nan")
        return model, Fit(accuracy=nan, calibration_error=nan, loss=nan, steps=0, pairs=0, held_out=0)
    inputs = model.shape.features - (1 if model.shape.peaked else 0)
    seen = torch.cat([tensors[0][kept, :inputs], tensors[1][kept, :inputs]])
    weights["mean"], weights["std"] = seen.mean(0), seen.std(0).clamp_min(1e-3)
    weights["temperature"] = torch.ones(())
    if model.shape.peaked and not model.weights["out_bias"].any():
        values = torch.cat([tensors[0][kept, -1], tensors[1][kept, -1]])
        weights["out_bias"] = weights["out_bias"] + torch.tensor([0.0, 1.0]) * values.mean()
    train, test = [t[kept] for t in tensors], [t[held] for t in tensors]
    weights, best_step = _descend(weights, model.shape, train, test, generator, steps, rate)
    with torch.inference_mode():
        logits = _logits(weights, model.shape, test[0], test[1]).mean(0)
        target, one = tensors[2][held], torch.ones(len(held))
        if len(held) >= ENOUGH:
            weights["temperature"] = torch.tensor(fit_temperature(logits, target, one))
        tempered = logits / weights["temperature"]
        figures = Fit(
            accuracy=accuracy(tempered, target),
            calibration_error=calibration_error(tempered, target),
            loss=float(preference_loss(tempered, target, one)) if len(held) else float("nan"),
            steps=best_step,
            pairs=len(kept),
            held_out=len(held),
        )
    return replace(model, weights=weights), figures


def _logits(weights: Weights, shape: RewardShape, first: Tensor, second: Tensor) -> Float[Tensor, "members pairs"]:
    rewards = member_rewards(weights, torch.cat([first, second]), shape)
    return rewards[:, : len(first)] - rewards[:, len(first) :]


def _held_out_loss(weights: Weights, shape: RewardShape, held: list[Tensor]) -> float:
    with torch.inference_mode():
        logits = _logits(weights, shape, held[0], held[1]).mean(0)
        return float(preference_loss(logits, held[2], torch.ones(len(held[0]))))


def _descend(
    weights: Weights,
    shape: RewardShape,
    train: list[Tensor],
    held: list[Tensor],
    generator: torch.Generator,
    steps: int,
    rate: float,
) -> tuple[Weights, int]:
    fixed = {"mean", "std", "temperature"}
    learnt = {name: value.requires_grad_(True) for name, value in weights.items() if name not in fixed}
    hidden = {"first", "second", "out"} if "first" in learnt else set()
    decayed = [value for name, value in learnt.items() if name in hidden]
    free = [value for name, value in learnt.items() if name not in hidden]
    groups = [{"params": decayed, "weight_decay": DECAY}, {"params": free, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    bootstrap = torch.poisson(torch.ones(shape.members, len(train[0])), generator=generator)
    best, best_loss, best_step = {n: v.detach().clone() for n, v in learnt.items()}, float("inf"), 0
    batch = min(len(train[0]), 256)
    every = max(1, steps // 20)
    for step in range(1, steps + 1):
        rows = torch.randint(len(train[0]), (batch,), generator=generator)
        optimizer.zero_grad(set_to_none=True)
        logits = _logits(weights, shape, train[0][rows], train[1][rows])
        preference_loss(logits, train[2][rows], bootstrap[:, rows]).sum().backward()
        optimizer.step()
        schedule.step()
        if step % every == 0 or step == steps:
            loss = _held_out_loss(weights, shape, held) if len(held[0]) >= ENOUGH else -float(step)
            if loss < best_loss:
                best, best_loss, best_step = {n: v.detach().clone() for n, v in learnt.items()}, loss, step
    return {n: v.detach() for n, v in weights.items() if n in fixed} | best, best_step
