"""New names for a book's people and places, each always the same: who knows the book by heart has no advantage."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Literal, TypeAlias

import numpy as np

from rewardtree.domains.novels.books import Book
from rewardtree.domains.novels.words import CAPITAL, NO_NAME, PAIR, PLACED, TITLED, Names, names_of

Sort: TypeAlias = Literal["woman", "man", "family", "place"]
SORTS: tuple[Sort, ...] = ("woman", "man", "family", "place")
THERE = re.compile(rf"\b(?:at|from|to|in|near|towards|of) ({CAPITAL})\b")
SOMEBODY = re.compile(rf"\b({CAPITAL})(?:'s|,)? (?:said|cried|replied|was|had|would|could|thought|felt)\b")
OF_RUN = 17
"""Sets the names of runs apart from others of the same seed."""
NAMED = re.compile(r"\b[A-Z][a-z]+\b|\b[A-Z]{3,}\b")


@cache
def pool() -> Mapping[str, tuple[str, ...]]:
    """The curated list of names in `names.txt`, by sort; `kept` are capitalised words that are nobody's name."""
    found: dict[str, tuple[str, ...]] = {}
    for line in resources.files(__package__).joinpath("names.txt").read_text(encoding="utf-8").splitlines():
        sort, _, names = line.partition(": ")
        if names and not line.startswith("#"):
            found[sort] = found.get(sort, ()) + tuple(names.split())
    return found


def sorts_of(book: Book, names: Names) -> dict[str, Sort]:
    """What each name is: a woman's or man's first name, a family, or a place."""
    text = "\n".join(book.chapters)
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for pattern, group, sort, weight in (
        (TITLED, 2, "person", 2), (PAIR, 1, "person", 1), (SOMEBODY, 1, "person", 1), (PLACED, 1, "place", 3),
        (THERE, 1, "place", 1),
    ):  # fmt: skip
        for match in pattern.finditer(text):
            votes[match[group]][sort] += weight
    found: dict[str, Sort] = {}
    for name in sorted(names - set(pool()["kept"]) - NO_NAME):
        if name in pool()["woman"]:
            found[name] = "woman"
        elif name in pool()["man"]:
            found[name] = "man"
        else:
            place = votes[name]["place"] > votes[name]["person"]
            found[name] = "place" if place else "family"
    return found


def new_names(book: Book, rng: np.random.Generator) -> dict[str, str]:
    """Old names to new ones, no two to one; a new name stands nowhere in the book.

    Names for which the list has none left stay as they are.
    """
    sorts = sorts_of(book, names_of(book.chapters))
    taken = set(re.findall(CAPITAL, "\n".join(book.chapters)))
    found: dict[str, str] = {}
    for sort in SORTS:
        old = [name for name, its in sorts.items() if its == sort]
        free = [name for name in pool()[sort] if name not in taken]
        found |= dict(zip(old, (free[i] for i in rng.permutation(len(free))), strict=False))
    return found


def swapped(book: Book, new: Mapping[str, str]) -> Book:
    """The book with new names; also in capitals, and of several people of a name ("the Elliots")."""

    def name(match: re.Match[str]) -> str:
        word = match[0]
        if word in new:
            return new[word]
        if word.endswith("s") and word[:-1] in new:
            return f"{new[word[:-1]]}s"
        plain = word.capitalize()
        return new[plain].upper() if word.isupper() and plain in new else word

    return Book(name=book.name, chapters=tuple(NAMED.sub(name, chapter) for chapter in book.chapters))


def renamed(book: Book, *draw: int) -> Book:
    """A book under new names, which follow from its name and these numbers."""
    return swapped(book, new_names(book, np.random.default_rng([*draw, *book.name.encode()])))


def renamed_for(book: Book, seed: int) -> Book:
    """A book as a run with this seed has it, whatever the domain."""
    return renamed(book, seed, OF_RUN)
