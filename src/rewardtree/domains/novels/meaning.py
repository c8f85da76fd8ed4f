"""What an encoder makes of passages: how like each of them is to a name with a value, as vectors of their words."""

from dataclasses import replace
from functools import cache, partial

import numpy as np
from jaxtyping import Float

from rewardtree.domains.novels.volumes import Key, Volume
from rewardtree.domains.novels.words import name_in
from rewardtree.language.references import ModelRef
from rewardtree.language.vectors import vectors


def understood(volume: Volume, encoder: str) -> Volume:
    """The volume with what an encoder makes of it, which is computed when it is first asked for.

    Args:
        volume: a book made ready.
        encoder: name or folder of an encoder.
    """
    return replace(volume, likeness=cache(partial(likeness, volume, encoder)))


def likeness(volume: Volume, encoder: str) -> Float[np.ndarray, "pairs passages"]:
    """Cosines of every name with every value that it might have, and every passage.

    Raises:
        LanguageError: where the encoder cannot be loaded, or nothing can be kept.
    """
    ref = ModelRef(name=encoder)
    asked = [phrase(key, value) for key, group in zip(volume.keys, volume.group, strict=True)
             for value in volume.groups[group]]  # fmt: skip
    found: Float[np.ndarray, "pairs passages"] = vectors(asked, ref).astype(np.float32) @ vectors(volume.texts, ref).T
    return found.astype(np.float16)


def phrase(key: Key, value: str) -> str:
    """A name with a value, as a book would have it."""
    kind, anchor = key
    name = name_in(kind, anchor)
    if kind == "number":
        return f"{name}, {value} {anchor.split(' ', 1)[0]}"
    return f"{name} {value}" if kind in ("surname", "place") else f"{value} {name}"
