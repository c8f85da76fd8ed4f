"""Inputs and outputs of control tasks: where a rollout begins, and a piece of one, or all of it."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Num


@dataclass(frozen=True, kw_only=True, slots=True)
class Starts:
    """Where rollouts begin.

    Attributes:
        seeds: of the environment's `reset`, [batch]; those of two splits are never the same.
    """

    seeds: Int[np.ndarray, " batch"]

    def __len__(self) -> int:
        return len(self.seeds)

    def take(self, rows: Int[np.ndarray, " rows"]) -> "Starts":
        """The starts at `rows`."""
        return Starts(seeds=self.seeds[rows])

    def digest(self) -> list[dict[str, Any]]:
        """The seed, one record a start."""
        return [{"seed": int(seed)} for seed in self.seeds]


@dataclass(frozen=True, kw_only=True, slots=True)
class Segments:
    """Pieces of rollouts, each of consecutive steps of one episode; what is beyond a piece's length is zero.

    Attributes:
        observations: before each action; float32 in a row, or images as bytes.
        actions: as the environment took them; a discrete one as one-hot, so that it is a row like the others.
        length: steps of each piece.
        began: step of its episode with which a piece begins.
        rewards: the environment's own, which are measured and reach no learner and no face.
        states: the simulator's before each action, from which frames are drawn; of width 0 where it tells none.
    """

    observations: Num[np.ndarray, "batch steps *seen"]
    actions: Float[np.ndarray, "batch steps action"]
    length: Int[np.ndarray, " batch"]
    began: Int[np.ndarray, " batch"]
    rewards: Float[np.ndarray, "batch steps"]
    states: Float[np.ndarray, "batch steps state"]

    def __len__(self) -> int:
        return len(self.length)

    @property
    def valid(self) -> Bool[np.ndarray, "batch steps"]:
        """Which steps there are."""
        return np.arange(self.rewards.shape[1]) < self.length[:, None]

    @property
    def returns(self) -> Float[np.ndarray, " batch"]:
        """The sum of the environment's own rewards over each piece."""
        total: Float[np.ndarray, " batch"] = np.where(self.valid, self.rewards, 0.0).sum(axis=1)
        return total

    def take(self, rows: Int[np.ndarray, " rows"]) -> "Segments":
        """The pieces at `rows`."""
        return replace(
            self, observations=self.observations[rows], actions=self.actions[rows], length=self.length[rows],
            began=self.began[rows], rewards=self.rewards[rows], states=self.states[rows],
        )  # fmt: skip

    def digest(self) -> list[dict[str, Any]]:
        """Where each piece begins, how long it is, and a hash of what was seen and done; nothing of its rewards."""
        found = []
        for row, (begun, length) in enumerate(zip(self.began.tolist(), self.length.tolist(), strict=True)):
            content = hashlib.sha256()
            for part in (self.observations, self.actions, self.states):
                content.update(np.ascontiguousarray(part[row, :length]).tobytes())
            found.append({"began": begun, "steps": length, "content": content.hexdigest()[:24]})
        return found
