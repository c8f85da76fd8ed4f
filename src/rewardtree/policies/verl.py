"""verl (Sheng et al. 2024, arXiv 2409.19256): its configuration, prompts and reward manager, and the model it leaves.

Written against verl 0.9.1 (`verl/trainer/config/ppo_trainer.yaml`); nothing of it is imported here. It generates with
vLLM, trains with FSDP and puts every prompt into the model's chat template.
"""

import json
from math import ceil
from pathlib import Path
from typing import Any

from rewardtree.errors import ConfigError
from rewardtree.language.encoding import Encoder
from rewardtree.language.installed import require
from rewardtree.language.references import folder_of
from rewardtree.policies.outside import CHECKPOINTS, HOOK, Apart
from rewardtree.policies.training import Job, Training

MODULE = "verl.trainer.main_ppo"
PROMPTS = "prompts.parquet"
LATEST = "latest_checkpointed_iteration.txt"


def write(job: Job, encoder: Encoder) -> list[str]:
    """Write the prompts and give the words that start verl.

    Raises:
        ConfigError: where verl cannot do what is asked.
    """
    how = job.training
    if how.style != "chat":
        raise ConfigError("verl puts prompts into the model's chat template; use the style chat, or another engine")
    if how.adapters is not None:
        raise ConfigError("what verl keeps of adapters is not read here; leave adapters out, or use trl or openrlhf")
    prompts = (job.work / PROMPTS).resolve()
    rows = [
        {
            "data_source": "rewardtree",
            "prompt": [{"role": "user", "content": text}],
            "reward_model": {"style": "rule", "ground_truth": ""},
            "extra_info": {"index": index, "asked": text},
        }
        for index, text in enumerate(job.texts.prompts)
    ]
    require("pyarrow.parquet").write_table(require("pyarrow").Table.from_pylist(rows), prompts)
    settings = _settings(job, prompts) | _divergence(how)
    return [MODULE, *(f"{key}={_worded(value)}" for key, value in settings.items())]


def _settings(job: Job, prompts: Path) -> dict[str, Any]:
    """Its own settings, all but those of the divergence."""
    how, work = job.training, job.work.resolve()
    return {
        "data.train_files": [str(prompts)],
        "data.val_files": [str(prompts)],  # it wants some, and is told below never to use them
        "data.train_batch_size": how.prompts,
        "data.max_prompt_length": max(job.lengths),
        "data.max_response_length": how.sampling.tokens,
        "data.seed": how.seed,
        "actor_rollout_ref.model.path": str(folder_of(job.ref).resolve()),
        "actor_rollout_ref.actor.optim.lr": how.rate,
        "actor_rollout_ref.actor.ppo_mini_batch_size": how.prompts,
        "actor_rollout_ref.actor.use_dynamic_bsz": True,
        "actor_rollout_ref.actor.checkpoint.save_contents": ["model", "optimizer", "extra", "hf_model"],
        "actor_rollout_ref.rollout.name": "vllm",
        "actor_rollout_ref.rollout.n": how.samples,
        "actor_rollout_ref.rollout.temperature": how.sampling.temperature,
        "actor_rollout_ref.rollout.seed": how.seed,
        "actor_rollout_ref.rollout.tensor_model_parallel_size": 1,
        "algorithm.adv_estimator": how.method,
        "reward.reward_manager.source": "importlib",
        "reward.reward_manager.module.path": str(work / HOOK),
        "reward.reward_manager.name": "Manager",
        "trainer.total_training_steps": how.steps,
        "trainer.total_epochs": ceil(how.steps / (len(job.texts.prompts) // how.prompts)),
        "trainer.n_gpus_per_node": 1,
        "trainer.save_freq": job.launch.checkpoint,
        "trainer.max_actor_ckpt_to_keep": 2,
        "trainer.default_local_dir": str(work / CHECKPOINTS),
        "trainer.resume_mode": "auto",
        "trainer.val_before_train": False,
        "trainer.test_freq": -1,
        "trainer.logger": ["console"],
        "trainer.project_name": "rewardtree",
        "trainer.experiment_name": how.folder.name,
    }


def _divergence(how: Training) -> dict[str, Any]:
    """RLOO has it in the reward, as ours, and GRPO in the loss, as its authors."""
    if not how.beta:
        return {}
    if how.method == "rloo":
        return {"algorithm.use_kl_in_reward": True, "algorithm.kl_ctrl.kl_coef": how.beta}
    return {"actor_rollout_ref.actor.use_kl_loss": True, "actor_rollout_ref.actor.kl_loss_coef": how.beta}


def _worded(value: Any) -> str:
    """A value as Hydra reads it: JSON, whose quoted strings may hold anything."""
    return json.dumps(value, ensure_ascii=False)


def model(job: Job) -> Path | None:
    """The model of the last checkpoint."""
    try:
        last = int((job.work / CHECKPOINTS / LATEST).read_text())
    except (OSError, ValueError):
        return None
    return job.work / CHECKPOINTS / f"global_step_{last}" / "actor" / "huggingface"


APART = Apart(name="verl", write=write, model=model)
