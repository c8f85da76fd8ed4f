"""Summaries as people see them: their words, the passages that can be opened, and children's summaries as claims."""

import numpy as np

from rewardtree.domains.books.shelf import Shelf
from rewardtree.domains.books.sources import Sources, Summaries, chosen
from rewardtree.tasks.board import Board, Instrument, Spot
from rewardtree.tasks.exhibit import Claim
from rewardtree.tasks.plain_boards import quoted, written

LEFT_OUT = "\u2026"
"""Stands between sentences where others are left out."""


def text_of(shelf: Shelf, sentences: list[int]) -> str:
    """Sentences one after the other; where something is left out between two of them, dots."""
    parts: list[str] = []
    for number, one in enumerate(sentences):
        if number and one != sentences[number - 1] + 1:
            parts.append(LEFT_OUT)
        parts.append(shelf.sentence(one))
    return " ".join(parts)


def summary_text(sources: Sources, summaries: Summaries, row: int) -> str:
    """A summary in its words."""
    one = np.array([row])
    found = chosen(sources.take(one), summaries.take(one))[0]
    return text_of(sources.pages.shelf, [int(number) for number in found if number >= 0])


def passage_name(shelf: Shelf, passage: int) -> str:
    """A passage by its chapter and characters."""
    one = shelf.places[passage]
    return quoted((one.chapter, one.start, one.end))


def summary_board(sources: Sources, summaries: Summaries, row: int) -> tuple[Board, tuple[Instrument, ...]]:
    """The summary, and the passages of the text beneath it that can be opened."""
    shelf, page = sources.pages.shelf, int(sources.row[row])
    hand = sources.pages.hand[page]
    names = [passage_name(shelf, int(passage)) for passage in hand]
    board, _ = written([summary_text(sources, summaries, row)])
    spots: tuple[Spot, ...] = tuple(
        (place, name, ()) for place, name in enumerate(names) if place == 0 or name != names[place - 1]
    )
    return board, (Instrument(name="passage", label="Open a passage of the text", places=spots),)


def told_words(sources: Sources, claim: Claim, row: int) -> tuple[str, str] | None:
    """Where a child's summary begins, and how much of it is in the summary that people see."""
    if not claim.quantity.startswith("child_"):
        return None
    shelf, first = sources.pages.shelf, max(int(claim.place[row]), 0)
    pointer = f"the summary that begins \u201c{shelf.sentence(first)[:80]}\u2026\u201d"
    return pointer, f"{float(claim.value[row]):.0%} of {pointer} is told here too"
