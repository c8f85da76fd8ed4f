"""Stable-Baselines3's SAC with a reward model's rewards, and all its state as tensors.

Soft actor-critic (Haarnoja et al. 2018, arXiv 1801.01290) learns from a replay buffer of all that it did. When the
reward model has changed, every row of it is scored anew; each new rollout is scored in one call when it is complete,
before the library's gradient steps.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from rewardtree.domains.control.algorithms import Scoring, Standardised, accepted, inside, optimizer_of, put_optimizer
from rewardtree.domains.control.hidden import Hidden
from rewardtree.domains.control.rollouts import Record
from rewardtree.domains.control.scaling import Scaling
from rewardtree.domains.control.segments import Segments
from rewardtree.errors import ConfigError

ARGUMENTS = (
    "learning_rate", "buffer_size", "learning_starts", "batch_size", "tau", "gamma", "gradient_steps", "ent_coef",
    "target_update_interval", "target_entropy", "use_sde", "sde_sample_freq", "use_sde_at_warmup", "policy_kwargs",
)  # fmt: skip
"""Of the library's, those that options may give. Returns over `n_steps` would run on from one improvement's episodes to
the next one's."""
KEPT = ("observations", "next_observations", "actions", "dones", "timeouts", "paid")
"""Columns of a replay buffer that are kept; rewards are what the reward model says next time."""


class Replay(ReplayBuffer):
    """The library's replay buffer, and what the environment truly paid for each row.

    Only a reward that is the true one itself, the yardstick, looks at that.
    """

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self.paid = np.zeros((self.buffer_size, self.n_envs))

    def newest(self, count: int) -> Int[np.ndarray, " rows"]:
        """Where the newest rows are, oldest first."""
        return (self.pos - count + np.arange(count)) % self.buffer_size

    def steps(self, model: Any) -> Segments:
        """Every row as a piece of one step, row by row, wherever writing has come to."""
        rows, count = self.size(), self.size() * self.n_envs
        actions = model.policy.unscale_action(self.actions[:rows].reshape(count, 1, -1))
        return Segments(
            observations=self.observations[:rows].reshape(count, 1, *self.obs_shape),
            actions=actions.astype(np.float32), length=np.ones(count, dtype=np.int64),
            began=np.zeros(count, dtype=np.int64), rewards=self.paid[:rows].reshape(count, 1),
            states=np.zeros((count, 1, 0), dtype=np.float32),
        )  # fmt: skip


class Rewarded(Scoring):
    """Gives a replay buffer the rewards that a reward model predicts.

    They are scaled over all of the buffer; when the scale moves, so do all rewards in it. The steps made before are not
    looked at, as the buffer has them.
    """

    def _replay(self) -> Replay:
        assert isinstance(self.model, SAC) and isinstance(self.model.replay_buffer, Replay)
        return self.model.replay_buffer

    def _scale(self, *, early: bool) -> None:
        """Scale rewards of all rows alike."""
        replay = self._replay()
        found = self.predicted[: replay.size()]
        self.scaling = Scaling(early=self.scaling.early).seeing(found, early=early)
        replay.rewards[: replay.size()] = self.scaling(found)

    def _on_training_start(self) -> None:
        replay = self._replay()
        self.predicted = np.zeros(replay.rewards.shape)
        self.predicted[: replay.size()] = self.scored(replay.steps(self.model))
        self._scale(early=False)

    def _on_rollout_end(self) -> None:
        self.drain()
        newest, replay = self.newest, self._replay()
        see(self.model, newest)
        last = newest.last(replay.buffer_size)
        rows = replay.newest(len(last.at))
        self.predicted[rows], replay.paid[rows] = self.scored(last.steps()), last.rewards
        self._scale(early=newest.early(self.horizon))


def made(env: Hidden, rollout: int, settings: Mapping[str, Any]) -> SAC:
    """SAC with random weights, which trains after every so many steps of each environment.

    Raises:
        ConfigError: where a setting is none of `ARGUMENTS`, or the library refuses its value.
    """
    if unknown := sorted(set(settings) - set(ARGUMENTS)):
        raise ConfigError(f"options.sac knows {', '.join(ARGUMENTS)}, not {', '.join(unknown)}")
    given = dict(settings)
    network = {"features_extractor_class": Standardised, "optimizer_kwargs": {"fused": True}}
    network |= given.pop("policy_kwargs", None) or {}
    with accepted("sac"):
        return SAC(
            "MlpPolicy", env, train_freq=(rollout, "step"), replay_buffer_class=Replay, device="cpu",
            policy_kwargs=network, **given,
        )  # fmt: skip


def begin(model: SAC, rollout: int, seed: int) -> Record:
    """The first rollouts, of uniform actions; the library's `learning_starts` says how many steps."""
    assert isinstance(model.env, Hidden) and model.action_space is not None
    model.action_space.seed(seed)
    whole = rollout * model.n_envs
    model.learning_starts = max(1, -(-model.learning_starts // whole)) * whole
    model.learn(model.learning_starts)
    record, replay = model.env.drain(), model.replay_buffer
    assert isinstance(replay, Replay)
    last = record.last(replay.buffer_size)
    replay.paid[replay.newest(len(last.at))] = last.rewards
    see(model, record)
    return record


def see(model: Any, record: Record) -> None:
    """Let all networks standardise by these observations too."""
    for module in model.policy.modules():
        if isinstance(module, Standardised):
            module.see(record.observations)


def _optimizers(model: SAC) -> dict[str, torch.optim.Optimizer]:
    found = {"actor": model.actor.optimizer, "critic": model.critic.optimizer}
    return found | ({"entropy": model.ent_coef_optimizer} if model.ent_coef_optimizer is not None else {})


def kept_state(model: SAC) -> dict[str, Tensor]:
    """Networks, optimisers, entropy coefficient and replay buffer as tensors."""
    found = {f"policy.{name}": value.detach().clone() for name, value in model.policy.state_dict().items()}
    for name, optimizer in _optimizers(model).items():
        found |= {f"optimizer.{name}.{what}": value for what, value in optimizer_of(optimizer).items()}
    if model.log_ent_coef is not None:
        found["entropy"] = model.log_ent_coef.detach().clone()
    replay = model.replay_buffer
    assert isinstance(replay, Replay)
    found |= {f"replay.{name}": torch.from_numpy(getattr(replay, name)[: replay.size()].copy()) for name in KEPT}
    return found | {"replay.pos": torch.tensor(replay.pos), "replay.full": torch.tensor(replay.full)}


def put_state(model: SAC, weights: Mapping[str, Tensor]) -> None:
    """Set all that to what `kept_state` found."""
    model.policy.load_state_dict(inside(weights, "policy"))
    for name, optimizer in _optimizers(model).items():
        put_optimizer(optimizer, inside(weights, f"optimizer.{name}"))
    if model.log_ent_coef is not None:
        with torch.no_grad():
            model.log_ent_coef.copy_(weights["entropy"])
    replay = model.replay_buffer
    assert isinstance(replay, Replay)
    for name in KEPT:
        value = weights[f"replay.{name}"].numpy()
        getattr(replay, name)[: len(value)] = value
    replay.pos, replay.full = int(weights["replay.pos"]), bool(weights["replay.full"])
    model.num_timesteps = int(weights["steps"])


def learn(model: SAC, steps: int, callback: BaseCallback) -> None:
    """Go on for so many steps of the environment."""
    model.learn(steps, callback=callback, reset_num_timesteps=False)
