"""Stable-Baselines3's algorithms with a reward model's rewards, and all their state as tensors.

PPO (Schulman et al. 2017, arXiv 1707.06347) collects a rollout, and its `on_rollout_end` is called before it learns:
there the whole rollout is scored in one call, and advantages are computed again.
"""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor

from rewardtree.domains.control.compiled import CompiledPolicy, CompiledPPO
from rewardtree.domains.control.hidden import Hidden
from rewardtree.domains.control.rollouts import Record
from rewardtree.domains.control.scaling import Scaling
from rewardtree.domains.control.segments import Segments, Starts
from rewardtree.errors import ConfigError
from rewardtree.policies.learner import Reward

CLIP = 10.0
"""Spreads from the mean beyond which an observation is cut."""


class Standardised(BaseFeaturesExtractor):
    """Observations with mean 0 and spread 1 over those seen so far."""

    mean: Tensor
    var: Tensor
    count: Tensor

    def __init__(self, observation_space: Any) -> None:
        super().__init__(observation_space, int(np.prod(observation_space.shape)))
        for name, value in (("mean", 0.0), ("var", 1.0)):
            self.register_buffer(name, torch.full((self.features_dim,), value))
        self.register_buffer("count", torch.zeros(()))

    def forward(self, observations: Tensor) -> Tensor:
        """Standardise them."""
        scaled: Tensor = (observations.flatten(1) - self.mean) / (self.var + 1e-8).sqrt()
        return scaled.clamp(-CLIP, CLIP)

    def numbers(self, observations: np.ndarray) -> np.ndarray:
        """The same as `forward`, in a third of the time for a few rows."""
        scaled = (observations.reshape(len(observations), -1) - self.mean.numpy()) / (self.var + 1e-8).sqrt().numpy()
        cut: np.ndarray = np.minimum(np.maximum(scaled, -CLIP), CLIP)
        return cut

    def see(self, observations: np.ndarray) -> None:
        """Take more observations into account (Chan et al. 1979)."""
        fresh = torch.as_tensor(observations.reshape(-1, self.features_dim), dtype=torch.float32)
        count = self.count + len(fresh)
        share = len(fresh) / count
        off = fresh.mean(0) - self.mean
        self.var.copy_((1 - share) * self.var * (self.count > 0) + share * fresh.var(0, correction=0)
                       + share * (1 - share) * off**2 * (self.count > 0))  # fmt: skip
        self.mean.add_(off * share)
        self.count.copy_(count)


