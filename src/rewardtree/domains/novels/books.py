"""Books: a folder of texts or EPUBs, chapters, and which book belongs to which split."""

import os
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rewardtree.domains.novels.archives import chapters_of_epub
from rewardtree.errors import ConfigError, InputFileError
from rewardtree.tasks.task import Split

VARIABLE = "REWARDTREE_BOOKS"
KNOWN: Mapping[str, Split] = {
    "emma": "train",
    "mansfield_park": "train",
    "sense_and_sensibility": "train",
    "northanger_abbey": "calibration",
    "pride_and_prejudice": "validation",
    "persuasion": "test",
    "moby_dick": "test",
}
"""The books that `rewardtree fetch novels` brings, and what they are for."""
ENDINGS = (".txt", ".epub")
FEWEST_BOOKS, FEWEST_WORDS, SHORT, LONG = 4, 2000, 100, 3000
"""Books of a folder, words of a book, words of what is no chapter, and of a chapter where none is marked."""
HEADING = re.compile(r"^\s*(?:chapter|letter)\s+(?:[ivxlc]+|\d+|the \w+)\b[^\n]{0,80}$", re.IGNORECASE)
AFTER = re.compile(r"^\s*(?:the end|finis|end of (?:the |volume|this|project)|\*\*\* ?end)[^\n]{0,80}$", re.IGNORECASE)
VOLUME = re.compile(r"^\s*(?:volume|book|part)\s+(?:[ivxlc]+|\d+|the \w+)\b[^\n]{0,40}$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Book:
    """A book.

    Attributes:
        name: of its file.
        chapters: texts, a line a paragraph.
    """

    name: str
    chapters: tuple[str, ...]

    @property
    def title(self) -> str:
        """For pictures, where its people and places have new names."""
        return f"{self.name.replace('_', ' ').title()}, under new names"


def default_folder() -> Path:
    """Where books are looked for: $REWARDTREE_BOOKS, or a folder of the user's cache."""
    given = os.environ.get(VARIABLE)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(cache) / "rewardtree" / "books"


def files_of(folder: Path) -> list[Path]:
    """The books in a folder, by name.

    Raises:
        ConfigError: where there are too few, with what to do about it.
    """
    fetch = "give the command: rewardtree fetch novels"
    if not folder.is_dir():
        raise ConfigError(f"there are no books in {folder}; {fetch}, or name a folder of texts with options.books")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and path.is_file())
    double = {path.stem for path in files if sum(other.stem == path.stem for other in files) > 1}
    if double:
        raise ConfigError(f"{folder} holds {min(double)} twice; keep one file a book")
    if len(files) < FEWEST_BOOKS:
        raise ConfigError(
            f"{folder} holds {len(files)} books (.txt, .epub), and {FEWEST_BOOKS} are needed, since books to train on, "
            f"to calibrate, validate and test with are different ones; add some, or {fetch}"
        )
    return files


def splits_of(files: list[Path]) -> dict[Split, list[Path]]:
    """Which books are for what: the known ones as they are listed, others by name, the last three not for training."""
    if {path.stem for path in files} == set(KNOWN):
        wanted = [KNOWN[path.stem] for path in files]
    else:
        wanted = [*["train"] * (len(files) - 3), "calibration", "validation", "test"]  # type: ignore[list-item]
    found: dict[Split, list[Path]] = {"train": [], "calibration": [], "validation": [], "test": []}
    for path, split in zip(files, wanted, strict=True):
        found[split].append(path)
    return found


def read_book(path: Path) -> Book:
    """A book of a file.

    Raises:
        InputFileError: where it is missing, empty, no text, or too short.
    """
    if path.suffix.lower() == ".epub":
        chapters = tuple(text for text in chapters_of_epub(path) if len(text.split()) >= SHORT)
    else:
        chapters = chapters_of(_text_of(path))
    words = sum(len(chapter.split()) for chapter in chapters)
    if words < FEWEST_WORDS or len(chapters) < 2:
        problem = f"{words} words in {len(chapters)} chapters are no book" if words else "the book is empty"
        raise InputFileError(path, None, problem, "remove it, or put the whole book in its place")
    return Book(name=path.stem, chapters=chapters)


def _text_of(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputFileError(path, None, f"it cannot be read ({error.strerror})", "give a file of text") from error
    if raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise InputFileError(path, None, "it is UTF-16", "save the text as UTF-8")
    if b"\0" in raw:
        raise InputFileError(path, None, "it is binary, no text", "give plain text or an EPUB")
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InputFileError(path, line, "it is not UTF-8", "save the text as UTF-8") from error


def chapters_of(text: str) -> tuple[str, ...]:
    """Chapters of a text, by their headings; where it has none, as many paragraphs as make up 3,000 words each."""
    parts: list[list[str]] = []
    for line in text.split("\n"):
        if HEADING.match(line):
            parts.append([])
        elif parts and not AFTER.match(line) and not VOLUME.match(line):
            parts[-1].append(line)
    found = tuple(chapter for chapter in map(_paragraphs, parts) if len(chapter.split()) >= SHORT)
    return found if len(found) > 1 else _even(_paragraphs(text.split("\n")))


def _paragraphs(lines: list[str]) -> str:
    """Lines as paragraphs, which blank lines part: one line each, with single blanks."""
    parts = (re.sub(r"\s+", " ", part).strip() for part in re.split(r"\n\s*\n", "\n".join(lines)))
    return "\n".join(part for part in parts if part)


def _even(text: str) -> tuple[str, ...]:
    chapters: list[str] = []
    kept: list[str] = []
    for paragraph in text.split("\n"):
        kept.append(paragraph)
        if sum(len(one.split()) for one in kept) >= LONG:
            chapters.append("\n".join(kept))
            kept = []
    if kept and any(kept):
        chapters.append("\n".join(kept))
    return tuple(chapters)
