"""Revised chapters as people see them: words around every slot, the doubtful paragraph, and passages to open."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rewardtree.domains.novels.boards import excerpt, phrase, place_name
from rewardtree.domains.novels.chapters import Chapters, Fillings
from rewardtree.domains.novels.revisions import Revisions
from rewardtree.domains.novels.stage import PART, QUARTERS
from rewardtree.domains.novels.stage_boards import LABEL, places_of
from rewardtree.tasks.board import Board, Instrument
from rewardtree.tasks.exhibit import Claim
from rewardtree.tasks.plain_boards import Stretch, apart, written

if TYPE_CHECKING:
    from rewardtree.tasks.answers import Answers, AnswerTask, Scenes

AROUND = 60
"""Characters of the chapter that are shown before and after each slot."""
CODE = "Open a passage of the book (a code: what it says of each slot)"


def revised(chapters: Chapters, outputs: Fillings) -> Revisions:
    """The chapters with these fillings."""
    return replace(chapters.revisions, filled=outputs.slots)


def paragraph(chapters: Chapters, outputs: Fillings, row: int) -> str:
    """The words of the doubtful paragraph that was chosen; empty where there is none."""
    passage = int(chapters.candidates[row, 0 if outputs.paragraph[row] > 0 else 1])
    revisions = chapters.revisions
    return " ".join(revisions.volumes[revisions.volume[row]].words_of(passage).split()) if passage >= 0 else ""


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
    book: list[Stretch] = []
    for place in np.flatnonzero(revisions.shelf[row] >= 0).tolist():
        name = place_name(revisions, row, place)
        book.append((place, name, name))
    chapter = [one for q in range(QUARTERS) for one in places_of(stage, row, q, first=q * PART)]
    board, spots = written(
        ["".join(words), "\nPassages of the book: ", *apart(book), "\n\nPassages of the chapter: ", *apart(chapter)]
    )
    return board, (
        Instrument(name="passage", label=CODE, digits=0, places=spots[: len(book)]),
        Instrument(name="chapter", label=LABEL, digits=0, places=spots[len(book) :]),
    )


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
    place = place_name(revisions, item, int(answers.place[row]))
    words.append(f"The answer: {place} speaks of {float(answers.value[row]):.1f} of them.\n\nPassages of the book: ")
    book: list[Stretch] = []
    for number in np.flatnonzero(scenes.valid[row]).tolist():
        name = place_name(revisions, item, number)
        book.append((number, name, name))
    board, spots = written(["".join(words), *apart(book)])
    return board, (Instrument(name="passage", label=CODE, digits=0, places=spots),)


def excerpt_worded(revisions: Revisions, claim: Claim, row: int) -> tuple[str, str]:
    """A flagged passage by chapter and characters, and of how many slots it is said to speak."""
    pointer = f"{place_name(revisions, row, int(claim.place[row]))} tells most"
    return pointer, f"{pointer}: it speaks of {float(claim.value[row]):.1f} of the chapter's slots"
