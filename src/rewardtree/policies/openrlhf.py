"""OpenRLHF (Hu et al. 2024, arXiv 2405.11143): its options, prompts and executor, and the model it leaves.

Written against OpenRLHF 0.11.2 (`openrlhf/cli/train_ppo_ray.py`); nothing of it is imported here. It generates with
vLLM and trains with DeepSpeed; its steps are whole passes over the prompts, so there may be more than asked.
"""

import json
from math import ceil
from pathlib import Path
from typing import Any

from rewardtree.language.encoding import Encoder
from rewardtree.language.references import folder_of
from rewardtree.policies.outside import CHECKPOINTS, HOOK, MODEL, Apart
from rewardtree.policies.training import Job, Training

MODULE = "openrlhf.cli.train_ppo_ray"
PROMPTS = "prompts.jsonl"
UNCLIPPED = 1_000_000
"""It clips rewards at 10 unless told otherwise."""


def write(job: Job, encoder: Encoder) -> list[str]:
    """Write the prompts, in the template already, and give the words that start OpenRLHF."""
    prompts = job.work / PROMPTS
    shown = encoder.shown(job.texts.prompts)
    with prompts.open("w", encoding="utf-8") as file:
        for text, asked in zip(shown, job.texts.prompts, strict=True):
            file.write(json.dumps({"input": text, "asked": asked}, ensure_ascii=False) + "\n")
    options = _options(job, prompts.resolve()) | _method(job.training) | _adapters(job.training)
    words = [MODULE]
    for name, value in options.items():
        words += [f"--{name}", *map(str, [] if value is True else value if isinstance(value, tuple) else [value])]
    return words


def _options(job: Job, prompts: Path) -> dict[str, Any]:
    """Its own options; True for one without a value."""
    how, work = job.training, job.work.resolve()
    return {
        "actor.model_name_or_path": folder_of(job.ref).resolve(),
        "data.prompt_dataset": prompts,
        "data.input_key": "input",
        "data.label_key": "asked",
        "data.max_len": max(job.lengths) + how.sampling.tokens,
        "rollout.max_new_tokens": how.sampling.tokens,
        "rollout.temperature": how.sampling.temperature,
        "rollout.batch_size": how.prompts,
        "rollout.n_samples_per_prompt": how.samples,
        "train.batch_size": how.prompts * how.samples,
        "train.num_episodes": ceil(how.steps / (len(job.texts.prompts) // how.prompts)),
        "train.seed": how.seed,
        "train.agent_func_path": work / HOOK,
        "train.colocate_all": True,
        "vllm.num_engines": 1,
        "vllm.enable_sleep": True,
        "vllm.gpu_memory_utilization": 0.5,
        "ds.enable_sleep": True,
        "actor.num_gpus_per_node": 1,
        "ref.num_gpus_per_node": 1,
        "actor.adam.lr": how.rate,
        "actor.lr_scheduler": "constant",
        "reward.clip_range": (-UNCLIPPED, UNCLIPPED),
        "ckpt.path": work / CHECKPOINTS,
        "ckpt.save_steps": job.launch.checkpoint,
        "ckpt.max_num": 2,
        "ckpt.load_enable": True,
        "ckpt.output_dir": work / MODEL,
    }


def _method(how: Training) -> dict[str, Any]:
    """RLOO has the divergence in the reward, as ours, and GRPO in the loss, as its authors."""
    if how.method == "rloo":
        return {"algo.advantage.estimator": "rloo", "algo.kl.init_coef": how.beta}
    loss = {"algo.kl.use_loss": True, "algo.kl.estimator": "k3"} if how.beta else {}
    return {"algo.advantage.estimator": "group_norm", "algo.kl.init_coef": how.beta} | loss


def _adapters(how: Training) -> dict[str, Any]:
    if how.adapters is None:
        return {}
    targets = {} if how.adapters.targets is None else {"ds.lora.target_modules": how.adapters.targets}
    return {"ds.lora.rank": how.adapters.rank, "ds.lora.alpha": round(how.adapters.scale)} | targets


def model(job: Job) -> Path | None:
    """The model that it writes at its end."""
    return job.work / MODEL


APART = Apart(name="openrlhf", write=write, model=model)
