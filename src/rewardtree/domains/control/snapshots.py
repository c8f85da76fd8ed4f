"""What a simulator's state is before a step: taken cheaply while it runs, put back when a clip is drawn."""

from typing import Any

import numpy as np
from jaxtyping import Float

NONE = np.zeros(0, dtype=np.float32)


def state_of(env: Any) -> Float[np.ndarray, " state"]:
    """The state of an environment's simulator, float32.

    Args:
        env: the innermost one, `env.unwrapped`, after a reset.

    Returns:
        Positions and velocities of a MuJoCo simulation; the `state` of one of Gymnasium's classic control problems, or
        of any environment that keeps numbers by this name; of width 0 where an environment tells none, as Atari games,
        whose observations are frames already.
    """
    data: Any = getattr(env, "data", None)
    if hasattr(data, "qpos"):
        moved: Float[np.ndarray, " state"] = np.concatenate([data.qpos, data.qvel]).astype(np.float32)
        return moved
    state = getattr(env, "state", None)
    try:
        return NONE if state is None else np.asarray(state, dtype=np.float32).ravel()
    except (TypeError, ValueError):
        return NONE


def put_state(env: Any, state: Float[np.ndarray, " state"]) -> None:
    """Put an innermost environment into a state that `state_of` took."""
    numbers = np.asarray(state, dtype=float)
    if hasattr(getattr(env, "data", None), "qpos"):
        places = env.model.nq
        env.set_state(numbers[:places], numbers[places:])
    else:
        env.state = numbers
