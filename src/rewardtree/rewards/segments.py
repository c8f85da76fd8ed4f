"""Reward models of sequential outputs: a reward a step, summed over the steps of a segment.

Christiano et al. 2017 (arXiv 1706.03741, section 2.2): Bradley-Terry on sums, an ensemble whose members see their own
draw of the comparisons, each stopped where its loss on those that it does not see is least. All members are fitted in
one computation.

An observation is a row of steps; a step is what was seen and done, and whether it is there: 1, or 0 for padding. Any
number of steps can be scored.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from rewardtree.errors import RunError
from rewardtree.rewards.bradley_terry import accuracy, calibration_error, fit_temperature, preference_loss
from rewardtree.rewards.ensemble import Fit

Weights = dict[str, Tensor]
LAYERS = ("first", "second", "out")
BATCH = 32
"""Comparisons of a step of fitting."""
ENOUGH = 10
"""Comparisons that a member does not see from which on these say when to stop."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentModel:
    """Predicts the reward of every step, and of segments as their sum.

    Attributes:
        weights: stacked over members, with the steps' `mean` and `std`, and `temperature`.
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
        steps: of Adam, at most.
        rate: of Adam, annealed to zero by a cosine.
        decay: weight decay of the hidden layers.
    """

    columns: int
    hidden: int = 32
    members: int = 3
    steps: int = 120
    rate: float = 1e-2
    decay: float = 0.1

    def initial(self, width: int, generator: torch.Generator) -> SegmentModel:
        """An untrained ensemble; `width` is that of a whole row and may vary."""
        seen = self.columns - 1

        def layer(rows: int, columns: int, gain: float) -> Tensor:
            drawn: Tensor = torch.randn(self.members, rows, columns, generator=generator) * (gain / rows**0.5)
            return drawn

        weights: Weights = {"mean": torch.zeros(seen), "std": torch.ones(seen), "temperature": torch.ones(())}
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
        """Fit every member to its own Poisson bootstrap of the preferences; those that are nan are left out.

        About 1/e of them are not in a member's bootstrap. Where these are at least `ENOUGH`, the member is taken at the
        step at which its loss on them was least, and the temperature is fitted to what members say of preferences that
        they did not see.

        Returns:
            The fitted model, and figures on preferences by members that did not see them.
        """
        known = np.flatnonzero(~np.isnan(probability))
        if len(known) == 0:
            nan = float("nan")
            return model, Fit(accuracy=nan, calibration_error=nan, loss=nan, steps=0, pairs=0, held_out=0)
        pairs = np.stack([first[known], second[known]])
        rows = torch.as_tensor(pairs, dtype=torch.float32).view(2, len(known), -1, self.columns)
        target = torch.as_tensor(probability[known], dtype=torch.float32)
        there = rows[..., :-1][rows[..., -1] > 0]
        weights = model.weights | {"mean": there.mean(0), "std": there.std(0).clamp_min(1e-3)}
        weights["temperature"] = torch.ones(())
        draws = self._draws(len(probability))[:, known]
        weights, steps = self._descend(weights, rows, target, draws, generator)
        with torch.inference_mode():
            unseen = (draws == 0).float()
            logits = (_logits(weights, rows) * unseen).sum(0) / unseen.sum(0).clamp_min(1)
            held = torch.nonzero(unseen.sum(0))[:, 0]
            logits, told, one = logits[held], target[held], torch.ones(len(held))
            if len(held) >= ENOUGH:
                weights["temperature"] = torch.tensor(fit_temperature(logits, told, one))
            logits = logits / weights["temperature"]
            figures = Fit(
                accuracy=accuracy(logits, told), calibration_error=calibration_error(logits, told),
                loss=float(preference_loss(logits, told, one)) if len(held) else float("nan"), steps=steps,
                pairs=len(known), held_out=len(held),
            )  # fmt: skip
        return replace(model, weights=weights), figures

    def _draws(self, pairs: int) -> Float[Tensor, "members pairs"]:
        """How often each member sees each preference; the same however many come after it."""
        drawn = torch.poisson(torch.ones(pairs, self.members), generator=torch.Generator().manual_seed(self.members))
        return drawn.T.contiguous()

    def _descend(
        self, weights: Weights, rows: Tensor, target: Tensor, draws: Tensor, generator: torch.Generator
    ) -> tuple[Weights, int]:
        """Weights, each member's at the step that its unseen preferences choose; and the last such step."""
        names = [name for layer in LAYERS for name in (layer, f"{layer}_bias")]
        learnt = {name: weights[name].clone().requires_grad_(True) for name in names}
        rest = {name: value for name, value in weights.items() if name not in learnt}
        decayed = [learnt[name] for name in LAYERS]
        free = [learnt[f"{name}_bias"] for name in LAYERS]
        groups = [{"params": decayed, "weight_decay": self.decay}, {"params": free, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=self.rate, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        unseen = (draws == 0).float()
        judged = unseen.sum(1) >= ENOUGH
        best = {name: value.detach().clone() for name, value in learnt.items()}
        least, at = torch.full((self.members,), float("inf")), 0
        every = max(1, self.steps // 10)
        order = torch.empty(0, dtype=torch.long)
        for step in range(1, self.steps + 1):
            if len(order) < min(BATCH, len(target)):
                order = torch.randperm(len(target), generator=generator)
            taken, order = order[:BATCH], order[BATCH:]
            optimizer.zero_grad(set_to_none=True)
            logits = _logits(learnt | rest, rows[:, taken])
            preference_loss(logits, target[taken], draws[:, taken]).sum().backward()
            optimizer.step()
            schedule.step()
            if step % every == 0 or step == self.steps:
                with torch.inference_mode():
                    loss = preference_loss(_logits(learnt | rest, rows), target, unseen)
                    loss = torch.where(judged, loss, torch.tensor(-float(step)))
                    better = loss < least
                    for name, value in learnt.items():
                        best[name] = torch.where(better[:, None, None], value, best[name])
                    least, at = torch.where(better, loss, least), step if bool(better.any()) else at
        return rest | best, at

    def load(self, path: Path) -> SegmentModel:
        """Read what `SegmentModel.save` wrote.

        Raises:
            RunError: where the file is missing or is not such a model.
        """
        try:
            return self.restore(load_file(path))
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise RunError(f"{path} is not a reward model that this version reads; train it again") from error

    def restore(self, weights: Weights) -> SegmentModel:
        """The reward model that had these weights."""
        return SegmentModel(weights={name: weights[name] for name in self.initial(0, torch.Generator()).weights})


def _logits(weights: Weights, rows: Float[Tensor, "2 pairs steps columns"]) -> Float[Tensor, "members pairs"]:
    rewards = step_rewards(weights, rows.flatten(0, 1)).sum(2).view(len(weights["out"]), 2, -1)
    return rewards[:, 0] - rewards[:, 1]
