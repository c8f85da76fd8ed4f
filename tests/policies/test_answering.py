"""Answering policies: their distribution, the exact improvement that they are fitted to, and their learner."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax
from scipy.stats import chisquare

from rewardtree.policies import answering
from rewardtree.policies.answering import (
    AnsweringLearner,
    AnsweringPolicy,
    forward,
    improve,
    initial_policy,
    solution,
    tilted,
    value_logits,
)
from rewardtree.rewards.ensemble import RewardModel, RewardShape, initial
from rewardtree.tasks.answers import Answers, Scenes
from rewardtree.tree.node import Node
from rewardtree.tree.seen import Joined
from toy import PLACES, toy_tasks

TASK = toy_tasks()["left"]


def scenes(count: int = 6, seed: int = 0, *, valid: bool = False, asked: bool = True) -> Scenes:
    rng = np.random.default_rng(seed)
    found = TASK.sample(rng, count, "train")
    if valid:
        mask = rng.random(found.valid.shape) < 0.6
        mask[:, 0] = True
        found = replace(found, valid=mask, asked=np.where(found.asked >= 0, 0, -1))
    return found if asked else replace(found, asked=np.full(count, -1))


def policy_with_opinions(seed: int = 0) -> AnsweringPolicy:
    chance = torch.Generator().manual_seed(seed)
    policy = initial_policy(TASK, scenes(), chance)
    noise = {
        n: 0.5 * torch.randn(v.shape, generator=chance) for n, v in policy.weights.items() if n not in ("mean", "std")
    }
    return replace(policy, weights={n: v + noise.get(n, 0.0) for n, v in policy.weights.items()}, version="some")


def reward_model(seed: int = 0, hidden: int = 0) -> RewardModel:
    """A peaked reward over the toy's observation: two features, whether chosen, and the value."""
    model = initial(RewardShape(features=4, peaked=True, hidden=hidden), torch.Generator().manual_seed(seed))
    chance = torch.Generator().manual_seed(seed + 1)
    noise = {
        n: 0.7 * torch.randn(v.shape, generator=chance)
        for n, v in model.weights.items()
        if n not in ("std", "temperature")
    }
    weights = {n: v + noise.get(n, 0.0) for n, v in model.weights.items()}
    weights["out_bias"] = weights["out_bias"] + torch.tensor([0.0, 5.0])
    return replace(model, weights=weights)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("beta", [0.1, 1.0, 5.0])
def test_tilted_is_the_best_trade_of_reward_against_divergence(seed: int, beta: float) -> None:
    """Against a numerical search over all distributions for the greatest E[r] - beta KL."""
    rng = np.random.default_rng(seed)
    log_prior, reward = log_softmax(rng.normal(size=4)), rng.normal(size=4)

    def value(logits: np.ndarray) -> float:
        log_p = log_softmax(logits)
        return float(np.exp(log_p) @ (reward - beta * (log_p - log_prior)))

    starts = [rng.normal(size=4) for _ in range(3)]
    best = max((minimize(lambda z: -value(z), s, tol=1e-12) for s in starts), key=lambda found: -found.fun)
    found = tilted(torch.as_tensor(log_prior), torch.as_tensor(reward), beta).numpy()
    assert value(found) == pytest.approx(beta * logsumexp(log_prior + reward / beta), abs=1e-9)
    assert value(found) >= -best.fun - 1e-9
    np.testing.assert_allclose(np.exp(found), softmax(best.x), atol=2e-3)


