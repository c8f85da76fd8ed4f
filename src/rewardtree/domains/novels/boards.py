"""Answers as people see them: the chapter's words with a slot marked, the answer, and passages that can be opened.

What an instrument reads is not on a board: neither the words of the shelf's passages nor what a reader makes of them.
"""

from typing import TYPE_CHECKING

import numpy as np

from rewardtree.domains.novels.planting import planted
from rewardtree.domains.novels.revisions import Questions, Revisions
from rewardtree.domains.novels.shelves import spans_of
from rewardtree.domains.novels.words import name_in
from rewardtree.tasks.board import Board, Instrument
from rewardtree.tasks.exhibit import Claim
from rewardtree.tasks.plain_boards import Stretch, quoted, written

if TYPE_CHECKING:
    from rewardtree.tasks.answers import Answers, AnswerTask, Scenes

AROUND = 180
"""Characters of the chapter that are shown before and after a slot."""
SURE = 0.25
"""Size from which on a claim's value says that the book has one of the two."""
PATTERNS = {
    "title": "{value} {name}", "surname": "{name} {value}", "place": "{name} {value}", "kin": "{value} {name}",
    "number": "{value} ({name})", "negation": "{name}, called {value}",
}  # fmt: skip


def place_name(revisions: Revisions, row: int, place: int) -> str:
    """A passage by its chapter and characters."""
    (span,) = spans_of(revisions, np.array([row]), np.array([place])).tolist()
    return quoted(span)


def phrase(revisions: Revisions, row: int, column: int, *, first: bool) -> str:
    """A slot with one of its values, in words."""
    asked = revisions.asked(row, column)
    name = name_in(asked.kind, asked.anchor)
    if not first and not asked.second:
        return f"{PATTERNS[asked.kind].format(name=name, value='otherwise')}"
    return PATTERNS[asked.kind].format(name=name, value=asked.first if first else asked.second)


def excerpt(revisions: Revisions, row: int, column: int) -> tuple[str, str, str, int]:
    """The chapter's words before a slot's filling, the filling, the words after it, and the chapter's number from 1."""
    for chapter in planted(revisions, row):
        for mark in chapter.marks:
            if mark.column == column:
                before = chapter.text[max(0, mark.start - AROUND) : mark.start]
                after = chapter.text[mark.end : mark.end + AROUND]
                return before, chapter.text[mark.start : mark.end], after, chapter.chapter + 1
    return "", phrase(revisions, row, column, first=bool(revisions.filled[row, column] > 0)), "", 0


def verdict_board(
    revisions: Revisions, column: int, row: int, verdict: str
) -> tuple[Board, tuple[Instrument, ...]]:  # fmt: skip
    """A slot of the chapter in its words, what the answer says of it, and the values that claims speak of."""
    before, filling, after, _ = excerpt(revisions, row, column)
    first, second = (phrase(revisions, row, column, first=one) for one in (True, False))
    words = f"The answer: what is marked {verdict}.\n\n\u2026{before}\u25b8{filling}\u25c2{after}\u2026\n\n"
    return _opened(revisions, row, f"{words}The book has one of two: the first, {first}, or the second, {second}.")


def answer_board(
    task: "AnswerTask", scenes: "Scenes", answers: "Answers", row: int
) -> tuple[Board, tuple[Instrument, ...]]:
    """The question, and the passage and value that the answer gives."""
    assert scenes.backdrop is not None
    questions, item = scenes.backdrop.find(row)
    assert isinstance(questions, Questions)
    revisions, column = questions.revisions, int(questions.column[item])
    first, second = (phrase(revisions, item, column, first=one) for one in (True, False))
    place = int(answers.place[row])
    name = place_name(revisions, item, place)
    words = (
        f"Asked: does the book say {first} (1) or {second} (\N{MINUS SIGN}1)?\n"
        f"The answer: {float(answers.value[row]):.1f}, by ".replace(": -", ": \N{MINUS SIGN}")
    )
    return _opened(revisions, item, words, (place, name, name), ".")


def worded(revisions: Revisions, claim: Claim, row: int) -> tuple[str, str]:
    """A helper's claim on a verdict: where it points, and which of the two values the book has there."""
    pointer = f"{place_name(revisions, row, int(claim.place[row]))} speaks of it"
    value = float(claim.value[row])
    said = "nothing sure" if abs(value) < SURE else "the first" if value > 0 else "the second"
    return pointer, f"{pointer}: it says {said}, {value:+.1f}"


def _opened(revisions: Revisions, row: int, *parts: str | Stretch) -> tuple[Board, tuple[Instrument, ...]]:
    """A text, and the passages that can be opened; those that it names are places on it."""
    board, named = written(parts)
    on_it = {spot[0]: spot for spot in named}
    places = np.flatnonzero(revisions.shelf[row] >= 0)
    spans = spans_of(revisions, np.full(len(places), row), places)
    spots = tuple(
        on_it.get(place, (place, quoted(span), ())) for place, span in zip(places.tolist(), spans.tolist(), strict=True)
    )
    return board, (Instrument(name="passage", label="Open a passage", places=spots),)
