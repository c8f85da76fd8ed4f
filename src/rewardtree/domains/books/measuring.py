"""What whole trees of summaries are worth, by whoever wrote them: policies of every stage, and rules beside them.

A writer summarises each test book from its parts up, its own summaries below each time. All have the same limits of
words. Measured is at every height of the tree, and on each book's own summary.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from rewardtree.domains.books.boards import summary_text
from rewardtree.domains.books.choosing import central, covering, lead, told_of, worth_of_passages
from rewardtree.domains.books.heights import Library, Write, parts, units, whole
from rewardtree.domains.books.questions import Asked, asked_of, facts_answered, gaps_answered
from rewardtree.domains.books.rouge import rouge_1, rouge_l
from rewardtree.domains.books.shelf import Shelf
from rewardtree.domains.books.sources import (
    Pages,
    Sources,
    Summaries,
    chosen,
    everyone,
    held_out_of,
    pages_of,
    words_of,
)
from rewardtree.policies.learner import UNTRAINED, Policy
from rewardtree.tasks.task import Split

Measured: TypeAlias = dict[str, dict[str, dict[str, Float[np.ndarray, " _"]]]]
"""Where, who and what, to a value a summary."""
FLAT = ", at once"
"""Behind the name of a writer who chooses from all of a book's sentences, without summaries in between."""


def writers(policies: Mapping[str, Policy], seed: int) -> dict[str, Write]:
    """Policies by their likeliest summaries, and rules.

    To an untrained policy all sentences are alike, so that its likeliest summary says nothing of it: it draws. Who has
    read all passages is nobody's equal: a bound that opens everything that can be opened.
    """
    learnt: dict[str, Write] = {name: _writer(policy, seed) for name, policy in policies.items()}
    return {**learnt, "first sentences": lead, "centrality": central, "common words": common_words,
            "all passages read": _all_read}  # fmt: skip


def _writer(policy: Any, seed: int) -> Write:
    if policy.version != UNTRAINED:
        likeliest: Write = policy.answer
        return likeliest
    return lambda sources: policy.propose(sources, np.random.default_rng([seed, 37]))


def _all_read(sources: Sources) -> Summaries:
    return covering(sources, worth_of_passages(sources))


def common_words(sources: Sources) -> Summaries:
    """The sentences that add most of what the source says often, for their length."""
    shelf, size = sources.pages.shelf, len(sources.pages.shelf.vocabulary)
    said = np.where((sources.sentence >= 0)[:, :, None], shelf.said[sources.sentence], -1)
    counts = np.zeros((len(sources), size + 1))
    np.add.at(counts, (np.arange(len(sources))[:, None, None], said), 1.0)
    counts[:, size] = 0.0
    return covering(sources, counts)


def measured(library: Library, split: Split, by: Mapping[str, Write], at_once: frozenset[str]) -> Measured:
    """Every measure of every writer, at every height and on every book.

    Args:
        library: the books.
        split: which of them.
        by: writers, by name.
        at_once: those who also choose from whole books at once.
    """
    found: Measured = {where: {} for where in (*(f"height_{height}" for height in range(library.top)), "book")}
    for who, write in by.items():
        for height in range(library.top):
            pages = units(library, split, height, write)
            found[f"height_{height}"][who] = worth(everyone(pages), write(everyone(pages)))
        found["book"][who] = _top(found, who, whole(library, split, write), write)
        if who in at_once:
            books = [_top(found, f"{who}{FLAT}", pages, write) for pages in entire(library, split)]
            found["book"][f"{who}{FLAT}"] = {name: np.concatenate([one[name] for one in books]) for name in books[0]}
    return found


def _top(found: Measured, who: str, pages: Pages, write: Write) -> dict[str, Float[np.ndarray, " items"]]:
    """Measures of whole books, all together, and entered under the name of each."""
    shelf, values = pages.shelf, worth(everyone(pages), write(everyone(pages)))
    for row, owner in enumerate(shelf.owner[pages.span[:, 0]].tolist()):
        found.setdefault(shelf.books[owner].name, {})[who] = {
            name: value[row : row + 1] for name, value in values.items()
        }
    return values


def entire(library: Library, split: Split) -> Iterator[Pages]:
    """Each book of a split as one source of all its sentences that may be quoted; one at a time, as these are large."""
    below = parts(library, split)
    owner = library.shelf.owner[below.span[:, 0]]
    for one in np.unique(owner):
        some = np.flatnonzero(owner == one)
        sentences = below.sentence[some]
        yield pages_of(
            library.shelf, np.sort(sentences[sentences >= 0])[None, :],
            np.array([[below.span[some[0], 0], below.span[some[-1], 1]]]), places=library.places(library.top),
            limit=library.words(library.top), origin=below.origin[some[:1]],
        )  # fmt: skip


def worth(sources: Sources, summaries: Summaries) -> dict[str, Float[np.ndarray, " items"]]:
    """Measures of summaries.

    `told`: how much is told of passages that can be opened, the true reward. `told_of_held_out`: of all held-out ones.
    `facts`, `gaps`: questions answered. `rouge_1`, `rouge_l`: against the held-out passages. `words`: how many.
    """
    shelf, pages, words = sources.pages.shelf, sources.pages, words_of(sources, summaries)
    longest = int((pages.span[:, 1] - pages.span[:, 0]).max())
    texts = [summary_text(sources, summaries, row) for row in range(len(sources))]
    spoken = [[shelf.sentence(int(n)) for n in row if n >= 0] for row in chosen(sources, summaries)]
    asked, kept = zip(*(_asked(shelf, *pages.span[row].tolist()) for row in sources.row), strict=True)
    vocabulary = _vocabulary(shelf)
    return {
        "told": told_of(sources, words, pages.hand[sources.row]).mean(axis=1),
        "told_of_held_out": told_of(sources, words, held_out_of(sources, longest)).mean(axis=1),
        "facts": np.array([facts_answered(a, text) for a, text in zip(asked, texts, strict=True)]),
        "gaps": np.array([gaps_answered(a, said, vocabulary) for a, said in zip(asked, spoken, strict=True)]),
        "rouge_1": np.array([rouge_1(text, held) for text, held in zip(texts, kept, strict=True)]),
        "rouge_l": np.array([rouge_l(text, held) for text, held in zip(texts, kept, strict=True)]),
        "words": np.array([float(len(" ".join(said).split())) for said in spoken]),
    }


@lru_cache(maxsize=8192)
def _asked(shelf: Shelf, first: int, end: int) -> tuple[Asked, str]:
    """What is asked of a text, and its held-out passages."""
    kept = (shelf.text_of(passage) for passage in range(first, end) if shelf.held_out[passage])
    return asked_of(shelf, first, end), "\n".join(kept)


@lru_cache(maxsize=2)
def _vocabulary(shelf: Shelf) -> frozenset[str]:
    return frozenset(shelf.vocabulary)
