"""Policies that give names: the transformer, fitting to targets in closed form, and learning to look facts up."""

import numpy as np
import torch

from rewardtree.domains.algorithms.powering import Powering
from rewardtree.policies.naming import WORLDS, Fitting, NamingLearner
from rewardtree.policies.transformer import Shape, forward, initial_weights
from rewardtree.tasks.decomposition import everything, one_each, truth
from rewardtree.tasks.levels import LevelTask

FAMILY = Powering(depth=1, size=7)
TASK = LevelTask(family=FAMILY, level=0)


def test_the_order_of_tokens_does_not_matter() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = initial_weights(Shape(vocabulary=9, columns=2, width=16, layers=2), generator)
    tokens = torch.randint(9, (3, 5, 2), generator=generator)
    order = torch.tensor([3, 1, 0, 4, 2])
    torch.testing.assert_close(forward(weights, tokens, 0, 4)[:, order], forward(weights, tokens[:, order], 0, 4))


def test_against_torch_s_own_layers() -> None:
    """The same weights in torch's encoder layers give the same logits."""
    generator = torch.Generator().manual_seed(1)
    weights = initial_weights(Shape(vocabulary=6, columns=1, width=16, layers=2), generator)
    tokens = torch.randint(6, (2, 4, 1), generator=generator)
    x = weights["embedding"][tokens[..., 0]]
    for i in range(2):
        layer = torch.nn.TransformerEncoderLayer(
            16, 4, 64, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        layer.load_state_dict({
            "self_attn.in_proj_weight": weights["mix"][i], "self_attn.in_proj_bias": weights["mix_bias"][i],
            "self_attn.out_proj.weight": weights["back"][i], "self_attn.out_proj.bias": weights["back_bias"][i],
            "linear1.weight": weights["up"][i], "linear1.bias": weights["up_bias"][i],
            "linear2.weight": weights["down"][i], "linear2.bias": weights["down_bias"][i],
            "norm1.weight": weights["first_norm"][i], "norm1.bias": weights["first_shift"][i],
            "norm2.weight": weights["second_norm"][i], "norm2.bias": weights["second_shift"][i],
        })  # fmt: skip
        x = layer(x)
    x = torch.nn.functional.layer_norm(x, (16,), weights["last_norm"], weights["last_shift"])
    expected = (x @ weights["out"][0].T + weights["out_bias"][0]) @ weights["embedding"][:5].T / 4
    torch.testing.assert_close(forward(weights, tokens, 0, 5), expected)


def test_only_allowed_names_are_given() -> None:
    learner = NamingLearner(task=TASK)
    policy = learner.initial(np.random.default_rng(0))
    policy = type(policy)(weights=policy.weights, level=0, allowed=np.arange(7) == 4, version="x")
    asked = one_each(FAMILY, np.random.default_rng(1), 50, "train", 0)
    assert set(policy.answer(asked).value) == {4.0}
    assert set(policy.propose(asked, np.random.default_rng(2)).value) == {4.0}


def test_what_was_worked_out_of_a_world_is_not_mixed_up() -> None:
    """Two policies that look at the same worlds in turn keep their own answers."""
    learner = NamingLearner(task=TASK)
    one, other = (learner.initial(np.random.default_rng(seed)) for seed in (0, 1))
    asked = one_each(FAMILY, np.random.default_rng(1), 30, "train", 0)
    first, second = one.logits(asked), other.logits(asked)
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(one.logits(asked), first)
    fresh = one_each(FAMILY, np.random.default_rng(1), 30, "train", 0)
    np.testing.assert_array_equal(other.logits(fresh), second)


def test_targets_are_the_closed_form() -> None:
    """softmax(reward / beta) over the allowed names."""
    learner = NamingLearner(task=TASK, beta=0.5)
    asked = one_each(FAMILY, np.random.default_rng(1), 20, "train", 0)
    rewards = np.random.default_rng(2).normal(size=(20, 7))
    target = learner.targets(asked, np.arange(7), lambda inputs, outputs: rewards.ravel())
    expected = torch.log_softmax(torch.as_tensor(rewards) / 0.5, 1).numpy()
    np.testing.assert_allclose(target, expected, atol=1e-12)


def test_learns_to_look_a_fact_up() -> None:
    """A leaf's task, from a reward that is right: nearly always right on worlds that it has not seen."""
    rng = np.random.default_rng(0)
    learner = NamingLearner(task=TASK, layers=2, updates=250)

    class Right:
        model = None

        def __call__(self, inputs: object, outputs: object) -> np.ndarray:
            return 5.0 * TASK.true_reward(inputs, outputs)  # type: ignore[arg-type]

    def draw(chance: np.random.Generator, count: int) -> object:
        return TASK.sample(chance, count, "train")

    untrained = learner.initial(rng)
    policy = learner.improve(untrained, Right(), draw, rng, version="1")
    asked = TASK.sample(np.random.default_rng(9), 500, "test")
    right = truth(FAMILY, 0, asked)
    assert (untrained.answer(asked).value == right).mean() < 0.4
    assert (policy.answer(asked).value == right).mean() > 0.97


def test_fitting_leaves_the_weights_that_it_began_with() -> None:
    policy = NamingLearner(task=TASK).initial(np.random.default_rng(0))
    before = {name: value.clone() for name, value in policy.weights.items()}
    asked = everything(FAMILY, one_each(FAMILY, np.random.default_rng(1), WORLDS, "train", 0), 0)
    fitting = Fitting(policy.weights, 3)
    uniform = np.full((len(asked), 7), -np.log(7.0))
    divergences = [fitting.update(asked, 0, uniform) for _ in range(3)]
    assert divergences[-1] < divergences[0]
    assert all(torch.equal(value, before[name]) for name, value in policy.weights.items())
    assert not torch.equal(fitting.result()["out"], before["out"])
