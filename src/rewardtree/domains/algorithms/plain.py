"""What families have in common whose questions show nothing of their answers until all parts are known."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from rewardtree.tasks.decomposition import Names, Questions


class Plain:
    """Conclusions depend on the answers to the parts alone, and no reading short of whole parts helps."""

    __slots__ = ()

    def context(self, asked: Questions) -> Int[np.ndarray, "batch columns"]:
        """Nothing is needed."""
        return np.empty((len(asked), 0), dtype=int)

    def glances(self, level: int, asked: Questions) -> tuple[Names, ...]:
        """Nowhere: no reading helps where parts cannot be read whole."""
        return ()

    def hunch(
        self,
        level: int,
        context: Int[np.ndarray, "batch columns"],
        read: Sequence[Float[np.ndarray, " batch"]],
        answer: Names,
    ) -> Float[np.ndarray, "batch hunches"]:
        """Nothing."""
        return np.zeros((len(answer), 0))

    def readings(self, facts: Int[np.ndarray, " places"]) -> Float[np.ndarray, " places"]:
        """For people: names are numbers that they can read."""
        return facts.astype(float)
