"""The meter: how many readings one comparison may still cost."""

import numpy as np
from jaxtyping import Bool, Int

from rewardtree.errors import BudgetError


class Meter:
    """Counts readings, one budget a comparison, shared by both of its outputs.

    A repeated reading costs again. Past the budget the meter refuses: it grants requests in the order of
    their columns until nothing is left.

    Args:
        batch: number of comparisons.
        budget: readings a comparison, or None for an unlimited meter (the expert's).

    Raises:
        BudgetError: where `budget` is negative.

    Example:
        >>> meter = Meter(1, budget=2)
        >>> meter.grant(np.array([[True, True, True]])).tolist()
        [[True, True, False]]
        >>> meter.used.tolist()
        [2]
    """

    def __init__(self, batch: int, *, budget: int | None) -> None:
        if budget is not None and budget < 0:
            raise BudgetError(f"a reading budget cannot be {budget}; give 0 or more, or leave it out for no limit")
        self.budget = budget
        self._used = np.zeros(batch, dtype=np.int64)

    @property
    def used(self) -> Int[np.ndarray, " batch"]:
        """Readings used so far by each comparison."""
        return self._used.copy()

    def grant(self, wanted: Bool[np.ndarray, "batch requests"]) -> Bool[np.ndarray, "batch requests"]:
        """Grant what the budget still allows and count it.

        Args:
            wanted: which requests are made.

        Returns:
            Which of them are granted.
        """
        if self.budget is None:
            granted = wanted.copy()
        else:
            granted = wanted & (np.cumsum(wanted, axis=1) + self._used[:, None] <= self.budget)
        self._used += granted.sum(axis=1)
        return granted
