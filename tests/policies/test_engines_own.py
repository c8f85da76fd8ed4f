"""verl's and OpenRLHF's own code on what is generated for them; skipped where these engines are not installed.

Neither can share an environment with the rest; their sources, and what these need, on PYTHONPATH will do. No GPU is
needed: nothing is trained.
"""

import asyncio
import importlib.util
import json
import sys
import types
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rewardtree.language.encoding import PAD, Encoder
from rewardtree.language.passes import Sampling
from rewardtree.language.references import LoRA, ModelRef, described
from rewardtree.policies import openrlhf, outside, verl
from rewardtree.policies.training import Job, Launch, Texts, Training
from tiny_language import needs_lm, tiny_model

PROMPTS = ["the captain", 'her sister\'s "aunt", at 5', "why\nnot? = {x}", "who walked [a, b]", "$no ${x}"]
OUTPUTS = ([40, 41, 1], [50, 51, 52, 53, 54])
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    needs_lm()
    ref = ModelRef(name=str(tiny_model(tmp_path / "before")))
    how = Training(folder=tmp_path / "new", engine="verl", steps=4, prompts=2, samples=2, sampling=Sampling(tokens=5),
                   launch=Launch(command=("python",)))  # fmt: skip
    (tmp_path / "new/engine").mkdir(parents=True)
    lengths = [len(ids) for ids in Encoder(model=described(ref)).prompts(PROMPTS)]
    return Job(ref=ref, texts=Texts(prompts=PROMPTS), training=how, work=tmp_path / "new/engine", lengths=lengths)


@contextmanager
def scored(job: Job) -> Iterator[list[list[int]]]:
    seen: list[list[int]] = []

    def lengths(rows: np.ndarray) -> np.ndarray:
        seen.extend([int(token) for token in row if token != PAD] for row in rows)
        return np.array([float((row != PAD).sum()) for row in rows])

    with outside._scoring(job, lengths, Encoder(model=described(job.ref))):
        yield seen


def all_of(asked: list[Coroutine[Any, Any, Any]]) -> list[Any]:
    async def wait() -> list[Any]:
        return list(await asyncio.gather(*asked))

    return asyncio.run(wait())


def whole(job: Job) -> list[list[int]]:
    prompts = Encoder(model=described(job.ref)).prompts(PROMPTS)
    return sorted([*prompt, *OUTPUTS[i % 2]] for i, prompt in enumerate(prompts))


@pytest.mark.skipif(find_spec("verl") is None, reason="verl is not installed")
@pytest.mark.parametrize("method", ["rloo", "grpo"])
def test_verl_takes_its_configuration_and_loads_the_reward_manager(job: Job, method: Any) -> None:
    job = replace(job, training=replace(job.training, method=method))
    _, *words = verl.write(job, Encoder(model=described(job.ref)))
    from hydra import compose, initialize_config_dir
    from tensordict import TensorDict
    from verl import DataProto
    from verl.trainer.ppo.reward import load_reward_manager
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config
    from verl.utils.dataset.rl_dataset import RLHFDataset

    folder = Path(sys.modules["verl"].__file__ or "").parent / "trainer/config"
    with initialize_config_dir(config_dir=str(folder), version_base=None):
        config = compose("ppo_trainer", overrides=words)
    assert config.algorithm.adv_estimator == method and need_reference_policy(config) and not need_critic(config)
    validate_config(config=config, use_reference_policy=True, use_critic=False)
    import torch

    tokenizer = described(job.ref).tokenizer
    rows = RLHFDataset(list(config.data.train_files), tokenizer, config.data)

    async def rewards() -> list[Any]:
        manager = load_reward_manager(config, tokenizer, reward_router_address=None, reward_model_tokenizer=None)
        asked = []
        for i in range(len(rows)):
            row = rows[i]
            ids = tokenizer.apply_chat_template(list(row["raw_prompt"]), add_generation_prompt=True, tokenize=True)
            prompt, own = torch.tensor(ids["input_ids"]), torch.tensor(OUTPUTS[i % 2])
            both = torch.cat([prompt, own])
            batch = {"prompts": prompt, "responses": own, "attention_mask": torch.ones_like(both), "input_ids": both}
            others = {key: np.array([value]) for key, value in row.items() if key != "dummy_tensor"}
            asked.append(
                manager.run_single(
                    DataProto(
                        batch=TensorDict({key: value[None] for key, value in batch.items()}, batch_size=1),
                        non_tensor_batch=others | {"tool_extra_fields": np.array([{}], dtype=object)},
                    )
                )
            )
        return list(await asyncio.gather(*asked))

    with scored(job) as seen:
        found = asyncio.run(rewards())
    assert sorted(seen) == whole(job)
    assert sorted(one["reward_score"] for one in found) == sorted(map(float, map(len, whole(job))))


