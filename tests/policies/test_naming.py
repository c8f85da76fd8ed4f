"""Policies that give names: the transformer, fitting to targets in closed form, and learning to look facts up."""

import numpy as np
import pytest
import torch

from rewardtree.domains.algorithms.powering import Powering
from rewardtree.policies.naming import WORLDS, Fitting, NamingLearner
from rewardtree.policies.transformer import LAYERED, Shape, forward, grown, initial_weights
from rewardtree.tasks.decomposition import everything, one_each, truth
from rewardtree.tasks.exhibit import NO_CLAIMS, Claims
from rewardtree.tasks.levels import LevelTask

FAMILY = Powering(depth=1, size=7)
TASK = LevelTask(family=FAMILY, level=0)
ANY = np.ones((2, 5), dtype=bool)


def test_the_order_of_tokens_does_not_matter() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = initial_weights(Shape(vocabulary=9, columns=2, allowed=ANY, width=16, layers=2), generator)
    tokens = torch.randint(9, (3, 5, 2), generator=generator)
    order = torch.tensor([3, 1, 0, 4, 2])
    torch.testing.assert_close(forward(weights, tokens, 0, 4)[:, order], forward(weights, tokens[:, order], 0, 4))


def test_against_torch_s_own_layers() -> None:
    """Untrained blocks make up a plain transformer: torch's encoder layers give the same logits."""
    generator = torch.Generator().manual_seed(1)
    weights = initial_weights(Shape(vocabulary=6, columns=1, allowed=ANY, width=16), generator)
    tokens = torch.randint(6, (2, 4, 1), generator=generator)
    x = weights["embedding"][tokens[..., 0]]
    for i in range(2):
        layer = torch.nn.TransformerEncoderLayer(
            16, 4, 64, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        ours = {name: weights[f"{i}.{name}"][0] for name in LAYERED}
        layer.load_state_dict({
            "self_attn.in_proj_weight": ours["mix"], "self_attn.in_proj_bias": ours["mix_bias"],
            "self_attn.out_proj.weight": ours["back"], "self_attn.out_proj.bias": ours["back_bias"],
            "linear1.weight": ours["up"], "linear1.bias": ours["up_bias"],
            "linear2.weight": ours["down"], "linear2.bias": ours["down_bias"],
            "norm1.weight": ours["first_norm"], "norm1.bias": ours["first_shift"],
            "norm2.weight": ours["second_norm"], "norm2.bias": ours["second_shift"],
        })  # fmt: skip
        x = layer(x)
    x = torch.nn.functional.layer_norm(x, (16,), weights["1.last_norm"], weights["1.last_shift"])
    expected = (x @ weights["1.out"][0].T + weights["1.out_bias"][0]) @ weights["embedding"][:5].T / 4
    torch.testing.assert_close(forward(weights, tokens, 1, 5), expected)


def grown_weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return grown(initial_weights(Shape(vocabulary=9, columns=2, allowed=ANY, width=16), generator), 1)


def test_a_grown_block_begins_as_a_copy_and_sees_tokens_and_answers_only() -> None:
    """Where the block below is sure of a name, just that name's embedding comes up, whatever else it knows."""
    weights = grown_weights()
    assert all(torch.equal(weights[f"0.{name}"], weights[f"1.{name}"]) for name in (*LAYERED, "out", "last_norm"))
    assert weights["settled"].tolist() == [True, False]
    tokens = torch.randint(9, (3, 5, 2), generator=torch.Generator().manual_seed(3))
    sure = torch.as_tensor([[4.0, 0, 0, 0, 0]]) @ torch.linalg.pinv(weights["embedding"][:5]).T * 1e4
    always = {**weights, "0.out": torch.zeros_like(weights["0.out"]), "0.out_bias": sure}
    first = tokens[..., :1]
    x = weights["embedding"][first[..., 0]] + weights["embedding"][tokens[..., 1]] @ weights["role"][1]
    x = x + weights["embedding"][0] @ weights["1.said"]
    alone = {f"0.{name}": weights[f"1.{name}"] for name in (*LAYERED, "last_norm", "last_shift", "out", "out_bias")}
    vectors = {**weights, **alone, "embedding": torch.cat([weights["embedding"], x.reshape(-1, 16)])}
    standing = torch.arange(9, 9 + 15).reshape(3, 5, 1)
    torch.testing.assert_close(forward(always, tokens, 1, 5), forward(vectors, standing, 0, 5))


def test_what_is_not_allowed_below_is_never_said() -> None:
    """A block takes no notice of what the block below makes of names that its level does not allow."""
    weights = grown_weights()
    barred = {**weights, "allowed": torch.as_tensor([[True, True, False, True, True], [True] * 5])}
    tokens = torch.randint(9, (3, 5, 2), generator=torch.Generator().manual_seed(3))
    tokens[tokens == 2] = 1
    before = forward(barred, tokens, 1, 2)
    other = barred["embedding"].clone()
    other[2] += 5.0
    torch.testing.assert_close(forward({**barred, "embedding": other}, tokens, 1, 2), before)
    assert not torch.allclose(forward({**weights, "embedding": other}, tokens, 1, 2), forward(weights, tokens, 1, 2))


@pytest.mark.parametrize("together", [False, True])
def test_learning_a_level_leaves_what_settled_blocks_use(together: bool) -> None:
    """Only the level's own block moves; where levels are learnt in turns, embeddings move too, settled blocks never."""
    weights = grown(NamingLearner(task=TASK).initial(np.random.default_rng(0)).weights, 1)
    asked = everything(FAMILY, one_each(FAMILY, np.random.default_rng(1), WORLDS, "train", 1), 1)
    fitting = Fitting(weights, 2, together=together)
    for _ in range(2):
        fitting.update(asked, 1, np.full((len(asked), 7), -np.log(7.0)), [truth(FAMILY, 1, asked)] * 2)
    after = fitting.result()
    moved = {name for name in weights if not torch.equal(weights[name], after[name])}
    assert moved >= {"1.mix", "1.out", "1.said"}
    assert {name.split(".")[0] for name in moved} == ({"1", "embedding", "role"} if together else {"1"})


def test_from_scratch_every_block_below_is_learnt() -> None:
    weights = NamingLearner(task=TASK).initial(np.random.default_rng(0)).weights
    asked = everything(FAMILY, one_each(FAMILY, np.random.default_rng(1), WORLDS, "train", 1), 1)
    fitting = Fitting(weights, 2)
    for _ in range(2):
        fitting.update(asked, 1, np.full((len(asked), 7), -np.log(7.0)))
    after = fitting.result()
    assert not torch.equal(weights["0.mix"], after["0.mix"])
    assert not torch.equal(weights["embedding"], after["embedding"])


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

        def claims(self, inputs: object, outputs: object) -> Claims:
            return NO_CLAIMS

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
    assert not torch.equal(fitting.result()["0.out"], before["0.out"])
