"""Language reward models: what they learn, soft labels and weights, members, files; and the generative ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rewardtree.errors import ConfigError, LanguageError, RunError
from rewardtree.language.encoding import Encoder
from rewardtree.language.references import LanguageModel, LoRA, ModelRef, load
from rewardtree.rewards.generative import GenerativeRewardModel, Questions
from rewardtree.rewards.language import Fitting, Heads, LanguageRewards, fit, initial, load_reward_model
from rewardtree.rewards.learner import RewardLearner, Scores
from tiny_language import WORDS, needs_lm, tiny_model

VOCABULARY = WORDS.split()
GOOD = set(VOCABULARY[::2])
QUICK = Fitting(epochs=1, pairs=8, rate=3e-3)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs_lm()
    return tiny_model(tmp_path_factory.mktemp("rewards"), spread=0.05)


@pytest.fixture(scope="module")
def model(tiny: Path) -> LanguageModel:
    return load(ModelRef(name=str(tiny)))


def pairs(model: LanguageModel, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of both outputs, and by how many good words the first is ahead of the second."""
    rng = np.random.default_rng(seed)

    def text(most: int) -> str:
        return " ".join(rng.choice(VOCABULARY, rng.integers(2, most)))

    prompts, encoder = [text(6) for _ in range(count)], Encoder(model=model, style="plain")
    outputs = [[text(10) for _ in range(count)] for _ in range(2)]
    worth = [np.array([sum(1 if w in GOOD else -1 for w in o.split()) for o in side]) for side in outputs]
    first, second = (encoder.rows(prompts, [f" {o}" for o in side]) for side in outputs)
    return first, second, (worth[0] - worth[1]).astype(float)


def test_it_learns_which_words_are_liked(model: LanguageModel) -> None:
    first, second, ahead = pairs(model, 600)
    probability = (np.random.default_rng(1).random(600) < 1 / (1 + np.exp(-ahead))).astype(float)
    probability[:20] = np.nan
    learnt, figures = fit(initial(model, Heads(), generator()), first, second, probability, generator=generator(),
                          fitting=Fitting(epochs=4, rate=3e-3))  # fmt: skip
    assert figures.pairs + figures.held_out == 580 and figures.accuracy > 0.7
    first, second, ahead = pairs(model, 300, seed=2)
    difference = learnt.score(first)[0] - learnt.score(second)[0]
    assert (np.sign(difference) == np.sign(ahead))[ahead != 0].mean() > 0.75
    spread = learnt.score(first)[1]
    assert spread.shape == (300,) and (spread > 0).all()


@pytest.mark.parametrize("adapters", [None, LoRA(rank=2)])
def test_members_share_the_pass_and_differ(tiny: Path, adapters: LoRA | None) -> None:
    model = load(ModelRef(name=str(tiny)), adapters=adapters)
    reward = initial(model, Heads(members=3), generator())
    first, second, _ = pairs(model, 5)
    members = reward.score_members(first)
    assert isinstance(reward, Scores) and members.shape == (3, 5)
    assert not np.allclose(members[0], members[1])
    whole = reward.score_members(np.concatenate([first, first]))
    assert np.allclose(whole[:, :5], members, atol=1e-5) and np.allclose(whole[:, 5:], members, atol=1e-5)
    assert second.shape[0] == 5


def test_ties_are_kept_together_and_weights_count(model: LanguageModel) -> None:
    first, second, _ = pairs(model, 24)
    start, settings = initial(model, Heads(members=1, prior=0.0), generator()), replace(QUICK, epochs=8, held_out=0.0)

    def apart(probability: np.ndarray, weight: np.ndarray | None = None) -> float:
        learnt, _ = fit(start, first, second, probability, weight=weight, generator=generator(), fitting=settings)
        return float((learnt.score(first)[0] - learnt.score(second)[0]).mean())

    assert abs(apart(np.full(24, 0.5))) < 0.1
    assert apart(np.full(24, 0.9)) > 0.3
    contrary = np.tile([1.0, 0.0], 12)
    assert apart(contrary, np.tile([1.0, 0.0], 12)) > 0.3 > -0.3 > apart(contrary, np.tile([0.0, 1.0], 12))


