"""Rewards with mean 0 and unit spread over the training rollouts (Christiano et al. 2017, section 2.2.1)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, kw_only=True, slots=True)
class Scaling:
    """How rewards are scaled.

    Where episodes end early, the level of rewards says whether it is good to go on; there it is left as it is, and only
    the spread is made one.

    Attributes:
        count: of rewards seen since the reward model changed.
        mean: of them.
        var: of them.
        early: whether an episode ever ended by itself.
    """

    count: float = 0.0
    mean: float = 0.0
    var: float = 1.0
    early: bool = False

    def seeing(self, rewards: Float[np.ndarray, "..."], *, early: bool) -> "Scaling":
        """After a rollout with these rewards (Chan et al. 1979)."""
        count = self.count + rewards.size
        share, off = rewards.size / count, float(rewards.mean()) - self.mean
        var = (1 - share) * self.var * (self.count > 0) + share * float(rewards.var())
        var += share * (1 - share) * off**2 * (self.count > 0)
        return Scaling(count=count, mean=self.mean + off * share, var=var, early=self.early or early)

    def __call__(self, rewards: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Scale rewards."""
        scaled: Float[np.ndarray, "..."] = (rewards - (0.0 if self.early else self.mean)) / (self.var + 1e-8) ** 0.5
        return scaled
