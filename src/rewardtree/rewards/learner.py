"""What the loop needs of a reward model and of what fits it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Num

from rewardtree.rewards import ensemble
from rewardtree.rewards.ensemble import Fit, RewardModel, RewardShape


@runtime_checkable
class Scores(Protocol):
    """A fitted reward model. Observations are features, or token ids padded with -1."""

    def score_members(self, features: Any) -> Float[np.ndarray, "members batch"]:
        """Every member's reward, in nats of preference."""
        ...

    def score(self, features: Any) -> tuple[Float[np.ndarray, " batch"], Float[np.ndarray, " batch"]]:
        """Mean reward and its spread over the members, in nats of preference."""
        ...

    def save(self, path: Path) -> None:
        """Write what was learnt as safetensors."""
        ...


@runtime_checkable
class RewardLearner(Protocol):
    """Makes, fits and reads the reward models of one node."""

    @property
    def goes_on(self) -> bool:
        """Whether, from the second iteration on, it is given the node's latest model to fit, not an untrained one."""
        ...

    def initial(self, width: int, generator: torch.Generator) -> Any:
        """An untrained reward model for observations of so many columns."""
        ...

    def fit(
        self,
        model: Any,
        first: Num[np.ndarray, "pairs _"],
        second: Num[np.ndarray, "pairs _"],
        probability: Float[np.ndarray, " pairs"],
        *,
        generator: torch.Generator,
    ) -> tuple[Any, Fit]:
        """Fit a model to preferences; those that are nan are left out."""
        ...

    def load(self, path: Path) -> Any:
        """Read what a model's `save` wrote."""
        ...

    def restore(self, weights: dict[str, torch.Tensor]) -> Any:
        """The reward model that had these weights."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class EnsembleLearner:
    """Fits ensembles of small networks to features.

    Attributes:
        hidden: width of the layers; 0 for a reward that is linear in what it sees.
        members: networks in the ensemble.
        peaked: whether the reward has a single peak in the last thing that it sees.
        goes_on: see `RewardLearner`.
    """

    hidden: int = 0
    members: int = 4
    peaked: bool = False
    goes_on: bool = False

    def initial(self, width: int, generator: torch.Generator) -> RewardModel:
        """An untrained ensemble for so many features."""
        shape = RewardShape(features=width, peaked=self.peaked, hidden=self.hidden, members=self.members)
        return ensemble.initial(shape, generator)

    def fit(
        self,
        model: RewardModel,
        first: Float[np.ndarray, "pairs width"],
        second: Float[np.ndarray, "pairs width"],
        probability: Float[np.ndarray, " pairs"],
        *,
        generator: torch.Generator,
    ) -> tuple[RewardModel, Fit]:
        """Fit it to preferences; see `ensemble.fit`."""
        return ensemble.fit(model, first, second, probability, generator=generator)

    def load(self, path: Path) -> RewardModel:
        """Read what `RewardModel.save` wrote; see `ensemble.load_reward_model`."""
        return ensemble.load_reward_model(path)

    def restore(self, weights: dict[str, torch.Tensor]) -> RewardModel:
        """The ensemble that had these weights."""
        shape = RewardShape(
            features=len(weights["mean"]) + self.peaked, peaked=self.peaked, hidden=self.hidden,
            members=len(weights["out"]),
        )  # fmt: skip
        return RewardModel(shape=shape, weights=weights)
