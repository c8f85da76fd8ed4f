"""Codes: what one passage says of every slot of a chapter, as one number."""

import numpy as np
from jaxtyping import Float, Integer

from rewardtree.domains.novels.revisions import SLOTS

SAYS = np.array([0, 1, -1], dtype=np.int8)[np.arange(3**SLOTS)[:, None] // 3 ** np.arange(SLOTS) % 3]
"""What each code says of every slot: 1 its first value, -1 its second, 0 nothing; a code is what one passage says."""
SPOKEN = (SAYS != 0).sum(axis=1)
"""Of how many slots each code speaks."""


def decoded(codes: Float[np.ndarray, "..."]) -> Integer[np.ndarray, "... slots"]:
    """What codes say of each slot; whatever is no code says nothing."""
    whole = np.where(codes > 0, codes, 0).astype(np.int64) % len(SAYS)
    found: Integer[np.ndarray, "... slots"] = SAYS[whole]
    return found


def encoded(says: Integer[np.ndarray, "... slots"]) -> Float[np.ndarray, "..."]:
    """The code of what is said of each slot."""
    found: Float[np.ndarray, "..."] = (says % 3 @ 3 ** np.arange(SLOTS)).astype(float)
    return found
