"""What engines are told: the texts to learn from, how to learn, and how one that is a process of its own is started."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from rewardtree.errors import ConfigError
from rewardtree.language.encoding import Rows, Style
from rewardtree.language.passes import Sampling
from rewardtree.language.references import LoRA, ModelRef

Scorer = Callable[[Rows], Float[np.ndarray, " batch"]]
"""From rows of prompts with their outputs to rewards: `score` of a reward model, its first value."""
Method = Literal["rloo", "grpo", "sft", "dpo"]
Engine = Literal["native", "trl", "verl", "openrlhf"]
APART = frozenset({"verl", "openrlhf"})
"""Engines that are always processes of their own."""


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
class Launch:
    """How an engine is started that is a process of its own, or many.

    Attributes:
        command: starts Python in the engine's environment; `-m`, the engine's module and its settings are put behind
            it. `("/envs/verl/bin/python",)`, or for TRL `("accelerate", "launch", "--config_file", "zero3.yaml")`.
        settings: more of the engine's own settings, in its own words, after ours, so that they win:
            `("trainer.n_gpus_per_node=8",)` for verl, `("--vllm.num_engines", "4")` for OpenRLHF,
            `("use_vllm=true", "vllm_mode=colocate")` for TRL.
        checkpoint: steps from one checkpoint to the next; a training that was interrupted goes on from the last.
        host: the address of this machine at which the engine's processes reach the scorer; another than this one where
            they run on other machines, which then need the model's folder as well.
    """

    command: tuple[str, ...]
    settings: tuple[str, ...] = ()
    checkpoint: int = 20
    host: str = "127.0.0.1"


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
        launch: starts the engine as a process of its own; None for one in this process, which `verl` and `openrlhf`
            cannot be.
    """

    folder: Path
    engine: Engine = "native"
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
    launch: Launch | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One training by an engine elsewhere.

    Attributes:
        ref: where to start.
        texts: to learn from.
        training: how.
        work: folder of the engine's files.
        lengths: tokens of each prompt.
    """

    ref: ModelRef
    texts: Texts
    training: Training
    work: Path
    lengths: Sequence[int]

    @property
    def launch(self) -> Launch:
        """How it is started.

        Raises:
            ConfigError: where that is not said.
        """
        return launched(self.training)

    def told(self) -> dict[str, Any]:
        """What makes it this training and no other, as JSON: not how it is started, which may have to be mended."""
        how = asdict(self.training)
        del how["folder"], how["launch"]
        texts = json.dumps(asdict(self.texts), ensure_ascii=False).encode()
        found = {"ref": asdict(self.ref), "training": how, "texts": hashlib.sha256(texts).hexdigest()}
        told: dict[str, Any] = json.loads(json.dumps(found))
        return told


def launched(training: Training) -> Launch:
    """How an engine is started.

    Raises:
        ConfigError: where that is not said.
    """
    if training.launch is None:
        raise ConfigError(f"the engine {training.engine} is a process of its own; say as launch how to start Python in "
                          "its environment (in a configuration: command)")  # fmt: skip
    return training.launch


def checked(inputs: Texts, scorer: Scorer | None, training: Training) -> None:
    """See that an engine has what its method needs.

    Raises:
        ConfigError: where it lacks a scorer or outputs, or has no such method.
    """
    needed = {"rloo": 0, "grpo": 0, "sft": 1, "dpo": 2}[training.method]
    if needed == 0 and scorer is None:
        raise ConfigError(f"{training.method} needs a scorer; give one, or train by sft or dpo")
    for name in ("outputs", "rejected")[:needed]:
        if len(getattr(inputs, name)) != len(inputs.prompts):
            raise ConfigError(f"{training.method} needs one of `{name}` a prompt; give them, or choose another method")
    if training.engine == "native" and (training.method == "grpo" or training.launch is not None):
        raise ConfigError("the native engine has no grpo and runs in this process; choose rloo without launch, or the "
                          "engine trl")  # fmt: skip
    if training.engine in APART:
        if needed:
            raise ConfigError(f"the engine {training.engine} is used for rloo and grpo; choose trl or native for "
                              f"{training.method}")  # fmt: skip
        if len(inputs.prompts) < training.prompts:
            raise ConfigError(f"the engine {training.engine} takes {training.prompts} different prompts a step and "
                              f"there are {len(inputs.prompts)}; give more, or lower prompts")  # fmt: skip


def restored(told: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a `Training` from their JSON."""
    found = dict(told) | {"folder": Path(told["folder"]), "sampling": Sampling(**told["sampling"])}
    adapters = told["adapters"]
    if adapters is not None:
        targets = adapters["targets"]
        found["adapters"] = LoRA(**adapters | {"targets": targets and tuple(targets)})
    return found
