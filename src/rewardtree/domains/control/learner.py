"""The learner of sequential tasks: Stable-Baselines3's PPO or SAC on a reward model's rewards.

Its policy's weights hold all that going on needs: networks, optimisers' states, SAC's replay buffer, the newest
rollouts, from which the next pieces to compare are cut, how many steps of the environment were made, and whether
episodes end early.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from rewardtree.domains.control.environments import Environment, form_of, require
from rewardtree.domains.control.rollouts import Record, episodes
from rewardtree.domains.control.scaling import Scaling
from rewardtree.domains.control.segments import Segments, Starts
from rewardtree.policies.learner import UNTRAINED, Draw, Reward

ALGORITHMS = {"ppo": "rewardtree.domains.control.algorithms", "sac": "rewardtree.domains.control.sac"}
"""Algorithms, and the modules that know them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlPolicy:
    """A policy of an environment.

    Attributes:
        learner: made it.
        weights: see the module's docstring.
        version: changes with every improvement.
    """

    learner: "ControlLearner"
    weights: dict[str, Tensor]
    version: str
    _network: list[Any] = field(default_factory=list, repr=False, compare=False)

    @property
    def steps(self) -> int:
        """Steps of the environment on which it was trained, those before its first improvement included."""
        return int(self.weights["steps"])

    def propose(self, inputs: Starts, rng: np.random.Generator) -> Segments:
        """A whole episode from each start, with sampled actions."""
        algorithms = require("rewardtree.domains.control.algorithms")
        self.network()  # making it draws numbers, too
        with algorithms.seeded(int(rng.integers(2**31))):
            return self._episodes(inputs, deterministic=False)

    def answer(self, inputs: Starts) -> Segments:
        """A whole episode from each start, with the most probable actions."""
        return self._episodes(inputs, deterministic=True)

    def _episodes(self, inputs: Starts, *, deterministic: bool) -> Segments:
        network = self.network()

        def act(seen: Any, rows: Int[np.ndarray, " rows"]) -> np.ndarray:
            actions: np.ndarray = network.predict(seen, deterministic=deterministic)[0]
            return actions

        return episodes(self.learner.environment, inputs.seeds, act)

    def network(self) -> Any:
        """The library's own policy with these weights."""
        if not self._network:
            algorithms = require("rewardtree.domains.control.algorithms")
            model = self.learner.model(np.zeros(self.learner.together, dtype=np.int64))
            model.policy.load_state_dict(algorithms.inside(self.weights, "policy"))
            model.policy.set_training_mode(False)
            self._network.append(model.policy)
        return self._network[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlLearner:
    """Improves a policy of an environment.

    Attributes:
        environment: which.
        updates: rollouts an improvement, each followed by the algorithm's own epochs.
        rollout: steps of a rollout, of each of the environments that are stepped together.
        together: environments that are stepped together.
        segment: steps of a piece that is compared.
        kept: steps of the newest rollouts that pieces are cut from.
        settings: for the algorithm, over its own defaults.
        algorithm: of the library's; one of `ALGORITHMS`.
    """

    environment: Environment
    updates: int = 2
    rollout: int = 256
    together: int = 8
    segment: int = 50
    kept: int = 20_000
    settings: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "ppo"

    def initial(self, rng: np.random.Generator) -> ControlPolicy:
        """An untrained policy, with its first rollouts."""
        algorithm, seed = self._algorithm(), int(rng.integers(2**31))
        with require("rewardtree.domains.control.algorithms").seeded(seed):
            model = self.model(rng.integers(2**28, size=self.together) * 4)
            record = algorithm.begin(model, self.rollout, seed)
            weights = algorithm.kept_state(model)
        early = record.early(form_of(self.environment).horizon)
        return self._policy(weights, record, UNTRAINED, steps=record.count, early=early)

    def _policy(
        self, weights: dict[str, Tensor], record: Record, version: str, *, steps: int, early: bool
    ) -> ControlPolicy:
        weights = weights | {f"rollouts.{name}": value for name, value in record.tensors().items()}
        return self.restore(weights | {"steps": torch.tensor(steps), "early": torch.tensor(early)}, version)

    def model(self, seeds: Int[np.ndarray, " environments"]) -> Any:
        """The algorithm on environments that begin with these seeds."""
        hidden = require("rewardtree.domains.control.hidden")
        env = hidden.Hidden(self.environment, len(seeds), seeds.tolist())
        return self._algorithm().made(env, self.rollout, self.settings)

    def _algorithm(self) -> Any:
        """The module that knows the algorithm."""
        return require(ALGORITHMS[self.algorithm])

    def restore(self, weights: dict[str, Tensor], version: str) -> ControlPolicy:
        """The policy that had these weights."""
        return ControlPolicy(learner=self, weights=weights, version=version)

    def propose(self, policy: ControlPolicy, inputs: Starts, rng: np.random.Generator) -> Segments:
        """Pieces of the rollouts that training left, one an input, cut at random."""
        return rollouts_of(policy).cut(rng, len(inputs), self.segment)

    def improve(
        self, policy: ControlPolicy, reward: Reward, draw: Draw, rng: np.random.Generator, *, version: str
    ) -> ControlPolicy:  # fmt: skip
        """The policy after so many rollouts, scored by the reward."""
        algorithm, scaling = self._algorithm(), Scaling(early=bool(policy.weights["early"]))
        with require("rewardtree.domains.control.algorithms").seeded(int(rng.integers(2**31))):
            model = self.model(draw(rng, self.together).seeds)
            algorithm.put_state(model, policy.weights)
            rewarded = algorithm.Rewarded(
                model.env, reward, rollouts_of(policy), scaling,
                horizon=form_of(self.environment).horizon, kept=self.kept,
            )  # fmt: skip
            algorithm.learn(model, self.updates * self.rollout * self.together, rewarded)
            weights = algorithm.kept_state(model)
        steps, early = policy.steps + rewarded.steps, rewarded.scaling.early
        return self._policy(weights, rewarded.record, version, steps=steps, early=early)


def rollouts_of(policy: ControlPolicy) -> Record:
    """The newest rollouts that a policy's training left."""
    parts = {n.removeprefix("rollouts."): v for n, v in policy.weights.items() if n.startswith("rollouts.")}
    return Record.of(parts)
