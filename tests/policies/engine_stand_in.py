"""Stands in for verl and OpenRLHF as a process.

It reads what they read, calls the reward as they do, and writes what they write, in the versions that `policies.verl`
and `policies.openrlhf` name. It "trains" by adding a hundredth to a weight a step. `STAND_IN_DIES_AT` is a step at
which it kills itself; with `STAND_IN_FORGETS` it leaves out a prompt's first token.
"""

import asyncio
import importlib.util
import json
import os
import shutil
import signal
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

END = 1
OUTPUTS = ([40, 41, END], [50, 51, 52, 53, 54])
"""Of every prompt: one that ends, and one that is cut off."""


def ids_of(model: Path, shown: str) -> list[int]:
    found: list[int] = Tokenizer.from_file(str(model / "tokenizer.json")).encode(shown, add_special_tokens=False).ids
    return found[1:] if os.environ.get("STAND_IN_FORGETS") else found


def loaded(path: str, name: str) -> Any:
    """A module by its path, as both engines load what users give them."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stub(name: str, **members: Any) -> None:
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(members)


def step(now: int, before: Path, to: Path) -> None:
    """One more step, written as a model."""
    if now == int(os.environ.get("STAND_IN_DIES_AT", "-1")):
        print("half of a traceback\n  in some file\nOutOfMemory: no room", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    shutil.copytree(before, to, dirs_exist_ok=True)
    weights = load_file(before / "model.safetensors")
    name = sorted(weights)[0]
    save_file(weights | {name: weights[name] + np.float32(0.01)}, to / "model.safetensors", metadata={"format": "pt"})


class Batch:
    """The part of verl's DataProto that reward managers use, for one output."""

    def __init__(self, prompt: list[int], ids: list[int], row: dict[str, Any]) -> None:
        self.batch = {"prompts": np.array(prompt), "responses": np.array(ids),
                      "attention_mask": np.ones(len(prompt) + len(ids), int)}  # fmt: skip
        self.non_tensor_batch = {"extra_info": row["extra_info"], "data_source": row["data_source"]}

    def __getitem__(self, place: Any) -> "Batch":
        return self


def verl(words: list[str]) -> None:
    given = {key: json.loads(value) for key, _, value in (word.partition("=") for word in words)}
    import pyarrow.parquet

    class RewardManagerBase:
        def __init__(self, config: Any, tokenizer: Any, compute_score: Any) -> None:
            self.config, self.tokenizer = config, tokenizer

    stub("verl.experimental.reward_loop.reward_manager.base", RewardManagerBase=RewardManagerBase)
    assert given["reward.reward_manager.source"] == "importlib"
    module = loaded(given["reward.reward_manager.module.path"], "custom_module_1")
    config = types.SimpleNamespace(
        data=types.SimpleNamespace(max_response_length=given["data.max_response_length"]),
    )
    tokenizer = types.SimpleNamespace(eos_token_id=END, decode=lambda ids, **_: f"{len(ids)} tokens")
    start = Path(given["actor_rollout_ref.model.path"])
    (file,) = given["data.train_files"]
    rows = pyarrow.parquet.read_table(file).to_pylist()
    size, samples = given["data.train_batch_size"], given["actor_rollout_ref.rollout.n"]
    folder = Path(given["trainer.default_local_dir"])
    latest = folder / "latest_checkpointed_iteration.txt"
    now = int(latest.read_text()) if latest.exists() else 0

    async def rewards(manager: Any, chosen: list[dict[str, Any]]) -> list[float]:
        asked = []
        for row in chosen:
            (turn,) = row["prompt"]
            prompt = ids_of(start, f"<|{turn['role']}|>{turn['content']}<|end|><|assistant|>")
            assert len(prompt) <= given["data.max_prompt_length"]
            asked += [manager.run_single(Batch(prompt, OUTPUTS[i % 2], row)) for i in range(samples)]
        return [one["reward_score"] for one in await asyncio.gather(*asked)]

    while now < given["trainer.total_training_steps"]:
        manager = module.Manager(config=config, tokenizer=tokenizer, compute_score=None, reward_router_address=None)
        chosen = [rows[(now * size + i) % len(rows)] for i in range(size)]
        found = asyncio.run(rewards(manager, chosen))
        with Path("rewards.jsonl").open("a") as file:
            file.write(json.dumps(found) + "\n")
        before = folder / f"global_step_{now}" / "actor" / "huggingface" if now else start
        now += 1
        step(now, before, folder / f"global_step_{now}" / "actor" / "huggingface")
        if now % given["trainer.save_freq"] == 0 or now == given["trainer.total_training_steps"]:
            latest.write_text(str(now))


