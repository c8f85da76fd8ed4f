"""Reward models of sequential outputs: a reward a step, summed over the steps of a segment.

Christiano et al. 2017 (arXiv 1706.03741, section 2.2): Bradley-Terry on sums, an ensemble whose members see their own
draw of the comparisons. They go on from fit to fit, with so many steps for every comparison that is new: a reward that
changes little at a time and is smooth where few comparisons say anything; fitted from the beginning every time, it
turned policies the wrong way (design/0009). All members are fitted in one computation.

An observation is a row of steps; a step is what was seen and done, and whether it is there: 1, or 0 for padding. Any
number of steps can be scored.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from rewardtree.rewards.bradley_terry import preference_loss
from rewardtree.rewards.ensemble import Fit
from rewardtree.rewards.unseen import NOTHING, judged, loaded

Weights = dict[str, Tensor]
LAYERS = ("first", "second", "out")
BATCH = 32
"""Comparisons of a step of fitting."""
FEWEST = 10
"""Steps of a fit."""
DRAWS = 20170612
"""Seeds the draws of comparisons that members see, which never change."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentModel:
    """Predicts the reward of every step, and of segments as their sum.

    Attributes:
        weights: stacked over members, with the steps' `mean` and `std`, `temperature`, and how many comparisons they
            were `fitted` to.
    """

    weights: Weights

    @property
    def columns(self) -> int:
        """Of a step, with the last that says whether it is there."""
        return int(self.weights["first"].shape[1]) + 1

    def score_steps(self, features: Float[np.ndarray, "batch width"]) -> Float[np.ndarray, "members batch steps"]:
        """Every member's reward of every step, in nats of preference; 0 where there is no step."""
        with torch.inference_mode():
            rows = torch.as_tensor(features, dtype=torch.float32).view(len(features), -1, self.columns)
            rewards: Float[np.ndarray, "members batch steps"] = (
                (step_rewards(self.weights, rows) / self.weights["temperature"]).double().numpy()
            )
        return rewards

    def score_members(self, features: Float[np.ndarray, "batch width"]) -> Float[np.ndarray, "members batch"]:
        """Every member's reward of each segment, in nats of preference."""
        rewards: Float[np.ndarray, "members batch"] = self.score_steps(features).sum(axis=2)
        return rewards

    def score(
        self, features: Float[np.ndarray, "batch width"]
    ) -> tuple[Float[np.ndarray, " batch"], Float[np.ndarray, " batch"]]:
        """Mean reward of each segment and its standard deviation over the members, in nats of preference."""
        members = self.score_members(features)
        return members.mean(axis=0), members.std(axis=0)

    def save(self, path: Path) -> None:
        """Write the weights as safetensors."""
        save_file({name: value.contiguous() for name, value in self.weights.items()}, path)