def test_fits_are_repeatable_and_leave_the_start_alone(model: LanguageModel) -> None:
    first, second, ahead = pairs(model, 32)
    start = initial(model, Heads(), generator())
    before = {name: value.clone() for name, value in start.weights.items()}
    (one, how), (two, _) = (
        fit(start, first, second, (ahead > 0) * 1.0, generator=generator(5), fitting=QUICK) for _ in range(2)
    )
    assert all(torch.equal(value, two.weights[name]) for name, value in one.weights.items())
    assert all(torch.equal(value, start.weights[name]) for name, value in before.items())
    assert how.held_out == 3 and how.steps == 4


def test_nothing_known_is_nothing_learnt(model: LanguageModel) -> None:
    first, second, _ = pairs(model, 4)
    start = initial(model, Heads(), generator())
    same, figures = fit(start, first, second, np.full(4, np.nan), generator=generator())
    assert same is start and figures.pairs == 0


def test_files_hold_what_was_learnt_and_name_the_backbone(tiny: Path, model: LanguageModel, tmp_path: Path) -> None:
    adapted = load(ModelRef(name=str(tiny)), adapters=LoRA(rank=2))
    learner = LanguageRewards(model=adapted, fitting=QUICK)
    assert isinstance(learner, RewardLearner)
    first, second, ahead = pairs(adapted, 24)
    reward, _ = learner.fit(learner.initial(first.shape[1], generator()), first, second, (ahead > 0) * 1.0,
                            generator=generator())  # fmt: skip
    reward.save(tmp_path / "reward.safetensors")
    for again in (learner.load(tmp_path / "reward.safetensors"), load_reward_model(tmp_path / "reward.safetensors")):
        assert np.array_equal(again.score_members(first), reward.score_members(first))
    with pytest.raises(RunError, match="load that model, with the same adapters"):
        LanguageRewards(model=model).load(tmp_path / "reward.safetensors")
    (tmp_path / "broken").write_bytes(b"no")
    with pytest.raises(RunError, match="train it again or restore it"):
        learner.load(tmp_path / "broken")


def test_settings_check_themselves() -> None:
    with pytest.raises(ConfigError, match="1 head or more"):
        Heads(members=0)
    with pytest.raises(ConfigError, match="less than all held out"):
        Fitting(held_out=1.0)


def test_a_judge_is_asked_in_both_orders(tiny: Path) -> None:
    judge = GenerativeRewardModel(
        encoder=Encoder(model=load(ModelRef(name=str(tiny)))),
        questions=Questions(compare="{prompt} a {first} b {second}", rate="{text} good", ratings=("yes", "no")),
    )
    prompts, first, second = ["why", "who"], ["good old", "his aunt"], ["bad", "rain"]
    orders = judge.both_orders(prompts, first, second)
    assert orders.shape == (2, 2)
    assert np.allclose(judge.both_orders(prompts, second, first), -orders[::-1], atol=1e-4)
    assert np.allclose(judge.compare(prompts, first, second) + judge.compare(prompts, second, first), 1, atol=1e-4)
    rows = judge.encoder.rows(prompts, first)
    value, spread = judge.score(rows)
    assert isinstance(judge, Scores) and value.shape == (2,) and not spread.any()
    ids = torch.tensor(judge.encoder.prompts([f"{judge.encoder.texts(rows)[0]} good"]))
    yes, no = (judge.encoder.outputs([word], finished=False)[0][0] for word in ("yes", "no"))
    logits = judge.encoder.model.net(input_ids=ids).logits[0, -1]
    assert value[0] == pytest.approx(float(logits[yes] - logits[no]), abs=1e-4)
    with pytest.raises(LanguageError, match="begin with the same token"):
        replace(judge, questions=Questions(verdicts=("A", "A")))
