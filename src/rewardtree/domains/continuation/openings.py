"""Openings: passages of books after which a text is to go on, as prompts, and how the books themselves go on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Int

from rewardtree.domains.novels.books import files_of, read_book, splits_of
from rewardtree.domains.novels.passages import passages
from rewardtree.domains.novels.swapping import renamed_for
from rewardtree.errors import ConfigError
from rewardtree.language.encoding import Encoder, Rows, lengths, padded
from rewardtree.tasks.task import Split

ASK = "Go on with this text in its own manner, in a few sentences.\n\n"
"""What stands before an opening where it is put as a turn of a chat."""
Chosen: TypeAlias = Int[np.ndarray, " rows"] | Bool[np.ndarray, " rows"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """A place where a text is broken off: the book, the chapter from 1, and the words before and after it."""

    book: str
    chapter: int
    before: str
    after: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pool:
    """Openings of one split.

    Attributes:
        cuts: where they are.
        prompts: texts that are put to a model.
        ids: of the prompts.
        own: ids of how the books go on, as many as an output may have.
    """

    cuts: tuple[Cut, ...]
    prompts: tuple[str, ...]
    ids: Int[np.ndarray, "cuts prompt"]
    own: Int[np.ndarray, "cuts own"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Openings:
    """Inputs: openings of a pool, by number."""

    pool: Pool
    row: Int[np.ndarray, " batch"]

    def __len__(self) -> int:
        return len(self.row)

    @property
    def ids(self) -> Rows:
        """Of the prompts."""
        return trimmed(self.pool.ids[self.row])

    @property
    def own(self) -> Rows:
        """Of how the books go on."""
        return trimmed(self.pool.own[self.row])

    @property
    def prompts(self) -> list[str]:
        """As they are put to a model, before its chat template."""
        return [self.pool.prompts[row] for row in self.row]

    def cut(self, row: int) -> Cut:
        """Where an opening is."""
        return self.pool.cuts[int(self.row[row])]

    def take(self, rows: Chosen) -> "Openings":
        """Some of them."""
        return Openings(pool=self.pool, row=self.row[rows])

    def digest(self) -> list[dict[str, Any]]:
        """Book, chapter and words, one record an opening."""
        found = [self.pool.cuts[row] for row in self.row]
        return [{"book": one.book, "chapter": one.chapter, "text": one.before} for one in found]


def trimmed(rows: Int[np.ndarray, "batch _"]) -> Rows:
    """Rows no wider than the longest."""
    return rows[:, : int(lengths(rows).max(initial=1))]


@lru_cache(maxsize=8)
def cuts_of(folder: Path, seed: int, split: Split, words: int) -> tuple[Cut, ...]:
    """Places of a split's books, under a run's names, between passages of a chapter; the first has half the words.

    Args:
        folder: of the books.
        seed: of new names.
        split: whose books.
        words: of a passage, at most.
    """
    found: list[Cut] = []
    for path in splits_of(files_of(folder))[split]:
        book = renamed_for(read_book(path), seed)
        for number, chapter in enumerate(book.chapters):
            found += _cuts(book.title, number, chapter, words)
    return tuple(found)


def _cuts(title: str, number: int, chapter: str, words: int) -> Iterator[Cut]:
    for one, other in pairwise(passages(number, chapter, words)):
        before = chapter[one.start : one.end].strip()
        if 2 * len(before.split()) >= words:
            end = one.start + len(chapter[one.start : one.end].rstrip())
            yield Cut(book=title, chapter=number + 1, before=before, after=chapter[end : other.end])


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Draws openings.

    Attributes:
        folder: of the books.
        seed: of new names.
        words: of an opening, at most.
        tokens: of an output, at most.
        encoder: of the model that writes.
    """

    folder: Path
    seed: int
    words: int
    tokens: int
    encoder: Encoder
    _pools: dict[Split, Pool] = field(init=False, repr=False, compare=False, default_factory=dict)

    def draw(self, rng: np.random.Generator, count: int, split: Split) -> Openings:
        """Openings of a split's books.

        Raises:
            ConfigError: where there are none, or the model cannot read as many tokens.
        """
        pool = self.pool(split)
        return Openings(pool=pool, row=rng.integers(len(pool.cuts), size=count))

    def pool(self, split: Split) -> Pool:
        """All openings of a split; see `draw`."""
        if split not in self._pools:
            self._pools[split] = self._pool(split)
        return self._pools[split]

    def _pool(self, split: Split) -> Pool:
        cuts, chat = cuts_of(self.folder, self.seed, split, self.words), self.encoder.style == "chat"
        if not cuts:
            raise ConfigError(f"the {split} books in {self.folder} have no two passages of {self.words} words in a "
                              "row; lower options.words")  # fmt: skip
        prompts = tuple(ASK + one.before if chat else one.before for one in cuts)
        own = [one.after.lstrip() if chat else one.after for one in cuts]
        ids = padded(self.encoder.prompts(prompts))
        if ids.shape[1] + self.tokens > self.encoder.model.limit:
            raise ConfigError(f"an opening of {ids.shape[1]} tokens and {self.tokens} more are too many for "
                              f"{self.encoder.model.ref.name!r}, which reads {self.encoder.model.limit}; lower "
                              "options.words or options.tokens")  # fmt: skip
        return Pool(cuts=cuts, prompts=prompts, ids=ids, own=padded(self._shortened(own)))

    def _shortened(self, texts: Sequence[str]) -> list[list[int]]:
        return [ids[: self.tokens] for ids in self.encoder.outputs(texts, finished=False)]
