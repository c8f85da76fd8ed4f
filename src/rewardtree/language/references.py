"""Which language model, where its files are, and loading it.

A model is a folder, a name on the hub, or one that ships in a package.

A loaded network is never changed. What a policy or a reward model learns are *weights* that stand in for some of the
network's parameters while it runs (`passes.under`), so that one network in memory serves as policy, as its own
reference and as a reward model's backbone.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rewardtree.errors import LanguageError
from rewardtree.language.embedded import EMBEDDED, embedded_folder
from rewardtree.language.installed import quietly, require
from rewardtree.language.precision import precision

Weights = dict[str, Tensor]
SMALL = 20_000_000
"""Parameters below which a network stays in float32: what rounding saves there, conversions cost."""
WEIGHT_FILES = ("*.safetensors", "*.bin")
TOKENIZER_FILES = ("tokenizer*", "vocab*", "*.model")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRef:
    """Names one language model for good.

    Attributes:
        name: a folder, one of `EMBEDDED`, or a name on the hub such as `HuggingFaceTB/SmolLM2-135M-Instruct`.
        revision: commit or tag on the hub; None for what is newest.
        digest: of the files, as `digest_of` gives it; loading refuses others. None to take what is there.
        version: of these very weights, for what is recorded about outputs.
    """

    name: str
    revision: str | None = None
    digest: str | None = None
    version: str = "untrained"


@dataclass(frozen=True, kw_only=True, slots=True)
class LoRA:
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685): W + (scale / rank) B A, with B zero at first.

    Attributes:
        rank: columns of B.
        scale: alpha in the paper.
        targets: names of the linear layers that have one; None for peft's choice for this architecture.
    """

    rank: int = 16
    scale: float = 32.0
    targets: tuple[str, ...] | None = ("q_proj", "v_proj")


@dataclass(frozen=True, kw_only=True, slots=True)
class LanguageModel:
    """A loaded causal language model.

    Attributes:
        ref: what was loaded.
        net: the network, from `transformers`; frozen and in evaluation mode.
        tokenizer: of the same folder.
        learnt: names of the parameters that are to be learnt: the adapters', or all.
        end: the token that ends an output.
        adapters: what was put into it; None for none.
    """

    ref: ModelRef
    net: Any
    tokenizer: Any
    learnt: tuple[str, ...]
    end: int
    adapters: LoRA | None = None

    def initial(self, generator: torch.Generator) -> Weights:
        """Weights before any learning, float32: fresh adapters, which change nothing yet, or the network's own."""
        parameters = dict(self.net.named_parameters())
        found = {}
        for name in self.learnt:
            value = parameters[name].detach().float().clone()
            if "lora_A" in name:
                value = torch.randn(value.shape, generator=generator) / value.shape[1] ** 0.5
            found[name] = value
        return found

    @property
    def width(self) -> int:
        """Of the hidden states."""
        return int(self.net.config.hidden_size)

    @property
    def parameters(self) -> int:
        """How many the network has, adapters left out."""
        return sum(value.numel() for name, value in self.net.named_parameters() if "lora_" not in name)

    @property
    def limit(self) -> int:
        """Tokens that the network can read."""
        return int(getattr(self.net.config, "max_position_embeddings", 1 << 20))


def folder_of(ref: ModelRef) -> Path:
    """Where the model's files are; fetched from the hub or unpacked on first use.

    Raises:
        LanguageError: where there is no such model, or no network to fetch it.
    """
    if Path(ref.name).is_dir():
        return Path(ref.name)
    if ref.name in EMBEDDED:
        return embedded_folder(ref.name)
    if ref.name.startswith((".", "/", "~")):
        raise LanguageError(f"there is no folder {ref.name}; name a folder with a model's files, one of "
                            f"{', '.join(sorted(EMBEDDED))}, or a name on the hub")  # fmt: skip
    hub, errors = require("huggingface_hub"), require("huggingface_hub.errors")
    try:
        return Path(hub.snapshot_download(ref.name, revision=ref.revision))
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError) as error:
        raise LanguageError(
            f"there is no language model {ref.name!r}{_at(ref)}: no folder, none of {', '.join(sorted(EMBEDDED))}, "
            "nothing on the hub; mend the name, or log in to the hub where it is private"
        ) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, OSError, ValueError) as error:
        raise LanguageError(
            f"{ref.name!r}{_at(ref)} is not on this machine and the hub cannot be reached; "
            f"give a folder or one of {', '.join(sorted(EMBEDDED))}, or try again with a network, HF_HUB_OFFLINE unset"
        ) from error


def _at(ref: ModelRef) -> str:
    return "" if ref.revision is None else f" at {ref.revision!r}"


def digest_of(folder: Path) -> str:
    """SHA-256 over configuration, tokenizer and weights, names included."""
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in (".json", ".safetensors", ".jinja", ".bin", ".model", ".txt"):
            with path.open("rb") as file:
                total.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def load(ref: ModelRef, *, adapters: LoRA | None = None, dtype: torch.dtype | None = None) -> LanguageModel:
    """Load a causal language model.

    Args:
        ref: which one.
        adapters: learn these; None to learn all parameters.
        dtype: of the network; None for float32 below `SMALL` parameters, else the faster one here, as measured once.

    Raises:
        LanguageError: where the extra is not installed, the model is unknown, cannot be fetched or is damaged.
    """
    folder = _checked(ref)
    with _files_of(folder), quietly():
        loading = require("transformers").AutoModelForCausalLM.from_pretrained
        net, told = loading(folder, dtype=torch.float32, output_loading_info=True)
    if told["missing_keys"]:
        raise LanguageError(f"the weights in {folder} lack {min(told['missing_keys'])}, so its config.json is another "
                            "model's or this is no causal language model; fetch or save it again")  # fmt: skip
    model = _model(ref, folder, net, dtype)
    return model if adapters is None else adapted(model, adapters)


