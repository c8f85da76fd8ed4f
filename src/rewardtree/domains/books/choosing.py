"""Choosing sentences one after the other until no more fit, and rules by which that can be done without learning."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from rewardtree.domains.books.sources import FEATURES, Sources, Summaries, marked

Scores = Float[np.ndarray, "batch sentences"]
NOVELTY = 0.5
"""How much repeating what is chosen counts against centrality (Carbonell & Goldstein 1998)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """How far summaries are.

    Attributes:
        may: sentences that still fit.
        stale: of what every sentence says, the largest share that a sentence chosen says too; 0 where none is.
        last: the sentence chosen last, or -1.
    """

    may: Bool[np.ndarray, "batch sentences"]
    stale: Scores
    last: Int[np.ndarray, " batch"]


def grow(sources: Sources, next_: Callable[[Chosen], Int[np.ndarray, " batch"]]) -> Summaries:
    """Choose sentences one after the other until no more fit into the limit of words.

    Args:
        sources: to choose from.
        next_: the next sentence of every source, among those that may be; any where there is none.
    """
    pages, rows, sentence = sources.pages, np.arange(len(sources)), sources.sentence
    length = np.where(sentence >= 0, pages.shelf.words[sentence], pages.limit + 1)
    left, free = np.full(len(sources), pages.limit), sentence >= 0
    stale, last = np.zeros(sentence.shape, dtype=np.float32), np.full(len(sources), -1)
    picks = []
    while (may := free & (length <= left[:, None])).any():
        best = next_(Chosen(may=may, stale=stale, last=last))
        going = may.any(axis=1) & (best >= 0)
        best = np.maximum(best, 0)
        last = np.where(going, best, -1)
        picks.append(last)
        left = left - np.where(going, length[rows, best], 0)
        free[rows[going], best[going]] = False
        free[~going] = False
        stale = np.where(going[:, None], np.maximum(stale, pages.repeats[sources.row, :, best]), stale)
    return Summaries(picks=np.stack(picks, axis=1) if picks else np.full((len(sources), 1), -1))


def choose(sources: Sources, score: Callable[[Chosen], Scores]) -> Summaries:
    """Choose the sentence of the highest score among those that fit, again and again.

    Args:
        sources: to choose from.
        score: of every sentence, given what is chosen so far.
    """
    return grow(sources, lambda so_far: np.where(so_far.may, score(so_far), -np.inf).argmax(axis=1))


def lead(sources: Sources) -> Summaries:
    """The first sentences."""
    order = -np.arange(sources.sentence.shape[1], dtype=float)
    return choose(sources, lambda so_far: np.broadcast_to(order, sources.sentence.shape))


def at_random(sources: Sources, rng: np.random.Generator) -> Summaries:
    """Any sentences."""
    chance = rng.random(sources.sentence.shape)
    return choose(sources, lambda so_far: chance)


def central(sources: Sources) -> Summaries:
    """The sentences most like the source's mean, less what they repeat of those chosen already."""
    centrality = sources.pages.features[sources.row, :, FEATURES.index("centrality")].astype(float) / 3.0
    return choose(sources, lambda so_far: centrality - NOVELTY * so_far.stale)


def covering(sources: Sources, words: Float[np.ndarray, "batch words_and_none"]) -> Summaries:
    """The sentences that add most to the weight of the words that are there, for their length.

    Args:
        sources: to choose from.
        words: what each word of the vocabulary is worth; the last column, of no word, is worth nothing.
    """
    pages, rows = sources.pages, np.arange(len(sources))
    said = np.where((sources.sentence >= 0)[:, :, None], pages.shelf.said[sources.sentence], -1)
    length = np.maximum(pages.shelf.words[sources.sentence], 1)
    left = words.copy()

    def gain(so_far: Chosen) -> Scores:
        known = so_far.last >= 0
        last = np.where(known[:, None], said[rows, np.maximum(so_far.last, 0)], -1)
        left[rows[:, None], last] = 0.0
        found: Scores = left[rows[:, None, None], said].sum(axis=2) / length
        return found

    return choose(sources, gain)


def worth_of_passages(sources: Sources) -> Float[np.ndarray, "batch words_and_none"]:
    """What each word adds to how much is told of the passages in hand, on average."""
    shelf, hand = sources.pages.shelf, sources.pages.hand[sources.row]
    words, size = shelf.told[hand], len(shelf.vocabulary)
    share = 1.0 / np.maximum((words >= 0).sum(axis=2), 1) / hand.shape[1]
    worth = np.zeros((len(sources), size + 1))
    rows = np.broadcast_to(np.arange(len(sources))[:, None, None], words.shape)
    np.add.at(worth, (rows, words), np.broadcast_to(share[:, :, None], words.shape))
    worth[:, size] = 0.0
    return worth


def told_of(
    sources: Sources, words: Int[np.ndarray, "batch words"], places: Int[np.ndarray, "batch places"]
) -> Float[np.ndarray, "batch places"]:
    """The reader's rule: of a passage's recurring words and names, the share that a summary has; 0 of no such words.

    Args:
        sources: give the shelf.
        words: of the summaries.
        places: passages.
    """
    shelf = sources.pages.shelf
    there = marked(words, len(shelf.vocabulary))
    told = shelf.told[places]
    found = there[np.arange(len(places))[:, None, None], told].sum(axis=2)
    share: Float[np.ndarray, "batch places"] = found / np.maximum((told >= 0).sum(axis=2), 1)
    return share
