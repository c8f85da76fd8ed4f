"""What policies see of passages and slots: words side by side. The reader's rule plays no part in it.

Of a passage, for a slot of a chapter: whether either value's words are there alone, with the name, and in one
sentence with it; for each of these, which value's (1 the first, -1 the second, 0 neither or both); whether the name
is there; rare words in common with the passage that is asked about; how many names are there, and how many of the
values that the slot might have; its length; how far from the chapter it is; and where there is an encoder, how like
the passage is to the name with the likelier of both values, and how much more like with the first. Of a slot: how many
passages in hand have the name with what stands in the chapter and with the other value, together and in one sentence,
and its kind.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from rewardtree.domains.novels.revisions import Column, Revisions, by_volume, looks_of
from rewardtree.domains.novels.volumes import ALONE, CLOSE, TOGETHER, TRAINED, Volume

MUCH = 0.05
"""Rare words in common, as shares of those that have them, that count half of all there may be."""


def passage_features(revisions: Revisions, column: Column) -> Float[np.ndarray, "batch passages features"]:
    """What a policy sees of every passage in hand, for one slot of each chapter."""
    first, second = looks_of(revisions, column)
    codes = (ALONE, TOGETHER, CLOSE)
    either = [np.maximum(first == code, second == code) for code in codes]
    which = [(first == code).astype(np.int8) - (second == code) for code in codes]
    looks = np.stack([*either, *which], axis=2).astype(np.float32)
    found = np.concatenate([looks, _around(revisions, column), _likeness(revisions, column)], axis=2)
    return np.where((revisions.shelf >= 0)[:, :, None], found, np.float32(0))


def _around(revisions: Revisions, column: Column) -> Float[np.ndarray, "batch passages 6"]:
    """Name, rare words in common, names and values that are there, length and distance."""
    slots = revisions.slot[np.arange(len(revisions)), column]

    def part(volume: Volume, rows: Int[np.ndarray, " rows"]) -> Any:
        shelf, slot = revisions.shelf[rows], slots[rows]
        chapter = volume.chapter[shelf]
        begin, end = (volume.sections[revisions.section[rows] + more][:, None] for more in (0, 1))
        away = np.maximum(np.maximum(begin - chapter, chapter - end + 1), 0) / len(volume.book.chapters)
        order = list(volume.groups)
        group = np.array([order.index(name) for name in volume.group])
        alike = volume.alike[slot[:, None], shelf]
        return np.stack(
            [
                volume.named[volume.slots[slot, 0][:, None], shelf],
                alike / (alike + MUCH),
                np.log1p(volume.crowd[shelf]),
                np.log1p(volume.choice[group[volume.slots[slot, 0]][:, None], shelf]),
                volume.words[shelf] / 60,
                away,
            ],
            axis=2,
        )

    found: Float[np.ndarray, "batch passages 6"] = by_volume(revisions, part, (*revisions.shelf.shape[1:], 6))
    return found


def _likeness(revisions: Revisions, column: Column) -> Float[np.ndarray, "batch passages columns"]:
    """What an encoder makes of passages, in standard deviations over those in hand; no columns without one."""
    if any(volume.likeness is None for volume in revisions.volumes):
        return np.zeros((*revisions.shelf.shape, 0), dtype=np.float32)
    picked = np.arange(len(revisions)), column

    def part(volume: Volume, rows: Int[np.ndarray, " rows"]) -> Any:
        slot, first, second = (a[picked][rows] for a in (revisions.slot, revisions.first, revisions.second))
        pair, shelf = volume.pair[volume.slots[slot, 0]], revisions.shelf[rows]
        assert volume.likeness is not None
        known = volume.likeness()
        one = known[(pair + first)[:, None], shelf].astype(np.float32)
        other = np.where(second[:, None] < 0, one, known[(pair + np.maximum(second, 0))[:, None], shelf])
        either = np.maximum(one, other)
        return np.stack([either - either.mean(1, keepdims=True), one - other], axis=2) / (
            either.std(1, keepdims=True)[..., None] + 1e-6
        )

    found: Float[np.ndarray, "batch passages columns"] = by_volume(revisions, part, (*revisions.shelf.shape[1:], 2))
    return found


def slot_features(revisions: Revisions) -> Float[np.ndarray, "batch slots features"]:
    """What a policy sees of every slot of each chapter."""
    columns = [np.full(len(revisions), column) for column in range(revisions.slot.shape[1])]
    counts = np.stack([_counts(revisions, column) for column in columns], axis=1)
    kinds = np.stack([kinds_of(revisions, column).T for column in columns], axis=1)
    return as_filled(counts, kinds, revisions.filled, revisions.valid)


def as_filled(
    counts: Float[np.ndarray, "batch slots 4"],
    kinds: Float[np.ndarray, "batch slots kinds"],
    filled: Int[np.ndarray, "batch slots"],
    valid: Bool[np.ndarray, "batch slots"],
) -> Float[np.ndarray, "batch slots features"]:
    """What a policy sees of slots with these fillings.

    Args:
        counts: of the first and the second value, together with the name, then in one sentence with it.
        kinds: of slots.
        filled: 1 the first value, -1 the second.
        valid: slots that there are.
    """
    turned = np.where((filled > 0)[:, :, None], counts, counts[:, :, [1, 0, 3, 2]])
    found = np.concatenate([turned, kinds], axis=2).astype(np.float32)
    return np.where(valid[:, :, None], found, np.float32(0))


def counts_in(
    looks: Sequence[Int[np.ndarray, "batch passages"]],
) -> Float[np.ndarray, "batch 4"]:
    """Passages that have the first and the second value with the name, then in one sentence, as logarithms of one more.

    Args:
        looks: of the passages, to who seeks the first value, and the second.
    """
    found = [np.log1p((look >= code).sum(axis=1)) for code in (TOGETHER, CLOSE) for look in looks]
    return np.stack(found, axis=1)


def _counts(revisions: Revisions, column: Column) -> Float[np.ndarray, "batch 4"]:
    return counts_in(looks_of(revisions, column))


def kinds_of(revisions: Revisions, column: Column) -> Float[np.ndarray, "kinds batch"]:
    """Which kind the slot is of, one column a kind that is trained on, and whether it is a negation."""
    slots = revisions.slot[np.arange(len(revisions)), column]

    def part(volume: Volume, rows: Int[np.ndarray, " rows"]) -> Any:
        numbers = [TRAINED.index(kind) if kind in TRAINED else len(TRAINED) for kind, _ in volume.keys]
        return np.array(numbers)[volume.slots[slots[rows], 0]]

    number = by_volume(revisions, part, (), np.int64)
    found: Float[np.ndarray, "kinds batch"] = np.stack(
        [*((number == kind).astype(float) for kind in range(len(TRAINED))), revisions.negation.astype(float)]
    )
    return found