@pytest.mark.parametrize("hidden", [0, 16])
@pytest.mark.parametrize("beta", [0.3, 2.0])
def test_solution_is_that_of_all_places_and_values_together(hidden: int, beta: float) -> None:
    """Every pair of place and value is scored one by one; the best distribution over them is closed-form."""
    model, levels = reward_model(hidden=hidden), np.linspace(0, 10, 7)
    inputs = scenes(valid=True)
    features, valid = torch.as_tensor(inputs.features), torch.as_tensor(inputs.valid)
    log_place, log_value = solution(model, features, valid, torch.as_tensor(levels).float(), beta)
    for row in range(len(inputs)):
        pairs = [(p, v) for p in range(PLACES) for v in levels]
        rows = np.array([[*inputs.features[row, p], 1.0, v] for p, v in pairs], dtype=np.float32)
        logits = model.score(rows)[0].reshape(PLACES, len(levels)) / beta
        logits[~inputs.valid[row]] = -np.inf
        joint = np.exp(logits - logsumexp(logits))
        np.testing.assert_allclose(log_place[row].exp(), joint.sum(axis=1), atol=1e-4)
        for place in np.flatnonzero(inputs.valid[row]):
            given = joint[place] / joint[place].sum()
            np.testing.assert_allclose(log_value[row, place].exp(), given, atol=1e-4)


def test_improve_fits_the_solution() -> None:
    """A linear peaked reward lies within the policy's family, so the fit can be close."""
    model, beta = reward_model(), 1.0
    start = initial_policy(TASK, scenes(64), torch.Generator().manual_seed(0))
    policy = improve(
        start, model, lambda rng, count: TASK.sample(rng, count, "train"), np.random.default_rng(0),
        version="v1", beta=beta, updates=250,
    )  # fmt: skip
    assert policy.version == "v1" and start.version == "untrained"
    fresh = scenes(200, seed=9, asked=False)
    log_place, log_value = solution(
        model, torch.as_tensor(fresh.features), torch.as_tensor(fresh.valid), policy.steps(), beta
    )
    out = forward(policy.weights, torch.as_tensor(fresh.features))
    fitted = torch.log_softmax(out[..., 0], 1)
    untrained = -np.log(PLACES)
    gap = (log_place.exp() * (log_place - fitted)).sum(1).mean()
    assert float(gap) < 0.02 * float((log_place.exp() * (log_place - untrained)).sum(1).mean()) + 0.01
    values = (log_value.exp() * policy.steps()).sum(-1).numpy() * TASK.scale + TASK.low
    assert np.abs(values - policy.values(fresh.features)).mean() < 0.2 * TASK.scale


def test_improve_uses_a_subset_of_many_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "PLACES", 3)
    inputs = scenes(8)
    features, valid = answering.subset(inputs, np.random.default_rng(0), 3)
    assert features.shape == (8, 3, 2) and valid.shape == (8, 3)
    for row in range(8):
        own = {tuple(f) for f in inputs.features[row].tolist()}
        chosen = {tuple(f) for f in features[row].tolist()}
        assert chosen <= own and len(chosen) == 3
    start = initial_policy(TASK, scenes(64), torch.Generator().manual_seed(0))
    policy = improve(start, reward_model(), lambda rng, n: TASK.sample(rng, n, "train"), np.random.default_rng(0),
                     version="v1", updates=5)  # fmt: skip
    assert policy.version == "v1"


def test_samples_follow_the_distribution() -> None:
    policy = policy_with_opinions()
    one = scenes(1, asked=False)
    many = one.take(np.zeros(20_000, dtype=int))
    drawn = policy.propose(many, np.random.default_rng(1))
    out = forward(policy.weights, torch.as_tensor(one.features[0]))
    places = softmax(out[:, 0].double().numpy())
    assert chisquare(np.bincount(drawn.place, minlength=PLACES), 20_000 * places).pvalue > 1e-3
    place = int(places.argmax())
    chance = softmax(value_logits(out, policy.steps())[place].double().numpy())
    there = drawn.value[drawn.place == place]
    levels = np.rint((there - TASK.low) / (TASK.high - TASK.low) * (TASK.levels - 1)).astype(int)
    common = chance * len(there) > 5
    counts = np.bincount(levels, minlength=TASK.levels)
    found = np.append(counts[common], counts[~common].sum())
    expected = np.append(chance[common], chance[~common].sum()) * len(there)
    assert chisquare(found, expected * found.sum() / expected.sum()).pvalue > 1e-3
    assert set(there) <= set(policy.grid().tolist())


