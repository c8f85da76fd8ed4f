"""What is summarised and what comes out: lists of sentences with the text beneath them, and the sentences chosen."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse

from rewardtree.domains.books.shelf import Shelf

FEATURES = (
    "position", "from_the_end", "length", "opens_paragraph", "speech", "names", "density", "commonness", "centrality",
    "likeness", "most_alike", "weight", "weight_a_word",
)  # fmt: skip
"""What a policy sees of a sentence of its source; see `features_of`."""
Words: TypeAlias = Int[np.ndarray, "batch words"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pages:
    """Sources, each once.

    Attributes:
        shelf: where they are from.
        sentence: of each source, in the order of the book, -1 where there are no more, [sources, sentences].
        features: of the sentences, in the order of `FEATURES`.
        repeats: of what each sentence says, the share that each other one says too, words that the source says often
            counting more, [sources, sentences, others].
        span: first passage of the text beneath, and the one after the last, [sources, 2].
        hand: passages of the text beneath that can be opened, evenly spread, [sources, places].
        origin: names the source and how its sentences came about.
        limit: words of a summary at most.
        below: sources of the summaries that these are made of, those a reader is told of, one list a column.
    """

    shelf: Shelf
    sentence: Int[np.ndarray, "sources sentences"]
    features: Float[np.ndarray, "sources sentences features"] = field(repr=False)
    repeats: Float[np.ndarray, "sources sentences sentences"] = field(repr=False)
    span: Int[np.ndarray, "sources 2"]
    hand: Int[np.ndarray, "sources places"]
    origin: Int[np.ndarray, " sources"]
    limit: int
    below: tuple["Sources", ...] = ()

    def __len__(self) -> int:
        return len(self.sentence)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """A batch of sources; one that comes up several times is kept once.

    Attributes:
        pages: the sources.
        row: which of them each is.
        about: words of the summary that is asked about, where this is a question to a helper.
    """

    pages: Pages
    row: Int[np.ndarray, " batch"]
    about: Words | None = None

    def __len__(self) -> int:
        return len(self.row)

    def take(self, rows: Int[np.ndarray, " rows"]) -> "Sources":
        """The sources at `rows`."""
        about = None if self.about is None else self.about[rows]
        return Sources(pages=self.pages, row=self.row[rows], about=about)

    @property
    def sentence(self) -> Int[np.ndarray, "batch sentences"]:
        """Sentences of each."""
        found: Int[np.ndarray, "batch sentences"] = self.pages.sentence[self.row]
        return found

    @property
    def asked(self) -> Int[np.ndarray, " batch"]:
        """No place is asked about."""
        return np.full(len(self), -1)

    def digest(self) -> list[dict[str, Any]]:
        """Book, passages and sentences."""
        pages = self.pages
        known = {
            int(row): {
                "book": pages.shelf.books[pages.shelf.owner[pages.span[row, 0]]].name,
                "passages": pages.span[row].tolist(),
                "sentences": [one for one in pages.sentence[row].tolist() if one >= 0],
            }
            for row in np.unique(self.row)
        }
        return [known[int(row)] for row in self.row]


@dataclass(frozen=True, kw_only=True, slots=True)
class Summaries:
    """Sentences chosen of each source.

    Attributes:
        picks: columns of the source's sentences in the order in which they were chosen, -1 where there are no more.
    """

    picks: Int[np.ndarray, "batch picks"]

    def __len__(self) -> int:
        return len(self.picks)

    def take(self, rows: Int[np.ndarray, " rows"]) -> "Summaries":
        """The summaries at `rows`."""
        return Summaries(picks=self.picks[rows])

    def digest(self) -> list[dict[str, Any]]:
        """The columns."""
        return [{"picks": [one for one in row if one >= 0]} for row in self.picks.tolist()]


def everyone(pages: Pages) -> Sources:
    """Every source once."""
    return Sources(pages=pages, row=np.arange(len(pages)))


def once(sources: Sources, write: Callable[[Sources], Summaries]) -> Summaries:
    """Summaries by someone who always writes the same of a source, each source summarised once."""
    rows, which = np.unique(sources.row, return_inverse=True)
    return write(Sources(pages=sources.pages, row=rows)).take(which)


def chosen(sources: Sources, summaries: Summaries) -> Int[np.ndarray, "batch picks"]:
    """The sentences of summaries, in the order of the book, -1 behind them."""
    none = np.iinfo(np.int64).max
    found = np.take_along_axis(sources.sentence, np.maximum(summaries.picks, 0), axis=1)
    found = np.sort(np.where(summaries.picks >= 0, found, none), axis=1)
    ordered: Int[np.ndarray, "batch picks"] = np.where(found == none, -1, found)
    return ordered


def words_of(sources: Sources, summaries: Summaries) -> Words:
    """The words of summaries, by number, -1 where there is none; a word may come up again."""
    sentence = chosen(sources, summaries)
    words = sources.pages.shelf.said[np.maximum(sentence, 0)]
    return np.where((sentence >= 0)[:, :, None], words, -1).reshape(len(sources), -1)


def marked(words: Words, size: int) -> Bool[np.ndarray, "batch words_and_none"]:
    """Which words of a vocabulary there are; the last column, of no word, is always False."""
    found = np.zeros((len(words), size + 1), dtype=bool)
    found[np.arange(len(words))[:, None], words] = True
    found[:, size] = False
    return found


def pages_of(
    shelf: Shelf, sentence: Int[np.ndarray, "sources sentences"], span: Int[np.ndarray, "sources 2"], *,
    places: int, limit: int, origin: Int[np.ndarray, " sources"], below: tuple[Sources, ...] = (),
) -> Pages:  # fmt: skip
    """Sources with what is seen of them.

    Args:
        shelf: where they are from.
        sentence: of each, -1 behind them.
        span: of the text beneath.
        places: passages that can be opened.
        limit: words of a summary.
        origin: names them.
        below: sources of the summaries that these are made of.
    """
    there, known = sentence >= 0, np.maximum(sentence, 0)
    vectors = np.where(there[:, :, None], shelf.vectors[known], np.float32(0))
    said = np.where(there[:, :, None], shelf.said[known], np.int32(-1))
    weight = _weights(said, len(shelf.vocabulary))
    return Pages(
        shelf=shelf, sentence=sentence, features=features_of(shelf, sentence, vectors, weight),
        repeats=_repeats(said, weight), span=span, hand=_spread(np.flatnonzero(~shelf.held_out), span, places),
        origin=origin, limit=limit, below=below,
    )  # fmt: skip


def _repeats(
    said: Int[np.ndarray, "sources sentences words"], weight: Float[np.ndarray, "sources sentences words"]
) -> Float[np.ndarray, "sources sentences sentences"]:
    """Of what each sentence says, the share that each other one says too."""
    count, most = said.shape[1:]
    found = np.zeros((*said.shape[:2], count), dtype=np.float32)
    for number, (words, worth) in enumerate(zip(said, weight, strict=True)):
        ids, place = np.unique(words, return_inverse=True)
        rows, columns = np.repeat(np.arange(count), most), place.ravel()
        there = (words.ravel() >= 0).astype(np.float32)
        has = sparse.csr_matrix((there, (rows, columns)), shape=(count, len(ids)))
        weighs = sparse.csr_matrix((worth.ravel() * there, (rows, columns)), shape=(count, len(ids)))
        found[number] = (weighs @ has.T).toarray()
    shares: Float[np.ndarray, "sources sentences sentences"] = found / np.maximum(weight.sum(axis=2)[:, :, None], 1e-9)
    return shares


def _spread(
    passages: Int[np.ndarray, " _"], span: Int[np.ndarray, "sources 2"], places: int
) -> Int[np.ndarray, "sources places"]:  # fmt: skip
    """Some of these passages, evenly spread over spans; where there are fewer than places, some are there again."""
    first, end = np.searchsorted(passages, span[:, 0]), np.searchsorted(passages, span[:, 1])
    at = first[:, None] + (np.arange(places) + 0.5)[None, :] / places * (end - first)[:, None]
    hand: Int[np.ndarray, "sources places"] = passages[at.astype(int)]
    return hand


def held_out_of(sources: Sources, places: int) -> Int[np.ndarray, "batch places"]:
    """Held-out passages of the text beneath, evenly spread; where there are fewer than places, some come again."""
    pages = sources.pages
    found: Int[np.ndarray, "batch places"] = _spread(np.flatnonzero(pages.shelf.held_out), pages.span, places)[
        sources.row
    ]
    return found


def features_of(
    shelf: Shelf, sentence: Int[np.ndarray, "sources sentences"], vectors: Float[np.ndarray, "sources sentences width"],
    weight: Float[np.ndarray, "sources sentences words"],
) -> Float[np.ndarray, "sources sentences features"]:  # fmt: skip
    """What a policy sees of each sentence of a source.

    Where it stands, from the beginning and from the end; how long it is; whether it opens a paragraph and whether
    somebody speaks; names, and recurring words for its length; how common these are in the book; cosine with the mean
    of the source (centrality), mean and greatest cosine with the others (Erkan & Radev 2004, section 3); and how often
    the source says its words, in all and for its length (Nenkova & Vanderwende 2005). Scaled to about 1.
    """
    there = sentence >= 0
    known = np.maximum(sentence, 0)
    count = np.maximum(there.sum(axis=1), 1)[:, None]
    order = np.cumsum(there, axis=1) - 1
    length = shelf.words[known].astype(float)
    said = np.where(there[:, :, None], shelf.said[known], -1)
    many = (said >= 0).sum(axis=2)
    mean = vectors.sum(axis=1)
    mean = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9)
    near = np.einsum("bid,bjd->bij", vectors, vectors, optimize=True)
    near[:, np.arange(sentence.shape[1]), np.arange(sentence.shape[1])] = 0.0
    whole = weight.sum(axis=2)
    found = np.stack([
        order / count, 1.0 - order / count, length / 20.0, shelf.opens[known], shelf.speech[known],
        np.log1p(shelf.named[known]), many / np.maximum(length, 1.0) * 4.0, shelf.commonness[known] / 4.0,
        np.einsum("bid,bd->bi", vectors, mean) * 3.0, near.sum(axis=2) / count * 10.0, near.max(axis=2) * 2.0,
        whole * 5.0, whole / np.maximum(length, 1.0) * 100.0,
    ], axis=2)  # fmt: skip
    seen: Float[np.ndarray, "sources sentences features"] = np.where(there[:, :, None], found, 0.0).astype(np.float32)
    return seen


def _weights(
    said: Int[np.ndarray, "sources sentences words"], size: int
) -> Float[np.ndarray, "sources sentences words"]:  # fmt: skip
    """How much of what a source's sentences say, word by word, each of their words is."""
    rows = np.broadcast_to(np.arange(len(said))[:, None, None], said.shape)
    counts = np.bincount((rows * (size + 1) + said % (size + 1)).ravel(), minlength=len(said) * (size + 1))
    counts = counts.reshape(len(said), size + 1).astype(float)
    counts[:, size] = 0.0
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    weight: Float[np.ndarray, "sources sentences words"] = shares[rows, said].astype(np.float32)
    return weight


def about(sources: Sources, words: Words) -> Sources:
    """Sources as questions about a summary of these words."""
    return replace(sources, about=words)
