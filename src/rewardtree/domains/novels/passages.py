"""Passages: what one reading opens, at most 60 words of a chapter, cut at ends of sentences where that is possible."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

SIZE = 60
"""Words of a passage, at most."""
SENTENCE = re.compile(r"[^.!?\n]*(?:[.!?]+[\"'\u201d\u2019)]*|\n|$)\s*")
ABBREVIATED = re.compile(r"\b(?:Mr|Mrs|Dr|St)\.\s*$")
WORD = re.compile(r"\S+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """A stretch of a chapter.

    Attributes:
        chapter: its number, from 0.
        start, end: characters of the chapter.
    """

    chapter: int
    start: int
    end: int

    def of(self, chapters: tuple[str, ...]) -> str:
        """Its words."""
        return chapters[self.chapter][self.start : self.end]


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Where each sentence begins and ends; together they are the whole text.

    A point after Mr, Mrs, Dr or St ends no sentence.
    """
    start = 0
    for match in SENTENCE.finditer(text):
        if match[0] and (match.end() == len(text) or not ABBREVIATED.search(match[0])):
            yield start, match.end()
            start = match.end()


def passages(number: int, chapter: str, size: int = SIZE) -> list[Passage]:
    """A chapter cut into passages.

    Args:
        number: of the chapter.
        chapter: its text.
        size: words, at most.
    """
    cuts, words = [0], 0
    for start, end in _pieces(chapter, size):
        count = len(chapter[start:end].split())
        if words and words + count > size:
            cuts.append(start)
            words = 0
        words += count
    bounds = zip(cuts, [*cuts[1:], len(chapter)], strict=True)
    return [Passage(chapter=number, start=a, end=b) for a, b in bounds if chapter[a:b].strip()]


def _pieces(chapter: str, size: int) -> Iterator[tuple[int, int]]:
    """Sentences, those of more words than `size` in parts."""
    for start, end in sentences(chapter):
        ends = [start + word.end() for word in WORD.finditer(chapter[start:end])]
        inner = ends[size - 1 : -1 : size]
        yield from zip([start, *inner], [*inner, end], strict=True)
