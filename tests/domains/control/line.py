"""A tiny environment: a point on a line that can be pushed; it is paid for being near the goal."""

from typing import Any

import gymnasium
import numpy as np

from rewardtree.domains.control.environments import Environment

HORIZON = 20
GOAL = 0.6


class Line(gymnasium.Env[np.ndarray, np.ndarray]):
    """Pays minus the distance to the goal.

    Args:
        pays: multiplies what is paid.
        falls: whether the episode ends where the point leaves the line.
        terminate_when_unhealthy: whether it ends left of the middle, which only the flag's own test asks for.
        chosen: whether an action is one of three pushes.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - as Gymnasium has it

    def __init__(
        self, pays: float = 1.0, falls: bool = False, terminate_when_unhealthy: bool = True, chosen: bool = False,
        render_mode: str | None = None,
    ) -> None:  # fmt: skip
        self.observation_space = gymnasium.spaces.Box(-2.0, 2.0, (2,), np.float64)
        pushes: Any = gymnasium.spaces.Discrete(3) if chosen else gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.action_space, self.pays, self.falls, self.chosen = pushes, pays, falls, chosen
        self.ends, self.render_mode = terminate_when_unhealthy, render_mode
        self.place = self.pushed = 0.0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.place, self.pushed = float(self.np_random.uniform(-0.9, 0.9)), 0.0
        return self._seen(), {"score": self.place}

    def _seen(self) -> np.ndarray:
        return np.array([self.place, self.pushed])

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.pushed = float(action) - 1.0 if self.chosen else float(np.asarray(action).item())
        self.place += 0.25 * self.pushed
        reward = -self.pays * abs(self.place - GOAL)
        ended = (self.falls and abs(self.place) > 1.0) or (self.ends and self.place < 0.0)
        self.place = float(np.clip(self.place, -1.0, 1.0))
        return self._seen(), reward, bool(ended), False, {"score": reward, "reward": reward}


gymnasium.register("rewardtree-tests/Line-v0", entry_point=Line, max_episode_steps=HORIZON)


def line(**options: Any) -> Environment:
    """The environment with these options."""
    return Environment(id="rewardtree-tests/Line-v0", options=tuple(options.items()))
