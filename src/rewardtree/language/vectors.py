"""Texts as vectors of an encoder, computed once and kept in the cache by what they are made of."""

import hashlib
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

from rewardtree.errors import LanguageError
from rewardtree.language.embedded import cache_folder
from rewardtree.language.passes import embed
from rewardtree.language.precision import precision
from rewardtree.language.references import ModelRef, digest_of, folder_of, load_encoder


def vectors(texts: Sequence[str], ref: ModelRef) -> Float[np.ndarray, "texts width"]:
    """Unit vectors of texts, as kept: in half precision. Those that are kept need no encoder in memory.

    Args:
        texts: each cut where the encoder reads no further.
        ref: the encoder, such as `minilm`.

    Raises:
        LanguageError: where the encoder cannot be loaded, or nothing can be kept.
    """
    path = cache_folder() / "vectors" / f"{_name(texts, folder_of(ref))}.npy"
    try:
        found: Float[np.ndarray, "texts width"] = np.load(path)
    except (OSError, ValueError, EOFError):
        net, tokenizer = load_encoder(ref)
        found = embed(net, tokenizer, list(texts)).astype(np.float16)
        _keep(found, path)
    return found


def _name(texts: Sequence[str], folder: Path) -> str:
    total = hashlib.sha256(f"{_digest(folder)} {precision().dtype}".encode())
    for text in texts:
        total.update(f" {len(text)} {text}".encode())
    return total.hexdigest()


@lru_cache(maxsize=4)
def _digest(folder: Path) -> str:
    return digest_of(folder)


def _keep(found: Float[np.ndarray, "texts width"], path: Path) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.save(file, found)
        partial.replace(path)
    except OSError as error:
        raise LanguageError(f"cannot keep vectors in {path.parent}: {error.strerror}; free some space or set "
                            "REWARDTREE_CACHE to a folder that can be written") from error  # fmt: skip
