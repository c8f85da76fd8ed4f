"""The passages in hand: their words, where they stand, and what the reader's rule takes from them.

Rows are named by `item`: of one batch of revised chapters, whichever are asked about, in any order and repeated.
"""

from itertools import chain

import numpy as np
from jaxtyping import Int

from rewardtree.domains.novels.codes import encoded
from rewardtree.domains.novels.reader import reading
from rewardtree.domains.novels.revisions import NONE, Revisions
from rewardtree.domains.novels.volumes import Volume
from rewardtree.tasks.texts import NOTHING, Texts

Items = Int[np.ndarray, " rows"]


def texts_of(revisions: Revisions, item: Items) -> Texts:
    """The passages in hand in words; the table holds all passages of all books, as they are.

    Args:
        revisions: the chapters.
        item: of them, [rows].
    """
    return passages_in(revisions.volumes, revisions.volume[item], revisions.shelf[item])


def passages_in(
    volumes: tuple[Volume, ...], volume: Items, passage: Int[np.ndarray, "rows places"]
) -> Texts:  # fmt: skip
    """Passages of books in words.

    Args:
        volumes: the books.
        volume: of each row.
        passage: of the book, or `NONE`.
    """
    starts = np.cumsum([0, *(len(one.texts) for one in volumes)])[volume]
    return Texts(
        table=tuple(chain.from_iterable(one.texts for one in volumes)),
        index=np.where(passage == NONE, NOTHING, passage + starts[:, None]),
    )


def spans_of(revisions: Revisions, item: Items, place: Items) -> Int[np.ndarray, "rows 3"]:
    """Chapter, and characters from and to, of one passage in hand of each; all -1 where there is none.

    Args:
        revisions: the chapters.
        item: of them, [rows].
        place: in hand, [rows].
    """
    return spans_in(revisions.volumes, revisions.volume[item], revisions.shelf[item, place])


def spans_in(volumes: tuple[Volume, ...], volume: Items, passage: Items) -> Int[np.ndarray, "rows 3"]:
    """Where passages of books stand; see `spans_of`, and for the arguments `passages_in`."""
    found = np.full((len(volume), 3), -1)
    for number in np.unique(volume):
        rows = np.flatnonzero((volume == number) & (passage != NONE))
        found[rows] = volumes[number].spans[passage[rows]]
    return found


def read_of(revisions: Revisions, row: int, column: int, text: str) -> float:
    """The reader's rule on a text, asked about a slot; see `rewardtree.domains.novels.reader`."""
    return reading(revisions.asked(row, column), text, revisions.volumes[revisions.volume[row]].names)


def code_of(revisions: Revisions, row: int, text: str) -> float:
    """What a text says of every slot of a chapter, by the reader's rule, as a code."""
    says = [read_of(revisions, row, column, text) if there else 0 for column, there in enumerate(revisions.valid[row])]
    return float(encoded(np.array([says], dtype=int))[0])