def step_rewards(weights: Weights, rows: Float[Tensor, "batch steps columns"]) -> Float[Tensor, "members batch steps"]:
    """Rewards of every member, before the temperature."""
    seen = (rows[..., :-1].flatten(0, 1) - weights["mean"]) / weights["std"]
    members = len(weights["out"])
    hidden = seen.expand(members, -1, -1)
    for layer in LAYERS[:-1]:
        hidden = functional.leaky_relu(torch.baddbmm(weights[f"{layer}_bias"], hidden, weights[layer]))
    out = torch.baddbmm(weights["out_bias"], hidden, weights["out"])[..., 0]
    return out.view(members, *rows.shape[:2]) * rows[..., -1]


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentRewards:
    """Makes and fits reward models of segments.

    Attributes:
        columns: of a step, with the last that says whether it is there.
        hidden: width of the two hidden layers.
        members: networks in the ensemble.
        steps: of Adam for each comparison that is new.
        rate: of Adam.
        decay: weight decay of the hidden layers.
        goes_on: see `learner.RewardLearner`.
    """

    columns: int
    hidden: int = 32
    members: int = 3
    steps: float | int = 3.0
    rate: float = 2e-3
    decay: float = 1.0
    goes_on: bool = True

    def initial(self, width: int, generator: torch.Generator) -> SegmentModel:
        """An untrained ensemble; `width` is that of a whole row and may vary."""
        seen = self.columns - 1

        def layer(rows: int, columns: int, gain: float) -> Tensor:
            drawn: Tensor = torch.randn(self.members, rows, columns, generator=generator) * (gain / rows**0.5)
            return drawn

        weights: Weights = {"mean": torch.zeros(seen), "std": torch.ones(seen), "temperature": torch.ones(()),
                            "fitted": torch.zeros(())}  # fmt: skip
        sizes = ((seen, self.hidden, 2**0.5), (self.hidden, self.hidden, 2**0.5), (self.hidden, 1, 0.1))
        for name, (rows, columns, gain) in zip(LAYERS, sizes, strict=True):
            weights |= {name: layer(rows, columns, gain), f"{name}_bias": torch.zeros(self.members, 1, columns)}
        return SegmentModel(weights=weights)

    def fit(
        self,
        model: SegmentModel,
        first: Float[np.ndarray, "pairs width"],
        second: Float[np.ndarray, "pairs width"],
        probability: Float[np.ndarray, " pairs"],
        *,
        generator: torch.Generator,
    ) -> tuple[SegmentModel, Fit]:
        """Fit every member, from where it is, to its own draw of the preferences; those that are nan are left out.

        A member never sees the preferences that are not in its draw, also when it goes on with more of them. Where
        there are at least `unseen.ENOUGH`, the temperature is fitted to what members say of preferences that they did
        not see.

        Returns:
            The fitted model, and figures on preferences by members that did not see them.
        """
        known = np.flatnonzero(~np.isnan(probability))
        if len(known) == 0:
            return model, NOTHING
        draws = torch.as_tensor(drawn(self.members, len(probability))[:, known])
        rows = torch.as_tensor(np.stack([first[known], second[known]]), dtype=torch.float32)
        rows = rows.view(2, len(known), -1, self.columns)
        target = torch.as_tensor(probability[known], dtype=torch.float32)
        steps = max(FEWEST, round(self.steps * (len(known) - float(model.weights["fitted"]))))
        weights = self._descend(standardised(model.weights, rows), rows, target, draws, steps, generator)
        unseen = (draws == 0).float()
        held = torch.nonzero(unseen.sum(0))[:, 0]
        with torch.inference_mode():
            logits = _logits(weights, rows[:, held])
            temperature, figures = judged(logits, unseen[:, held], target[held], steps=steps, pairs=len(known))
        weights |= {"temperature": temperature, "fitted": torch.tensor(float(len(known)))}
        return replace(model, weights=weights), figures

    def _descend(
        self, weights: Weights, rows: Tensor, target: Tensor, draws: Tensor, steps: int, generator: torch.Generator
    ) -> Weights:
        """Weights after so many steps of Adam."""
        names = [name for layer in LAYERS for name in (layer, f"{layer}_bias")]
        learnt = {name: weights[name].clone().requires_grad_(True) for name in names}
        rest = {name: value for name, value in weights.items() if name not in learnt}
        decayed = [learnt[name] for name in LAYERS]
        free = [learnt[f"{name}_bias"] for name in LAYERS]
        groups = [{"params": decayed, "weight_decay": self.decay}, {"params": free, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=self.rate, fused=True)
        order = torch.empty(0, dtype=torch.long)
        for _ in range(steps):
            if len(order) < min(BATCH, len(target)):
                order = torch.randperm(len(target), generator=generator)
            taken, order = order[:BATCH], order[BATCH:]
            optimizer.zero_grad(set_to_none=True)
            logits = _logits(learnt | rest, rows[:, taken])
            preference_loss(logits, target[taken], draws[:, taken]).sum().backward()
            optimizer.step()
        return rest | {name: value.detach() for name, value in learnt.items()}

    def load(self, path: Path) -> SegmentModel:
        """Read what `SegmentModel.save` wrote.

        Raises:
            RunError: where the file is missing or is not such a model.
        """
        return loaded(path, self.restore)

    def restore(self, weights: Weights) -> SegmentModel:
        """The reward model that had these weights."""
        return SegmentModel(weights={name: weights[name] for name in self.initial(0, torch.Generator()).weights})


def drawn(members: int, count: int) -> Float[np.ndarray, "members count"]:
    """How often each member sees each comparison: Poisson's bootstrap, the same of the first ones whatever the count.

    A single member sees each once.
    """
    if members == 1:
        return np.ones((1, count), dtype=np.float32)
    times: Float[np.ndarray, "members count"] = (
        np.random.default_rng(DRAWS).poisson(1.0, size=(count, members)).T.astype(np.float32)
    )
    return times


def standardised(weights: Weights, rows: Float[Tensor, "2 pairs steps columns"]) -> Weights:
    """Weights of the same rewards that see these steps with mean 0 and spread 1."""
    there = rows[..., :-1][rows[..., -1] > 0]
    mean, std = there.mean(0), there.std(0).clamp_min(1e-3)
    if not float(weights["fitted"]):
        return weights | {"mean": mean, "std": std}
    off, times = (mean - weights["mean"]) / weights["std"], std / weights["std"]
    first, bias = weights["first"], weights["first_bias"]
    return weights | {
        "mean": mean, "std": std, "first": first * times[:, None],
        "first_bias": bias + torch.einsum("c,mck->mk", off, first)[:, None],
    }  # fmt: skip


def _logits(weights: Weights, rows: Float[Tensor, "2 pairs steps columns"]) -> Float[Tensor, "members pairs"]:
    rewards = step_rewards(weights, rows.flatten(0, 1)).sum(2).view(len(weights["out"]), 2, rows.shape[1])
    return rewards[:, 0] - rewards[:, 1]
