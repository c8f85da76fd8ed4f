"""Books made ready for summarising: passages that can be opened, sentences that can be quoted, words that recur.

Every fifth passage is held out: no policy may quote it and no reader opens it, so that how much a summary tells of it
says what the summary is worth beyond the words that it was made from.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse

from rewardtree.domains.novels.books import Book
from rewardtree.domains.novels.passages import Passage, passages, sentences
from rewardtree.domains.novels.words import Names, names_of
from rewardtree.tasks.task import Split

PART = 12
"""Passages of a part, about; parts are cut evenly within chapters."""
HELD_OUT = 5
"""One passage in so many is held out."""
SHORT = 8
"""Words of a sentence from which on it may be quoted."""
SELDOM, OFTEN = 3, 0.05
"""A word recurs if it stands in so many passages of its book at least, and in such a share of them at most."""
WIDTH = 256
"""Numbers that stand for a sentence."""
ENDED, BEGUN = re.compile(r"[.!?]\W*$"), re.compile(r"(?:^|\n|[.!?]\W*)$")
"""A sentence that is whole ends so, and follows after such an end; long ones are cut where a passage ends."""
TOKEN = re.compile(r"[A-Za-z]+")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Shelf:
    """Books one after the other, in tables. Words are recurring ones and names, by number, -1 where there are no more.

    Attributes:
        books: their texts.
        splits: what each is for.
        names: of each.
        places: passages of all books.
        owner: the book of each passage.
        held_out: passages that are nobody's to quote or to open.
        texts: of passages.
        recurring: words of each book that count, its names among them.
        told: words of each passage, once each, [passages, words].
        quotable: sentences that may be quoted, as book, chapter and characters, [sentences, 4].
        passage: of each sentence.
        said: words of each sentence, once each, [sentences, words].
        words: of each sentence, all counted.
        named: names in each sentence, once each.
        opens: whether a sentence begins a paragraph.
        speech: whether it has a quotation mark.
        commonness: logarithm of the passages of the book that have a word of the sentence, on average.
        vectors: of sentences, of length 1, [sentences, WIDTH].
        parts: first passage of each part, and the number of passages at the end.
        part_owner: the book of each part.
        vocabulary: the words.
        is_name: whether each is a name.
    """

    books: tuple[Book, ...]
    splits: tuple[Split, ...]
    names: tuple[Names, ...]
    places: tuple[Passage, ...] = field(repr=False)
    owner: Int[np.ndarray, " passages"] = field(repr=False)
    held_out: Bool[np.ndarray, " passages"] = field(repr=False)
    texts: tuple[str, ...] = field(repr=False)
    recurring: tuple[frozenset[str], ...] = field(repr=False)
    told: Int[np.ndarray, "passages _"] = field(repr=False)
    quotable: Int[np.ndarray, "sentences 4"] = field(repr=False)
    passage: Int[np.ndarray, " sentences"] = field(repr=False)
    said: Int[np.ndarray, "sentences _"] = field(repr=False)
    words: Int[np.ndarray, " sentences"] = field(repr=False)
    named: Int[np.ndarray, " sentences"] = field(repr=False)
    opens: Bool[np.ndarray, " sentences"] = field(repr=False)
    speech: Bool[np.ndarray, " sentences"] = field(repr=False)
    commonness: Float[np.ndarray, " sentences"] = field(repr=False)
    vectors: Float[np.ndarray, "sentences width"] = field(repr=False)
    parts: Int[np.ndarray, " parts_and_end"] = field(repr=False)
    part_owner: Int[np.ndarray, " parts"] = field(repr=False)
    vocabulary: tuple[str, ...] = field(repr=False)
    is_name: Bool[np.ndarray, " words"] = field(repr=False)

    def text_of(self, passage: int) -> str:
        """A passage's words."""
        return self.texts[passage]

    def sentence(self, number: int) -> str:
        """A sentence's words."""
        book, chapter, start, end = self.quotable[number]
        return " ".join(self.books[book].chapters[chapter][start:end].split())

    def of_split(self, split: Split) -> Int[np.ndarray, " books"]:
        """The books of a split."""
        return np.flatnonzero([one == split for one in self.splits])


def tokens_of(text: str) -> list[str]:
    """Words of a text, in small letters, letters alone."""
    return [word.lower() for word in TOKEN.findall(text)]


