"""The passages in hand: their words, where they stand, and what the reader's rule takes from them.

Rows are named by `item`: of one batch of revised chapters, whichever are asked about, in any order and repeated.
"""

from itertools import chain

import numpy as np
from jaxtyping import Int

from rewardtree.domains.novels.reader import reading
from rewardtree.domains.novels.revisions import NONE, Revisions
from rewardtree.tasks.texts import NOTHING, Texts

Items = Int[np.ndarray, " rows"]


def texts_of(revisions: Revisions, item: Items) -> Texts:
    """The passages in hand in words; the table holds all passages of all books, as they are.

    Args:
        revisions: the chapters.
        item: of them, [rows].
    """
    starts = np.cumsum([0, *(len(one.texts) for one in revisions.volumes)])[revisions.volume[item]]
    shelf = revisions.shelf[item]
    return Texts(
        table=tuple(chain.from_iterable(one.texts for one in revisions.volumes)),
        index=np.where(shelf == NONE, NOTHING, shelf + starts[:, None]),
    )


def spans_of(revisions: Revisions, item: Items, place: Items) -> Int[np.ndarray, "rows 3"]:
    """Chapter, and characters from and to, of one passage in hand of each; all -1 where there is none.

    Args:
        revisions: the chapters.
        item: of them, [rows].
        place: in hand, [rows].
    """
    passage, volume = revisions.shelf[item, place], revisions.volume[item]
    found = np.full((len(item), 3), -1)
    for number in np.unique(volume):
        rows = np.flatnonzero((volume == number) & (passage != NONE))
        found[rows] = revisions.volumes[number].spans[passage[rows]]
    return found


def read_of(revisions: Revisions, row: int, column: int, text: str) -> float:
    """The reader's rule on a text, asked about a slot; see `rewardtree.domains.novels.reader`."""
    return reading(revisions.asked(row, column), text, revisions.volumes[revisions.volume[row]].names)