def test_the_answer_is_the_surest_place_and_the_mean_value() -> None:
    policy, inputs = policy_with_opinions(), scenes(valid=True)
    out = forward(policy.weights, torch.as_tensor(inputs.features))
    logits = np.where(inputs.valid, out[..., 0].numpy(), -np.inf)
    place = np.where(inputs.asked >= 0, inputs.asked, logits.argmax(axis=1))
    answer = policy.answer(inputs)
    np.testing.assert_array_equal(answer.place, place)
    share = softmax(value_logits(out, policy.steps()).double().numpy(), axis=-1)
    mean = share @ policy.grid().numpy()
    np.testing.assert_allclose(answer.value, mean[np.arange(len(inputs)), place], rtol=1e-5)
    items = policy.items(inputs)
    np.testing.assert_array_equal(np.isnan(items), ~inputs.valid)
    np.testing.assert_allclose(items[inputs.valid], mean[inputs.valid], rtol=1e-5)


@pytest.mark.parametrize("act", ["answer", "propose"])
def test_it_points_at_places_that_exist_or_are_asked_about_and_sees_no_field(act: str) -> None:
    policy, inputs = policy_with_opinions(), scenes(300, valid=True)

    def outputs(given: Scenes) -> Answers:
        found: Answers = policy.answer(given) if act == "answer" else policy.propose(given, np.random.default_rng(2))
        return found

    found = outputs(inputs)
    asked = inputs.asked >= 0
    assert (found.place[asked] == inputs.asked[asked]).all()
    assert inputs.valid[np.arange(300), found.place].all()
    blind = outputs(replace(inputs, fields={"left": -inputs.fields["left"]}, prominence=-inputs.prominence))
    np.testing.assert_array_equal(found.place, blind.place)
    np.testing.assert_array_equal(found.value, blind.value)


def test_an_untrained_policy_is_indifferent() -> None:
    policy = AnsweringLearner(task=TASK).initial(np.random.default_rng(0))
    out = forward(policy.weights, torch.as_tensor(scenes().features))
    assert (out[..., 0] == 0).all()
    np.testing.assert_allclose(policy.values(scenes().features), TASK.usual, atol=0.1 * TASK.scale)


def test_before_the_first_improvement_everything_is_explored_and_later_a_share() -> None:
    learner = AnsweringLearner(task=TASK, explore=0.25)
    inputs, grid = scenes(4000, asked=False), set(TASK.grid().tolist())
    untrained = learner.initial(np.random.default_rng(0))
    first = learner.propose(untrained, inputs, np.random.default_rng(1))
    assert np.mean([v in grid for v in first.value.tolist()]) < 0.02
    later = learner.propose(replace(untrained, version="v1"), inputs, np.random.default_rng(1))
    assert np.mean([v in grid for v in later.value.tolist()]) == pytest.approx(0.75, abs=0.03)


def test_a_restored_policy_answers_the_same() -> None:
    policy, learner = policy_with_opinions(), AnsweringLearner(task=TASK)
    restored = learner.restore(policy.weights, "some")
    assert restored.version == policy.version
    one, two = (p.propose(scenes(50), np.random.default_rng(3)) for p in (policy, restored))
    assert one.digest() == two.digest()


def test_learning_is_reproducible_and_leaves_the_start_alone() -> None:
    learner = AnsweringLearner(task=TASK, updates=10)
    start = policy_with_opinions()
    before = {n: v.clone() for n, v in start.weights.items()}
    node = Node(name="left", task=TASK, learner=learner, peaked=True)
    reward = Joined(node=node, assist=lambda inputs, outputs: {}, model=reward_model())

    def draw(rng: np.random.Generator, count: int) -> Any:
        return TASK.sample(rng, count, "train")

    weights = [learner.improve(start, reward, draw, np.random.default_rng(s), version="v").weights for s in (5, 5, 6)]
    assert all(torch.equal(weights[0][n], weights[1][n]) for n in before)
    assert not all(torch.equal(weights[0][n], weights[2][n]) for n in before)
    assert all(torch.equal(start.weights[n], v) and not v.requires_grad for n, v in before.items())
    assert all(torch.equal(weights[0][n], before[n]) for n in ("mean", "std"))