def shelf_of(books: Sequence[tuple[Book, Split]]) -> Shelf:
    """Make books ready.

    Args:
        books: each with what it is for.
    """
    places, owner, parts, part_owner = _cut([book for book, _ in books])
    names = tuple(names_of(book.chapters) for book, _ in books)
    texts = [one.of(books[number][0].chapters) for one, number in zip(places, owner, strict=True)]
    tokens = [tokens_of(text) for text in texts]
    recurring = [_recurring([t for t, of in zip(tokens, owner, strict=True) if of == n], names[n])
                 for n in range(len(books))]  # fmt: skip
    vocabulary = sorted(set().union(*recurring))
    number = {word: n for n, word in enumerate(vocabulary)}
    spans = np.array(_sentences(books, places, owner, texts))
    spoken = [_text(books, *span[:4].tolist()) for span in spans]
    said = [sorted({number[t] for t in tokens_of(text) if t in recurring[span[0]]})
            for text, span in zip(spoken, spans, strict=True)]  # fmt: skip
    small = {name.lower() for some in names for name in some}
    is_name = np.array([word in small for word in vocabulary])
    sizes = np.bincount(owner)
    return Shelf(
        books=tuple(book for book, _ in books), splits=tuple(split for _, split in books), names=names,
        places=tuple(places), owner=owner, held_out=_held_out(owner, parts),
        texts=tuple(texts), recurring=tuple(frozenset(one) for one in recurring),
        told=_padded([
            sorted({number[t] for t in ts if t in recurring[of]}) for ts, of in zip(tokens, owner, strict=True)
        ]),
        quotable=spans[:, :4], passage=spans[:, 4], said=_padded(said),
        words=np.array([len(text.split()) for text in spoken]),
        named=np.array([int(is_name[ids].sum()) for ids in said]),
        opens=spans[:, 5].astype(bool), speech=np.array([any(m in text for m in '"\u201c\u201d') for text in spoken]),
        commonness=np.array([
            np.mean([np.log(recurring[span[0]][vocabulary[w]]) for w in ids]) if ids else 0.0
            for ids, span in zip(said, spans, strict=True)
        ]),
        vectors=_vectors(said, spans[:, 0], recurring, vocabulary, sizes), parts=parts, part_owner=part_owner,
        vocabulary=tuple(vocabulary), is_name=is_name,
    )  # fmt: skip


def _cut(
    books: Sequence[Book],
) -> tuple[list[Passage], Int[np.ndarray, " passages"], Int[np.ndarray, " ends"], Int[np.ndarray, " parts"]]:
    """Passages with their books, and parts with theirs."""
    places: list[Passage] = []
    owner, parts, part_owner = [], [], []
    for number, book in enumerate(books):
        for chapter, text in enumerate(book.chapters):
            found = passages(chapter, text)
            count = max(1, round(len(found) / PART))
            cuts = np.linspace(0, len(found), count + 1).round().astype(int)[:-1]
            parts += [len(places) + int(cut) for cut in cuts]
            part_owner += [number] * count
            places += found
            owner += [number] * len(found)
    return places, np.array(owner), np.array([*parts, len(places)]), np.array(part_owner)


def _held_out(owner: Int[np.ndarray, " passages"], parts: Int[np.ndarray, " ends"]) -> Bool[np.ndarray, " passages"]:
    """Every fifth passage, counted from the third of each part, so that a part's opening is never held out."""
    held = np.zeros(len(owner), dtype=bool)
    for start, end in pairwise(parts.tolist()):
        held[min(start + HELD_OUT // 2, end - 1) : end : HELD_OUT] = True
    return held


def _recurring(passages_: Sequence[Sequence[str]], names: Names) -> Mapping[str, int]:
    """Words that recur in a book, and its names, with the number of passages that have them."""
    counts = Counter(word for tokens in passages_ for word in set(tokens))
    small = {name.lower() for name in names}
    most = max(SELDOM, OFTEN * len(passages_))
    return {word: n for word, n in counts.items() if n >= SELDOM and (n <= most or word in small) and len(word) > 1}


def _text(books: Sequence[tuple[Book, Split]], book: int, chapter: int, start: int, end: int) -> str:
    return books[book][0].chapters[chapter][start:end]


def _sentences(
    books: Sequence[tuple[Book, Split]], places: Sequence[Passage], owner: Int[np.ndarray, " passages"],
    texts: Sequence[str],
) -> list[tuple[int, int, int, int, int, bool]]:  # fmt: skip
    """Book, chapter, characters and passage of each whole sentence of some length, and whether it opens a paragraph."""
    found = []
    for number, (one, text) in enumerate(zip(places, texts, strict=True)):
        chapter = books[owner[number]][0].chapters[one.chapter]
        for start, end in sentences(text):
            at = one.start + start
            if (
                len(text[start:end].split()) >= SHORT
                and ENDED.search(text[start:end])
                and BEGUN.search(chapter[:at][-4:])
            ):
                opens = at == 0 or chapter[at - 1] == "\n"
                found.append((int(owner[number]), one.chapter, at, one.start + end, number, opens))
    return found


def _padded(rows: Sequence[Sequence[int]]) -> Int[np.ndarray, "rows most"]:
    """Rows of unlike length as a table, -1 where there is nothing."""
    table = np.full((len(rows), max((len(row) for row in rows), default=1) or 1), -1, dtype=np.int32)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return table


def _vectors(
    said: Sequence[Sequence[int]], book: Int[np.ndarray, " sentences"], recurring: Sequence[Mapping[str, int]],
    vocabulary: Sequence[str], sizes: Int[np.ndarray, " books"],
) -> Float[np.ndarray, "sentences width"]:  # fmt: skip
    """Sentences by their words, the rarer in their book the more: random projections (Achlioptas 2003), of length 1."""
    rows = np.repeat(np.arange(len(said)), [len(ids) for ids in said])
    columns = np.array([w for ids in said for w in ids], dtype=int)
    weights = np.array([np.log(sizes[book[r]] / recurring[book[r]][vocabulary[c]])
                        for r, c in zip(rows.tolist(), columns.tolist(), strict=True)])  # fmt: skip
    table = sparse.csr_matrix((weights, (rows, columns)), shape=(len(said), len(vocabulary)))
    signs = np.random.default_rng(0).choice(np.array([-1.0, 1.0], dtype=np.float32), (len(vocabulary), WIDTH))
    dense = np.asarray(table @ signs, dtype=np.float32)
    unit: Float[np.ndarray, "sentences width"] = dense / np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), 1e-9)
    return unit
