"""Training a policy by an engine: one coarse call, from a reference to a model to a reference to a better one.

`native` is the loop of `policies.language`, the quicker one for small models; `trl` is TRL, which scales by accelerate
and DeepSpeed. Which one runs is configuration. Scorers get token ids, never text that was decoded, so that an output's
end is seen as it was in training.
"""

import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float

from rewardtree.errors import ConfigError, LanguageError
from rewardtree.language.encoding import Encoder, Rows, Style, padded
from rewardtree.language.installed import RENAMED, quietly, require
from rewardtree.language.passes import Sampling
from rewardtree.language.references import LoRA, ModelRef, folder_of, load, save
from rewardtree.policies.direct import Descent, imitate, prefer
from rewardtree.policies.gradient import Ascent, improve
from rewardtree.policies.language import LanguageLearner, Outputs, Prompts, Writer, joined

Scorer = Callable[[Rows], Float[np.ndarray, " batch"]]
"""From rows of prompts with their outputs to rewards: `score` of a reward model, its first value."""
Method = Literal["rloo", "grpo", "sft", "dpo"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Texts:
    """What an engine trains on.

    Attributes:
        prompts: one an input.
        outputs: demonstrated ones for `sft`, the preferred ones for `dpo`.
        rejected: for `dpo`.
    """

    prompts: Sequence[str]
    outputs: Sequence[str] = ()
    rejected: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """How an engine trains.

    Attributes:
        folder: where the new model is written.
        engine: which one.
        method: `rloo` and `grpo` need a scorer, `sft` and `dpo` outputs.
        style: of the prompts.
        steps: of the optimizer.
        prompts: a step.
        samples: a prompt, for `rloo` and `grpo`.
        beta: nats of reward a nat of divergence from the model as it was.
        rate: of the optimizer.
        sampling: of outputs.
        adapters: learn these alone, or everything where None.
        seed: of all chance.
    """

    folder: Path
    engine: Literal["native", "trl"] = "native"
    method: Method = "rloo"
    style: Style = "chat"
    steps: int = 50
    prompts: int = 16
    samples: int = 4
    beta: float = 0.05
    rate: float = 1e-4
    sampling: Sampling = field(default_factory=Sampling)
    adapters: LoRA | None = None
    seed: int = 0


def fit(policy: ModelRef, inputs: Texts, scorer: Scorer | None, training: Training) -> ModelRef:
    """Train a policy and write it to a folder.

    Args:
        policy: where to start, and what to stay near.
        inputs: prompts, and outputs where the method learns from them.
        scorer: of outputs, for `rloo` and `grpo`.
        training: the engine, the method and the budget.

    Raises:
        ConfigError: where the method lacks a scorer or outputs, or the engine has no such method.
        LanguageError: where the model or the extra cannot be had.
    """
    needed = {"rloo": 0, "grpo": 0, "sft": 1, "dpo": 2}[training.method]
    if needed == 0 and scorer is None:
        raise ConfigError(f"{training.method} needs a scorer; give one, or train by sft or dpo")
    for name in ("outputs", "rejected")[:needed]:
        if len(getattr(inputs, name)) != len(inputs.prompts):
            raise ConfigError(f"{training.method} needs one of `{name}` a prompt; give them, or choose another method")
    if training.engine == "trl":
        return _by_trl(policy, inputs, scorer, training)
    if training.method == "grpo":
        raise ConfigError("the native engine has no grpo; choose rloo, or the engine trl")
    return _natively(policy, inputs, scorer, training)


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


def _by_trl(ref: ModelRef, inputs: Texts, scorer: Scorer | None, training: Training) -> ModelRef:
    trl, transformers, datasets = require("trl"), require("transformers"), require("datasets")
    model = load(ref)  # its tokenizer and number type; TRL loads its own network by path, as its reference needs
    encoder = Encoder(model=model, style=training.style)
    name = {"rloo": "RLOO", "grpo": "GRPO", "sft": "SFT", "dpo": "DPO"}[training.method]
    with quietly(), warnings.catch_warnings(), tempfile.TemporaryDirectory() as scratch:
        warnings.filterwarnings("ignore", message=RENAMED, category=FutureWarning)
        arguments = getattr(trl, f"{name}Config")(**_arguments(training, scratch, str(model.net.dtype)))
        peft = require("peft")
        adapters = training.adapters
        named: dict[str, Any] = {} if scorer is None else {"reward_funcs": _reward(scorer, encoder, inputs)}
        trainer = getattr(trl, f"{name}Trainer")(
            model=str(folder_of(ref)),
            args=arguments,
            train_dataset=datasets.Dataset.from_list(_rows(inputs, encoder, training)),
            processing_class=model.tokenizer,
            peft_config=adapters and peft.LoraConfig(
                r=adapters.rank, lora_alpha=adapters.scale, target_modules=adapters.targets and list(adapters.targets),
                task_type="CAUSAL_LM",
            ),
            **named,
        )  # fmt: skip
        if training.method == "dpo":
            _encoded_alike(trainer.train_dataset, inputs, encoder)
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
        net = trainer.model if adapters is None else trainer.model.merge_and_unload()
        net.save_pretrained(training.folder)
        model.tokenizer.save_pretrained(training.folder)
    return ModelRef(name=str(training.folder), version=f"{ref.version}/{training.method}")


def _arguments(training: Training, scratch: str, dtype: str) -> dict[str, Any]:
    """TRL's arguments: none of its defaults for accelerators where there is none, and no files of its own."""
    here = not torch.cuda.is_available()
    found: dict[str, Any] = {
        "output_dir": scratch, "use_cpu": here, "bf16": not here, "gradient_checkpointing": not here,
        "report_to": "none", "save_strategy": "no", "logging_strategy": "no", "disable_tqdm": True,
        "max_steps": training.steps, "learning_rate": training.rate, "seed": training.seed,
        "per_device_train_batch_size": training.prompts, "model_init_kwargs": {"dtype": dtype.removeprefix("torch.")},
    }  # fmt: skip
    if training.method in ("rloo", "grpo"):
        found |= {
            "per_device_train_batch_size": training.prompts * training.samples, "num_generations": training.samples,
            "beta": training.beta, "max_completion_length": training.sampling.tokens,
            "temperature": training.sampling.temperature,
        }  # fmt: skip
    if training.method == "dpo":
        found["beta"] = training.beta
    return found


def _rows(inputs: Texts, encoder: Encoder, training: Training) -> list[dict[str, Any]]:
    """The data set: prompts as TRL encodes them just as we do, or token ids where it takes them."""
    if training.method in ("rloo", "grpo"):
        chat = training.style == "chat"
        shown: list[Any] = [[{"role": "user", "content": p}] if chat else p for p in inputs.prompts]
        return [{"prompt": prompt, "row": row} for row, prompt in enumerate(shown)]
    prompts, outputs = encoder.prompts(inputs.prompts), encoder.outputs(inputs.outputs)
    if training.method == "sft":
        both = zip(prompts, outputs, strict=True)
        return [{"input_ids": p + o, "completion_mask": [0] * len(p) + [1] * len(o)} for p, o in both]
    three = zip(encoder.shown(inputs.prompts), inputs.outputs, inputs.rejected, strict=True)
    return [{"prompt": p, "chosen": a, "rejected": b} for p, a, b in three]


def _encoded_alike(read: Any, inputs: Texts, encoder: Encoder) -> None:
    """TRL's DPO takes no token ids: see that it made those of its text that we make."""
    prompts, sides = (
        encoder.prompts(inputs.prompts),
        (encoder.outputs(inputs.outputs), encoder.outputs(inputs.rejected)),
    )
    for row, prompt, good, bad in zip(read, prompts, *sides, strict=True):
        if (list(row["prompt_ids"]), list(row["chosen_ids"]), list(row["rejected_ids"])) != (prompt, good, bad):
            raise LanguageError(f"TRL encodes the prompt {encoder.model.tokenizer.decode(prompt)!r} or its outputs "
                                "otherwise than they are scored; use the engine native for dpo")  # fmt: skip


def _reward(scorer: Scorer, encoder: Encoder, inputs: Texts) -> Callable[..., list[float]]:
    """What TRL calls: it hands over token ids, the data set's columns, and more by name."""
    prompts = encoder.prompts(inputs.prompts)

    def reward(*, completion_ids: list[list[int]], row: list[int], **_: Any) -> list[float]:
        return [float(value) for value in scorer(encoder.joined([prompts[i] for i in row], completion_ids))]

    return reward
