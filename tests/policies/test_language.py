"""Language policies: log-probabilities, choosing, RLOO on a learnt reward, SFT, DPO."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from rewardtree.language.encoding import Encoder, padded
from rewardtree.language.passes import Sampling
from rewardtree.language.references import LanguageModel, LoRA, ModelRef, load
from rewardtree.policies.direct import Descent, imitate, prefer
from rewardtree.policies.gradient import Ascent, improve
from rewardtree.policies.language import Chooser, LanguageLearner, Outputs, Prompts, Writer, joined
from rewardtree.policies.learner import Learner, Policy
from rewardtree.rewards.language import Fitting, Heads, fit, initial
from tiny_language import WORDS, needs_lm, tiny_model

WANTED = "abbey"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs_lm()
    return tiny_model(tmp_path_factory.mktemp("policies"), spread=0.05)


@pytest.fixture(scope="module")
def model(tiny: Path) -> LanguageModel:
    return load(ModelRef(name=str(tiny)))


def prompts(model: LanguageModel, rng: np.random.Generator, count: int) -> Prompts:
    texts = [" ".join(rng.choice(WORDS.split(), 4)) for _ in range(count)]
    return Prompts(ids=padded(Encoder(model=model, style="plain").prompts(texts)))


def writer(model: LanguageModel) -> Writer:
    found: Writer = LanguageLearner(model=model, policy=partial(Writer, sampling=Sampling(tokens=8))).initial(
        np.random.default_rng(0)
    )
    return found


def test_interfaces(model: LanguageModel) -> None:
    assert isinstance(writer(model), Policy) and isinstance(LanguageLearner(model=model), Learner)
    assert isinstance(Chooser(model=model, weights={}, version="untrained"), Policy)


def test_generation_is_repeatable_and_its_log_probability_its_own(model: LanguageModel) -> None:
    policy, inputs = writer(model), prompts(model, np.random.default_rng(0), 6)
    outputs = policy.propose(inputs, np.random.default_rng(1))
    assert np.array_equal(outputs.ids, policy.propose(inputs, np.random.default_rng(1)).ids)
    found = policy.log_probability({}, inputs, outputs)
    for row, prompt, value in zip(joined(inputs, outputs), inputs.ids, found, strict=True):
        ids, begin = torch.as_tensor(row[row >= 0]).long(), int((prompt >= 0).sum())
        logits = torch.log_softmax(model.net(input_ids=ids[None]).logits[0], -1)
        assert float(value) == pytest.approx(float(logits[begin - 1 : -1].gather(1, ids[begin:, None]).sum()), abs=1e-3)
    assert np.array_equal(policy.answer(inputs).ids, policy.answer(inputs).ids)


def test_a_learnt_reward_teaches_the_policy(tiny: Path) -> None:
    """Its outputs are compared by how often they say a word; with a reward model fitted to that, it says it more."""
    model = load(ModelRef(name=str(tiny)))
    encoder, rng = Encoder(model=model, style="plain"), np.random.default_rng(0)
    word = encoder.outputs([f" {WANTED}"], finished=False)[0]
    assert len(word) == 1

    def said(outputs: Outputs) -> np.ndarray:
        return (outputs.ids == word[0]).sum(axis=1).astype(float)

    shown = [
        " " + " ".join(rng.choice([WANTED, "rain", "park", "old", "new", "good"], length))
        for length in rng.integers(1, 8, 256)
    ]
    inputs = prompts(model, rng, 256)
    policy = imitate(writer(model), inputs, Outputs(ids=padded(encoder.outputs(shown))), rng, version="shown",
                     descent=Descent(epochs=4, rate=1e-2))  # fmt: skip
    test = prompts(model, np.random.default_rng(9), 200)
    before = said(policy.propose(test, np.random.default_rng(1))).mean()

    inputs, (first, second) = (
        inputs.take(np.arange(200)),
        (policy.propose(inputs.take(np.arange(200)), rng) for _ in "ab"),
    )
    preferred = (rng.random(200) < 1 / (1 + np.exp(-2 * (said(first) - said(second))))).astype(float)
    chance = torch.Generator().manual_seed(0)
    reward, _ = fit(initial(model, Heads(), chance), joined(inputs, first), joined(inputs, second), preferred,
                    generator=chance, fitting=Fitting(epochs=4, rate=3e-3))  # fmt: skip

    def scored(some: Prompts, outputs: Outputs) -> np.ndarray:
        return reward.score(joined(some, outputs))[0]

    improved = improve(
        policy, policy.weights, scored, partial(prompts, model), rng,
        version="improved", ascent=Ascent(updates=20, inputs=8, samples=4, beta=0.02, rate=3e-3),
    )  # fmt: skip
    assert said(improved.propose(test, np.random.default_rng(1))).mean() > before + 1
    assert said(policy.propose(test, np.random.default_rng(1))).mean() == before, "the policy itself stays as it was"


def test_choosing_follows_log_probabilities_and_learns(tiny: Path) -> None:
    model = load(ModelRef(name=str(tiny)), adapters=LoRA(rank=4, targets=("q_proj", "v_proj", "down_proj")))
    encoder = Encoder(model=model, style="plain")
    learner = LanguageLearner(model=model, policy=Chooser,
                              ascent=Ascent(updates=15, inputs=8, samples=4, beta=0.0, rate=2e-2))  # fmt: skip
    options = padded(encoder.outputs([" old", " good", f" {WANTED}"]))

    def draw(rng: np.random.Generator, count: int) -> Prompts:
        return Prompts(ids=prompts(model, rng, count).ids, candidates=np.tile(options, (count, 1, 1)))

    policy, inputs = learner.initial(np.random.default_rng(0)), draw(np.random.default_rng(1), 50)
    logits = policy.logits({}, inputs)
    each = Writer(model=model, weights={}, version="").log_probability(
        {}, inputs.take(np.zeros(3, dtype=int)), Outputs(ids=options)
    )
    assert torch.allclose(logits[0], each, atol=1e-4)
    chances = policy.log_probability({}, inputs, Outputs(ids=np.tile(options[1], (50, 1))))
    assert torch.allclose(chances, torch.log_softmax(logits, 1)[:, 1], atol=1e-4)

    class Liking:
        model = None

        def claims(self, inputs: Prompts, outputs: Outputs) -> dict[str, object]:
            return {}

        def __call__(self, inputs: Prompts, outputs: Outputs) -> np.ndarray:
            return np.where((outputs.ids == options[2]).all(1), 2.0, 0.0)

    improved = learner.improve(policy, Liking(), draw, np.random.default_rng(2), version="v1")
    assert (improved.answer(inputs).ids == options[2]).all(1).mean() > 0.9


def test_imitation_and_preferences_move_probability(tiny: Path) -> None:
    model = load(ModelRef(name=str(tiny)))
    encoder, policy = Encoder(model=model, style="plain"), writer(model)
    inputs = prompts(model, np.random.default_rng(0), 32)
    good, bad = (Outputs(ids=padded(encoder.outputs([text] * 32))) for text in (" good old", " bad new"))

    def ahead(found: Writer) -> float:
        with torch.no_grad():
            first, second = (found.log_probability(found.weights, inputs, side) for side in (good, bad))
        return float((first - second).mean())

    copied = imitate(policy, inputs, good, np.random.default_rng(0), version="copied", descent=Descent(epochs=2))
    assert ahead(copied) > ahead(policy) + 1
    for probability, low, high in (
        (np.ones(32), 1.0, 99.0),
        (np.zeros(32), -99.0, -1.0),
        (np.full(32, 0.5), -0.5, 0.5),
    ):
        fitted = prefer(policy, inputs, (good, bad), probability, np.random.default_rng(0), version="preferred",
                        descent=Descent(epochs=2))  # fmt: skip
        assert low < ahead(fitted) - ahead(policy) < high
