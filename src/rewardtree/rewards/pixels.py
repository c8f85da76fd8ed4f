"""Reward models of segments of pictures: a small convolutional network a member, all members in one computation.

Christiano et al. 2017 (arXiv 1706.03741, appendix A.2), with pictures of half the size, two layers of convolution and
an action beside what they find. The first layer of all members is one convolution, the second one in groups. Bytes are
kept until a batch is scored. A fit looks at a few steps of each segment at a time, and scales their sum up.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from rewardtree.rewards.bradley_terry import preference_loss
from rewardtree.rewards.ensemble import Fit
from rewardtree.rewards.unseen import ENOUGH, NOTHING, judged, loaded

Weights = dict[str, Tensor]
SIDE = 42
"""Of a picture, in pixels."""
FILTERS, FIRST, SECOND = 16, (7, 3), (3, 2)
"""Of a member, and the sides and strides of both layers."""
FOUND = ((SIDE - FIRST[0]) // FIRST[1] + 1 - SECOND[0]) // SECOND[1] + 1
"""Side of what the second layer finds."""
LEARNT = ("look", "look_bias", "see", "see_bias", "join", "join_bias", "out", "out_bias")
CHUNK = 512
"""Pictures that are scored at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PixelShape:
    """How a row of bytes is read.

    Attributes:
        stacked: pictures that are seen together; a row begins with one less than that before its first step's.
        actions: columns of an action.
    """

    stacked: int
    actions: int

    @property
    def before(self) -> int:
        """Bytes of the pictures before the first step's."""
        return (self.stacked - 1) * SIDE**2

    def steps(self, width: int) -> int:
        """Steps of a row."""
        return (width - self.before) // (SIDE**2 + self.actions + 1)

    def pack(
        self, pictures: UInt8[np.ndarray, "batch frames side side"], actions: Float[np.ndarray, "batch steps action"],
        valid: np.ndarray,
    ) -> UInt8[np.ndarray, "batch width"]:  # fmt: skip
        """Rows of bytes: pictures, then actions between 0 and 1, then which steps there are."""
        batch = len(pictures)
        told = np.round(np.clip(actions, 0, 1) * 255).astype(np.uint8)
        parts = (pictures.reshape(batch, -1), told.reshape(batch, -1), valid.astype(np.uint8))
        packed: UInt8[np.ndarray, "batch width"] = np.concatenate(parts, axis=1)
        return packed

    def unpack(self, rows: UInt8[Tensor, "batch width"]) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures, actions and which steps there are, of rows."""
        steps = self.steps(rows.shape[1])
        ends = self.before + steps * SIDE**2, self.before + steps * (SIDE**2 + self.actions)
        return (rows[:, : ends[0]].view(len(rows), -1, SIDE, SIDE),
                rows[:, ends[0] : ends[1]].view(len(rows), steps, self.actions), rows[:, ends[1] :])  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class PixelModel:
    """Predicts the reward of every step, and of segments as their sum.

    Attributes:
        shape: how rows are read.
        weights: stacked over members, with `temperature`.
    """

    shape: PixelShape
    weights: Weights

    def score_steps(self, features: UInt8[np.ndarray, "batch width"]) -> Float[np.ndarray, "members batch steps"]:
        """Every member's reward of every step, in nats of preference; 0 where there is no step."""
        rows = torch.as_tensor(features)
        steps = self.shape.steps(rows.shape[1])
        each = max(1, CHUNK // steps)
        with torch.inference_mode():
            parts = [step_rewards(self.weights, self.shape, part, torch.arange(steps)) for part in rows.split(each)]
            rewards: Float[np.ndarray, "members batch steps"] = (
                (torch.cat(parts, 1) / self.weights["temperature"]).double().numpy()
            )
        return rewards

    def score_members(self, features: UInt8[np.ndarray, "batch width"]) -> Float[np.ndarray, "members batch"]:
        """Every member's reward of each segment, in nats of preference."""
        rewards: Float[np.ndarray, "members batch"] = self.score_steps(features).sum(axis=2)
        return rewards

    def score(
        self, features: UInt8[np.ndarray, "batch width"]
    ) -> tuple[Float[np.ndarray, " batch"], Float[np.ndarray, " batch"]]:
        """Mean reward of each segment and its standard deviation over the members, in nats of preference."""
        members = self.score_members(features)
        return members.mean(axis=0), members.std(axis=0)

    def save(self, path: Path) -> None:
        """Write the weights as safetensors."""
        save_file({name: value.contiguous() for name, value in self.weights.items()}, path)


def step_rewards(
    weights: Weights, shape: PixelShape, rows: UInt8[Tensor, "batch width"], steps: Tensor
) -> Float[Tensor, "members batch steps"]:
    """Rewards of every member at some steps of each row, before the temperature.

    Args:
        weights: of the members.
        shape: how rows are read.
        rows: of bytes.
        steps: which, counted from 0; the same of every row.
    """
    pictures, actions, valid = shape.unpack(rows)
    members, count = len(weights["out"]), len(rows) * len(steps)
    windows = pictures.unfold(1, shape.stacked, 1)[:, steps].permute(0, 1, 4, 2, 3).flatten(0, 1).float() / 255
    seen = functional.conv2d(windows, weights["look"].flatten(0, 1), weights["look_bias"].flatten(), FIRST[1])
    seen = functional.conv2d(
        functional.leaky_relu(seen), weights["see"].flatten(0, 1), weights["see_bias"].flatten(), SECOND[1],
        groups=members,
    )  # fmt: skip
    found = functional.leaky_relu(seen).view(count, members, -1).transpose(0, 1)
    done = (actions[:, steps].flatten(0, 1).float() / 255).expand(members, -1, -1)
    joined = torch.baddbmm(weights["join_bias"], torch.cat([found, done], 2), weights["join"])
    out = torch.baddbmm(weights["out_bias"], functional.leaky_relu(joined), weights["out"])
    return out.view(members, len(rows), len(steps)) * valid[:, steps].float()


@dataclass(frozen=True, kw_only=True, slots=True)
class PixelRewards:
    """Makes and fits reward models of segments of pictures.

    Attributes:
        shape: how rows are read.
        hidden: width of the layer that joins pictures and action.
        members: networks in the ensemble.
        steps: of Adam, at most.
        pairs: comparisons of a step of fitting.
        looks: steps of each segment at which a step of fitting looks.
        rate: of Adam, annealed to zero by a cosine.
        decay: weight decay of all but the biases.
        goes_on: see `learner.RewardLearner`.
    """

    shape: PixelShape
    hidden: int = 64
    members: int = 3
    steps: int = 120
    pairs: int = 16
    looks: int = 8
    rate: float = 1e-3
    decay: float = 0.1
    goes_on: bool = False

    def initial(self, width: int, generator: torch.Generator) -> PixelModel:
        """An untrained ensemble; `width` is that of a whole row and may vary."""
        joined = FILTERS * FOUND**2 + self.shape.actions
        sizes = {
            "look": (FILTERS, self.shape.stacked, FIRST[0], FIRST[0]), "see": (FILTERS, FILTERS, SECOND[0], SECOND[0]),
            "join": (joined, self.hidden), "out": (self.hidden, 1),
        }  # fmt: skip
        weights: Weights = {"temperature": torch.ones(())}
        for name, size in sizes.items():
            fan = int(np.prod(size[1:])) if len(size) == 4 else size[0]
            gain = 0.1 if name == "out" else 2**0.5
            weights[name] = torch.randn(self.members, *size, generator=generator) * (gain / fan**0.5)
            weights[f"{name}_bias"] = torch.zeros(
                (self.members, size[0]) if len(size) == 4 else (self.members, 1, size[1])
            )
        return PixelModel(shape=self.shape, weights=weights)

    def fit(
        self,
        model: PixelModel,
        first: UInt8[np.ndarray, "pairs width"],
        second: UInt8[np.ndarray, "pairs width"],
        probability: Float[np.ndarray, " pairs"],
        *,
        generator: torch.Generator,
    ) -> tuple[PixelModel, Fit]:
        """Fit every member to its own Poisson bootstrap of the preferences; see `segments.SegmentRewards.fit`."""
        known = np.flatnonzero(~np.isnan(probability))
        if len(known) == 0:
            return model, NOTHING
        rows = torch.as_tensor(np.stack([first[known], second[known]]))
        target = torch.as_tensor(probability[known], dtype=torch.float32)
        draws = torch.poisson(torch.ones(self.members, len(known)), generator=generator)
        weights, steps = self._descend(model.weights, rows, target, draws, generator)
        unseen = (draws == 0).float()
        held = torch.nonzero(unseen.sum(0))[:, 0]
        with torch.inference_mode():
            logits = self._logits(weights, rows)[:, held]
            weights["temperature"], figures = judged(
                logits, unseen[:, held], target[held], steps=steps, pairs=len(known)
            )
        return replace(model, weights=weights), figures

    def _descend(
        self, weights: Weights, rows: Tensor, target: Tensor, draws: Tensor, generator: torch.Generator
    ) -> tuple[Weights, int]:
        """Weights, each member's at the step that its unseen preferences choose; and the last such step."""
        learnt = {name: weights[name].clone().requires_grad_(True) for name in LEARNT}
        groups = [
            {"params": [v for n, v in learnt.items() if n.endswith("bias") == free], "weight_decay": decay}
            for free, decay in ((False, self.decay), (True, 0.0))
        ]
        optimizer = torch.optim.AdamW(groups, lr=self.rate, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        unseen = (draws == 0).float()
        enough, every = unseen.sum(1) >= ENOUGH, max(1, self.steps // 5)
        best, least, at = dict(learnt), torch.full((self.members,), float("inf")), 0
        length = self.shape.steps(rows.shape[2])
        for step in range(1, self.steps + 1):
            taken = torch.randperm(len(target), generator=generator)[: self.pairs]
            looks = torch.randperm(length, generator=generator)[: self.looks]
            optimizer.zero_grad(set_to_none=True)
            logits = self._logits(learnt, rows[:, taken], looks) * (length / len(looks))
            preference_loss(logits, target[taken], draws[:, taken]).sum().backward()
            optimizer.step()
            schedule.step()
            if step % every == 0 or step == self.steps:
                with torch.inference_mode():
                    loss = preference_loss(self._logits(learnt, rows), target, unseen)
                    loss = torch.where(enough, loss, torch.tensor(-float(step)))
                    better = loss < least
                    for name, value in learnt.items():
                        best[name] = torch.where(better.view(-1, *[1] * (value.dim() - 1)), value, best[name]).clone()
                    least, at = torch.where(better, loss, least), step if bool(better.any()) else at
        return {"temperature": torch.ones(())} | {name: value.detach() for name, value in best.items()}, at

    def _logits(self, weights: Weights, rows: Tensor, looks: Tensor | None = None) -> Float[Tensor, "members pairs"]:
        """Differences of the sides' sums, over some steps or in pieces over all of them."""
        flat = rows.flatten(0, 1)
        if looks is not None:
            sums = step_rewards(weights, self.shape, flat, looks).sum(2)
        else:
            steps = torch.arange(self.shape.steps(flat.shape[1]))
            parts = flat.split(max(1, CHUNK // len(steps)))
            sums = torch.cat([step_rewards(weights, self.shape, part, steps).sum(2) for part in parts], 1)
        return sums[:, : rows.shape[1]] - sums[:, rows.shape[1] :]

    def load(self, path: Path) -> PixelModel:
        """Read what `PixelModel.save` wrote.

        Raises:
            RunError: where the file is missing or is not such a model.
        """
        return loaded(path, self.restore)

    def restore(self, weights: Weights) -> PixelModel:
        """The reward model that had these weights."""
        return PixelModel(shape=self.shape, weights={name: weights[name] for name in (*LEARNT, "temperature")})
