"""The courier's tasks conform, and their formulas hold."""

from dataclasses import replace
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from rewardtree.domains.control.courier import FAR, PENALTY, SEEN, STEPS, begin, on_bed, step
from rewardtree.domains.control.courier_domain import courier_tree
from rewardtree.domains.control.environments import Environment, foresee, make
from rewardtree.domains.control.long_rollouts import MOMENTS, progress
from rewardtree.domains.control.moments import LONG, PARTS, WATCH, trampled
from rewardtree.domains.control.segments import Segments, Starts
from rewardtree.errors import ConfigError
from rewardtree.evaluators.simulated import Bounds
from rewardtree.tasks.conformance import TaskConformance
from rewardtree.tasks.exhibit import NO_CLAIMS
from rewardtree.tasks.specimen import Specimen
from rewardtree.tree.assistance import ask
from rewardtree.tree.domain import Settings
from rewardtree.tree.evaluating import experience_of, ideal_helpers, judge_of
from rewardtree.tree.measure import accuracy, frozen_pairs
from rewardtree.tree.node import Budget, Tree
from rewardtree.tree.stand_ins import ideal

SETTINGS = Settings(seed=0, helper=Budget(), root=Budget(), bounds=Bounds())


@lru_cache(maxsize=1)
def tree() -> Tree:
    return courier_tree(SETTINGS)


@lru_cache(maxsize=1)
def driven() -> tuple[Any, Starts, Segments]:
    task: Any = tree().nodes["rollout"].task
    starts = task.sample(np.random.default_rng(3), 60, "train")
    return task, starts, task.base_outputs(np.random.default_rng(4), starts)


class TestMoments(TaskConformance):
    @property
    def specimen(self) -> Specimen:
        return Specimen(task=tree().nodes["moments"].task)


class TestRollout(TaskConformance):
    @property
    def specimen(self) -> Specimen:
        moments: Any = tree().nodes["moments"].task
        return Specimen(task=tree().nodes["rollout"].task, helpers={"moments": ideal(moments)})


def test_the_reward_is_progress_less_a_penalty_for_every_step_on_a_bed() -> None:
    task, starts, drives = driven()
    nearer = np.diff(drives.observations[..., 0], axis=1)
    same_way = np.diff(drives.states[..., -1], axis=1) == 0
    on = on_bed(drives.observations)[:, :-1]
    expected = -nearer - PENALTY * on
    assert np.abs(drives.rewards[:, :-1] - expected)[same_way].max() < 1e-4
    assert on.any() and np.allclose(task.true_reward(starts, drives), drives.rewards.sum(axis=1))
    whole = progress(drives).sum(axis=1) - PENALTY * trampled(drives).sum(axis=1)
    assert np.allclose(whole, task.true_reward(starts, drives))


def test_a_bed_is_where_the_drawing_has_it_and_never_on_the_first_way() -> None:
    _, _, drives = driven()
    apart = np.hypot(*(drives.states[..., 4 + i] - drives.states[..., i] for i in (0, 1)))
    seen = drives.observations[..., SEEN.index("clearance")] < FAR
    assert np.array_equal((drives.states[..., 6] > apart)[seen], on_bed(drives.observations)[seen])
    assert not seen[drives.states[..., 7] == 0].any() and seen.any()


def test_straight_over_the_beds_is_faster_and_worse_than_round_them() -> None:
    seeds = np.arange(40)
    paid, came = {}, {}
    for name in ("straight", "round"):
        trips, total, metres = begin(seeds), np.zeros(40), np.zeros(40)
        for _ in range(STEPS):
            on = on_bed(trips.seen)
            trips, reward = step(trips, straight(trips.seen) if name == "straight" else round_beds(trips.seen))
            total, metres = total + reward, metres + reward + PENALTY * on
        paid[name], came[name] = total.mean(), metres.mean()
    assert came["straight"] > came["round"] + 5 and paid["round"] > paid["straight"] + 5


def straight(seen: np.ndarray) -> np.ndarray:
    return np.stack([np.ones(len(seen)), -seen[:, 2]], axis=1)


def round_beds(seen: np.ndarray) -> np.ndarray:
    """Full speed along a tangent of the bed, where one is in the way."""
    bed = seen[:, 3] + 1j * seen[:, 4]
    away, angle = np.abs(bed), np.angle(bed)
    half = np.arcsin(np.clip((away - seen[:, 5] + 0.35) / np.maximum(away, 1e-6), -1, 1))
    blocked = (seen[:, 5] < FAR) & (bed.real > 0) & (np.abs(angle) < half)
    wanted = 2.5 * np.exp(1j * np.where(blocked, angle - np.sign(angle) * half, 0.0))
    return 2 * np.stack([wanted.real - seen[:, 1], wanted.imag - seen[:, 2]], axis=1)


