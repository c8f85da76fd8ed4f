"""What a reward model sees of segments of pictures: each picture once, at half the size, and the actions."""

import numpy as np
from jaxtyping import UInt8

from rewardtree.domains.control.environments import Form
from rewardtree.domains.control.segments import Segments
from rewardtree.rewards.pixels import SIDE, PixelShape

GREY = np.array([299, 587, 114], dtype=np.uint32)
"""Thousandths of red, green and blue."""


def shape_of(form: Form) -> PixelShape:
    """How rows are read: grey pictures in a stack are seen together, a coloured one alone."""
    return PixelShape(stacked=1 if _coloured(form) else form.seen[0], actions=form.columns)


def observed(form: Form, outputs: Segments) -> UInt8[np.ndarray, "batch width"]:
    """Rows of bytes; the stack of the first step, then the newest picture of each further one."""
    seen = outputs.observations
    if _coloured(form):
        pictures = ((seen @ GREY) // 1000).astype(np.uint8)
    else:
        pictures = np.concatenate([seen[:, 0], seen[:, 1:, -1]], axis=1)
    actions = (outputs.actions - form.low) / np.maximum(form.high - form.low, 1e-9)
    return shape_of(form).pack(small(pictures), actions, outputs.valid)


def _coloured(form: Form) -> bool:
    return form.seen[-1] == len(GREY)


def small(pictures: UInt8[np.ndarray, "batch frames high wide"]) -> UInt8[np.ndarray, "batch frames side side"]:
    """Pictures as the means of so many by so many fields."""
    for axis in (2, 3):
        size = pictures.shape[axis]
        edges = np.linspace(0, size, SIDE + 1).astype(int)
        sums = np.add.reduceat(pictures, edges[:-1], axis=axis, dtype=np.uint16)
        counts = np.diff(edges).reshape([-1 if at == axis else 1 for at in range(4)])
        pictures = (sums // counts).astype(np.uint8)
    return pictures
