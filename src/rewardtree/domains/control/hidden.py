"""Environments as a policy's library sees them: rewards are 0, infos are empty; what they truly pay is kept aside."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from rewardtree.domains.control.environments import Environment, foresee, form_of, instances
from rewardtree.domains.control.rollouts import Record
from rewardtree.domains.control.snapshots import state_of


class Hidden(VecEnv):
    """Several instances of an environment, stepped together, that pay nothing.

    An info says only what learning needs of the end of an episode: its last observation, and whether it was cut by
    the limit on its steps.

    Args:
        environment: which.
        count: instances.
        seeds: of their first `reset`.
    """

    def __init__(self, environment: Environment, count: int, seeds: Sequence[int]) -> None:
        self.form, self.envs = form_of(environment), instances(environment, count)
        inner = self.envs[0].observation_space
        space = inner if self.form.pixels else gymnasium.spaces.Box(-np.inf, np.inf, self.form.seen, np.float32)
        super().__init__(count, space, self.envs[0].action_space)
        self._first = [int(seed) for seed in seeds]
        self._kept: list[tuple[Any, ...]] = []
        self._seen = np.zeros((count, *self.form.seen), dtype=space.dtype)
        self._at = np.zeros(count, dtype=np.int64)
        self._actions = np.zeros(0)
        self._inner = [env.unwrapped for env in self.envs]

    def reset(self) -> np.ndarray:
        """Begin anew from the seeds."""
        for place, (env, seed) in enumerate(zip(self.envs, self._first, strict=True)):
            self._seen[place] = env.reset(seed=seed)[0]
        self._at[:] = 0
        return self._seen.copy()

    def step_async(self, actions: np.ndarray) -> None:
        """Take note of the actions."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Take them; an environment whose episode ended begins the next."""
        before, rewards = self._seen.copy(), np.zeros(self.num_envs)
        states = np.stack([state_of(env) for env in self._inner])
        done, infos = np.zeros(self.num_envs, dtype=bool), []
        foresee(self._inner, self._actions)
        for place, (env, action) in enumerate(zip(self.envs, self._actions, strict=True)):
            seen, rewards[place], terminated, truncated, _ = env.step(action)
            info: dict[str, Any] = {}
            if terminated or truncated:
                done[place] = True
                last = np.asarray(seen, dtype=self._seen.dtype)
                info = {"terminal_observation": last, "TimeLimit.truncated": truncated and not terminated}
                seen = env.reset()[0]
            self._seen[place] = seen
            infos.append(info)
        self._kept.append((before, self.form.rows(self._actions), rewards, states, self._at.copy(), done))
        self._at = np.where(done, 0, self._at + 1)
        return self._seen.copy(), np.zeros(self.num_envs, dtype=np.float32), done.copy(), infos

    def drain(self) -> Record:
        """All that happened since the last call, true rewards included."""
        observations, actions, rewards, states, at, ended = (np.stack(part) for part in zip(*self._kept, strict=True))
        self._kept = []
        return Record(observations=observations, actions=actions, rewards=rewards, states=states, at=at, ended=ended)

    def close(self) -> None:
        """Nothing: instances are kept for the next who needs them."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Nothing of an instance but how it draws, which is nothing, can be seen."""
        if attr_name == "render_mode":
            return [None] * self.num_envs
        raise AttributeError(attr_name)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Nothing of an instance can be set."""
        raise AttributeError(attr_name)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Nothing of an instance can be called."""
        raise AttributeError(method_name)

    def env_is_wrapped(self, wrapper_class: type[gymnasium.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """In nothing that the library knows."""
        return [False] * self.num_envs