def test_the_environment_drives_as_the_batch_does_and_begins_courses_of_no_split() -> None:
    env = make(Environment(id="rewardtree/Courier-v0"))
    seen, _ = env.reset(seed=7)
    trips, rng = begin(np.array([7])), np.random.default_rng(0)
    for number in range(STEPS):
        assert np.array_equal(seen, trips.seen[0])
        action = rng.uniform(-1, 1, size=2).astype(np.float32)
        seen, reward, terminated, truncated, info = env.step(action)
        trips, paid = step(trips, action[None].astype(float))
        assert reward == paid[0] and not terminated and truncated == (number == STEPS - 1) and not info
    first = env.unwrapped.trips.courses.addresses[0, 0]
    env.reset()
    assert env.unwrapped.trips.courses.addresses[0, 0] != first


def test_couriers_foreseen_together_drive_as_each_does_alone() -> None:
    together, alone = ([make(Environment(id="rewardtree/Courier-v0")) for _ in range(3)] for _ in range(2))
    for seed, (one, other) in enumerate(zip(together, alone, strict=True)):
        assert np.array_equal(one.reset(seed=seed)[0], other.reset(seed=seed)[0])
    rng = np.random.default_rng(1)
    for number in range(60):
        actions = rng.uniform(-1, 1, size=(3, 2)).astype(np.float32)
        going = range(number % 2, 3)
        foresee([together[row].unwrapped for row in going], actions[list(going)])
        for row in going:
            first, second = (env.step(actions[row]) for env in (together[row], alone[row]))
            assert np.array_equal(first[0], second[0]) and first[1:] == second[1:]
            assert np.array_equal(together[row].unwrapped.state, alone[row].unwrapped.state)
    foresee([env.unwrapped for env in together], actions)
    assert np.array_equal(together[0].reset(seed=9)[0], alone[0].reset(seed=9)[0])
    assert together[0].step(actions[0])[1] == alone[0].step(actions[0])[1]


def test_claims_name_every_part_once_and_ideal_ones_hold_what_the_rule_costs() -> None:
    task, starts, drives = driven()
    moments: Any = tree().nodes["moments"].task
    claims = ask(task, {"moments": ideal(moments)}, starts, drives)
    assert tuple(claims) == MOMENTS and claims[MOMENTS[1]].in_reply_to == MOMENTS[0]
    places = np.stack([claim.place for claim in claims.values()], axis=1)
    assert all(len(set(row)) == len(MOMENTS) for row in places.tolist())
    told = sum(claim.value for claim in claims.values())
    steps = trampled(drives)
    assert np.array_equal(told, -np.sort(-steps, axis=1)[:, : len(MOMENTS)].sum(axis=1))
    assert steps.sum() <= 1.25 * told.sum()


def test_helpers_are_asked_about_drives_some_of_whose_parts_are_known() -> None:
    scenes = tree().nodes["moments"].task.sample(np.random.default_rng(0), 200, "train")
    out = (~scenes.valid).sum(axis=1)
    assert set(out.tolist()) == set(range(len(MOMENTS)))
    assert (scenes.prominence[scenes.valid].reshape(-1).min() >= 0) and scenes.fields[WATCH].max() <= LONG


def test_what_must_be_watched_is_on_no_face_no_board_and_in_no_observation_of_rewards() -> None:
    task, starts, drives = driven()
    later = slice(LONG, None)
    seen = drives.observations.copy()
    seen[:, later, SEEN.index("clearance")] = 1.0
    rewards = drives.rewards.copy()
    rewards[:, later] += PENALTY * on_bed(drives.observations)[:, later]
    clean = replace(drives, observations=seen, rewards=rewards)
    assert trampled(clean).sum() < trampled(drives).sum()
    before, after = (task.view(starts, one, NO_CLAIMS) for one in (drives, clean))
    assert np.allclose(before.face, after.face)
    for row in range(5):
        assert task.board(starts, drives, row)[0] == task.board(starts, clean, row)[0]
    blind = replace(drives, rewards=np.zeros_like(rewards))
    assert np.array_equal(task.observe(starts, drives), task.observe(starts, blind))


def test_boards_are_drawn_with_a_place_for_every_part() -> None:
    task, starts, drives = driven()
    board, (tool,) = task.board(starts, drives, 0)
    picture = ET.fromstring(board.data)
    assert len(tool.places) == PARTS and all(board.holds(box) for _, _, box in tool.places)
    assert len(picture.findall(".//{*}polyline")) == 1
    bare, _ = task.board(starts, replace(drives, states=drives.states[:, :, :0]), 0)
    assert not ET.fromstring(bare.data).findall(".//{*}polyline")


@pytest.mark.slow
def test_ideal_helpers_lift_an_evaluator_far_above_the_best_unaided_one() -> None:
    node = tree().nodes["rollout"]
    experience = experience_of(tree(), node, 0)
    pairs = frozen_pairs(node, experience.scale, 600, "validation")
    kinds = {"unaided": {}, "ideal": ideal_helpers(tree(), node)}
    right = {
        kind: accuracy(judge_of(experience, node, helpers, np.random.default_rng(0)), node, pairs).noisy.mean()
        for kind, helpers in kinds.items()
    }
    assert right["unaided"] < 0.66 and right["ideal"] > right["unaided"] + 0.2


def test_options_that_there_are_none_of_are_refused() -> None:
    with pytest.raises(ConfigError, match="no options; leave out env"):
        courier_tree(replace(SETTINGS, options={"env": "Pendulum-v1"}))
