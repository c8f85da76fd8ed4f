"""The placer: exact probabilities, samples that follow them, the same scores however netlists are batched."""

from itertools import permutations, product

import numpy as np
import pytest
import torch

from rewardtree.domains.chip.generate import generate
from rewardtree.domains.chip.layouts import Designs, Layouts
from rewardtree.domains.chip.netlist import stack
from rewardtree.domains.chip.placer import Placer, PlacerLearner, initial_placer, scores_of
from rewardtree.tasks.exhibit import NO_CLAIMS, Claims
from rewardtree.tasks.task import Split

FOUR = Designs(netlists=stack(generate(np.random.default_rng(0), blocks=4, nets=4, count=1)))
MIXED = Designs(
    netlists=stack(
        [
            *generate(np.random.default_rng(1), blocks=6, nets=8, count=2),
            *generate(np.random.default_rng(2), blocks=4, nets=4, count=1),
        ]
    )
)


@pytest.fixture
def placer() -> Placer:
    """One with opinions."""
    generator = torch.Generator().manual_seed(3)
    policy = initial_placer(generator)
    weights = {
        name: value + 0.1 * torch.randn(value.shape, generator=generator) for name, value in policy.weights.items()
    }
    return policy.with_weights(weights, "some")


def probabilities(policy: Placer, designs: Designs, layouts: Layouts) -> np.ndarray:
    with torch.inference_mode():
        return policy.log_probability(policy.weights, designs, layouts).exp().double().numpy()


def every_layout(designs: Designs) -> tuple[Designs, Layouts]:
    """All layouts of the one netlist of four blocks."""
    orders, turns = np.array([*permutations(range(4))]), np.array([*product((False, True), repeat=4)])
    first, second, turn = (a.ravel() for a in np.meshgrid(range(len(orders)), range(len(orders)), range(len(turns))))
    many = designs.take(np.zeros(len(first), dtype=int))
    return many, Layouts(netlists=many.netlists, first=orders[first], second=orders[second], rotated=turns[turn])


def test_probabilities_add_up_to_one(placer: Placer) -> None:
    assert probabilities(placer, *every_layout(FOUR)).sum() == pytest.approx(1.0, abs=1e-4)


def test_samples_follow_the_probabilities(placer: Placer) -> None:
    many, layouts = every_layout(FOUR)
    chance = probabilities(placer, many, layouts)
    drawn = placer.propose(FOUR.take(np.zeros(20_000, dtype=int)), np.random.default_rng(0))
    for part in ("first", "second", "rotated"):
        of_all, of_drawn = getattr(layouts, part), getattr(drawn, part)
        for value in np.unique(of_all, axis=0)[:6]:
            expected = chance[(of_all == value).all(axis=1)].sum()
            found = (of_drawn == value).all(axis=1).mean()
            assert abs(found - expected) < 5 * np.sqrt(expected / 20_000) + 1e-3


def test_answer_is_the_most_probable(placer: Placer) -> None:
    many, layouts = every_layout(FOUR)
    best = probabilities(placer, many, layouts).max()
    assert probabilities(placer, FOUR, placer.answer(FOUR))[0] == pytest.approx(best, rel=1e-5)


def test_untrained_is_uniform() -> None:
    policy = initial_placer(torch.Generator().manual_seed(0))
    many, layouts = every_layout(FOUR)
    np.testing.assert_allclose(probabilities(policy, many, layouts), 1 / (24 * 24 * 16), rtol=1e-4)


def test_padded_blocks_come_last_and_do_not_count(placer: Placer) -> None:
    layouts = placer.propose(MIXED, np.random.default_rng(0))
    assert set(layouts.first[2, 4:]) == set(layouts.second[2, 4:]) == {4, 5}
    turned = Layouts(
        netlists=layouts.netlists, first=layouts.first, second=layouts.second,
        rotated=layouts.rotated ^ ~MIXED.netlists.mask,
    )  # fmt: skip
    np.testing.assert_array_equal(probabilities(placer, MIXED, layouts), probabilities(placer, MIXED, turned))


def test_repeats_get_the_same_scores_and_gradients(placer: Placer) -> None:
    repeated = MIXED.take(np.array([2, 0, 0, 1, 2]))
    unrelated = Designs(netlists=repeated.netlists)
    weights = {name: value.clone().requires_grad_() for name, value in placer.weights.items()}
    grads = []
    for designs in (repeated, unrelated):
        scores = scores_of(weights, designs)
        grads.append(torch.autograd.grad(scores.square().sum(), list(weights.values())))
    torch.testing.assert_close(scores_of(placer.weights, repeated), scores_of(placer.weights, unrelated))
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


class FirstOnTheLeft:
    """Likes block 0 to be turned and first in both sequences."""

    model = None

    def claims(self, inputs: Designs, outputs: Layouts) -> Claims:
        return NO_CLAIMS

    def __call__(self, inputs: Designs, outputs: Layouts) -> np.ndarray:
        return 1.0 * outputs.rotated[:, 0] + (outputs.first[:, 0] == 0) + (outputs.second[:, 0] == 0)


def test_learns_what_is_rewarded() -> None:
    learner = PlacerLearner(updates=30)
    rng = np.random.default_rng(0)

    def draw(chance: np.random.Generator, count: int, split: Split = "train") -> Designs:
        return FOUR.take(np.zeros(count, dtype=int))

    before = learner.initial(rng)
    after = learner.improve(before, FirstOnTheLeft(), draw, rng, version="better")
    many = draw(rng, 500)
    rewards = [FirstOnTheLeft()(many, policy.propose(many, rng)).mean() for policy in (before, after)]
    assert rewards[0] == pytest.approx(1.0, abs=0.15)
    assert rewards[1] > 2.5
    assert after.version == "better"


def test_proposals_keep_exploring(placer: Placer) -> None:
    many = FOUR.take(np.zeros(3000, dtype=int))
    sure = placer.with_weights({n: v * (3.0 if n == "out" else 1.0) for n, v in placer.weights.items()}, "sure")
    top = sure.answer(FOUR).first[0]
    own = (sure.propose(many, np.random.default_rng(0)).first == top).all(axis=1).mean()
    some = (PlacerLearner(explore=0.5).propose(sure, many, np.random.default_rng(0)).first == top).all(axis=1).mean()
    assert some == pytest.approx(0.5 * own + 0.5 / 24, abs=0.05)
