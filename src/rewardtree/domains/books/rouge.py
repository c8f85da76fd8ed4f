"""ROUGE-1 and ROUGE-L (Lin 2004), F1, on words in small letters; no stemming, no stop words."""

from collections import Counter
from collections.abc import Sequence
from typing import no_type_check

import numba
import numpy as np

from rewardtree.domains.books.shelf import tokens_of


def rouge_1(summary: str, reference: str) -> float:
    """F1 of words in common, each counted as often as both have it (section 2, n = 1)."""
    one, other = Counter(tokens_of(summary)), Counter(tokens_of(reference))
    return _f1((one & other).total(), one.total(), other.total())


def rouge_l(summary: str, reference: str) -> float:
    """F1 of the longest common subsequence of words, both texts as one sequence each (section 3.1, beta = 1)."""
    one, other = tokens_of(summary), tokens_of(reference)
    number = {word: n for n, word in enumerate(sorted({*one, *other}))}
    return _f1(_longest(_numbers(one, number), _numbers(other, number)), len(one), len(other))


def _f1(common: int, one: int, other: int) -> float:
    return 2.0 * common / (one + other) if common else 0.0


def _numbers(tokens: Sequence[str], number: dict[str, int]) -> np.ndarray:
    return np.array([number[token] for token in tokens], dtype=np.int64)


@numba.njit(cache=True)
@no_type_check
def _longest(first, second):
    """Length of the longest common subsequence of two sequences of numbers."""
    best = np.zeros(len(second) + 1, dtype=np.int64)
    for i in range(len(first)):
        diagonal = 0
        for j in range(len(second)):
            above = best[j + 1]
            if first[i] == second[j]:
                best[j + 1] = diagonal + 1
            elif best[j] > above:
                best[j + 1] = best[j]
            diagonal = above
    return best[len(second)]
