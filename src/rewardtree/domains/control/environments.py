"""Which environment: a Gymnasium id with its options, its form, and instances of it that tell no learner what they pay.

Episodes do not end because a simulator calls a state unhealthy (`terminate_when_unhealthy`), as this would tell what is
good (Christiano et al. 2017, arXiv 1706.03741, section 3.1.1).
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
from jaxtyping import Float

from rewardtree.errors import ConfigError

OWN = {"rewardtree/Courier-v0": "rewardtree.domains.control.courier_env"}
"""Environments of this package, and the modules that register them."""
HEALTH = "terminate_when_unhealthy"
GAMES = "ALE/"
"""What ids of Atari games begin with; see `atari`."""
PHYSICS = "gymnasium.envs.mujoco"
"""Where Gymnasium has its MuJoCo tasks."""
LONGEST = 1000
"""Steps after which an episode of an environment that sets no limit is cut."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """An environment by its id.

    Attributes:
        id: as `gymnasium.make` takes it.
        options: for `gymnasium.make`, as names and values.
        horizon: steps after which an episode is cut; None for the environment's own limit.
    """

    id: str
    options: tuple[tuple[str, Any], ...] = ()
    horizon: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """What observations and actions of an environment look like.

    Attributes:
        seen: shape of an observation.
        pixels: whether it is an image, in bytes.
        columns: of an action as a row; a discrete one has a column a choice.
        discrete: whether an action is one choice of several.
        low: least value of each column, finite.
        high: greatest value of each column, finite.
        horizon: steps after which an episode is cut.
        physics: whether MuJoCo moves it.
    """

    seen: tuple[int, ...]
    pixels: bool
    columns: int
    discrete: bool
    low: Float[np.ndarray, " columns"] = field(repr=False)
    high: Float[np.ndarray, " columns"] = field(repr=False)
    horizon: int
    physics: bool

    def rows(self, actions: np.ndarray) -> Float[np.ndarray, "batch columns"]:
        """Actions as the environment takes them, as rows."""
        if self.discrete:
            chosen: Float[np.ndarray, "batch columns"] = np.eye(self.columns, dtype=np.float32)[actions.astype(int)]
            return chosen
        return actions.reshape(len(actions), self.columns).astype(np.float32)


def require(module: str) -> Any:
    """Import a module of the extra `control`.

    Raises:
        ConfigError: where it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"control needs {error.name}, which is not installed; run: pip install 'rewardtree[control]'"
        ) from error


def make(environment: Environment) -> Any:
    """A Gymnasium environment with observations in a row.

    Raises:
        ConfigError: where there is no such environment, it cannot be made, or its actions are of another kind.
    """
    gym = require("gymnasium")
    spaces = gym.spaces
    if environment.id in OWN:
        require(OWN[environment.id])
    try:
        spec = _spec(gym, environment.id)
        options = _tamed(gym, spec, dict(environment.options))
        _quieten(spec)
        limit = environment.horizon or spec.max_episode_steps or LONGEST
        made = gym.make(spec, max_episode_steps=limit, disable_env_checker=True, **options)
    except (gym.error.Error, TypeError, ImportError, OSError) as error:
        raise ConfigError(
            f"the environment {environment.id!r} cannot be made ({' '.join(str(error).split())}); give the id and the "
            "options of one that Gymnasium knows"
        ) from error
    if not isinstance(made.action_space, (spaces.Box, spaces.Discrete)):
        raise ConfigError(
            f"{environment.id}: actions are {type(made.action_space).__name__}; choose an environment with actions "
            "that are numbers (Box) or one choice (Discrete)"
        )
    space = made.observation_space
    if not isinstance(space, spaces.Box) or (space.dtype != np.uint8 and len(space.shape) != 1):
        made = gym.wrappers.FlattenObservation(made)
    return made


def _is_physics(spec: Any) -> bool:
    return str(spec.entry_point).startswith(PHYSICS)


def _quieten(spec: Any) -> None:
    """Let MuJoCo say nothing of old words in Gymnasium's models; it would write them into a file where one stands."""
    if _is_physics(spec):
        require("mujoco").set_mju_user_warning(lambda words: None)


def _spec(gym: Any, name: str) -> Any:
    return require("rewardtree.domains.control.atari").game_spec(name) if name.startswith(GAMES) else gym.spec(name)


def _tamed(gym: Any, spec: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Options with the end of unhealthy episodes turned off, where the environment has such a thing."""
    entry = spec.entry_point
    maker = gym.envs.registration.load_env_creator(entry) if isinstance(entry, str) else entry
    known = inspect.signature(maker).parameters
    return ({HEALTH: False} if HEALTH in known and HEALTH not in spec.kwargs else {}) | options


@lru_cache(maxsize=32)
def form_of(environment: Environment) -> Form:
    """The environment's form; see `make` for errors."""
    (made,) = instances(environment, 1)
    seen, action = made.observation_space, made.action_space
    discrete = hasattr(action, "n")
    if discrete:
        low, high = np.zeros(int(action.n)), np.ones(int(action.n))
    else:
        low, high = action.low.ravel().astype(float), action.high.ravel().astype(float)
        low, high = np.where(np.isfinite(low), low, -1.0), np.where(np.isfinite(high), high, 1.0)
    return Form(
        seen=tuple(seen.shape), pixels=seen.dtype == np.uint8, columns=len(low), discrete=discrete, low=low, high=high,
        horizon=int(made.spec.max_episode_steps), physics=_is_physics(made.spec),
    )  # fmt: skip


_MADE: dict[Environment, list[Any]] = {}


def instances(environment: Environment, count: int) -> list[Any]:
    """So many instances; they are kept, and whoever uses them begins with a reset by a seed."""
    made = _MADE.setdefault(environment, [])
    while len(made) < count:
        made.append(make(environment))
    return made[:count]


def foresee(inner: Sequence[Any], actions: np.ndarray) -> None:
    """Let environments that can work out the next steps of several at once do so, before each is stepped.

    Args:
        inner: innermost ones, all of one kind.
        actions: with which each is going to be stepped.
    """
    together = getattr(type(inner[0]), "foresee", None)
    if together is not None:
        together(inner, actions)


def environment_of(options: Mapping[str, Any]) -> Environment:
    """The environment that a domain's options name: `env`, `env_options` and `horizon`.

    Raises:
        ConfigError: where they are of the wrong kind.
    """
    name, given, horizon = options.get("env", "Pendulum-v1"), options.get("env_options") or {}, options.get("horizon")
    if not isinstance(name, str) or not isinstance(given, Mapping):
        raise ConfigError("options.env is the id of an environment, and options.env_options are names and values")
    if horizon is not None and (not isinstance(horizon, int) or horizon < 1):
        raise ConfigError(f"options.horizon is a number of steps, 1 or more, not {horizon!r}")
    return Environment(id=name, options=tuple(sorted(given.items())), horizon=horizon)
