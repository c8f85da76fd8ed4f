"""Revised chapters: slots filled as the book has it or otherwise, and a shelf of the book's other passages in hand.

Draws are balanced. A slot comes with two values, its own and another of its group, and one of the two stands in the
chapter, either with equal chance. A slot with the value a, offered b, is kept with the chance min(a, b) / a, where a
and b count the slots of the book that have either: so a is true and b is not as often as the other way round, and which
of two values is the commoner one says nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int

from rewardtree.domains.novels.reader import FIRST, SECOND, SILENT, Asked
from rewardtree.domains.novels.volumes import TRAINED, Volume
from rewardtree.domains.novels.words import Kind
from rewardtree.errors import TaskError

SLOTS, SHELF = 8, 1024
"""Slots of a chapter, at most, and passages of the book in hand."""
NONE = -1
"""No slot, no passage, no second value."""
TRIES = 200
"""Times that chapters without a slot to fill are drawn again."""
ORIGINS = 10**12
"""Names of draws, for each book."""
Column: TypeAlias = Int[np.ndarray, " batch"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Revisions:
    """Chapters (or a few joined ones) with slots filled, each with a shelf of passages from the rest of its book.

    Attributes:
        volumes: the books.
        volume: of each chapter.
        section: which part of its book is revised.
        slot: of the volume, or `NONE`, [batch, slots].
        first, second: the two values by their number in the slot's group, in an order that tells nothing;
            a negation has no second, [batch, slots].
        truth: 1 where the book has the first, -1 where it has the second, [batch, slots].
        filled: the same of what stands in the chapter, [batch, slots].
        negation: whether slots say that somebody is or is not the first, instead of what he is, [batch].
        shelf: passages in order, or `NONE` at the end, [batch, passages].
        origin: names the draw.
    """

    volumes: tuple[Volume, ...]
    volume: Column
    section: Column
    slot: Int[np.ndarray, "batch slots"]
    first: Int[np.ndarray, "batch slots"]
    second: Int[np.ndarray, "batch slots"]
    truth: Int[np.ndarray, "batch slots"]
    filled: Int[np.ndarray, "batch slots"]
    negation: Bool[np.ndarray, " batch"]
    shelf: Int[np.ndarray, "batch passages"]
    origin: Column

    def __len__(self) -> int:
        return len(self.volume)

    def take(self, rows: Int[np.ndarray, " rows"]) -> "Revisions":
        """The chapters at `rows`."""
        fields: dict[str, Any] = {
            name: getattr(self, name)[rows] for name in self.__dataclass_fields__ if name != "volumes"
        }
        return replace(self, **fields)

    @property
    def valid(self) -> Bool[np.ndarray, "batch slots"]:
        """Slots that there are."""
        found: Bool[np.ndarray, "batch slots"] = self.slot >= 0
        return found

    @property
    def edited(self) -> Bool[np.ndarray, "batch slots"]:
        """Slots that are not as the book has them."""
        found: Bool[np.ndarray, "batch slots"] = self.filled != self.truth
        return found

    def asked(self, row: int, column: int) -> Asked:
        """The question that a slot is."""
        volume = self.volumes[self.volume[row]]
        key = int(volume.slots[self.slot[row, column], 0])
        kind, anchor = volume.keys[key]
        first, second = int(self.first[row, column]), int(self.second[row, column])
        return Asked(
            kind="negation" if self.negation[row] else kind, anchor=anchor, first=volume.value(key, first),
            second=volume.value(key, second) if second >= 0 else "",
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Questions:
    """One slot of each chapter, as a question about it."""

    revisions: Revisions
    column: Column

    def __len__(self) -> int:
        return len(self.column)


def draw(
    volumes: Sequence[Volume],
    rng: np.random.Generator,
    count: int,
    *,
    kinds: tuple[Kind, ...] = TRAINED,
    offset: int = 0,
    shelf: int = SHELF,
) -> Revisions:
    """Draw revised chapters: a book, a part of it, slots and their fillings, and a shelf.

    Args:
        volumes: books, each as likely as the others.
        rng: the only source of chance.
        count: how many.
        kinds: of slots; negations are drawn by themselves.
        offset: names of draws begin here, so that no two splits share one.
        shelf: passages in hand.

    Raises:
        TaskError: where none of the books has such slots.
    """
    negation = kinds == ("negation",)
    wanted = ("title",) if negation else kinds
    able = [n for n, one in enumerate(volumes) if _columns(one, wanted).any()]
    if not able:
        raise TaskError(f"no book of {', '.join(v.book.name for v in volumes)} has slots of kind {', '.join(kinds)}")
    volume = np.array(able)[rng.integers(len(able), size=count)]
    parts = [_of_volume(volumes[n], rng, int((volume == n).sum()), wanted, negation, shelf) for n in able]
    order = np.argsort(np.argsort(volume, kind="stable"), kind="stable")
    fields: dict[str, Any] = {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}
    return Revisions(
        volumes=tuple(volumes), volume=volume, negation=np.full(count, negation),
        origin=offset + volume * ORIGINS + rng.integers(ORIGINS, size=count), **fields,
    )  # fmt: skip


def _columns(volume: Volume, kinds: tuple[Kind, ...]) -> Bool[np.ndarray, " slots"]:
    """Slots of these kinds."""
    usable = np.array([kind in kinds for kind, _ in volume.keys])
    found: Bool[np.ndarray, " slots"] = usable[volume.slots[:, 0]]
    return found


def _of_volume(
    volume: Volume, rng: np.random.Generator, count: int, kinds: tuple[Kind, ...], negation: bool, shelf: int
) -> dict[str, Any]:
    by_section = _padded(volume, kinds)
    having = np.flatnonzero((by_section >= 0).any(axis=1))
    found: list[tuple[np.ndarray, ...]] = []
    for _ in range(TRIES):
        section = having[rng.integers(len(having), size=count + 8)]
        slot = by_section[section]
        other, kept = _balanced(volume, slot, rng)
        order = np.where(kept, rng.random(slot.shape), 2.0).argsort(axis=1)[:, :SLOTS]
        slot, other, kept = (np.take_along_axis(a, order, axis=1) for a in (slot, other, kept))
        some = kept.any(axis=1)
        found.append((section[some], np.where(kept, slot, NONE)[some], other[some]))
        if sum(len(one[0]) for one in found) >= count:
            break
    else:
        raise TaskError(f"hardly any slot of {volume.book.name} can be exchanged; use a longer book")
    section, slot, other = (np.concatenate(parts)[:count] for parts in zip(*found, strict=True))
    own, other = (np.where(slot >= 0, values, 0) for values in (volume.slots[slot, 1], other))
    ours, as_first = rng.random((2, *slot.shape)) < 0.5
    return {
        "section": section, "slot": slot, "first": np.where(ours, own, other),
        "second": np.full_like(own, NONE) if negation else np.where(ours, other, own), "truth": np.where(ours, 1, -1),
        "filled": np.where(as_first, 1, -1), "shelf": _shelves(volume, section, rng, shelf),
    }  # fmt: skip


def _padded(volume: Volume, kinds: tuple[Kind, ...]) -> Int[np.ndarray, "sections most"]:
    """Slots by section, `NONE` where there are no more."""
    usable = np.flatnonzero(_columns(volume, kinds))
    by_section = [usable[volume.slots[usable, 2] == section] for section in range(len(volume.sections) - 1)]
    most = max(SLOTS, *(len(one) for one in by_section))
    return np.array([np.pad(one, (0, most - len(one)), constant_values=NONE) for one in by_section])


def _balanced(
    volume: Volume, slot: Int[np.ndarray, "batch most"], rng: np.random.Generator
) -> tuple[Int[np.ndarray, "batch most"], Bool[np.ndarray, "batch most"]]:
    """Another value for each slot, and whether the slot is kept with it; see the module's docstring."""
    names = sorted(volume.groups)
    group_of_slot = np.array([names.index(volume.group[key]) for key in volume.slots[:, 0]])
    counts = np.zeros((len(names), max(len(values) for values in volume.groups.values())), dtype=int)
    np.add.at(counts, (group_of_slot, volume.slots[:, 1]), 1)
    sizes = np.array([len(volume.groups[name]) for name in names])
    group, own = group_of_slot[slot], volume.slots[slot, 1]
    other = rng.integers(sizes[group] - 1)
    other = other + (other >= own)
    mine, its = counts[group, own], counts[group, other]
    return other, (slot >= 0) & (rng.random(slot.shape) * mine < np.minimum(mine, its))


