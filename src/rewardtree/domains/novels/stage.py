"""Who is on stage in a chapter: its quarters, and names that are there or are not.

Draws are balanced: a name that some chapters have on stage and others never mention comes up as often where it is on
stage as where it is not, but for what single chapters offer, so that a famous name says nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from rewardtree.domains.novels.revisions import NONE, ORIGINS, Column
from rewardtree.domains.novels.shelves import passages_in
from rewardtree.domains.novels.volumes import Volume
from rewardtree.errors import TaskError
from rewardtree.tasks.texts import Texts

QUARTERS, PART = 4, 24
"""Parts of a chapter, and passages of a part that are in hand, at most."""
MANY = 3
"""Passages of a chapter that have somebody on stage, at least, for him to be among its people."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """Names in chapters: is this one on stage in this chapter, and where?

    Attributes:
        volumes: the books.
        volume: of each chapter.
        section: which part of its book.
        person: the name, by its number in the volume's cast, or `NONE`, [batch].
        parts: passages of the chapter's quarters, or `NONE`, [batch, quarters, places].
        origin: names the draw.
    """

    volumes: tuple[Volume, ...]
    volume: Column
    section: Column
    person: Column
    parts: Int[np.ndarray, "batch quarters places"]
    origin: Column

    def __len__(self) -> int:
        return len(self.volume)

    def take(self, rows: Int[np.ndarray, " rows"]) -> "Stage":
        """The chapters at `rows`."""
        names = ("volume", "section", "person", "parts", "origin")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def name(self, row: int) -> str:
        """The name that is asked about."""
        return self.volumes[self.volume[row]].cast[self.person[row]] if self.person[row] >= 0 else "nobody"

    @property
    def there(self) -> Bool[np.ndarray, "batch quarters places"]:
        """Passages that there are."""
        return np.asarray(self.parts >= 0)

    @property
    def sizes(self) -> Int[np.ndarray, "batch quarters"]:
        """How many passages of each quarter are in hand."""
        found: Int[np.ndarray, "batch quarters"] = self.there.sum(axis=2)
        return found

    def seen(self) -> Bool[np.ndarray, "batch quarters places"]:
        """Where the name is on stage, by the reader's rule."""
        return self._of("on_stage")

    def mentioned(self) -> Bool[np.ndarray, "batch quarters places"]:
        """Where the name is, on stage or not: what words show."""
        return self._of("mentioned")

    def texts(self) -> Texts:
        """The passages of all quarters in words, one after the other."""
        return passages_in(self.volumes, self.volume, self.parts.reshape(len(self), -1))

    def _of(self, table: str) -> Bool[np.ndarray, "batch quarters places"]:
        found: Bool[np.ndarray, "batch quarters places"] = np.zeros(self.parts.shape, dtype=bool)
        for number in np.unique(self.volume):
            rows = np.flatnonzero((self.volume == number) & (self.person >= 0))
            found[rows] = getattr(self.volumes[number], table)[self.person[rows][:, None, None], self.parts[rows]]
        found &= self.there
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Doubtful:
    """A paragraph of each chapter, and one of another chapter that might stand in its place; `NONE` where none fits.

    Attributes:
        own, foreign: the passages, [batch].
        host, guest: a name on stage in either; the chapter has the host on stage elsewhere too, and never the guest.
    """

    own: Column
    foreign: Column
    host: Column
    guest: Column


