"""`rewardtree/Courier-v0` for Gymnasium: a batch of one of `rewardtree.domains.control.courier`."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from jaxtyping import Float

from rewardtree.domains.control.courier import ID, SEEN, STEPS, Trips, begin, step

Seen = Float[np.ndarray, " 6"]
BEYOND = 2**40
"""Courses above it belong to no start of any split: training goes on there after the first episode."""


class Courier(gymnasium.Env[Seen, Float[np.ndarray, " 2"]]):
    """The environment; a course follows from the seed of `reset`, or from the number that the last seed leads to."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (len(SEEN),), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.trips: Trips | None = None

    @property
    def state(self) -> Float[np.ndarray, " 8"] | None:
        """What a drawing needs; see `Trips.states`."""
        return None if self.trips is None else self.trips.states()[0]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Seen, dict[str, Any]]:
        """Begin a course."""
        super().reset(seed=seed)
        course = seed if seed is not None else BEYOND + int(self.np_random.integers(2**31))
        self.trips = begin(np.array([course]))
        return self.trips.seen[0], {}

    def step(self, action: Float[np.ndarray, " 2"]) -> tuple[Seen, float, bool, bool, dict[str, Any]]:
        """One step."""
        assert self.trips is not None, "reset comes first"
        self.trips, reward = step(self.trips, np.asarray(action, dtype=float)[None])
        return self.trips.seen[0], float(reward[0]), False, False, {}


if ID not in gymnasium.registry:
    gymnasium.register(ID, entry_point=f"{__name__}:Courier", max_episode_steps=STEPS)
