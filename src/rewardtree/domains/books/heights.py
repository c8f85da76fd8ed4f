"""Sources at every height: parts of the text, then summaries of neighbours, up to a stretch of the book or all of it.

Height 0 is the text in parts of about 12 passages. A unit of height h is a few neighbouring summaries of height h - 1;
at the top it is all those of a book, or for practice any stretch of three and more. Everything is made for a whole
split at once, by whoever writes the summaries below, and then drawn from.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Int

from rewardtree.domains.books.choosing import central
from rewardtree.domains.books.shelf import Shelf, shelf_of
from rewardtree.domains.books.sources import Pages, Sources, Summaries, chosen, everyone, pages_of
from rewardtree.domains.novels.books import files_of, read_book, splits_of
from rewardtree.domains.novels.swapping import renamed_for
from rewardtree.tasks.task import SPLITS, Split

Write: TypeAlias = Callable[[Sources], Summaries]
"""Whoever writes summaries."""
Groups: TypeAlias = Int[np.ndarray, "groups 2"]
LEAST, POOL = 3, 96
"""Summaries that a stretch at the top is made of, at least, and stretches that are drawn from."""
TOLD = 6
"""Summaries of a source that a reader is told of, evenly spread."""
PLACES, MOST_PLACES = 8, 64
"""Passages of a part that can be opened, and of anything."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Library:
    """Books under the names that a seed gives them, and how they are cut.

    Attributes:
        folder: of the books.
        seed: of new names.
        heights: 2 or more; the last is the book's.
        fan: summaries that are summarised together below the top.
        limit: words of a summary below the top.
        top_limit: words of a book's summary.
    """

    folder: Path
    seed: int
    heights: int = 3
    fan: int = 8
    limit: int = 80
    top_limit: int = 240

    @property
    def shelf(self) -> Shelf:
        """The books, made ready."""
        return _shelf(self.folder, self.seed)

    @property
    def top(self) -> int:
        """The height of a whole book."""
        return self.heights - 1

    def words(self, height: int) -> int:
        """The limit of a summary at a height."""
        return self.top_limit if height == self.top else self.limit

    def places(self, height: int) -> int:
        """Passages that can be opened at a height."""
        return int(min(PLACES * 3**height, MOST_PLACES))


@lru_cache(maxsize=2)
def _shelf(folder: Path, seed: int) -> Shelf:
    """The books of a folder with names exchanged as the seed has it."""
    found = splits_of(files_of(folder)).items()
    return shelf_of([(renamed_for(read_book(path), seed), split) for split, paths in found for path in paths])


@lru_cache(maxsize=8)
def parts(library: Library, split: Split) -> Pages:
    """The text of a split's books, part by part."""
    shelf = library.shelf
    wanted = np.flatnonzero(np.isin(shelf.part_owner, shelf.of_split(split)))
    first, end = shelf.parts[wanted], shelf.parts[wanted + 1]
    open_ = np.flatnonzero(~shelf.held_out[shelf.passage])
    at = np.searchsorted(shelf.passage[open_], np.stack([first, end]))
    lists = [open_[a:b] for a, b in at.T]
    return pages_of(
        shelf, _table(lists), np.stack([first, end], axis=1), places=library.places(0), limit=library.words(0),
        origin=wanted,
    )  # fmt: skip


def joined(library: Library, height: int, below: Pages, summaries: Summaries, groups: Groups) -> Pages:
    """Sources at a height, made of summaries of the units below.

    Args:
        library: how books are cut.
        height: 1 or more.
        below: units of the height below, in order.
        summaries: of them.
        groups: first unit of each source, and the one after its last.
    """
    found = chosen(everyone(below), summaries)
    lists = [row[row >= 0] for row in (found[a:b].ravel() for a, b in groups)]
    at = groups[:, :1] + (np.arange(TOLD) + 0.5)[None, :] / TOLD * (groups[:, 1:] - groups[:, :1])
    return pages_of(
        library.shelf, _table(lists), np.stack([below.span[groups[:, 0], 0], below.span[groups[:, 1] - 1, 1]], axis=1),
        places=library.places(height), limit=library.words(height),
        origin=below.origin[groups[:, 0]] * 1000 + groups[:, 1] - groups[:, 0],
        below=tuple(Sources(pages=below, row=column) for column in at.astype(int).T),
    )  # fmt: skip


def units(library: Library, split: Split, height: int, write: Write) -> Pages:
    """All units of a height below the top, each part of the text in just one of them."""
    if height == 0:
        return parts(library, split)
    below = units(library, split, height - 1, write)
    groups = []
    for start, end in _of_books(library.shelf, below):
        count = max(1, round((end - start) / library.fan))
        cuts = np.linspace(start, end, count + 1).round().astype(int)
        groups += list(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True))
    return joined(library, height, below, write(everyone(below)), np.array(groups))


def whole(library: Library, split: Split, write: Write) -> Pages:
    """Each book of a split as one source of summaries."""
    below = units(library, split, library.top - 1, write)
    groups = np.array(_of_books(library.shelf, below))
    return joined(library, library.top, below, write(everyone(below)), groups)


def pool(library: Library, split: Split, height: int, write: Write) -> Pages:
    """What is drawn from at a height: parts; any few neighbours; at the top, stretches of books and whole ones."""
    if height == 0:
        return parts(library, split)
    below = units(library, split, height - 1, write)
    groups = []
    for start, end in _of_books(library.shelf, below):
        if height < library.top:
            size = min(library.fan, end - start)
            groups += [(at, at + size) for at in range(start, end - size + 1)]
        else:
            least = min(LEAST, end - start)
            groups += [(a, b) for a in range(start, end - least + 1) for b in range(a + least, end + 1)]
    if height == library.top and len(groups) > POOL:
        rng = np.random.default_rng([library.seed, 29, SPLITS.index(split)])
        groups = [groups[i] for i in np.sort(rng.permutation(len(groups))[:POOL])]
    return joined(library, height, below, write(everyone(below)), np.array(groups))


@lru_cache(maxsize=16)
def base_pool(library: Library, split: Split, height: int) -> Pages:
    """What is drawn from where no policy has a say: the summaries below are those of a rule, `choosing.central`."""
    return pool(library, split, height, central)


def _of_books(shelf: Shelf, pages: Pages) -> list[tuple[int, int]]:
    """First unit of each book, and the one after its last."""
    owner = shelf.owner[pages.span[:, 0]]
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    return list(zip(starts.tolist(), [*starts[1:].tolist(), len(owner)], strict=True))


def _table(lists: Sequence[Int[np.ndarray, " _"]]) -> Int[np.ndarray, "lists most"]:
    """Lists of unlike length as rows, -1 behind them."""
    table = np.full((len(lists), max(1, *(len(one) for one in lists))), -1)
    for number, one in enumerate(lists):
        table[number, : len(one)] = one
    return table