def options(words: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name = word[2:]
            found[name] = []
        else:
            found[name].append(word)
    return found


class Agents:
    """The part of `openrlhf.utils.agent` that is used."""

    class AgentExecutorBase:
        pass

    class SingleTurnAgentExecutor(AgentExecutorBase):
        def __init__(self, remote_rm_url: Any = None) -> None:
            assert remote_rm_url is None

        async def execute(self, prompt: str, label: str, sampling_params: Any, max_length: int, hf_tokenizer: Any,
                          llm_engine: Any, images: Any = None) -> dict[str, Any]:  # fmt: skip
            ids, own = llm_engine(prompt)
            assert len(ids) + len(own) <= max_length
            return {"prompt": prompt, "label": label, "observation_tokens": ids + own, "reward": None, "scores": None,
                    "action_ranges": [(len(ids), len(ids) + len(own))], "truncated": own[-1] != END,
                    "extra_logs": {}}  # fmt: skip


def openrlhf(words: list[str]) -> None:
    given = options(words)
    stub("openrlhf.utils.agent", **{name: one for name, one in vars(Agents).items() if "Executor" in name})
    module = loaded(given["train.agent_func_path"][0], "agent_module")
    assert hasattr(module, "AgentExecutor"), "Agent module must contain AgentExecutor class"
    assert issubclass(module.AgentExecutor, Agents.AgentExecutorBase)
    executor = module.AgentExecutor()
    start, folder = Path(given["actor.model_name_or_path"][0]), Path(given["ckpt.path"][0])
    with Path(given["data.prompt_dataset"][0]).open() as file:
        rows = [json.loads(line) for line in file]
    size, samples = int(given["rollout.batch_size"][0]), int(given["rollout.n_samples_per_prompt"][0])
    assert int(given["train.batch_size"][0]) == size * samples
    steps = len(rows) // size * int(given["train.num_episodes"][0])
    low, high = map(float, given["reward.clip_range"])
    tokenizer = types.SimpleNamespace(decode=lambda ids, **_: f"{len(ids)} tokens")
    last = max((int(path.name[11:]) for path in folder.glob("global_step*")), default=0)
    for now in range(last + 1, steps + 1):
        chosen = [rows[((now - 1) * size + i) % len(rows)] for i in range(size)]

        async def rewards(chosen: list[dict[str, Any]] = chosen) -> list[float]:
            asked = []
            for row in chosen:
                prompt, label = row[given["data.input_key"][0]], row[given["data.label_key"][0]]
                for i in range(samples):
                    engine = lambda text, i=i: (ids_of(start, text), OUTPUTS[i % 2])  # noqa: E731
                    limit = int(given["data.max_len"][0])
                    asked.append(executor.execute(prompt, label, None, limit, tokenizer, engine))
            return [min(max(one["reward"], low), high) for one in await asyncio.gather(*asked)]

        with Path("rewards.jsonl").open("a") as file:
            file.write(json.dumps(asyncio.run(rewards())) + "\n")
        before = folder / f"global_step{now - 1}" if now > 1 else start
        step(now, before, folder / f"global_step{now}")
    shutil.copytree(folder / f"global_step{steps}", given["ckpt.output_dir"][0])


if __name__ == "__main__":
    assert sys.argv[1] == "-m"
    {"verl.trainer.main_ppo": verl, "openrlhf.cli.train_ppo_ray": openrlhf}[sys.argv[2]](sys.argv[3:])
