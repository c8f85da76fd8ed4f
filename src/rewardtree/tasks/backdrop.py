"""What scenes are places of, kept aside for people's boards, and for tasks that show or ask more than scenes hold."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from rewardtree.errors import TaskError


@dataclass(frozen=True, kw_only=True, slots=True)
class Backdrop:
    """Which item of which batch each scene shows; batches are kept as they are, however scenes are picked.

    Attributes:
        batches: of whatever the scenes are about.
        batch: of each scene, [batch].
        item: of its batch, [batch].
    """

    batches: tuple[Any, ...]
    batch: Int[np.ndarray, " batch"]
    item: Int[np.ndarray, " batch"]

    def take(self, rows: Int[np.ndarray, " rows"]) -> "Backdrop":
        """That of the scenes at `rows`."""
        return Backdrop(batches=self.batches, batch=self.batch[rows], item=self.item[rows])

    def find(self, row: int) -> tuple[Any, int]:
        """The batch of a scene, and the item of it."""
        return self.batches[self.batch[row]], int(self.item[row])


def backdrop(batch: Any) -> Backdrop:
    """That of scenes which show the items of one batch, in order."""
    count = len(batch)
    return Backdrop(batches=(batch,), batch=np.zeros(count, dtype=np.int64), item=np.arange(count))


def single(found: Backdrop | None) -> tuple[Any, Int[np.ndarray, " batch"]]:
    """The one batch that scenes show items of, and which item each shows.

    Raises:
        TaskError: where they show items of several batches, or of none.
    """
    if found is None or len(found.batches) != 1:
        raise TaskError("scenes of several draws are not shown together; keep them apart")
    return found.batches[0], found.item


def mixed_backdrop(
    first: Backdrop | None, second: Backdrop | None, take_second: Bool[np.ndarray, " batch"]
) -> Backdrop | None:  # fmt: skip
    """That of scenes of the first batch, or of the second where so marked; None where either has none."""
    if first is None or second is None:
        return None
    return Backdrop(
        batches=(*first.batches, *second.batches),
        batch=np.where(take_second, second.batch + len(first.batches), first.batch),
        item=np.where(take_second, second.item, first.item),
    )
