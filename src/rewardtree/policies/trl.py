"""TRL: in this process, or started by accelerate as many, with DeepSpeed or without, by its launch configuration.

As a process of its own it is this module that accelerate runs, with the file that says what is to be trained; a reward
is then asked for over HTTP, as by the other engines.
"""

import json
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from rewardtree.errors import ConfigError, LanguageError
from rewardtree.language.encoding import Encoder
from rewardtree.language.installed import RENAMED, quietly, require
from rewardtree.language.references import ModelRef, described, folder_of
from rewardtree.policies.hook import BATCH, post
from rewardtree.policies.outside import ADDRESS, CHECKPOINTS, MODEL, Apart
from rewardtree.policies.training import Job, Scorer, Texts, Training, restored

MODULE = "rewardtree.policies.trl"
ASKED = "asked.json"
Reward = Callable[..., list[float]]
"""What TRL calls: it hands over token ids, the data set's columns, and more by name."""
NAMES = {"rloo": "RLOO", "grpo": "GRPO", "sft": "SFT", "dpo": "DPO"}


def fit(ref: ModelRef, inputs: Texts, scorer: Scorer | None, training: Training) -> ModelRef:
    """Train in this process and write the new model."""
    encoder = Encoder(model=described(ref), style=training.style)
    with tempfile.TemporaryDirectory() as scratch:
        arguments = {"output_dir": scratch, "save_strategy": "no"}
        reward = None if scorer is None else _reward(scorer, encoder, inputs)
        trainer = _trainer(encoder, inputs, reward, training, arguments)
        _train(trainer)
        net = trainer.model if training.adapters is None else trainer.model.merge_and_unload()
        net.save_pretrained(training.folder)
        encoder.model.tokenizer.save_pretrained(training.folder)
    return ModelRef(name=str(training.folder), version=f"{ref.version}/{training.method}")


def _train(trainer: Any, checkpoint: str | None = None) -> None:
    with quietly(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=RENAMED, category=FutureWarning)
        trainer.train(resume_from_checkpoint=checkpoint)


def _trainer(
    encoder: Encoder, inputs: Texts, reward: Reward | None, training: Training, arguments: Mapping[str, Any]
) -> Any:
    """TRL's trainer for this; TRL loads the network itself, by path, as its reference needs."""
    trl, transformers, datasets = require("trl"), require("transformers"), require("datasets")
    name, adapters = NAMES[training.method], training.adapters
    named: dict[str, Any] = {} if reward is None else {"reward_funcs": reward}
    with quietly(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=RENAMED, category=FutureWarning)
        found = _arguments(training, str(encoder.model.net.dtype)) | dict(arguments)
        trainer = getattr(trl, f"{name}Trainer")(
            model=str(folder_of(encoder.model.ref)),
            args=getattr(trl, f"{name}Config")(**found),
            train_dataset=datasets.Dataset.from_list(_rows(inputs, encoder, training)),
            processing_class=encoder.model.tokenizer,
            peft_config=adapters and require("peft").LoraConfig(
                r=adapters.rank, lora_alpha=adapters.scale, target_modules=adapters.targets and list(adapters.targets),
                task_type="CAUSAL_LM",
            ),
            **named,
        )  # fmt: skip
    if training.method == "dpo":
        _encoded_alike(trainer.train_dataset, inputs, encoder)
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer


