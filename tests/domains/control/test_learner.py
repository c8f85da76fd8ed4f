from pathlib import Path
from typing import Any

import numpy as np
import pytest
from line import HORIZON, line
from safetensors.torch import load_file, save_file

from rewardtree.domains.control.environments import Environment
from rewardtree.domains.control.learner import ControlLearner, ControlPolicy, rollouts_of
from rewardtree.domains.control.segments import Segments, Starts
from rewardtree.domains.control.task import SegmentTask
from rewardtree.errors import ConfigError
from rewardtree.tasks.exhibit import NO_CLAIMS, Claims

SMALL: dict[str, Any] = {"n_epochs": 2, "batch_size": 40, "policy_kwargs": {"net_arch": [8]}}


class ToTheLeft:
    """Rewards being left, whatever the environment pays."""

    model = None

    def __init__(self) -> None:
        self.calls: list[int] = []

    def claims(self, inputs: Any, outputs: Any) -> Claims:
        return NO_CLAIMS

    def __call__(self, inputs: Any, outputs: Segments) -> np.ndarray:
        self.calls.append(len(outputs))
        assert (outputs.length == 1).all()
        return -outputs.observations[:, 0, 0].astype(float)


def learner(environment: Environment | None = None, **given: Any) -> ControlLearner:
    settings = SMALL | given.pop("settings", {})
    return ControlLearner(
        environment=environment or line(), **{"rollout": 20, "together": 4, "segment": 8} | given, settings=settings
    )


def draw(rng: np.random.Generator, count: int) -> Starts:
    return SegmentTask(environment=line()).sample(rng, count, "train")


def improved(one: ControlLearner, policy: ControlPolicy, seed: int = 1, reward: Any = None) -> ControlPolicy:
    found = one.improve(policy, reward or ToTheLeft(), draw, np.random.default_rng(seed), version="a/1")
    assert isinstance(found, ControlPolicy)
    return found


def same(one: ControlPolicy, other: ControlPolicy, leave: tuple[str, ...] = ()) -> bool:
    names = [name for name in one.weights if name not in leave]
    return one.weights.keys() == other.weights.keys() and all(
        one.weights[name].equal(other.weights[name]) for name in names
    )


def test_what_the_environment_pays_reaches_no_policy() -> None:
    paid, unpaid = (
        improved(one, one.initial(np.random.default_rng(0)))
        for one in (learner(line(pays=1.0)), learner(line(pays=-50.0)))
    )
    assert same(paid, unpaid, leave=("rollouts.rewards",))
    assert not paid.weights["rollouts.rewards"].equal(unpaid.weights["rollouts.rewards"])


def test_each_rollout_is_scored_in_one_call_and_every_step_is_counted() -> None:
    one, reward = learner(updates=3), ToTheLeft()
    begun = one.initial(np.random.default_rng(0))
    assert begun.steps == 80
    found = improved(one, begun, reward=reward)
    assert reward.calls == [80] * 4, "the rollouts of before, then each new one"
    assert found.steps == 320 and rollouts_of(found).count == 240
    kept = improved(learner(updates=3, kept=100), begun)
    assert rollouts_of(kept).count == 100


def test_a_policy_goes_where_the_reward_is() -> None:
    one = learner(updates=12, rollout=40, settings={"n_epochs": 8, "learning_rate": 3e-3})
    policy = improved(one, one.initial(np.random.default_rng(0)))
    starts = Starts(seeds=np.arange(12) * 4 + 3)
    ends = [
        made.observations[:, -1, 0]
        for made in (policy.answer(starts), policy.propose(starts, np.random.default_rng(0)))
    ]
    assert all((places < -0.7).mean() > 0.8 for places in ends)
    assert (policy.answer(starts).length == HORIZON).all()


def test_going_on_from_a_file_is_going_on(tmp_path: Path) -> None:
    one = learner()
    first = improved(one, one.initial(np.random.default_rng(0)))
    save_file({name: value.contiguous() for name, value in first.weights.items()}, tmp_path / "kept")
    again = one.restore(load_file(tmp_path / "kept"), "a/1")
    assert same(improved(one, first, 2), improved(learner(), again, 2))
    starts = Starts(seeds=np.arange(3))
    np.testing.assert_array_equal(
        first.propose(starts, np.random.default_rng(5)).actions, again.propose(starts, np.random.default_rng(5)).actions
    )


def test_learning_leaves_the_chance_of_others_alone() -> None:
    one = learner()
    np.random.seed(3)
    expected = np.random.RandomState(3).rand(4)
    one.initial(np.random.default_rng(0))
    np.testing.assert_array_equal(np.random.rand(4), expected)


def test_pieces_come_from_the_newest_rollouts() -> None:
    one = learner()
    policy = improved(one, one.initial(np.random.default_rng(0)))
    inputs = draw(np.random.default_rng(0), 30)
    pieces = one.propose(policy, inputs, np.random.default_rng(1))
    made = {tuple(seen) for seen in rollouts_of(policy).observations.reshape(-1, 2).tolist()}
    assert len(pieces) == 30 and (pieces.length == 8).all()
    assert {tuple(seen) for seen in pieces.observations.reshape(-1, 2).tolist()} <= made


@pytest.mark.parametrize("options", [{"chosen": True}, {"falls": True}])
def test_choices_and_episodes_that_end_early(options: dict[str, Any]) -> None:
    one = learner(line(**options))
    policy = improved(one, one.initial(np.random.default_rng(0)))
    assert bool(policy.weights["early"]) is bool(options.get("falls"))
    assert len(policy.answer(Starts(seeds=np.arange(5)))) == 5


def test_what_the_library_refuses_is_one_sentence() -> None:
    for wrong in ({"nonsense": 1}, {"learning_rate": "fast"}):
        learner = ControlLearner(environment=line(), rollout=20, together=2, settings={"batch_size": 40} | wrong)
        with pytest.raises(ConfigError, match=r"options\.ppo has something that Stable-Baselines3 refuses"):
            learner.initial(np.random.default_rng(0))


def test_the_same_chance_makes_the_same_episodes_again() -> None:
    one = learner().initial(np.random.default_rng(0))
    starts = draw(np.random.default_rng(1), 6)
    first, second = (one.propose(starts, np.random.default_rng(2)) for _ in range(2))
    np.testing.assert_array_equal(first.actions, second.actions)