def doubtful(volume: Volume, section: Column, rng: np.random.Generator) -> Doubtful:
    """Draw a doubtful paragraph for each chapter of a book.

    Args:
        volume: the book.
        section: of each chapter.
        rng: the only source of chance.
    """
    count = len(volume.sections) - 1
    starts = np.searchsorted(volume.section, np.arange(count))
    on = np.add.reduceat(volume.on_stage.astype(np.int32), starts, axis=1)
    absent = np.add.reduceat(volume.mentioned.astype(np.int32), starts, axis=1) == 0
    hosts = (on >= MANY) & absent.any(axis=1)[:, None]
    guests = absent & hosts.any(axis=1)[:, None] & (on.sum(axis=1) > 0)[:, None]
    host = _weighted(hosts[:, section].T * absent.sum(axis=1), rng)
    guest = _weighted(guests[:, section].T * hosts.sum(axis=1), rng)
    nobody = (host < 0) | (guest < 0)
    name, passage = np.nonzero(volume.on_stage)
    order = name * count + volume.section[passage]

    def one_of(first: Column, last: Column) -> Column:
        at = first + (rng.random(len(first)) * (last - first)).astype(np.int64)
        return np.where(nobody, NONE, passage[np.minimum(at, len(passage) - 1)])

    here = host * count + section
    own = one_of(np.searchsorted(order, here), np.searchsorted(order, here, side="right"))
    foreign = one_of(np.searchsorted(name, guest), np.searchsorted(name, guest, side="right"))
    return Doubtful(
        own=own, foreign=foreign, host=np.where(nobody, NONE, host), guest=np.where(nobody, NONE, guest)
    )  # fmt: skip


def _weighted(weights: Int[np.ndarray, "batch choices"], rng: np.random.Generator) -> Column:
    """A choice a row in proportion to its weight; `NONE` where all weigh nothing."""
    total = weights.cumsum(axis=1)
    picked: Column = (total <= (rng.random(len(weights)) * total[:, -1])[:, None]).sum(axis=1)
    return np.where(total[:, -1] > 0, picked, NONE)


def quarters(volume: Volume, section: Column, without: Column) -> Int[np.ndarray, "batch quarters places"]:
    """The passages of each chapter's quarters in order, evenly thinned where there are too many of them.

    Args:
        volume: the book.
        section: of each chapter.
        without: a passage that is left out.
    """
    table = np.full((len(volume.sections) - 1, QUARTERS, PART), NONE)
    for number in range(len(table)):
        for quarter, passages in enumerate(np.array_split(np.flatnonzero(volume.section == number), QUARTERS)):
            kept = passages[np.linspace(0, len(passages) - 1, min(PART, len(passages))).round().astype(int)]
            table[number, quarter, : len(kept)] = kept
    found = table[section]
    return np.where(found == without[:, None, None], NONE, found)


def draw_stage(volumes: Sequence[Volume], rng: np.random.Generator, count: int, *, offset: int = 0) -> Stage:
    """Draw chapters with names, half of which are on stage.

    Args:
        volumes: books, each as likely as the others.
        rng: the only source of chance.
        count: how many.
        offset: names of draws begin here.

    Raises:
        TaskError: where no chapter has people that others never mention.
    """
    offering = {number: sections for number, one in enumerate(volumes) if (sections := _some(one))}
    able = list(offering)
    if not able:
        raise TaskError(
            f"in {', '.join(v.book.name for v in volumes)} every chapter mentions everybody; use longer books"
        )
    volume = np.array(able)[rng.integers(len(able), size=count)]
    fields: dict[str, Any] = {
        "section": np.zeros(count, dtype=np.int64), "person": np.zeros(count, dtype=np.int64),
        "parts": np.full((count, QUARTERS, PART), NONE),
    }  # fmt: skip
    for number in able:
        rows, one = np.flatnonzero(volume == number), volumes[number]
        sections = offering[number]
        section = np.array(sections)[rng.integers(len(sections), size=len(rows))]
        found = doubtful(one, section, rng)
        fields["section"][rows] = section
        fields["person"][rows] = np.where(rng.random(len(rows)) < 0.5, found.host, found.guest)
        fields["parts"][rows] = quarters(one, section, found.own)
    return Stage(
        volumes=tuple(volumes), volume=volume, origin=offset + volume * ORIGINS + rng.integers(ORIGINS, size=count),
        **fields,
    )  # fmt: skip


def _some(volume: Volume) -> list[int]:
    """Sections that a doubtful paragraph is found for."""
    sections = np.arange(len(volume.sections) - 1)
    found = doubtful(volume, sections, np.random.default_rng(0)).own
    return [int(section) for section in sections[found >= 0]]
