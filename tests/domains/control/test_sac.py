"""SAC on the tiny environment: what its replay buffer holds, how it is scored, and that going on is going on."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from line import GOAL, HORIZON, line
from safetensors.torch import load_file, save_file
from test_control_learning import node_of, trained
from test_learner import ToTheLeft, improved, rollouts_of, same

from rewardtree.domains.control import sac
from rewardtree.domains.control.environments import Environment
from rewardtree.domains.control.learner import ControlLearner, ControlPolicy
from rewardtree.domains.control.nodes import checked, control_learner
from rewardtree.domains.control.scaling import Scaling
from rewardtree.domains.control.segments import Segments, Starts
from rewardtree.errors import ConfigError
from rewardtree.tree.checkpoint import folder
from rewardtree.tree.node import Budget

SMALL: dict[str, Any] = {
    "batch_size": 32, "gradient_steps": 3, "learning_starts": 50, "buffer_size": 100,
    "policy_kwargs": {"net_arch": [16]},
}  # fmt: skip


class LeftAndUp(ToTheLeft):
    """Rewards being left and being pushed to the right."""

    def __call__(self, inputs: Any, outputs: Segments) -> np.ndarray:
        return super().__call__(inputs, outputs) + 2 * outputs.actions[:, 0, 0]


def learner(environment: Environment | None = None, **given: Any) -> ControlLearner:
    settings = SMALL | given.pop("settings", {})
    return ControlLearner(
        environment=environment or line(), algorithm="sac", settings=settings,
        **{"rollout": 20, "together": 4, "segment": 8, "updates": 2} | given,
    )  # fmt: skip


def begun(one: ControlLearner) -> ControlPolicy:
    return one.initial(np.random.default_rng(0))


def test_a_buffer_that_has_wrapped_is_scored_whole() -> None:
    one, reward = learner(), LeftAndUp()
    policy = improved(one, begun(one))
    model = one.model(np.arange(4))
    sac.put_state(model, policy.weights)
    replay = model.replay_buffer
    assert replay.full and replay.pos == 10, "25 rows, of which 60 were written"
    rewarded = sac.Rewarded(model.env, reward, rollouts_of(policy), Scaling(), horizon=HORIZON, kept=400)

    def anew() -> np.ndarray:
        found = np.array([
            2 * action - seen
            for seen, action in zip(replay.observations[..., 0].flat, replay.actions[..., 0].flat, strict=True)
        ])  # fmt: skip
        return ((found - found.mean()) / found.std()).reshape(25, 4)

    replay.rewards[:] = np.nan
    rewarded.init_callback(model)
    rewarded.on_training_start({}, {})
    np.testing.assert_allclose(replay.rewards, anew(), atol=1e-5)
    sac.learn(model, 240, rewarded)
    assert replay.pos == 20 and reward.calls == [100, 100, 80, 80, 80], "all, and then each rollout"
    np.testing.assert_allclose(replay.rewards, anew(), atol=1e-5)


@pytest.mark.parametrize("falls", [False, True])
def test_the_limit_on_steps_is_no_end(falls: bool) -> None:
    one = learner(line(falls=falls), settings={"buffer_size": 2000})
    policy = improved(one, begun(one))
    kept = {name: value.numpy() for name, value in policy.weights.items()}
    seen, ended = kept["replay.observations"], kept["replay.dones"] > 0
    assert seen.shape == (60, 4, 2) and policy.steps == 240 and ended.any()
    after = np.clip(seen[..., 0] + 0.25 * kept["replay.actions"][..., 0], -1, 1)
    np.testing.assert_allclose(kept["replay.next_observations"][..., 0], after, atol=1e-6)
    real = ended & (kept["replay.timeouts"] == 0)
    assert real.any() == falls and (np.abs(after[real]) == 1).all()
    np.testing.assert_array_equal(
        kept["replay.observations"][-40:], rollouts_of(policy).observations, "what pieces are cut from"
    )


def test_what_the_environment_pays_reaches_no_policy() -> None:
    paid, unpaid = (improved(one, begun(one)) for one in (learner(line(pays=1.0)), learner(line(pays=-50.0))))
    aside = ("rollouts.rewards", "replay.paid")
    assert same(paid, unpaid, leave=aside)
    assert not any(paid.weights[name].equal(unpaid.weights[name]) for name in aside)


def test_going_on_from_a_file_is_going_on(tmp_path: Path) -> None:
    one = learner()
    first = improved(one, begun(one))
    save_file({name: value.contiguous() for name, value in first.weights.items()}, tmp_path / "kept")
    again = one.restore(load_file(tmp_path / "kept"), "a/1")
    on, off = improved(one, first, 2), improved(learner(), again, 2)
    assert same(on, off) and not same(on, first)
    assert {"entropy", "optimizer.entropy.0.exp_avg", "policy.critic_target.qf0.0.weight"} <= on.weights.keys()
    for name in ("entropy", "optimizer.actor.0.step", "optimizer.critic.0.step"):
        assert not on.weights[name].equal(first.weights[name])


def test_resumed_is_uninterrupted_bit_for_bit(tmp_path: Path) -> None:
    node = replace(node_of(), learner=learner(updates=1), budget=Budget(iterations=3, labels=6))
    whole = trained(tmp_path / "whole", node)
    shutil.copytree(tmp_path / "whole", tmp_path / "broken")
    shutil.rmtree(folder(tmp_path / "broken", "rrm", "behaviour", 2))
    assert same(trained(tmp_path / "broken", node).policy, whole.policy)


class Paid(ToTheLeft):
    """The true reward, as the yardstick has it; every step is what it was paid for."""

    def __call__(self, inputs: Any, outputs: Segments) -> np.ndarray:
        super().__call__(inputs, outputs)
        after = outputs.observations[:, 0, 0] + 0.25 * outputs.actions[:, 0, 0]
        np.testing.assert_allclose(outputs.returns, -np.abs(after - GOAL), atol=1e-6)
        return outputs.returns


def test_the_true_reward_itself_is_there_for_the_yardstick() -> None:
    one, reward = learner(settings={"gradient_steps": 1}), Paid()
    improved(one, improved(one, begun(one), reward=reward), reward=reward)
    assert reward.calls == [80, 80, 80, 100, 80, 80]


def test_a_policy_goes_where_the_reward_is() -> None:
    settings = {"gradient_steps": 30, "learning_rate": 1e-2, "gamma": 0.9, "buffer_size": 2000}
    one = learner(updates=5, settings=settings)
    policy = improved(one, begun(one))
    starts = Starts(seeds=np.arange(12) * 4 + 3)
    assert (policy.answer(starts).observations[:, -1, 0] < -0.7).mean() > 0.8
    assert (policy.propose(starts, np.random.default_rng(0)).observations[:, -1, 0] < -0.5).mean() > 0.5


@pytest.mark.parametrize("options", [
    {"algorithm": "dqn"}, {"algorithm": ["sac"]}, {"sac": {}}, {"algorithm": "sac", "ppo": {}},
    {"algorithm": "sac", "sac": 3},
])  # fmt: skip
def test_wrong_options_are_said(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="options"):
        checked(options)


def test_sac_is_for_numbers_in_numbers() -> None:
    options = {"algorithm": "sac"}
    with pytest.raises(ConfigError, match="actions are choices"):
        control_learner(line(chosen=True), 1, options)
    with pytest.raises(ConfigError, match="observations are pictures"):
        control_learner(Environment(id="ALE/Pong-v5"), 1, options)
    with pytest.raises(ConfigError, match=r"options\.sac knows"):
        begun(control_learner(line(), 1, options | {"sac": {"n_epochs": 3}}))
    with pytest.raises(ConfigError, match="refuses"):
        begun(control_learner(line(), 1, options | {"sac": {"policy_kwargs": {"width": 3}}}))
