"""What both sides of a comparison measure alike: steps of an environment, returns of a policy, and that worlds agree.

It needs nothing but numpy and gymnasium, of any release since 0.29.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import gymnasium
import numpy as np

FRESH = 1_000_000_007
"""From here on begin seeds of episodes that no training draws."""
Acts = Callable[[Any], Any]
"""Observations to actions, one a row."""


@contextmanager
def counted(kind: type) -> Iterator[Callable[[], int]]:
    """How many steps all environments of a class take, whoever takes them.

    Args:
        kind: class of the unwrapped environment.
    """
    taken, step = 0, kind.step

    def counting(*arguments: Any, **named: Any) -> Any:
        nonlocal taken
        taken += 1
        return step(*arguments, **named)

    with patch.object(kind, "step", counting):
        yield lambda: taken


def returns(env: str, act: Acts, episodes: int) -> list[float]:
    """True returns of whole episodes, all played side by side.

    Args:
        env: id of the environment.
        act: of the policy.
        episodes: each from a seed of its own, from `FRESH` on.
    """
    worlds = [gymnasium.make(env) for _ in range(episodes)]
    seen = [world.reset(seed=FRESH + row)[0] for row, world in enumerate(worlds)]
    total, playing = np.zeros(episodes), list(range(episodes))
    while playing:
        actions = act(np.stack([seen[row] for row in playing]))
        for row, action in zip(list(playing), actions, strict=True):
            seen[row], reward, terminated, truncated, _ = worlds[row].step(action)
            total[row] += reward
            if terminated or truncated:
                playing.remove(row)
    return [float(value) for value in total]


def world(env: str, steps: int = 100) -> Sequence[float]:
    """What a fixed sequence of actions leads to: the same numbers where two releases have the same world."""
    made, rng = gymnasium.make(env), np.random.default_rng(0)
    space = made.action_space
    seen, _ = made.reset(seed=FRESH)
    found = [float(np.sum(seen))]
    for _ in range(steps):
        if isinstance(space, gymnasium.spaces.Box):
            action = rng.uniform(space.low, space.high).astype(space.dtype)
        else:
            action = rng.integers(space.n)
        seen, reward, terminated, truncated, _ = made.step(action)
        found += [float(np.sum(seen)), float(reward)]
        if terminated or truncated:
            break
    return found
