from typing import Any

import gymnasium
import numpy as np
import pytest
from line import HORIZON, line

from rewardtree.domains.control.environments import Environment, environment_of, form_of, instances, make
from rewardtree.domains.control.hidden import Hidden
from rewardtree.errors import ConfigError


def some_steps(env: Hidden, count: int, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    env.reset()
    return [env.step(env.form.rows(rng.uniform(-1, 1, size=(env.num_envs, 1)))) for _ in range(count)]


def test_nothing_of_what_is_paid_comes_through() -> None:
    env = Hidden(line(), 3, seeds=[4, 8, 12])
    steps = some_steps(env, 2 * HORIZON + 3)
    assert all(not rewards.any() for _, rewards, _, _ in steps)
    told = {name for _, _, _, infos in steps for info in infos for name in info}
    assert told == {"terminal_observation", "TimeLimit.truncated"}
    assert all(not info for _, _, done, infos in steps for info, ended in zip(infos, done, strict=True) if not ended)
    kept = env.drain()
    assert (kept.rewards < 0).all() and kept.count == 3 * len(steps)
    for look in (lambda: env.get_attr("envs"), lambda: env.env_method("step", 0), lambda: env.set_attr("pays", 0)):
        with pytest.raises(AttributeError):
            look()


def test_what_is_kept_aside_is_what_happened() -> None:
    env = Hidden(line(), 2, seeds=[4, 8])
    steps, kept = some_steps(env, HORIZON + 5), None
    kept = env.drain()
    assert kept.at[:, 0].tolist() == [*range(HORIZON), *range(5)]
    assert np.flatnonzero(kept.ended[:, 0]).tolist() == [HORIZON - 1] and not kept.early(HORIZON)
    for step in range(1, HORIZON + 5):
        np.testing.assert_array_equal(kept.observations[step], steps[step - 1][0])
    last = steps[HORIZON - 1][3][0]
    assert last["TimeLimit.truncated"] and not np.array_equal(last["terminal_observation"], steps[HORIZON - 1][0][0])
    moved = kept.observations[1:HORIZON, :, 0] - kept.observations[: HORIZON - 1, :, 0]
    inside = np.abs(kept.observations[1:HORIZON, :, 0]) < 1
    np.testing.assert_allclose(moved[inside], 0.25 * kept.actions[: HORIZON - 1, :, 0][inside], atol=1e-6)
    before = kept.observations[:HORIZON, :, 0] + 0.25 * kept.actions[:HORIZON, :, 0]
    np.testing.assert_allclose(kept.rewards[:HORIZON], -np.abs(before - 0.6), atol=1e-6)


def test_no_episode_ends_for_its_health_unless_asked() -> None:
    ends = [
        any(done.any() for _, _, done, _ in some_steps(Hidden(one, 4, seeds=[4, 8, 12, 16]), HORIZON - 1))
        for one in (line(), line(terminate_when_unhealthy=True))
    ]
    assert ends == [False, True]


@pytest.mark.parametrize("name", ["Hopper-v5", "Walker2d-v5", "Ant-v5"])
def test_walkers_that_fall_go_on(name: str) -> None:
    (env,) = instances(Environment(id=name), 1)
    env.reset(seed=0)
    env.unwrapped.data.qpos[:] = 0.0
    low = env.action_space.low
    assert not any(env.step(low)[2] for _ in range(5))


def test_forms() -> None:
    form = form_of(Environment(id="Pendulum-v1"))
    assert (form.seen, form.columns, form.discrete, form.horizon) == ((3,), 1, False, 200)
    chosen = form_of(Environment(id="CartPole-v1", horizon=30))
    assert (chosen.seen, chosen.columns, chosen.discrete, chosen.horizon) == ((4,), 2, True, 30)
    assert chosen.rows(np.array([1, 0])).tolist() == [[0, 1], [1, 0]]
    assert form_of(Environment(id="FrozenLake-v1")).seen == (16,)


@pytest.mark.parametrize(
    ("name", "word"), [("Nowhere-v0", "cannot be made"), ("rewardtree-tests/Many-v0", "MultiDiscrete")]
)
def test_what_is_no_environment_is_said(name: str, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        make(Environment(id=name))


def test_options_name_an_environment() -> None:
    assert environment_of({"env": "Hopper-v5", "env_options": {"frame_skip": 2}, "horizon": 9}) == Environment(
        id="Hopper-v5", options=(("frame_skip", 2),), horizon=9
    )
    for wrong in ({"env": 3}, {"env_options": [1]}, {"horizon": 0}):
        with pytest.raises(ConfigError):
            environment_of(wrong)


class Many(gymnasium.Env[np.ndarray, np.ndarray]):
    observation_space = gymnasium.spaces.Box(0.0, 1.0, (1,))
    action_space = gymnasium.spaces.MultiDiscrete([2, 2])


gymnasium.register("rewardtree-tests/Many-v0", entry_point=Many)
