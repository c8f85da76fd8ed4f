"""The leaf `facts`: what does the rest of the book say of one slot of a chapter?

An input is a slot and a shelf, 1,024 of the book's passages outside of the chapter. The slot comes with two values in
an order that tells nothing. An output is a passage p and a value v from -1 (the second value, or any other) to 1 (the
first). With f(p) what the reader's rule makes of the passage's words, the true reward is abs(f(p)) - abs(v - f(p)): a
good answer points at a passage that settles the question, and says how. Opening the passage, one reading, settles an
answer.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Int

from rewardtree.domains.novels.boards import answer_board
from rewardtree.domains.novels.features import passage_features
from rewardtree.domains.novels.revisions import SLOTS, Column, Questions, Revisions, field_of, looks_of
from rewardtree.domains.novels.shelves import read_of, spans_of, texts_of
from rewardtree.domains.novels.volumes import ALONE, TOGETHER
from rewardtree.tasks.answers import Answers, AnswerTask, Scenes
from rewardtree.tasks.backdrop import backdrop, single
from rewardtree.tasks.task import Split
from rewardtree.tasks.texts import Passages

INSTRUMENT = "passage"
"""Opens a passage: its words, or for who reads numbers, the reader's rule on them."""
POSED = "Which answer rightly says what the book says?"
COUNTS = (
    "A good answer points at a passage that settles which of the two the book says, and says which: 1 for the first, "
    "\N{MINUS SIGN}1 for the second. A passage that settles nothing counts as much as a value that is 1 off."
)
Draw = Callable[[np.random.Generator, int, Split], Revisions]
WHICH, NAME, ALIKE = slice(4, 6), 6, 7
"""Columns of a passage's features: which value stands with the name, the name itself, and rare words in common."""


def fact_scenes(revisions: Revisions, column: Column) -> Scenes:
    """The passages in hand as places, for one slot of each chapter.

    What catches a layman's eye is the name with the words of either value, then the name, then a value's words.

    Args:
        revisions: the chapters.
        column: which of its slots is asked about.
    """
    features = passage_features(revisions, column)
    looks = np.maximum(*looks_of(revisions, column))
    prominence = 2.0 * (looks >= TOGETHER) + features[:, :, NAME] + 0.5 * (looks == ALONE)
    return Scenes(
        features=features,
        valid=revisions.shelf >= 0,
        prominence=prominence + 1e-2 * features[:, :, ALIKE],
        fields={INSTRUMENT: field_of(revisions, column)},
        asked=np.full(len(revisions), -1),
        origin=revisions.origin * SLOTS + column,
        backdrop=backdrop(Questions(revisions=revisions, column=column)),
    )


def any_slot(revisions: Revisions, rng: np.random.Generator) -> Column:
    """One of each chapter's slots."""
    column: Column = np.where(revisions.valid, rng.random(revisions.valid.shape), -1.0).argmax(axis=1)
    return column


PASSAGES = Passages(
    texts=lambda scenes: {INSTRUMENT: texts_of(*_shown(scenes))},
    reading=lambda scenes, row, text: _read(scenes, row, text),
    span=lambda scenes, place: spans_of(*_shown(scenes), place),
)


def _shown(scenes: Scenes) -> tuple[Revisions, Int[np.ndarray, " batch"]]:
    questions, item = single(scenes.backdrop)
    return questions.revisions, item


def _read(scenes: Scenes, row: int, text: str) -> float:
    questions, item = single(scenes.backdrop)
    return read_of(questions.revisions, int(item[row]), int(questions.column[item[row]]), text)


def facts_task(draw: Draw) -> AnswerTask:
    """The task of the leaf.

    Args:
        draw: revised chapters of a split; one slot of each is asked about.
    """

    def drawn(rng: np.random.Generator, count: int, split: Split) -> Scenes:
        revisions = draw(rng, count, split)
        return fact_scenes(revisions, any_slot(revisions, rng))

    return AnswerTask(
        name="facts", instruments=(INSTRUMENT,), draw=drawn, worth=np.abs, low=-1.0, high=1.0, usual=0.0, scale=1.0,
        statement="what the book says is settled at {place}: {value:+.1f} (1 the first, -1 the second)",
        pointer="what the book says is settled at {place}", noun="book's word", posed=POSED, counts=COUNTS, digits=1,
        thumb=by_thumb, picture=answer_board, passages=PASSAGES,
    )  # fmt: skip


def by_thumb(scenes: Scenes) -> Answers:
    """The first passage that has the name with a value's words in it, and that value."""
    place = np.where(scenes.valid, scenes.prominence, -np.inf).argmax(axis=1)
    seen = scenes.features[np.arange(len(place)), place]
    return Answers(place=place, value=np.clip(seen[:, WHICH].sum(axis=1), -1, 1).astype(float))
