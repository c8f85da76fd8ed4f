"""Training a policy by an engine: one coarse call, from a reference to a model to a reference to a better one.

`native` is the loop of `policies.language`, the quicker one for small models; `trl` is TRL, in this process or started
by accelerate, with DeepSpeed or without; `verl` and `openrlhf` are processes in environments of their own. Which one
runs is configuration. Scorers get token ids, never text that was decoded, so that an output's end is seen as it was in
training.
"""

from functools import partial

import numpy as np

from rewardtree.language.encoding import Encoder, padded
from rewardtree.language.references import ModelRef, load, save
from rewardtree.policies import openrlhf, outside, trl, verl
from rewardtree.policies.direct import Descent, imitate, prefer
from rewardtree.policies.gradient import Ascent, improve
from rewardtree.policies.language import LanguageLearner, Outputs, Prompts, Writer, joined
from rewardtree.policies.training import Scorer, Texts, Training, checked


def fit(policy: ModelRef, inputs: Texts, scorer: Scorer | None, training: Training) -> ModelRef:
    """Train a policy and write it to a folder.

    Args:
        policy: where to start, and what to stay near.
        inputs: prompts, and outputs where the method learns from them.
        scorer: of outputs, for `rloo` and `grpo`.
        training: the engine, the method and the budget.

    Raises:
        ConfigError: where the method lacks a scorer or outputs, or the engine has no such method.
        LanguageError: where the model or the extra cannot be had, or an engine elsewhere fails.
        RunError: where the folder holds another training of an engine elsewhere.
    """
    checked(inputs, scorer, training)
    if training.engine == "native":
        return _natively(policy, inputs, scorer, training)
    if training.engine == "trl" and training.launch is None:
        return trl.fit(policy, inputs, scorer, training)
    engine = {"trl": trl.APART, "verl": verl.APART, "openrlhf": openrlhf.APART}[training.engine]
    return outside.fit(engine, policy, inputs, scorer, training)


def _natively(ref: ModelRef, inputs: Texts, scorer: Scorer | None, training: Training) -> ModelRef:
    model = load(ref, adapters=training.adapters)
    encoder, rng = Encoder(model=model, style=training.style), np.random.default_rng(training.seed)
    learner = LanguageLearner(model=model, policy=partial(Writer, sampling=training.sampling))
    policy, prompts = learner.initial(rng), Prompts(ids=padded(encoder.prompts(inputs.prompts)))
    version = f"{ref.version}/{training.method}"
    if training.method == "rloo":
        assert scorer is not None
        ascent = Ascent(updates=training.steps, inputs=training.prompts, samples=training.samples, beta=training.beta,
                        rate=training.rate)  # fmt: skip
        policy = improve(
            policy, {}, lambda chosen, outputs: scorer(joined(chosen, outputs)),
            lambda chance, count: prompts.take(chance.integers(len(prompts), size=count)), rng,
            version=version, ascent=ascent,
        )  # fmt: skip
    else:
        epochs = max(1, round(training.steps * training.prompts / len(prompts)))
        descent = Descent(epochs=epochs, batch=training.prompts, rate=training.rate, beta=training.beta)
        good = Outputs(ids=padded(encoder.outputs(inputs.outputs)))
        if training.method == "sft":
            policy = imitate(policy, prompts, good, rng, version=version, descent=descent)
        else:
            sides = (good, Outputs(ids=padded(encoder.outputs(inputs.rejected))))
            policy = prefer(policy, prompts, sides, np.ones(len(prompts)), rng, version=version, descent=descent)
    return save(model, policy.weights, training.folder, version=version)