@pytest.mark.skipif(find_spec("openrlhf") is None, reason="OpenRLHF is not installed")
@pytest.mark.parametrize(("method", "adapters"), [("rloo", None), ("grpo", LoRA(rank=4))])
def test_openrlhf_takes_its_options_and_loads_the_executor(job: Job, method: Any, adapters: Any,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    agent = importlib.import_module("openrlhf.utils.agent")
    root = Path(agent.__file__).parents[1]
    job = replace(job, training=replace(job.training, engine="openrlhf", method=method, adapters=adapters))
    _, *words = openrlhf.write(job, Encoder(model=described(job.ref)))
    source = (root / "cli/train_ppo_ray.py").read_text()
    given: list[Any] = []
    import argparse
    from datetime import datetime

    monkeypatch.setattr(sys, "argv", ["train_ppo_ray", *words])
    exec(source[source.index('if __name__ == "__main__":') :],  # its parser alone: what it imports wants a GPU
         {"argparse": argparse, "datetime": datetime, "__name__": "__main__", "train": given.append})  # fmt: skip
    args = given[0]
    assert args.algo.advantage.estimator == ("rloo" if method == "rloo" else "group_norm")
    assert args.reward.clip_range == [-1e6, 1e6] and args.ds.lora.rank == (4 if adapters else 0)
    assert args.algo.kl.use_loss == (method == "grpo")
    spec = importlib.util.spec_from_file_location("prompts_dataset", root / "datasets/prompts_dataset.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with Path(args.data.prompt_dataset).open() as file:
        rows = [json.loads(line) for line in file]
    tokenizer = described(job.ref).tokenizer
    data = module.PromptDataset(rows, tokenizer, types.SimpleNamespace(args=args, is_rank_0=lambda: False))

    class Engine:
        def __init__(self, own: list[int]) -> None:
            self.own = own

        async def generate(self, ids: Any, params: Any, multi_modal_data: Any = None) -> Any:
            one = types.SimpleNamespace(token_ids=self.own, logprobs=None,
                                        finish_reason="stop" if self.own[-1] == 1 else "length")  # fmt: skip
            return types.SimpleNamespace(outputs=[one])

    with scored(job) as seen:
        spec = importlib.util.spec_from_file_location("agent_module", args.train.agent_func_path)
        assert spec is not None and spec.loader is not None
        hook = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(hook)
        assert hasattr(hook, "AgentExecutor") and issubclass(hook.AgentExecutor, agent.AgentExecutorBase)
        executor, params = hook.AgentExecutor(), types.SimpleNamespace(max_tokens=5, logprobs=None)
        found = all_of([
            executor.execute(prompt=data[i][1], label=data[i][2], sampling_params=params, max_length=args.data.max_len,
                             hf_tokenizer=tokenizer, llm_engine=Engine(OUTPUTS[i % 2]))
            for i in range(len(data))
        ])  # fmt: skip
    assert sorted(seen) == whole(job)
    assert [one["reward"] for one in found] == [float(len(one["observation_tokens"])) for one in found]