class Scoring(BaseCallback):
    """Keeps the newest rollouts of a training that a reward model scores.

    Args:
        env: gives rollouts.
        reward: scores them.
        before: the steps that the policy has made before.
        scaling: of rewards; says whether an episode ever ended by itself.
        horizon: steps of an episode that nothing ends early.
        kept: steps of the environment that are kept to be cut.
    """

    def __init__(
        self, env: Hidden, reward: Reward, before: Record, scaling: Scaling, *, horizon: int, kept: int
    ) -> None:  # fmt: skip
        super().__init__()
        self.env, self.reward, self.horizon, self.kept = env, reward, horizon, kept
        self.record: Record | None = None
        self.newest, self.scaling, self.steps = before, scaling, 0

    def scored(self, steps: Segments) -> Float[np.ndarray, "rows environments"]:
        """Rewards of every step, in one call."""
        starts = Starts(seeds=np.zeros(len(steps), dtype=np.int64))
        return self.reward(starts, steps).reshape(-1, self.env.num_envs)

    def drain(self) -> None:
        """Take the rollout that has just ended to those that are kept."""
        self.newest = newest = self.env.drain()
        self.steps += newest.count
        whole = newest if self.record is None else self.record.plus(newest)
        self.record = whole.last(max(1, self.kept // self.env.num_envs))

    def _on_step(self) -> bool:
        return True


class Rewarded(Scoring):
    """Gives a rollout the rewards that a reward model predicts, before PPO learns from it."""

    def _on_training_start(self) -> None:
        self.scaling = self.scaling.seeing(self.scored(self.newest.steps()), early=self.newest.early(self.horizon))

    def _on_rollout_start(self) -> None:
        extractor = self.model.policy.features_extractor
        if isinstance(extractor, Standardised):
            extractor.see(self.newest.observations)

    def _on_rollout_end(self) -> None:
        assert isinstance(self.model, PPO)
        self.drain()
        predicted = self.scored(self.newest.steps())
        self.scaling = self.scaling.seeing(predicted, early=self.newest.early(self.horizon))
        buffer = self.model.rollout_buffer
        buffer.rewards += self.scaling(predicted).astype(np.float32)
        buffer.compute_returns_and_advantage(self.locals["values"], self.locals["dones"])


def made(env: Hidden, rollout: int, settings: Mapping[str, Any]) -> PPO:
    """PPO with random weights; `settings` are its constructor's.

    Raises:
        ConfigError: where the library refuses one of them.
    """
    given = {"n_steps": rollout, **settings}
    network = {"features_extractor_class": Standardised} if not env.form.pixels else {}
    network |= {"optimizer_kwargs": {"eps": 1e-5, "fused": True}} | given.pop("policy_kwargs", {})
    kind = "CnnPolicy" if env.form.pixels else CompiledPolicy
    with accepted("ppo"):
        return CompiledPPO(kind, env, device="cpu", policy_kwargs=network, **given)


@contextmanager
def accepted(name: str) -> Iterator[None]:
    """Say what is wrong with an algorithm's options in one sentence.

    Raises:
        ConfigError: where the library refuses a name or a value of theirs.
    """
    try:
        yield
    except (TypeError, ValueError, AssertionError) as error:
        raise ConfigError(f"options.{name} has something that Stable-Baselines3 refuses: {error}") from error


def begin(model: PPO, rollout: int, seed: int) -> Record:
    """A first rollout."""
    assert isinstance(model.env, Hidden)
    seen: Any = model.env.reset()
    for _ in range(rollout):
        seen = model.env.step(model.policy.predict(seen)[0])[0]
    return model.env.drain()


def learn(model: PPO, steps: int, callback: BaseCallback) -> None:
    """Go on for so many steps of the environment."""
    model.learn(steps, callback=callback)


def kept_state(model: PPO) -> dict[str, Tensor]:
    """Network and optimiser as tensors."""
    found = {f"policy.{name}": value.detach().clone() for name, value in model.policy.state_dict().items()}
    return found | {f"optimizer.{name}": value for name, value in optimizer_of(model.policy.optimizer).items()}


def put_state(model: PPO, weights: Mapping[str, Tensor]) -> None:
    """Set network and optimiser to what `kept_state` found."""
    model.policy.load_state_dict(inside(weights, "policy"))
    put_optimizer(model.policy.optimizer, inside(weights, "optimizer"))


def optimizer_of(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's state as tensors, by the number of the weight and what it is of it."""
    found: dict[str, Tensor] = {}
    for number, state in optimizer.state_dict()["state"].items():
        found |= {f"{number}.{name}": torch.as_tensor(value).clone() for name, value in state.items()}
    return found


def put_optimizer(optimizer: torch.optim.Optimizer, kept: Mapping[str, Tensor]) -> None:
    """Set an optimiser's state to what `optimizer_of` found."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in kept.items():
        number, _, what = name.partition(".")
        state.setdefault(int(number), {})[what] = value.clone()
    if state:
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def inside(weights: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """The tensors of one part, by their names in it."""
    return {name.removeprefix(f"{part}."): value for name, value in weights.items() if name.startswith(f"{part}.")}


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let all chance that the library draws from global generators follow from a seed; leave these as they were."""
    kept = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])
        torch.random.set_rng_state(kept[2])
