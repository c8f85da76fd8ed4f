"""A book made ready: its passages, what each of them states and looks like, and the slots where it can be edited."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse

from rewardtree.domains.novels.books import Book
from rewardtree.domains.novels.passages import Passage, passages, sentences
from rewardtree.domains.novels.reader import on_stage
from rewardtree.domains.novels.words import NO_NAME, Kind, Names, Stated, group_of, name_in, names_of, stated
from rewardtree.errors import InputFileError

SURE = 0.95
"""Share of an anchor's mentions that agree, from which on there is a slot."""
TRAINED: tuple[Kind, ...] = ("title", "surname", "place")
"""Kinds of edit that are trained on."""
HELD_OUT: tuple[Kind, ...] = ("kin", "number", "negation")
"""Kinds that only the test split has, measured apart; a negation is about a title."""
FEWEST = 4
"""Slots of the trained kinds that chapters are joined for."""
ALONE, TOGETHER, CLOSE = 1, 2, 3
"""How a passage looks to who seeks a name and a value: the value's words alone, with the name, in one sentence."""
Key = tuple[Kind, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Volume:
    """A book made ready.

    A *key* is a kind and an anchor of which the book says one thing; a *pair* is a key and any value of its group.

    Attributes:
        book: its text.
        names: its cast and places.
        places: its passages.
        texts: their words.
        spans: where they stand: chapter, and characters from and to, [passages, 3].
        chapter: of each passage.
        words: in each passage.
        sections: first chapter of each section, and the number of chapters at the end.
        section: of each passage.
        keys: in order.
        groups: values that may be exchanged, by group.
        group: of each key.
        pair: number of each key's first pair; its others follow in the group's order.
        crowd: names in each passage.
        quotes: quotation marks in each passage.
        choice: values of a group whose words are in each passage, [groups, passages], groups in the order of `groups`.
        named: whether a passage has the key's name, [keys, passages].
        speaks: whether a passage states anything of the key, [keys, passages].
        holds: whether it states the pair's value of the key, [pairs, passages].
        looks: how it looks to who seeks the pair, 0 to 3, [pairs, passages].
        slots: the key, value (in its group), section and first passage of each slot, [slots, 4].
        alike: rare words in common of each slot's first passage and every passage, [slots, passages].
        cast: names that somebody or some place may have, in order.
        mentioned: whether a passage has the name, [cast, passages].
        on_stage: whether it is there by the reader's rule, [cast, passages].
        likeness: gives how like an encoder finds a pair and a passage, [pairs, passages]; None where there is none.
    """

    book: Book
    names: Names
    places: tuple[Passage, ...]
    texts: tuple[str, ...] = field(repr=False)
    spans: Int[np.ndarray, "passages 3"] = field(repr=False)
    chapter: Int[np.ndarray, " passages"]
    words: Int[np.ndarray, " passages"]
    sections: Int[np.ndarray, " sections_and_end"]
    section: Int[np.ndarray, " passages"]
    keys: tuple[Key, ...]
    groups: Mapping[str, tuple[str, ...]]
    group: tuple[str, ...]
    pair: Int[np.ndarray, " keys"]
    crowd: Int[np.ndarray, " passages"] = field(repr=False)
    quotes: Int[np.ndarray, " passages"] = field(repr=False)
    choice: Int[np.ndarray, "groups passages"] = field(repr=False)
    named: Bool[np.ndarray, "keys passages"] = field(repr=False)
    speaks: Bool[np.ndarray, "keys passages"] = field(repr=False)
    holds: Bool[np.ndarray, "pairs passages"] = field(repr=False)
    looks: Int[np.ndarray, "pairs passages"] = field(repr=False)
    slots: Int[np.ndarray, "slots 4"] = field(repr=False)
    alike: Float[np.ndarray, "slots passages"] = field(repr=False)
    cast: tuple[str, ...] = field(repr=False)
    mentioned: Bool[np.ndarray, "cast passages"] = field(repr=False)
    on_stage: Bool[np.ndarray, "cast passages"] = field(repr=False)
    likeness: Callable[[], Float[np.ndarray, "pairs passages"]] | None = field(default=None, repr=False)

    def value(self, key: int, number: int) -> str:
        """A value of the key's group."""
        return self.groups[self.group[key]][number]


def volume_of(book: Book) -> Volume:
    """Make a book ready.

    Raises:
        InputFileError: where nothing in it can be edited.
    """
    names = names_of(book.chapters)
    places = [one for number, chapter in enumerate(book.chapters) for one in passages(number, chapter)]
    texts = [one.of(book.chapters) for one in places]
    says = [list(stated(text, names)) for text in texts]
    chapter = np.array([one.chapter for one in places])
    sure = _sure(says, chapter)
    sections = _sections(says, chapter, sure)
    section = np.searchsorted(sections, chapter, side="right") - 1
    sure = {key: value for key, value in sure.items() if len(_where(says, key, value, section)) > 1}
    groups: dict[str, list[str]] = defaultdict(list)
    for key, value in sure.items():
        if value not in groups[group_of(*key)]:
            groups[group_of(*key)].append(value)
    keys = [key for key in sure if len(groups[group_of(*key)]) > 1]
    if not any(kind in TRAINED for kind, _ in keys):
        raise InputFileError(
            f"the book {book.name}", None,
            "it names no people by titles, nor places, that could be exchanged", "use a novel with more names in it",
        )  # fmt: skip
    group = tuple(group_of(*key) for key in keys)
    ordered = {name: tuple(sorted(values)) for name, values in groups.items()}
    sizes = [len(ordered[name]) for name in group]
    speaks, holds = _statements(says, keys, [ordered[name] for name in group])
    named, looks = _looks(texts, keys, [ordered[name] for name in group])
    spoken = {word for values in ordered.values() for value in values for word in _tokens(value)}
    cast = tuple(sorted(names - NO_NAME))
    slots = np.array([
        (number, ordered[group[number]].index(sure[key]), where, first)
        for number, key in enumerate(keys)
        for where, first in _where(says, key, sure[key], section).items()
    ])  # fmt: skip
    return Volume(
        book=book, names=names, places=tuple(places), texts=tuple(texts), chapter=chapter, sections=sections,
        spans=np.array([(one.chapter, one.start, one.end) for one in places]), section=section,
        words=np.array([len(text.split()) for text in texts]),
        quotes=np.array([len(re.findall('["\u201c\u201d]', text)) for text in texts]),
        keys=tuple(keys), groups=ordered, group=group, pair=np.cumsum([0, *sizes[:-1]]), named=named, speaks=speaks,
        crowd=_standing(texts, names), choice=np.array([_standing(texts, values) for values in ordered.values()]),
        holds=holds, looks=looks, slots=slots,
        alike=_alike(texts, slots[:, 3], spoken), cast=cast, mentioned=_has(cast, [_tokens(text) for text in texts]),
        on_stage=_has(cast, [on_stage(text) for text in texts]),
    )  # fmt: skip


def _sure(says: Sequence[Sequence[Stated]], chapter: Int[np.ndarray, " passages"]) -> dict[Key, str]:
    """The one value of every key that has one in most mentions, and that in two chapters or more."""
    counts: dict[Key, Counter[str]] = defaultdict(Counter)
    chapters: dict[tuple[Key, str], set[int]] = defaultdict(set)
    for number, one in ((number, one) for number, all_ in enumerate(says) for one in all_):
        counts[one.kind, one.anchor][one.value] += 1
        chapters[(one.kind, one.anchor), one.value].add(int(chapter[number]))
    found = {}
    for key, values in counts.items():
        value, count = values.most_common(1)[0]
        if count >= SURE * values.total() and len(chapters[key, value]) > 1:
            found[key] = value
    return found


def _sections(
    says: Sequence[Sequence[Stated]], chapter: Int[np.ndarray, " passages"], sure: Mapping[Key, str]
) -> Int[np.ndarray, " sections_and_end"]:
    """Chapters joined until each section has as many slots of the trained kinds as wanted."""
    of_chapter: dict[int, set[Key]] = defaultdict(set)
    for number, all_ in enumerate(says):
        of_chapter[int(chapter[number])] |= {
            (s.kind, s.anchor) for s in all_ if s.kind in TRAINED and sure.get((s.kind, s.anchor)) == s.value
        }
    last = int(chapter[-1]) + 1
    starts, here = [0], set[Key]()
    for number in range(last):
        if len(here) >= FEWEST:
            starts.append(number)
            here = set()
        here = here | of_chapter[number]
    if len(here) < FEWEST and len(starts) > 1:
        starts.pop()
    return np.array([*starts, last])


def _where(
    says: Sequence[Sequence[Stated]], key: Key, value: str, section: Int[np.ndarray, " passages"]
) -> dict[int, int]:  # fmt: skip
    """Sections that state a key's value, each with the first passage that does."""
    found: dict[int, int] = {}
    for number, all_ in enumerate(says):
        if any((one.kind, one.anchor) == key and one.value == value for one in all_):
            found.setdefault(int(section[number]), number)
    return found


def _statements(
    says: Sequence[Sequence[Stated]], keys: Sequence[Key], values: Sequence[Sequence[str]]
) -> tuple[Bool[np.ndarray, "keys passages"], Bool[np.ndarray, "pairs passages"]]:
    number_of = {key: number for number, key in enumerate(keys)}
    pairs = {(key, v): i for i, (key, v) in enumerate((k, v) for k, vs in zip(keys, values, strict=True) for v in vs)}
    speaks = np.zeros((len(keys), len(says)), dtype=bool)
    holds = np.zeros((len(pairs), len(says)), dtype=bool)
    for passage, all_ in enumerate(says):
        for one in all_:
            key = (one.kind, one.anchor)
            if key in number_of:
                speaks[number_of[key], passage] = True
                if (key, one.value) in pairs:
                    holds[pairs[key, one.value], passage] = True
    return speaks, holds


def _looks(
    texts: Sequence[str], keys: Sequence[Key], values: Sequence[Sequence[str]]
) -> tuple[Bool[np.ndarray, "keys passages"], Int[np.ndarray, "pairs passages"]]:
    """Names and values as words side by side; what is stated of whom plays no part."""
    cut = [(number, text[a:b]) for number, text in enumerate(texts) for a, b in sentences(text)]
    passage = np.array([number for number, _ in cut])
    standing: dict[str, list[int]] = defaultdict(list)
    for number, (_, text) in enumerate(cut):
        for word in set(_tokens(text)):
            standing[word].append(number)

    def with_all(words: Iterable[str]) -> Bool[np.ndarray, " sentences"]:
        found = np.ones(len(cut), dtype=bool)
        for word in words:
            has = np.zeros(len(cut), dtype=bool)
            has[standing.get(word, [])] = True
            found &= has
        return found

    def anywhere(has: Bool[np.ndarray, " sentences"]) -> Bool[np.ndarray, " passages"]:
        return np.bincount(passage, weights=has, minlength=len(texts)) > 0

    value_at = {value: with_all(_tokens(value)) for all_ in values for value in all_}
    value_in = {value: anywhere(has) for value, has in value_at.items()}
    named, looks = [], []
    for (kind, anchor), all_ in zip(keys, values, strict=True):
        name = with_all(_tokens(name_in(kind, anchor)))
        named.append(anywhere(name))
        for value in all_:
            close = anywhere(name & value_at[value])
            code = ALONE * value_in[value] + (TOGETHER - ALONE) * (value_in[value] & named[-1])
            looks.append(np.where(close, CLOSE, code).astype(np.int8))
    return np.array(named), np.array(looks)


def _standing(texts: Sequence[str], words: Iterable[str]) -> Int[np.ndarray, " passages"]:
    """How many of the words are in each passage."""
    wanted = [set(_tokens(word)) for word in words]
    have = [set(_tokens(text)) for text in texts]
    return np.array([sum(one <= words for one in wanted) for words in have])


def _has(words: Sequence[str], texts: Sequence[Iterable[str]]) -> Bool[np.ndarray, "words passages"]:
    """Which of the words are among those of each passage."""
    number_of = {word: number for number, word in enumerate(words)}
    found = np.zeros((len(words), len(texts)), dtype=bool)
    for passage, tokens in enumerate(texts):
        found[[number_of[word] for word in tokens if word in number_of], passage] = True
    return found


def _tokens(text: str) -> list[str]:
    return [word for word in re.findall(r"[A-Za-z]+", text) if word != "and"]


def _alike(
    texts: Sequence[str], first: Int[np.ndarray, " slots"], ignored: set[str]
) -> Float[np.ndarray, "slots passages"]:  # fmt: skip
    """Words in common, the rarer the heavier; values are left out, since an edit changes them."""
    vocabulary: dict[str, int] = {}
    rows, columns = [], []
    for number, text in enumerate(texts):
        for word in sorted(set(_tokens(text)) - ignored):  # in one order, so that sums are rounded alike
            rows.append(number)
            columns.append(vocabulary.setdefault(word, len(vocabulary)))
    has = sparse.csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), (len(texts), len(vocabulary)))
    weight = sparse.diags(1.0 / np.asarray(has.sum(axis=0)).ravel())
    unique, back = np.unique(first, return_inverse=True)
    shared = (has[unique] @ weight @ has.T).toarray().astype(np.float32)
    found: Float[np.ndarray, "slots passages"] = shared[back]
    return found
