"""Words behind instruments: the texts that can be opened at places, and how who is simulated reads them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Int

from rewardtree.errors import TaskError

NOTHING = -1
"""Index of a place where there is nothing to open."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Texts:
    """What an instrument opens, in words: a table that all outputs share, and which of it lies at each place.

    Attributes:
        table: texts, each once.
        index: of the table, or `NOTHING`, [batch, places].

    Raises:
        TaskError: an index is not in the table.

    Example:
        >>> texts = Texts(table=("It was late.", "He rose."), index=np.array([[1, -1], [0, 1]]))
        >>> texts.at(0, 0), texts.at(0, 1)
        ('He rose.', None)
    """

    table: tuple[str, ...] = field(repr=False)
    index: Int[np.ndarray, "batch places"]

    def __post_init__(self) -> None:
        if self.index.size and not (self.index.min() >= NOTHING and self.index.max() < len(self.table)):
            raise TaskError(f"texts are numbered from 0 to {len(self.table) - 1}, and {NOTHING} is none")

    def at(self, row: int, place: int) -> str | None:
        """The text at a place of one output; None where there is none."""
        number = int(self.index[row, place])
        return None if number == NOTHING else self.table[number]

    def take(self, rows: Int[np.ndarray, " rows"]) -> "Texts":
        """The texts of the outputs at `rows`; the table stays."""
        return Texts(table=self.table, index=self.index[rows])


@dataclass(frozen=True, kw_only=True, slots=True)
class Passages:
    """The texts of an answering task's places.

    Attributes:
        texts: of a batch of scenes, by instrument.
        reading: the rule by which simulated evaluators read, from the scenes, a row and a text.
        span: where the places stand that answers point at, as chapter and characters from and to, [batch, 3].
    """

    texts: Callable[[Any], Mapping[str, Texts]]
    reading: Callable[[Any, int, str], float]
    span: Callable[[Any, Int[np.ndarray, " batch"]], Int[np.ndarray, "batch 3"]]
