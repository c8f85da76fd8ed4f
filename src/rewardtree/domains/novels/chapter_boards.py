"""Revised chapters as people see them: words around every slot, the doubtful paragraph, and passages to open."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rewardtree.domains.novels.boards import excerpt, phrase, place_name
from rewardtree.domains.novels.chapters import Chapters, Fillings
from rewardtree.domains.novels.revisions import Revisions
from rewardtree.domains.novels.shelves import spans_of
from rewardtree.domains.novels.stage_boards import spots_of_chapter
from rewardtree.tasks.board import Board, Instrument, Spot
from rewardtree.tasks.exhibit import Claim
from rewardtree.tasks.plain_boards import quoted, written

if TYPE_CHECKING:
    from rewardtree.tasks.answers import Answers, AnswerTask, Scenes

AROUND = 60
"""Characters of the chapter that are shown before and after each slot."""


def revised(chapters: Chapters, outputs: Fillings) -> Revisions:
    """The chapters with these fillings."""
    return replace(chapters.revisions, filled=outputs.slots)


def paragraph(chapters: Chapters, outputs: Fillings, row: int) -> str:
    """The words of the doubtful paragraph that was chosen; empty where there is none."""
    passage = int(chapters.candidates[row, 0 if outputs.paragraph[row] > 0 else 1])
    revisions = chapters.revisions
    return " ".join(revisions.volumes[revisions.volume[row]].texts[passage].split()) if passage >= 0 else ""


def chapter_board(chapters: Chapters, outputs: Fillings, row: int) -> tuple[Board, tuple[Instrument, ...]]:
    """A revision: every slot marked in its words, the paragraph, and all that can be opened."""
    revisions = revised(chapters, outputs)
    words = ["The chapter as revised, what may differ from the book marked.\n\n"]
    for column in np.flatnonzero(revisions.valid[row]).tolist():
        before, filling, after, _ = excerpt(revisions, row, column)
        words.append(f"\u2026{before[-AROUND:]}\u25b8{filling}\u25c2{after[:AROUND]}\u2026\n")
    doubted = paragraph(chapters, outputs, row)
    stage = chapters.stage(outputs.paragraph)
    if doubted:
        words.append(f"\nA paragraph that may be another chapter's, with {stage.name(row)} in it:\n{doubted}\n")
    board, _ = written(["".join(words)])
    return board, (
        Instrument(name="passage", label="Open a passage of the book", places=_spots(revisions, row)),
        Instrument(name="chapter", label="Open a passage of the chapter", places=spots_of_chapter(stage, row)),
    )


def _spots(revisions: Revisions, row: int) -> tuple[Spot, ...]:
    """The passages in hand as places, none of them on a board."""
    places = np.flatnonzero(revisions.shelf[row] >= 0)
    spans = spans_of(revisions, np.full(len(places), row), places)
    return tuple((place, quoted(span), ()) for place, span in zip(places.tolist(), spans.tolist(), strict=True))


def excerpt_board(
    task: "AnswerTask", scenes: "Scenes", answers: "Answers", row: int
) -> tuple[Board, tuple[Instrument, ...]]:
    """The chapter's slots with both values, and the passage that the answer flags."""
    assert scenes.backdrop is not None
    chapters, item = scenes.backdrop.find(row)
    revisions = chapters.revisions
    words = ["Asked: which passage of the book tells most of these?\n"]
    for column in np.flatnonzero(revisions.valid[item]).tolist():
        first, second = (phrase(revisions, item, column, first=one) for one in (True, False))
        words.append(f"{first} or {second}\n")
    place = int(answers.place[row])
    name = place_name(revisions, item, place)
    words.append(f"The answer: of {float(answers.value[row]):.1f} of them, at ")
    board, (spot,) = written(["".join(words), (place, name, name), "."])
    spots = tuple(spot if one[0] == place else one for one in _spots(revisions, item))
    return board, (Instrument(name="passage", label="Open a passage of the book", places=spots),)


def excerpt_worded(revisions: Revisions, claim: Claim, row: int) -> tuple[str, str]:
    """A flagged passage by chapter and characters, and of how many slots it is said to speak."""
    pointer = f"{place_name(revisions, row, int(claim.place[row]))} tells most"
    return pointer, f"{pointer}: it speaks of {float(claim.value[row]):.1f} of the chapter's slots"
