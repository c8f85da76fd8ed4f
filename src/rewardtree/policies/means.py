"""Means of distributions over a grid of values that fall off on both sides of a location."""

import math
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float

CUT = 20.0
"""Logits this far below the highest one are left out: together they change a mean by less than float32 rounds."""


def peaked_means(
    location: Float[np.ndarray, " batch"],
    sharpness: Float[np.ndarray, " batch"],
    steps: Float[np.ndarray, " levels"],
    smooth: float,
) -> Float[np.ndarray, " batch"]:
    """Mean of softmax(-sharpness (sqrt((steps - location)^2 + smooth^2) - smooth)) over `steps`, float32.

    Args:
        location: where the distribution peaks; it may lie off the grid.
        sharpness: how fast it falls off, above 0.
        steps: evenly spaced, rising, two or more.
        smooth: width within which the peak is round.
    """
    means = np.empty(len(location), dtype=np.float32)
    single = (np.ascontiguousarray(part, dtype=np.float32) for part in (location, sharpness, steps))
    _fill_means(*single, np.float32(smooth), means)
    return means


@numba.njit(cache=True, fastmath={"reassoc", "contract", "nsz", "arcp"})
@no_type_check
def _fill_means(
    location: Float[np.ndarray, " batch"],
    sharpness: Float[np.ndarray, " batch"],
    steps: Float[np.ndarray, " levels"],
    smooth: float,
    means: Float[np.ndarray, " batch"],
) -> None:
    """Sum around the location, as far as it matters."""
    levels = len(steps)
    gap = (steps[levels - 1] - steps[0]) / (levels - 1)
    for i in range(len(location)):
        centre, steep = location[i], sharpness[i]
        nearest = int(min(max((centre - steps[0]) / gap + 0.5, 0.0), levels - 1.0))
        least = math.sqrt((steps[nearest] - centre) ** 2 + smooth * smooth)
        reach = math.sqrt((least + CUT / steep) ** 2 - smooth * smooth) if steep > 0.0 else math.inf
        first = int(max((centre - reach - steps[0]) / gap, 0.0))
        last = int(min((centre + reach - steps[0]) / gap + 1.0, levels - 1.0))
        weight, moment = np.float32(0.0), np.float32(0.0)
        for j in range(first, last + 1):
            off = steps[j] - centre
            share = math.exp(-steep * (math.sqrt(off * off + smooth * smooth) - least))
            weight += share
            moment += share * (steps[j] - steps[nearest])
        means[i] = steps[nearest] + moment / weight
