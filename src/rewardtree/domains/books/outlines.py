"""Whole books' summaries with what each is made of, down to the text."""

from typing import Any

import numpy as np

from rewardtree.domains.books.boards import LEFT_OUT, summary_text
from rewardtree.domains.books.heights import Library, Write, units, whole
from rewardtree.domains.books.shelf import Shelf
from rewardtree.domains.books.sources import Pages, everyone
from rewardtree.tasks.task import Split

Outline = dict[str, Any]


def outlines(library: Library, split: Split, write: Write) -> list[Outline]:
    """Each book of a split, the shortest first and down to its text, the others down to summaries of parts.

    Args:
        library: the books.
        split: which of them.
        write: summarises at every height.
    """
    heights = [units(library, split, height, write) for height in range(library.top)]
    heights.append(whole(library, split, write))
    told = [[summary_text(everyone(pages), summaries, row) for row in range(len(pages))]
            for pages in heights for summaries in (write(everyone(pages)),)]  # fmt: skip
    shelf, top = library.shelf, heights[-1]
    words = [_words(shelf, top, row) for row in range(len(top))]
    shortest = int(np.argmin(words))

    def of(height: int, row: int, with_text: bool) -> Outline:
        pages, text = heights[height], told[height][row]
        note = f"{len(text.replace(LEFT_OUT, '').split()):,} words of {_words(shelf, pages, row):,}"
        return {"title": _title(shelf, pages, row, height == library.top), "note": note, "text": text,
                "parts": beneath(height, row, with_text)}  # fmt: skip

    def beneath(height: int, row: int, with_text: bool) -> list[Outline]:
        first, end = heights[height].span[row].tolist()
        if height == 0:
            text = "\n".join(_paragraphs(shelf, first, end))
            return [{"title": "The text", "note": "", "text": text, "parts": []}] if with_text else []
        starts = heights[height - 1].span[:, 0]
        inside = np.flatnonzero((starts >= first) & (starts < end))
        return [of(height - 1, int(one), with_text) for one in inside]

    found = [of(library.top, row, row == shortest) for row in range(len(top))]
    return [found[shortest], *(one for number, one in enumerate(found) if number != shortest)]


def _words(shelf: Shelf, pages: Pages, row: int) -> int:
    """Words of the text beneath."""
    first, end = pages.span[row].tolist()
    return sum(len(shelf.text_of(passage).split()) for passage in range(first, end))


def _title(shelf: Shelf, pages: Pages, row: int, top: bool) -> str:
    """The book's name, or chapters and passages."""
    first, last = int(pages.span[row, 0]), int(pages.span[row, 1]) - 1
    if top:
        return shelf.books[int(shelf.owner[first])].title
    one, other = (shelf.places[passage] for passage in (first, last))
    if one.chapter != other.chapter:
        return f"Chapters {one.chapter + 1} to {other.chapter + 1}"
    return f"Chapter {one.chapter + 1}, characters {one.start:,} to {other.end:,}"


def _paragraphs(shelf: Shelf, first: int, end: int) -> list[str]:
    """The text from one passage to before another, as it stands."""
    book = shelf.books[shelf.owner[first]]
    one, other = shelf.places[first], shelf.places[end - 1]
    text: str = book.chapters[one.chapter][one.start : other.end]
    return text.strip().split("\n")
