"""The leaf `excerpts`: which passage of the book tells most about a chapter?

An input is a chapter and a shelf. An output is a passage p and a value v from 0 to 4. With m(p) = of how many of the
chapter's slots the passage speaks, for either value, the true reward is m(p) - abs(v - m(p)). Opening the passage, one
reading, settles an answer: the reader finds what it says of every slot.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int

from rewardtree.domains.novels.chapter_boards import excerpt_board
from rewardtree.domains.novels.chapters import Chapters, DrawChapters
from rewardtree.domains.novels.codes import SPOKEN
from rewardtree.domains.novels.facts import INSTRUMENT
from rewardtree.domains.novels.revisions import Column, Revisions
from rewardtree.domains.novels.shelves import code_of, spans_of, texts_of
from rewardtree.tasks.answers import Answers, AnswerTask, Scenes
from rewardtree.tasks.backdrop import backdrop, single
from rewardtree.tasks.task import Split
from rewardtree.tasks.texts import Passages

MOST = 4.0
"""Slots of which an answer may say that a passage speaks, at most."""
POSED = "Which answer points at the passage that tells more about the chapter?"
COUNTS = (
    "A good answer points at the passage that speaks of most of the chapter's slots, and says of how many. One slot "
    "fewer counts as much as a number that is 1 off."
)
PASSAGES = Passages(
    texts=lambda scenes: {INSTRUMENT: texts_of(*_shown(scenes))},
    reading=lambda scenes, row, text: code_of(_shown(scenes)[0], int(_shown(scenes)[1][row]), text),
    span=lambda scenes, place: spans_of(*_shown(scenes), place),
)
BITS = np.array([number.bit_count() for number in range(256)])
"""How many slots' names each set of them has."""


def _shown(scenes: Scenes) -> tuple[Revisions, Int[np.ndarray, " batch"]]:
    chapters, item = single(scenes.backdrop)
    return chapters.revisions, item


def spoken(fields: Mapping[str, Any]) -> Any:
    """Of how many slots passages speak that say this."""
    return SPOKEN[np.asarray(fields[INSTRUMENT]).astype(np.int64) % len(SPOKEN)].astype(float)


def excerpt_scenes(chapters: Chapters, beside: Column | None = None) -> Scenes:
    """The passages in hand as places, for whole chapters.

    What catches a layman's eye is many names of slots with words of either value.

    Args:
        chapters: asked about.
        beside: a passage each; then others are places, only such as have the name of a slot that this one has not, as
            far as there are any.
    """
    revisions = chapters.revisions
    named = BITS[chapters.names]
    valid = revisions.shelf >= 0
    if beside is not None:
        known = chapters.names[np.arange(len(chapters)), beside]
        valid = valid & (np.arange(valid.shape[1]) != beside[:, None])
        more = valid & ((chapters.names & ~known[:, None]) != 0)
        valid = np.where(more.any(axis=1)[:, None], more, valid)
    features = np.zeros((*valid.shape, 6), dtype=np.float32)
    for column, look in enumerate((named, chapters.together, chapters.close)):
        features[:, :, column] = look
    for number in np.unique(revisions.volume):
        volume, rows = revisions.volumes[number], np.flatnonzero(revisions.volume == number)
        chapter = volume.chapter
        begin, end = (volume.sections[revisions.section[rows] + more][:, None] for more in (0, 1))
        away = np.maximum(np.maximum(begin - chapter, chapter - end + 1), 0) / len(volume.book.chapters)
        shelf = revisions.shelf[rows]
        features[rows, :, 3] = np.log1p(volume.crowd)[shelf]
        features[rows, :, 4] = (volume.words / 60)[shelf]
        features[rows, :, 5] = np.take_along_axis(away, np.maximum(shelf, 0), axis=1)
    features[revisions.shelf < 0] = 0
    return Scenes(
        features=features, valid=valid, prominence=named + 2.0 * chapters.together,
        fields={INSTRUMENT: chapters.codes.astype(float)},
        asked=np.full(len(chapters), -1), origin=revisions.origin, backdrop=backdrop(chapters),
    )  # fmt: skip


def by_thumb(scenes: Scenes) -> Answers:
    """The first passage with most names and values' words together, and their number."""
    place = np.where(scenes.valid, scenes.prominence, -np.inf).argmax(axis=1)
    together = scenes.features[np.arange(len(place)), place, 1]
    return Answers(place=place, value=np.clip(together, 0.0, MOST).astype(float))


def excerpts_task(draw: DrawChapters) -> AnswerTask:
    """The task of the leaf.

    Args:
        draw: chapters of a split.
    """

    def drawn(rng: np.random.Generator, count: int, split: Split) -> Scenes:
        return excerpt_scenes(draw(rng, count, split))

    return AnswerTask(
        name="excerpts", instruments=(INSTRUMENT,), draw=drawn, quantity=spoken, low=0.0, high=MOST, usual=1.0,
        scale=1.0, levels=17, statement="{place} tells most about the chapter: it speaks of {value:.1f} slots",
        pointer="{place} tells most about the chapter", noun="number of slots", posed=POSED, counts=COUNTS, digits=1,
        thumb=by_thumb, picture=excerpt_board, passages=PASSAGES,
    )  # fmt: skip
