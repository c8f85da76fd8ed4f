"""What verl and OpenRLHF call for the reward of an output, inside their own processes.

A copy of this file lies beside an engine's configuration, and beside that `scorer.json` with the scorer's address. The
engine imports the copy by its path; nothing of this package, and nothing but the standard library and the engine, is
needed there. Both are handed token ids here, those of the prompt included. What they would do by themselves loses them:
verl's reward functions get text that was decoded without its end token, and OpenRLHF's remote reward models get prompt
and output as one text; that one also goes on without a reward where none can be had.

Written against verl 0.9.1 (`reward.reward_manager.source=importlib`) and OpenRLHF 0.11.2 (`--train.agent_func_path`).
"""

import asyncio
import functools
import importlib
import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ATTEMPTS, PAUSE, PATIENCE = 5, 1.0, 600.0
"""Times that a batch is sent; seconds before it is sent again, doubled each time; seconds that an answer may take."""
BATCH = 1024
"""Outputs sent at a time, at most."""


def post(address: dict[str, str], samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Scores of outputs, in order; see `rewardtree.language.served`.

    Raises:
        RuntimeError: where the scorer cannot be reached or refuses; the engine shall end, not go on without rewards.
    """
    body = json.dumps({"samples": samples}).encode()
    head = {"Authorization": f"Bearer {address['token']}", "Content-Type": "application/json"}
    for attempt in range(ATTEMPTS):
        try:
            request = urllib.request.Request(f"{address['url']}/score", body, head)
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                scores: list[dict[str, Any]] = json.load(answer)["scores"]
            break
        except urllib.error.HTTPError as error:
            said = error.read(2000).decode(errors="replace")
            raise RuntimeError(f"the scorer refuses ({error.code}): {said}") from error
        except (OSError, ValueError, KeyError) as error:
            if attempt + 1 == ATTEMPTS:
                raise RuntimeError(f"the scorer at {address['url']} cannot be reached ({error})") from error
            time.sleep(PAUSE * 2**attempt)
    if any(one["abstain"] for one in scores):
        raise RuntimeError("the scorer abstains, and this engine cannot leave an output out; let it give a value")
    return scores


class Scoring:
    """Asks for scores: what comes in while a batch is under way is the next batch."""

    def __init__(self) -> None:
        self.address = json.loads(Path(__file__).with_name("scorer.json").read_text())
        self._waiting: list[tuple[dict[str, Any], asyncio.Future[float]]] = []
        self._sending: asyncio.Task[None] | None = None

    async def value(self, sample: dict[str, Any]) -> float:
        """The reward of one output."""
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting.append((sample, future))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())
        return await future

    async def _send(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            scores: list[dict[str, Any]] = []
            fault: Exception | None = None
            try:
                scores = await asyncio.to_thread(post, self.address, [sample for sample, _ in batch])
            except RuntimeError as error:
                fault = error
            for row, (_, future) in enumerate(batch):
                if future.done():  # given up meanwhile
                    continue
                if fault is not None:
                    future.set_exception(fault)
                else:
                    future.set_result(float(scores[row]["value"]))


@functools.cache
def _manager() -> Any:
    base: Any = importlib.import_module("verl.experimental.reward_loop.reward_manager.base").RewardManagerBase

    class Manager(base):  # type: ignore[misc]
        """Scores one output a call, many calls at once, as verl's other reward managers do."""

        def __init__(self, config: Any, tokenizer: Any, compute_score: Any = None, **_: Any) -> None:
            super().__init__(config, tokenizer, compute_score)
            self.scoring, self.limit = Scoring(), config.data.max_response_length

        async def run_single(self, data: Any) -> dict[str, Any]:
            """The reward of the last output of a batch."""
            item = data[-1:][0]
            prompts, outputs, mask = (item.batch[name] for name in ("prompts", "responses", "attention_mask"))
            width = prompts.shape[-1]
            prompt, ids = prompts[mask[:width] == 1].tolist(), outputs[mask[width:] == 1].tolist()
            cut = len(ids) >= self.limit and ids[-1] != self.tokenizer.eos_token_id
            text = self.tokenizer.decode(ids, skip_special_tokens=True)
            asked = item.non_tensor_batch["extra_info"]["asked"]
            value = await self.scoring.value({"prompt": asked, "output": text, "ids": ids, "prompt_ids": prompt,
                                              "finish": "length" if cut else "stop"})  # fmt: skip
            return {"reward_score": value, "reward_extra_info": {"score": value}}

    return Manager


@functools.cache
def _executor() -> Any:
    base: Any = importlib.import_module("openrlhf.utils.agent").SingleTurnAgentExecutor

    class AgentExecutor(base):  # type: ignore[misc]
        """Generates as OpenRLHF does and adds the reward; `label` is the prompt as it was before the template."""

        def __init__(self) -> None:
            super().__init__()
            self.scoring = Scoring()

        async def execute(self, prompt: str, label: str, sampling_params: Any, max_length: int, hf_tokenizer: Any,
                          llm_engine: Any, images: Any = None) -> dict[str, Any]:  # fmt: skip
            """One output with its reward."""
            output = await super().execute(prompt, label, sampling_params, max_length, hf_tokenizer, llm_engine, images)
            begin, end = output["action_ranges"][0]
            ids = list(output["observation_tokens"])
            text = hf_tokenizer.decode(ids[begin:end], skip_special_tokens=True)
            value = await self.scoring.value({"prompt": label, "output": text, "ids": ids[begin:end],
                                              "prompt_ids": ids[:begin],
                                              "finish": "length" if output["truncated"] else "stop"})  # fmt: skip
            return dict(output) | {"reward": value, "scores": value}

    return AgentExecutor


def __getattr__(name: str) -> Any:
    """`Manager` for verl and `AgentExecutor` for OpenRLHF: each needs its engine, and only one of them is there."""
    if name in (made := {"Manager": _manager, "AgentExecutor": _executor}):
        return made[name]()
    raise AttributeError(name)
