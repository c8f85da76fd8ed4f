"""Atari games: the score is nowhere on what a policy sees, and no step tells what it pays."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from rewardtree.domains.control.atari import SCORES
from rewardtree.domains.control.environments import Environment, form_of, make
from rewardtree.domains.control.nodes import control_learner, segment_rewards
from rewardtree.domains.control.task import SegmentTask
from rewardtree.errors import ConfigError

COUNTED = {
    "BeamRider": (9, 10, 11), "Breakout": (80, 81, 82, 83, 84, 85), "Enduro": (40, 41, 42, 43, 44, 45),
    "Pong": (13, 14), "Qbert": (12, 14, 16), "Seaquest": (56, 57, 58), "SpaceInvaders": (102, 104),
}  # fmt: skip
"""Bytes of a game's memory that are drawn as its score, found by changing each of the 128 and looking."""


@pytest.fixture(params=sorted(SCORES))
def game(request: pytest.FixtureRequest) -> Iterator[tuple[str, Any]]:
    made = make(Environment(id=f"ALE/{request.param}-v5", options=(("repeat_action_probability", 0.0),)))
    yield request.param, made
    made.close()


def played(env: Any, steps: int) -> list[np.ndarray]:
    """Observations of a game that is played at random."""
    env.action_space.seed(1)
    found = [env.reset(seed=3)[0]]
    for _ in range(steps):
        seen, _, terminated, truncated, info = env.step(env.action_space.sample())
        assert not terminated and not truncated and info == {}
        found.append(seen)
    return found


def test_another_score_is_another_screen_and_the_same_observation(game: tuple[str, Any]) -> None:
    name, env = game
    played(env, 90)
    ale = env.unwrapped.ale
    before = ale.cloneState()

    def shown(change: int) -> tuple[np.ndarray, np.ndarray]:
        ale.restoreState(before)
        for place in COUNTED[name] if change else ():
            ale.setRAM(place, int(ale.getRAM()[place]) ^ change)
        for frame in env.unwrapped._screens:
            ale.act(0)
            ale.getScreenGrayscale(frame)
        return env.unwrapped._screens.copy(), env.unwrapped._seen()

    screen, seen = shown(0)
    for change in (0x01, 0x10):
        other, still = shown(change)
        assert (screen != other).any(), "the score is on the screen"
        assert np.array_equal(seen, still), "and not in the observation"
    env.unwrapped.hidden = ()
    assert not np.array_equal(shown(0)[1], shown(0x01)[1]), "it would be, were it not painted over"


def test_a_game_is_the_same_from_the_same_seed_and_its_form_is_that_of_four_pictures() -> None:
    environment = Environment(id="ALE/Pong-v5")
    env = make(environment)
    one, two = played(env, 12), played(env, 12)
    assert all(np.array_equal(first, second) for first, second in zip(one, two, strict=True))
    assert form_of(environment).seen == (4, 84, 84) and form_of(environment).pixels
    assert np.array_equal(one[5][1:], one[6][:-1]), "the newest is last"


def test_a_lost_game_goes_on_and_is_not_told() -> None:
    env = make(Environment(id="ALE/Breakout-v5"))
    env.reset(seed=0)
    ale, ended = env.unwrapped.ale, 0
    for step in range(220):  # serve and let the ball drop, five lives long
        lives = ale.lives()
        _, _, terminated, truncated, info = env.step(1 if step % 3 == 0 else 0)
        ended += ale.lives() > lives
        assert not terminated and not truncated and info == {}
    assert ended == 1


def test_a_game_whose_score_is_anywhere_is_refused_unless_it_may_be_seen() -> None:
    with pytest.raises(ConfigError, match="not known where Alien shows its score"):
        make(Environment(id="ALE/Alien-v5"))
    assert make(Environment(id="ALE/Alien-v5", options=(("show_score", True),))).reset(seed=0)[0].any()
    with pytest.raises(ConfigError, match="Nonsense"):
        make(Environment(id="ALE/Nonsense-v5"))


@pytest.mark.slow
def test_a_policy_of_pictures_is_improved_by_a_reward_model_of_pictures() -> None:
    environment = Environment(id="ALE/Pong-v5", horizon=40)
    options = {"env": environment.id, "rollout": 16, "together": 2, "ppo": {"batch_size": 16, "n_epochs": 1}}
    learner, rewards = control_learner(environment, 1, options), segment_rewards(environment, {"members": 2})
    task, rng = SegmentTask(environment=environment, segment=8), np.random.default_rng(0)
    inputs = task.sample(rng, 6, "train")
    policy = learner.initial(rng)
    pieces = learner.propose(policy, inputs, rng)
    seen = task.observe(inputs, pieces)
    model = rewards.initial(seen.shape[1], torch.Generator().manual_seed(0))
    assert seen.dtype == np.uint8 and model.score_steps(seen).shape == (2, 6, pieces.rewards.shape[1])
    calls: list[int] = []

    class Counted:
        def __init__(self) -> None:
            self.model = model

        def claims(self, starts: Any, outputs: Any) -> Any:
            return {}

        def __call__(self, starts: Any, outputs: Any) -> np.ndarray:
            calls.append(len(outputs))
            return model.score(task.observe(starts, outputs))[0]

    better = learner.improve(policy, Counted(), lambda chance, count: task.sample(chance, count, "train"), rng,
                             version="1")  # fmt: skip
    assert calls == [32, 32], "the first rollouts, for their scale, and the new one, each in one call"
    assert any(not torch.equal(better.weights[name], policy.weights[name])
               for name in policy.weights if name.startswith("policy."))  # fmt: skip
    assert better.answer(inputs.take(np.arange(1))).observations.shape[1:] == (40, 4, 84, 84)
