"""Chapters to be revised, with what every passage in hand says of all their slots, and a doubtful paragraph.

A chapter's slots can be filled with either of two values each. One paragraph is doubtful: it is the chapter's own, or
one of another chapter's stands in its place, and what tells is a name on stage in it, which the chapter has elsewhere
too or never mentions. Both candidates, as the two values of a slot, come in an order that tells nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Integer

from rewardtree.domains.novels.features import counts_in, kinds_of
from rewardtree.domains.novels.revisions import NONE, SLOTS, Column, Revisions
from rewardtree.domains.novels.stage import Stage, doubtful, quarters
from rewardtree.domains.novels.volumes import CLOSE, TOGETHER
from rewardtree.errors import TaskError
from rewardtree.tasks.task import Split


@dataclass(frozen=True, kw_only=True, slots=True)
class Chapters:
    """Chapters to be revised.

    Attributes:
        revisions: slots, their values and truth, and the shelf; how they are filled in it plays no part.
        codes: what each passage in hand says of the slots, [batch, passages].
        names: which slots' names are in each passage, a bit a slot, [batch, passages].
        together, close: slots of which a passage has the name and a value's words, and in one sentence.
        counts: passages that have the first and second value's words with the name, and in one sentence, as logarithms
            of one more, [batch, slots, 4].
        kinds: of the slots, [batch, slots, kinds].
        candidates: the paragraph's, by passage, or `NONE`, [batch, 2].
        persons: the name that tells in either, [batch, 2].
        own: 1 where the first candidate is the chapter's own paragraph, -1 where the second, [batch].
        parts: the chapter's quarters without that paragraph, [batch, quarters, places].
    """

    revisions: Revisions
    codes: Integer[np.ndarray, "batch passages"]
    names: Integer[np.ndarray, "batch passages"]
    together: Integer[np.ndarray, "batch passages"]
    close: Integer[np.ndarray, "batch passages"]
    counts: Float[np.ndarray, "batch slots 4"]
    kinds: Float[np.ndarray, "batch slots kinds"]
    candidates: Int[np.ndarray, "batch 2"]
    persons: Int[np.ndarray, "batch 2"]
    own: Column
    parts: Int[np.ndarray, "batch quarters places"]

    def __len__(self) -> int:
        return len(self.own)

    def take(self, rows: Int[np.ndarray, " rows"]) -> "Chapters":
        """The chapters at `rows`."""
        fields: dict[str, Any] = {
            name: getattr(self, name)[rows] for name in self.__dataclass_fields__ if name != "revisions"
        }
        return replace(self, revisions=self.revisions.take(rows), **fields)

    def digest(self) -> list[dict[str, Any]]:
        """Names of the draws."""
        return [{"chapter": int(origin)} for origin in self.revisions.origin]

    @property
    def doubted(self) -> Column:
        """1 where there is a doubtful paragraph, else 0."""
        found: Column = (self.candidates[:, 0] >= 0).astype(np.int64)
        return found

    def stage(self, choice: Column) -> Stage:
        """The chapters with the name that tells in the chosen paragraph, 1 the first candidate, -1 the second."""
        revisions = self.revisions
        return Stage(
            volumes=revisions.volumes, volume=revisions.volume, section=revisions.section,
            person=np.where(choice > 0, self.persons[:, 0], self.persons[:, 1]), parts=self.parts,
            origin=revisions.origin,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Fillings:
    """Revisions of chapters.

    Attributes:
        slots: 1 where the first value stands, -1 where the second, [batch, slots]; 1 where there is no slot.
        paragraph: 1 where the first candidate stands, -1 where the second, [batch]; 1 where none is doubtful.
    """

    slots: Int[np.ndarray, "batch slots"]
    paragraph: Column

    def __len__(self) -> int:
        return len(self.paragraph)

    def take(self, rows: Int[np.ndarray, " rows"]) -> "Fillings":
        """The revisions at `rows`."""
        return Fillings(slots=self.slots[rows], paragraph=self.paragraph[rows])

    def digest(self) -> list[dict[str, Any]]:
        """What stands where, one record a revision."""
        return [
            {"slots": slots, "paragraph": paragraph}
            for slots, paragraph in zip(self.slots.tolist(), self.paragraph.tolist(), strict=True)
        ]


DrawChapters = Callable[[np.random.Generator, int, Split], Chapters]


def fillings(chapters: Chapters, slots: Any, paragraph: Any) -> Fillings:
    """Revisions of these chapters: the first values where the marks are true, the second elsewhere.

    Args:
        chapters: to be revised.
        slots: [batch, slots].
        paragraph: [batch].
    """
    return Fillings(
        slots=np.where(slots | ~chapters.revisions.valid, 1, -1),
        paragraph=np.where(paragraph | (chapters.doubted == 0), 1, -1),
    )


def chapters_of(revisions: Revisions, rng: np.random.Generator) -> Chapters:
    """Chapters of a draw, each with a doubtful paragraph where its book offers one.

    Args:
        revisions: drawn.
        rng: draws the paragraphs.

    Raises:
        TaskError: where slots are negations, which have no second value to stand in a chapter.
    """
    if revisions.negation.any():
        raise TaskError("slots that say or deny a title have no second value; revise chapters with other slots")
    count = len(revisions)
    candidates, persons = np.full((2, count, 2), NONE)
    parts = []
    for number in np.unique(revisions.volume):
        rows = np.flatnonzero(revisions.volume == number)
        volume, section = revisions.volumes[number], revisions.section[rows]
        found = doubtful(volume, section, rng)
        candidates[rows] = np.column_stack([found.own, found.foreign])
        persons[rows] = np.column_stack([found.host, found.guest])
        parts.append((rows, quarters(volume, section, found.own)))
    own = np.where(rng.random(count) < 0.5, 1, -1)
    turned = np.where((own > 0)[:, None], [[0, 1]], [[1, 0]])
    quartered = np.empty((count, *parts[0][1].shape[1:]), dtype=np.int64)
    for rows, its in parts:
        quartered[rows] = its
    columns = [np.full(count, column) for column in range(SLOTS)]
    return Chapters(
        revisions=revisions, candidates=np.take_along_axis(candidates, turned, axis=1),
        persons=np.take_along_axis(persons, turned, axis=1), own=own, parts=quartered,
        kinds=np.stack([kinds_of(revisions, column).T for column in columns], axis=1), **_looked_up(revisions),
    )  # fmt: skip


def _looked_up(revisions: Revisions) -> dict[str, Any]:
    """What passages say of all slots, and how they look, slot by slot."""
    shape, valid = revisions.shelf.shape, revisions.valid
    codes = np.zeros(shape, dtype=np.int16)
    names, together, close = np.zeros((3, *shape), dtype=np.uint8)
    counts = np.zeros((*valid.shape, 4), dtype=np.float64)
    for number in np.unique(revisions.volume):
        volume = revisions.volumes[number]
        for column in range(valid.shape[1]):
            rows = np.flatnonzero((revisions.volume == number) & valid[:, column])
            key, shelf = volume.slots[revisions.slot[rows, column], 0], revisions.shelf[rows]
            first, second = (volume.pair[key] + one[rows, column] for one in (revisions.first, revisions.second))
            there = shelf >= 0
            speaks = volume.speaks[key[:, None], shelf] & there
            holds = volume.holds[first[:, None], shelf]
            codes[rows] += (3**column * np.where(speaks, np.where(holds, 1, 2), 0)).astype(np.int16)
            names[rows] |= (volume.named[key[:, None], shelf] & there).astype(np.uint8) << np.uint8(column)
            looks = [np.where(there, volume.looks[pair[:, None], shelf], 0) for pair in (first, second)]
            either = np.maximum(*looks)
            together[rows] += either >= TOGETHER
            close[rows] += either >= CLOSE
            counts[rows, column] = counts_in(looks)
    return {"codes": codes, "names": names, "together": together, "close": close, "counts": counts}


def clues(chapters: Chapters) -> tuple[Float[np.ndarray, "batch slots 2"], Float[np.ndarray, "batch 2 2"]]:
    """What a policy sees of every slot, for its first value as against its second, and of either candidate.

    Of a slot: passages that have either value's words with the name, and in one sentence, as differences of logarithms.
    Of a candidate: how many passages of the chapter mention the name that tells, as a logarithm, and whether any does.
    """
    slots = chapters.counts[:, :, [0, 2]] - chapters.counts[:, :, [1, 3]]
    mentions = [chapters.stage(np.full(len(chapters), side)).mentioned().sum(axis=(1, 2)) for side in (1, -1)]
    candidates = np.stack([np.column_stack([np.log1p(count), count > 0]) for count in mentions], axis=1)
    return np.where(chapters.revisions.valid[:, :, None], slots, 0.0), candidates
