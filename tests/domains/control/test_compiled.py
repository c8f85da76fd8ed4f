"""The compiled PPO is the library's: the same losses' gradients, the same Adam, the same probabilities."""

import copy
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import nn

from rewardtree.domains.control.algorithms import CLIP, Standardised
from rewardtree.domains.control.compiled import CompiledPolicy, CompiledPPO

SMALL: dict[str, Any] = {
    "n_steps": 40, "batch_size": 16, "n_epochs": 3, "ent_coef": 0.02, "learning_rate": 1e-3, "clip_range": 0.1,
    "device": "cpu", "seed": 0,
}  # fmt: skip


def made(env: str, kind: type[PPO], policy: Any, **given: Any) -> PPO:
    network = given.pop("policy_kwargs", {"net_arch": {"pi": [8, 6], "vf": [7]}})
    venv = DummyVecEnv([lambda: gymnasium.make(env)] * 2)
    return kind(policy, venv, policy_kwargs=network, **SMALL | given)


def both(env: str, **given: Any) -> tuple[PPO, CompiledPPO]:
    """The library's and ours with the same weights and the same full buffer."""
    theirs = made(env, PPO, "MlpPolicy", **given)
    ours = made(env, CompiledPPO, CompiledPolicy, **given)
    theirs.train = lambda: None  # type: ignore[method-assign]
    theirs.learn(80)
    del theirs.train
    theirs.rollout_buffer.log_probs += np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32) * 0.2
    ours.rollout_buffer = copy.deepcopy(theirs.rollout_buffer)
    ours.policy.load_state_dict(theirs.policy.state_dict())
    ours.set_logger(theirs.logger)
    assert isinstance(ours, CompiledPPO)
    return theirs, ours


@pytest.mark.parametrize("env", ["Pendulum-v1", "CartPole-v1"])
def test_updates_are_the_librarys(env: str) -> None:
    theirs, ours = both(env)
    before = [one.detach().clone() for one in ours.policy.parameters()]
    assert ours.policy.known
    for round_ in range(2):
        for model in (theirs, ours):
            np.random.seed(round_)
            model.train()
    after = [one.detach() for one in ours.policy.parameters()]
    moved = [float((old - new).abs().max()) for old, new in zip(before, after, strict=True)]
    assert max(moved) > 0.01 and min(moved) > 0.001
    for one, other in zip(theirs.policy.parameters(), ours.policy.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-4)
        mine, kept = ours.policy.optimizer.state[other], theirs.policy.optimizer.state[one]
        assert float(mine["step"]) == float(kept["step"]) == 2 * 3 * 5
        for name in ("exp_avg", "exp_avg_sq"):
            torch.testing.assert_close(mine[name], kept[name], atol=1e-5, rtol=1e-2)


@pytest.mark.parametrize("env", ["Pendulum-v1", "CartPole-v1"])
def test_acting_draws_from_the_librarys_distribution(env: str) -> None:
    model = made(env, CompiledPPO, CompiledPolicy)
    with torch.no_grad():
        for one in model.policy.parameters():
            one += 0.3 * torch.randn(one.shape)
        seen = torch.randn(1, *model.observation_space.shape).repeat(4000, 1)  # type: ignore[misc]
        actions, values, told = model.policy(seen)
        again, told_again, _ = model.policy.evaluate_actions(seen, actions)
        distribution = model.policy.get_distribution(seen[:1]).distribution
        torch.testing.assert_close(values, again, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(told, told_again, atol=1e-5, rtol=1e-4)
        if env == "CartPole-v1":
            share = float((actions == 1).double().mean())
            assert share == pytest.approx(float(distribution.probs[0, 1]), abs=0.04)
        else:
            assert float(actions.mean()) == pytest.approx(float(distribution.mean), abs=4 * float(actions.std()) / 60)
            assert float(actions.std()) == pytest.approx(float(distribution.stddev), rel=0.05)
        torch.testing.assert_close(
            model.policy(seen[:3], deterministic=True)[0], model.policy._predict(seen[:3], deterministic=True)
        )


@pytest.mark.parametrize(
    "given", [{"policy_kwargs": {"activation_fn": nn.ReLU}}, {"target_kl": 10.0}, {"use_sde": True}], ids=str
)
def test_what_is_not_known_the_library_does(given: dict[str, Any]) -> None:
    theirs, ours = both("Pendulum-v1", **given)
    for model in (theirs, ours):
        torch.manual_seed(0)
        np.random.seed(0)
        model.train()
    for one, other in zip(theirs.policy.parameters(), ours.policy.parameters(), strict=True):
        assert torch.equal(one, other)


def test_observations_are_standardised_alike() -> None:
    given = {"features_extractor_class": Standardised, "net_arch": [8]}
    model = made("Pendulum-v1", CompiledPPO, CompiledPolicy, policy_kwargs=given)
    extractor = model.policy.features_extractor
    assert isinstance(extractor, Standardised) and isinstance(model.policy, CompiledPolicy) and model.policy.known
    seen = torch.randn(50, 3) * torch.tensor([1.0, 5.0, 100.0]) + 2
    extractor.see(seen[:20].numpy() / 10)
    torch.testing.assert_close(torch.as_tensor(extractor.numbers(seen.numpy())), extractor(seen))
    assert float(extractor(seen).abs().max()) == CLIP
    with torch.no_grad():
        actions, values, told = model.policy(seen)
        again, told_again, _ = model.policy.evaluate_actions(seen, actions)
    torch.testing.assert_close(values, again, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(told, told_again, atol=1e-5, rtol=1e-4)


def test_a_state_that_is_loaded_is_the_one_that_acts() -> None:
    model, other = (made("Pendulum-v1", CompiledPPO, CompiledPolicy, seed=seed) for seed in (0, 1))
    model.policy.load_state_dict(other.policy.state_dict())
    assert isinstance(model.policy, CompiledPolicy) and isinstance(other.policy, CompiledPolicy)
    np.testing.assert_array_equal(model.policy.weights, other.policy.weights)
    assert model.policy.weights.ctypes.data == next(model.policy.parameters()).data_ptr()
