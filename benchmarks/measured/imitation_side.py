"""One seed of `imitation` 1.0.1's preference comparisons, timed; run by its own interpreter, prints one line of JSON.

    python imitation_side.py '{"seed": 0, ...}'

The parts and hyperparameters are those of its tutorial "Learning a Reward Function using Preference Comparisons" on
Pendulum: what is given may differ from it in sizes alone.
"""

import contextlib
import json
import sys
import time
import warnings
from typing import Any

import gymnasium
import numpy as np
import torch
from imitation.algorithms import preference_comparisons
from imitation.policies.base import NormalizeFeaturesExtractor
from imitation.rewards.reward_nets import BasicRewardNet, RewardEnsemble
from imitation.util import logger
from imitation.util.networks import RunningNorm
from imitation.util.util import make_vec_env
from measured.playing import counted, returns, world
from measured.watched import watched
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import DummyVecEnv

PARTS = {
    "environment": (DummyVecEnv, "step_wait"), "resets": (DummyVecEnv, "reset"), "updates": (PPO, "train"),
    "acting": (ActorCriticPolicy, "forward"), "playing": (ActorCriticPolicy, "predict"),
    "relabelling": (BasicRewardNet, "predict_processed"), "fitting": (preference_comparisons.RewardTrainer, "train"),
}  # fmt: skip


def learner(given: dict[str, Any]) -> tuple[preference_comparisons.PreferenceComparisons, PPO]:
    """All parts, put together."""
    rng = np.random.default_rng(given["seed"])
    venv = make_vec_env(given["env"], rng=rng, n_envs=given["environments"])
    spaces = venv.observation_space, venv.action_space
    members = [
        BasicRewardNet(*spaces, normalize_input_layer=RunningNorm, hid_sizes=tuple(given["reward_widths"]))
        for _ in range(given["members"])
    ]
    reward_net = members[0] if len(members) == 1 else RewardEnsemble(*spaces, members)
    loss = preference_comparisons.CrossEntropyRewardLoss()
    model = preference_comparisons.PreferenceModel(reward_net)
    trainer = preference_comparisons.BasicRewardTrainer if len(members) == 1 else preference_comparisons.EnsembleTrainer
    reward_trainer = trainer(preference_model=model, loss=loss, epochs=given["reward_epochs"], rng=rng)
    networks = {
        "features_extractor_class": NormalizeFeaturesExtractor,
        "features_extractor_kwargs": {"normalize_class": RunningNorm},
        "net_arch": given["policy_widths"],
    }
    agent = PPO(policy=ActorCriticPolicy, policy_kwargs=networks, env=venv, seed=given["seed"], **given["ppo"])
    generator = preference_comparisons.AgentTrainer(
        algorithm=agent, reward_fn=reward_net, venv=venv, exploration_frac=given["exploration"], rng=rng
    )
    comparing = preference_comparisons.PreferenceComparisons(
        generator,
        reward_net,
        num_iterations=given["iterations"],
        fragmenter=preference_comparisons.RandomFragmenter(warning_threshold=0, rng=rng),
        preference_gatherer=preference_comparisons.SyntheticGatherer(rng=rng),
        reward_trainer=reward_trainer,
        fragment_length=given["fragment"],
        transition_oversampling=1,
        initial_comparison_frac=0.1,
        allow_variable_horizon=False,
        initial_epoch_multiplier=given["initial_epochs"],
        query_schedule="hyperbolic",
        custom_logger=logger.configure(None, format_strs=()),
    )
    return comparing, agent


def trained(given: dict[str, Any]) -> tuple[PPO, dict[str, Any]]:
    """Train; the policy, and what it cost."""
    kind = type(gymnasium.make(given["env"]).unwrapped)
    with counted(kind) as steps, watched(PARTS) as spent:
        began, wall = time.process_time(), time.perf_counter()
        comparing, agent = learner(given)
        comparing.train(total_timesteps=given["steps"], total_comparisons=given["comparisons"])
        cpu, wall = time.process_time() - began, time.perf_counter() - wall
        return agent, {
            "steps": steps(), "labels": len(comparing.dataset), "cpu": cpu, "wall": wall, "parts": dict(spent),
        }  # fmt: skip


def main() -> None:
    """Train once in small, so that nothing is loaded or compiled later; then train and measure."""
    given = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(sys.stderr):
        trained(given | {"iterations": 1, "steps": 1, "comparisons": 10})
        agent, found = trained(given)
    found["returns"] = returns(given["env"], lambda seen: agent.predict(seen, deterministic=True)[0], given["episodes"])
    found["world"] = world(given["env"])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
