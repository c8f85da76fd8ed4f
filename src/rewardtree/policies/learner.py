"""What the loop needs of a policy and of the learner that improves it."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from torch import Tensor

from rewardtree.tasks.exhibit import Claims

UNTRAINED, WARM = "untrained", "warm"
"""Versions of policies before their first improvement: with random weights, and with those of a trained helper."""
Draw = Callable[[np.random.Generator, int], Any]
"""Fresh inputs on which no label is spent."""


@runtime_checkable
class Policy(Protocol):
    """Maps inputs to outputs."""

    @property
    def version(self) -> str:
        """Names these very weights."""
        ...

    @property
    def weights(self) -> dict[str, Tensor]:
        """Of its network."""
        ...

    def propose(self, inputs: Any, rng: np.random.Generator) -> Any:
        """One sampled output an input."""
        ...

    def answer(self, inputs: Any) -> Any:
        """The output that it thinks best, one an input."""
        ...


@runtime_checkable
class Reward(Protocol):
    """A reward model joined to what it sees."""

    @property
    def model(self) -> Any:
        """The reward model itself, for learners that score all answers at once."""
        ...

    def claims(self, inputs: Any, outputs: Any) -> Claims:
        """What the reward model is told by helpers; nothing where it sees outputs alone."""
        ...

    def __call__(self, inputs: Any, outputs: Any) -> Float[np.ndarray, " batch"]:
        """Rewards of outputs, in nats of preference."""
        ...


@runtime_checkable
class Learner(Protocol):
    """Makes and improves policies for one task."""

    def initial(self, rng: np.random.Generator) -> Policy:
        """An untrained policy."""
        ...

    def restore(self, weights: dict[str, Tensor], version: str) -> Policy:
        """The policy that had these weights."""
        ...

    def propose(self, policy: Any, inputs: Any, rng: np.random.Generator) -> Any:
        """Outputs to compare: the policy's, and some that keep exploring."""
        ...

    def improve(self, policy: Any, reward: Reward, draw: Draw, rng: np.random.Generator, *, version: str) -> Policy:
        """A policy that the reward likes better, not far from the untrained one."""
        ...


@runtime_checkable
class Imitating(Protocol):
    """A learner that can imitate demonstrations."""

    def clone(self, policy: Any, shown: Sequence[tuple[Any, Any]]) -> Policy:
        """The policy fitted to demonstrations: inputs and outputs, a pair of batches a task."""
        ...