def _arguments(training: Training, dtype: str) -> dict[str, Any]:
    """TRL's arguments: none of its defaults for accelerators where there is none, and no files of its own."""
    here, world = not torch.cuda.is_available(), int(os.environ.get("WORLD_SIZE", "1"))
    batch = training.prompts * (training.samples if training.method in ("rloo", "grpo") else 1)
    if batch % world:
        raise ConfigError(f"a step has {batch} outputs and there are {world} processes; make it a multiple of them")
    found: dict[str, Any] = {
        "use_cpu": here, "bf16": not here, "gradient_checkpointing": not here,
        "report_to": "none", "logging_strategy": "no", "disable_tqdm": True,
        "max_steps": training.steps, "learning_rate": training.rate, "seed": training.seed,
        "per_device_train_batch_size": batch // world, "model_init_kwargs": {"dtype": dtype.removeprefix("torch.")},
    }  # fmt: skip
    if training.method in ("rloo", "grpo"):
        found |= {
            "num_generations": training.samples, "beta": training.beta,
            "max_completion_length": training.sampling.tokens, "temperature": training.sampling.temperature,
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


def _reward(scorer: Scorer, encoder: Encoder, inputs: Texts) -> Reward:
    """What TRL calls here."""
    prompts = encoder.prompts(inputs.prompts)

    def reward(*, completion_ids: list[list[int]], row: list[int], **_: Any) -> list[float]:
        return [float(value) for value in scorer(encoder.joined([prompts[i] for i in row], completion_ids))]

    return reward


def _write(job: Job, encoder: Encoder) -> list[str]:
    """Write what is to be trained, for `main` in the process that accelerate starts."""
    how = asdict(job.training) | {"folder": str(job.training.folder), "launch": None}
    asked = {"ref": asdict(job.ref) | {"name": str(folder_of(job.ref).resolve())}, "texts": asdict(job.texts),
             "training": how, "checkpoint": job.launch.checkpoint}  # fmt: skip
    (job.work / ASKED).write_text(json.dumps(asked, ensure_ascii=False), encoding="utf-8")
    return [MODULE, str((job.work / ASKED).resolve())]


APART = Apart(name="trl", write=_write, model=lambda job: job.work / MODEL)


def main(words: list[str]) -> None:
    """Train what a file says, from the last checkpoint beside it; more of TRL's arguments as `name=value`."""
    from rewardtree.yaml_text import read_yaml

    asked = json.loads(Path(words[0]).read_text(encoding="utf-8"))
    how = restored(asked["training"])
    training, texts, work = Training(**how), Texts(**asked["texts"]), Path(words[0]).parent
    encoder = Encoder(model=described(ModelRef(**asked["ref"])), style=training.style)
    saved = {"output_dir": str(work / CHECKPOINTS), "save_strategy": "steps", "save_steps": asked["checkpoint"],
             "save_total_limit": 2}  # fmt: skip
    more = {name: read_yaml(value) for name, _, value in (word.partition("=") for word in words[1:])}
    reward = _asking(work, encoder, texts) if training.method in ("rloo", "grpo") else None
    trainer = _trainer(encoder, texts, reward, training, saved | more)
    _train(trainer, _last(work / CHECKPOINTS))
    trainer.save_model(str(work / MODEL))
    if trainer.accelerator.is_main_process:
        encoder.model.tokenizer.save_pretrained(work / MODEL)


def _asking(work: Path, encoder: Encoder, inputs: Texts) -> Reward:
    """What TRL calls in a process of its own: it asks the scorer at the address beside."""
    address, prompts = json.loads((work / ADDRESS).read_text()), encoder.prompts(inputs.prompts)

    def reward(*, completion_ids: list[list[int]], row: list[int], **_: Any) -> list[float]:
        samples = [{"prompt": inputs.prompts[i], "output": "", "ids": list(ids), "prompt_ids": prompts[i]}
                   for i, ids in zip(row, completion_ids, strict=True)]  # fmt: skip
        parts = [post(address, samples[first : first + BATCH]) for first in range(0, len(samples), BATCH)]
        return [float(one["value"]) for part in parts for one in part]

    return reward


def _last(folder: Path) -> str | None:
    """The last checkpoint that is whole: its `trainer_state.json` is written after all else."""
    found = [path for path in folder.glob("checkpoint-*") if (path / "trainer_state.json").is_file()]
    return str(max(found, key=lambda path: int(path.name.partition("-")[2]))) if found else None


if __name__ == "__main__":
    main(sys.argv[1:])
