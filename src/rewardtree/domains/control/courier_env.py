"""`rewardtree/Courier-v0` for Gymnasium: one of a batch of `rewardtree.domains.control.courier`.

A batch of couriers takes as long as one: `Courier.foresee` works out the next step of several.
"""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from jaxtyping import Float

from rewardtree.domains.control.courier import ID, SEEN, STEPS, Trips, begin, side_by_side, step

Seen = Float[np.ndarray, " 6"]
BEYOND = 2**40
"""Courses above it belong to no start of any split: training goes on there after the first episode."""


class Courier(gymnasium.Env[Seen, Float[np.ndarray, " 2"]]):
    """The environment; a course follows from the seed of `reset`, or from the number that the last seed leads to."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (len(SEEN),), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.trips: Trips | None = None
        self.row = 0
        self.state: Float[np.ndarray, " 8"] | None = None
        self._next: tuple[Trips, int, float, Float[np.ndarray, " 8"]] | None = None

    @staticmethod
    def foresee(envs: Sequence["Courier"], actions: Float[np.ndarray, "batch 2"]) -> None:
        """Work out the step of each of several couriers, which it then takes when it is told to.

        Args:
            envs: the couriers, all different.
            actions: which each is going to be told.
        """
        trips = envs[0].trips
        assert trips is not None, "reset comes first"
        whole = len(trips.way) == len(envs) and all(e.trips is trips and e.row == row for row, e in enumerate(envs))
        if not whole:
            trips = side_by_side([e.trips.only(e.row) for e in envs if e.trips is not None])
        after, rewards = step(trips, np.asarray(actions, dtype=float))
        for row, (env, reward, state) in enumerate(zip(envs, rewards.tolist(), after.states(), strict=True)):
            env._next = after, row, reward, state

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Seen, dict[str, Any]]:
        """Begin a course."""
        super().reset(seed=seed)
        course = seed if seed is not None else BEYOND + int(self.np_random.integers(2**31))
        self.trips, self.row, self._next = begin(np.array([course])), 0, None
        self.state = self.trips.states()[0]
        return self.trips.seen[0], {}

    def step(self, action: Float[np.ndarray, " 2"]) -> tuple[Seen, float, bool, bool, dict[str, Any]]:
        """One step: the one that was foreseen, if one was."""
        if self._next is None:
            Courier.foresee([self], action[None])
        assert self._next is not None
        (self.trips, self.row, reward, self.state), self._next = self._next, None
        return self.trips.seen[self.row], reward, False, False, {}


if ID not in gymnasium.registry:
    gymnasium.register(ID, entry_point=f"{__name__}:Courier", max_episode_steps=STEPS)