def _shelves(
    volume: Volume, section: Column, rng: np.random.Generator, size: int
) -> Int[np.ndarray, "batch passages"]:  # fmt: skip
    """Passages outside of each section, in order."""
    count = len(volume.places)
    chance = rng.random((len(section), max(count, size)), dtype=np.float32)
    outside = np.zeros(chance.shape, dtype=bool)
    outside[:, :count] = volume.section != section[:, None]
    chance[~outside] = 2.0
    picked = chance.argpartition(size - 1, axis=1)[:, :size]
    picked = np.where(np.take_along_axis(outside, picked, axis=1), picked, count)
    picked.sort(axis=1)
    return np.where(picked < count, picked, NONE)


Part = Callable[[Volume, Int[np.ndarray, " rows"]], Any]


def by_volume(revisions: Revisions, part: Part, shape: tuple[int, ...], kind: Any = np.float32) -> Any:
    """Fill an array book by book: `part` gets a volume and the rows that are about it, and gives these rows' values."""
    found = np.zeros((len(revisions), *shape), dtype=kind)
    for number in np.unique(revisions.volume):
        rows = np.flatnonzero(revisions.volume == number)
        found[rows] = part(revisions.volumes[number], rows)
    return found


def field_of(revisions: Revisions, column: Column) -> Float[np.ndarray, "batch passages"]:
    """The reader's rule on every passage in hand, for one slot of each chapter; see `reading`."""
    picked = np.arange(len(revisions)), column

    def part(volume: Volume, rows: Int[np.ndarray, " rows"]) -> Any:
        slot, first = (a[picked][rows] for a in (revisions.slot, revisions.first))
        key = volume.slots[slot, 0]
        shelf = revisions.shelf[rows]
        holds = volume.holds[(volume.pair[key] + first)[:, None], shelf]
        speaks = volume.speaks[key[:, None], shelf] & (shelf >= 0)
        return np.where(speaks, np.where(holds, FIRST, SECOND), SILENT)

    found: Float[np.ndarray, "batch passages"] = by_volume(revisions, part, revisions.shelf.shape[1:], np.float64)
    return found


def looks_of(
    revisions: Revisions, column: Column
) -> tuple[Int[np.ndarray, "batch passages"], Int[np.ndarray, "batch passages"]]:
    """How every passage in hand looks to who seeks the first value, and the second, of one slot of each chapter."""
    picked = np.arange(len(revisions)), column

    def side(number: int) -> Part:
        def part(volume: Volume, rows: Int[np.ndarray, " rows"]) -> Any:
            slot, first, second = (a[picked][rows] for a in (revisions.slot, revisions.first, revisions.second))
            key, shelf = volume.slots[slot, 0], revisions.shelf[rows]
            wanted = second if number else first
            found = volume.looks[(volume.pair[key] + np.maximum(wanted, 0))[:, None], shelf]
            for row in np.flatnonzero(wanted < 0):
                pairs = volume.pair[key[row]] + np.arange(len(volume.groups[volume.group[key[row]]]))
                pairs = pairs[pairs != volume.pair[key[row]] + first[row]]
                found[row] = volume.looks[pairs[:, None], shelf[row]].max(axis=0)
            return np.where(shelf >= 0, found, 0)

        return part

    first, second = (by_volume(revisions, side(number), revisions.shelf.shape[1:], np.int8) for number in (0, 1))
    return first, second
