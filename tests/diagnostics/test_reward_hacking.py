"""What an honest reward model predicts is earned; what one that can be exploited predicts is not."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytest

from rewardtree.diagnostics.freezing import Arm
from rewardtree.diagnostics.reward_hacking import line, lost, optimised, reference
from rewardtree.policies.learner import Learner
from rewardtree.tasks.task import Task
from rewardtree.tree.checkpoint import Trained
from rewardtree.tree.node import Node

BEST = 1.0


def unused(*given: Any) -> Any:
    raise NotImplementedError


class Lengths:
    """A task: say a length; 1 is best."""

    name, quantities = "length", ()
    base_outputs = view = sense = questions = survey = claim = hear = measures = unused

    def sample(self, rng: np.random.Generator, count: int, split: str) -> np.ndarray:
        assert split == "test"
        return rng.standard_normal(count)

    def true_reward(self, inputs: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        return -np.abs(outputs - BEST)

    def observe(self, inputs: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        return outputs[:, None]


@dataclass(frozen=True)
class Says:
    """A policy that says lengths about one."""

    length: float

    def propose(self, inputs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return self.length + 0.3 * rng.standard_normal(len(inputs))


class Proposes:
    """A learner that proposes what the policy says."""

    initial = restore = improve = unused

    def propose(self, policy: Says, inputs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return policy.propose(inputs, rng)


class Believes:
    """A reward model that is an affine function of the truth, or that likes long answers."""

    def __init__(self, kind: str, scale: float) -> None:
        self.kind, self.scale = kind, scale

    save = unused

    def score_members(self, features: np.ndarray) -> np.ndarray:
        return self.score(features)[0][None]

    def score(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        told = features[:, 0] if self.kind == "long" else -np.abs(features[:, 0] - BEST)
        return 7.0 + self.scale * told, np.zeros(len(features))


def gains(kind: str, lengths: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    untrained, task, learner = Says(0.0), cast(Task, Lengths()), cast(Learner, Proposes())
    node = Node(name="length", task=task, learner=learner)
    rounds = [
        Trained(policy=Says(length), untrained=untrained, reward_model=Believes(kind, 1.0 + number))
        for number, length in enumerate(lengths)
    ]
    found = optimised(Arm(node=node, rounds=tuple(rounds)), reference(node, untrained, {}, 400))
    return found.true.mean(axis=1), found.predicted.mean(axis=1)


def test_an_honest_model_promises_what_is_earned_whatever_its_scale() -> None:
    true, predicted = gains("honest", (0.5, 1.0, 3.0))
    np.testing.assert_allclose(predicted, true, atol=1e-9)
    assert true[0] == pytest.approx(0) and true[1] > 1 and true[3] < true[2]


def test_an_exploited_model_promises_more_while_less_is_earned() -> None:
    true, predicted = gains("long", (0.5, 1.0, 2.0, 4.0))
    assert (np.diff(predicted) > 0.5).all(), "longer is better, it believes"
    assert true[4] < true[3] < true[2] and true[2] > true[1] > true[0]
    assert predicted[1] - true[1] == pytest.approx(0, abs=0.3) and predicted[4] - true[4] > 5
    assert lost(true.tolist()) == pytest.approx(true[2] - true[4])


def test_a_line_through_nothing_is_level() -> None:
    assert line(np.ones(4), np.arange(4.0)) == (0.0, 1.5)
    assert line(np.arange(4.0), 2 - 3 * np.arange(4.0)) == (pytest.approx(-3), pytest.approx(2))
