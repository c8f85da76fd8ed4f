"""The text of a revised chapter: what stands in its slots, everywhere in the chapter, and where."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from rewardtree.domains.novels.revisions import Revisions
from rewardtree.domains.novels.volumes import Volume
from rewardtree.domains.novels.words import name_in, stated

CLAUSES = {1: ", whom everybody called {title},", -1: ", whom nobody called {title},"}
"""What is planted after a name where the slot is a negation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """Where a slot's filling stands.

    Attributes:
        column: of the slot.
        start, end: characters of the revised text.
    """

    column: int
    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Planted:
    """One chapter of a revised part.

    Attributes:
        chapter: its number, from 0.
        text: revised.
        marks: in order.
    """

    chapter: int
    text: str
    marks: tuple[Mark, ...]


def planted(revisions: Revisions, row: int) -> list[Planted]:
    """The chapters of a revised part, every mention of a slot filled alike.

    Args:
        revisions: the chapters.
        row: of them.
    """
    volume, section = revisions.volumes[revisions.volume[row]], int(revisions.section[row])
    chapters = range(int(volume.sections[section]), int(volume.sections[section + 1]))
    return [_planted(revisions, row, volume, chapter) for chapter in chapters]


def _planted(revisions: Revisions, row: int, volume: Volume, chapter: int) -> Planted:
    text = volume.book.chapters[chapter]
    changes: dict[int, tuple[int, int, str]] = {}
    edits = _negations if revisions.negation[row] else _replacements
    for start, end, column, words in edits(revisions, row, volume, text):
        changes.setdefault(start, (end, column, words))
    parts, marks, at, size = [], [], 0, 0
    for start, (end, column, words) in sorted(changes.items()):
        if start < at:
            continue
        parts += [text[at:start], words]
        size += start - at
        if words:
            marks.append(Mark(column=column, start=size, end=size + len(words)))
        size, at = size + len(words), end
    return Planted(chapter=chapter, text="".join([*parts, text[at:]]), marks=tuple(marks))


def _replacements(revisions: Revisions, row: int, volume: Volume, text: str) -> Iterator[tuple[int, int, int, str]]:
    """Start, end, column and new words of every mention; titles without a name where only one person has them."""
    wanted = {}
    for column in range(revisions.slot.shape[1]):
        if revisions.slot[row, column] >= 0:
            asked = revisions.asked(row, column)
            own = asked.first if revisions.truth[row, column] > 0 else asked.second
            now = asked.first if revisions.filled[row, column] > 0 else asked.second
            wanted[asked.key, own] = column, now
    bearers: dict[str, set[str]] = defaultdict(set)
    for one in stated(text, volume.names):
        if one.kind == "title":
            bearers[one.value].add(one.anchor)
        edit = wanted.get(((one.kind, one.anchor), one.value))
        if edit is not None:
            yield one.start, one.end, edit[0], text[one.start : one.end] if edit[1] == one.value else edit[1]
    for ((kind, anchor), own), (column, now) in wanted.items():
        if kind == "title" and bearers[own] == {anchor} and not own.endswith("."):
            for match in re.finditer(rf"\b[Tt]he ({own})\b(?! [A-Z])", text):
                yield match.start(1), match.end(1), column, now


def _negations(revisions: Revisions, row: int, volume: Volume, text: str) -> Iterator[tuple[int, int, int, str]]:
    """A clause after the first mention of each name; titles before it go, so that the clause alone speaks of them."""
    for column in range(revisions.slot.shape[1]):
        if revisions.slot[row, column] >= 0:
            asked = revisions.asked(row, column)
            for one in stated(text, volume.names):
                if (one.kind, one.anchor) == asked.key:
                    yield one.start, one.end + 1, column, ""
            match = re.search(rf"\b{re.escape(name_in(asked.kind, asked.anchor))}\b", text)
            if match is not None:
                clause = CLAUSES[int(revisions.filled[row, column])].format(title=asked.first)
                yield match.end(), match.end(), column, clause