def described(ref: ModelRef) -> LanguageModel:
    """A model with its tokenizer and the shape of its network, of which no weight is read: for engines elsewhere.

    Raises:
        LanguageError: as `load` does.
    """
    folder = _checked(ref)
    with _files_of(folder), quietly(), torch.device("meta"):
        transformers = require("transformers")
        net = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.from_pretrained(folder))
    return _model(ref, folder, net, None)


def _checked(ref: ModelRef) -> Path:
    """The model's folder, with the files that it should have."""
    folder = folder_of(ref)
    if ref.digest is not None and digest_of(folder) != ref.digest:
        raise LanguageError(f"the files in {folder} are not those that {ref.name!r} had; restore them, or name the "
                            "model without a digest to take what is there")  # fmt: skip
    return folder


def _model(ref: ModelRef, folder: Path, net: Any, dtype: torch.dtype | None) -> LanguageModel:
    with _files_of(folder), quietly():
        tokenizer = require("transformers").AutoTokenizer.from_pretrained(folder)
    if tokenizer.eos_token_id is None:
        raise LanguageError(f"the tokenizer in {folder} has no token that ends an output; set eos_token in its "
                            "tokenizer_config.json")  # fmt: skip
    count = sum(p.numel() for p in net.parameters())
    net = net.to(dtype or (torch.float32 if count < SMALL else precision().dtype)).eval().requires_grad_(False)
    learnt = tuple(name for name, _ in net.named_parameters())
    return LanguageModel(ref=ref, net=net, tokenizer=tokenizer, learnt=learnt, end=int(tokenizer.eos_token_id))


def adapted(model: LanguageModel, adapters: LoRA) -> LanguageModel:
    """The model with adapters put into its network, of which they alone are to be learnt.

    Raises:
        LanguageError: where the extra is not installed, or the network has no layers of these names.
    """
    peft = require("peft")
    targets = None if adapters.targets is None else list(adapters.targets)
    config = peft.LoraConfig(r=adapters.rank, lora_alpha=adapters.scale, target_modules=targets)
    try:
        peft.inject_adapter_in_model(config, model.net)
    except ValueError as error:
        raise LanguageError(f"{model.ref.name!r} has no layers for adapters named {adapters.targets}; give the names "
                            "of its linear layers as targets") from error  # fmt: skip
    model.net.eval().requires_grad_(False)
    learnt = tuple(name for name, _ in model.net.named_parameters() if "lora_" in name)
    return replace(model, learnt=learnt, adapters=adapters)


def load_encoder(ref: ModelRef) -> tuple[Any, Any]:
    """Load a network that turns texts into vectors, such as `minilm`, and its tokenizer, in the faster type here.

    Raises:
        LanguageError: as `load` does.
    """
    transformers = require("transformers")
    folder = folder_of(ref)
    with _files_of(folder), quietly():
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        net = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32)
    return net.to(precision().dtype).eval().requires_grad_(False), tokenizer


@contextmanager
def _files_of(folder: Path) -> Iterator[None]:
    """Say what to do where a model's files are missing or broken."""
    from safetensors import SafetensorError

    if not (folder / "config.json").is_file():
        raise LanguageError(f"{folder} holds no config.json, so no model; name the folder that save_pretrained wrote")
    if not any(path for pattern in WEIGHT_FILES for path in folder.glob(pattern)):
        raise LanguageError(f"{folder} holds no weights; fetch its model.safetensors again")
    if not any(path for pattern in TOKENIZER_FILES for path in folder.glob(pattern)):
        raise LanguageError(f"{folder} holds no tokenizer; save it beside the model, by tokenizer.save_pretrained")
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, SafetensorError) as error:
        first = str(error).strip().partition("\n")[0]
        raise LanguageError(f"the files in {folder} are damaged or no causal language model ({first}); fetch or save "
                            "them again") from error  # fmt: skip


def save(model: LanguageModel, weights: Mapping[str, Tensor], folder: Path, *, version: str) -> ModelRef:
    """Write a model with what it has learnt as a folder that `load`, TRL and inference servers read.

    Adapters are multiplied out, so that who reads it needs to know nothing of them.

    Raises:
        LanguageError: where the folder cannot be written.
    """
    once = dict(model.net.named_parameters()) | dict(model.net.named_buffers())  # weights that are tied are there once
    merged = {name.replace(".base_layer.", "."): value for name, value in once.items() if "lora_" not in name}
    for name, value in weights.items():
        if "lora_A" in name:
            layer = name.partition(".lora_A")[0]
            scale = model.net.get_submodule(layer).scaling["default"]
            change = weights[name.replace("lora_A", "lora_B")].float() @ value.float() * scale
            merged[f"{layer}.weight"] = (merged[f"{layer}.weight"].float() + change).to(merged[f"{layer}.weight"].dtype)
        elif "lora_B" not in name:
            merged[name] = value.to(merged[name].dtype)
    transformers = require("transformers")
    with quietly():
        fresh = transformers.AutoModelForCausalLM.from_config(model.net.config, dtype=model.net.dtype)
        fresh.load_state_dict(merged, strict=False)
        fresh.tie_weights()
        fresh.generation_config = model.net.generation_config
        try:
            fresh.save_pretrained(folder)
            model.tokenizer.save_pretrained(folder)
        except OSError as error:
            raise LanguageError(f"cannot write {folder}: {error}; free some space or mend the folder") from error
    return ModelRef(name=str(folder), version=version)
