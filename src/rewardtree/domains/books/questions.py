"""Questions asked of summaries: facts that the text states, and held-out sentences with a name left out.

Both are made and answered by words alone, by rules that knew of no policy. Names are exchanged, so that nobody answers
from having read the book.

- *Facts*: what the text says of somebody or some place: title, surname, kin, sort of place (`novels.words.stated`). The
  question is answered where the summary states the same. Facts count as often as the text states them.
- *Gaps*: a sentence of a held-out passage, one of its names left out, and four names to choose from: it, and three that
  stand elsewhere in the same text, drawn. The answer is the name that stands in the summary beside most of the
  sentence's words, sentence by sentence; then the one that stands there most often; else a guess, which counts a
  quarter. Of names that do equally well each counts its share.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from rewardtree.domains.books.shelf import Shelf, tokens_of
from rewardtree.domains.novels.passages import sentences
from rewardtree.domains.novels.words import CAPITAL, NO_NAME, Names, stated

CHOICES, GAPS = 4, 12
"""Names to choose from, and gaps asked of a text at most."""
NAME = re.compile(CAPITAL)
Fact: TypeAlias = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """A sentence with a name left out.

    Attributes:
        words: of the sentence, without the name.
        right: the name.
        names: to choose from, the right one among them.
    """

    words: frozenset[str]
    right: str
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What is asked of a summary of a text.

    Attributes:
        facts: that the text states, with how often it does.
        gaps: held-out sentences.
        names: of the book.
    """

    facts: Counter[Fact]
    gaps: tuple[Gap, ...]
    names: Names


def facts_of(text: str, names: Names) -> Counter[Fact]:
    """What a text states, numbers apart."""
    return Counter((one.kind, one.anchor, one.value) for one in stated(text, names) if one.kind != "number")


def asked_of(shelf: Shelf, first: int, end: int) -> Asked:
    """Questions about the text from one passage to before another; the same ones whenever they are asked.

    Args:
        shelf: the books.
        first: passage.
        end: passage.
    """
    names = shelf.names[shelf.owner[first]]
    texts = [shelf.text_of(passage) for passage in range(first, end)]
    known = Counter(name for text in texts for name in _names_in(text, names))
    rng = np.random.default_rng([31, first, end])
    gaps: list[Gap] = []
    held_out = [text for text, held in zip(texts, shelf.held_out[first:end], strict=True) if held]
    for number in rng.permutation(len(held_out)).tolist():
        gaps += _gaps(held_out[number], names, known, rng)
        if len(gaps) >= GAPS:
            break
    return Asked(facts=sum((facts_of(text, names) for text in texts), Counter()), gaps=tuple(gaps[:GAPS]), names=names)


def _gaps(text: str, names: Names, known: Counter[str], rng: np.random.Generator) -> list[Gap]:
    """One gap a sentence that has a name which stands elsewhere in the text too."""
    found = []
    for start, end in sentences(text):
        said = text[start:end]
        inside = [name for name in dict.fromkeys(_names_in(said, names)) if known[name] > said.count(name)]
        others = sorted(name for name in known if name not in said)
        if inside and len(others) >= CHOICES - 1:
            right = str(rng.choice(inside))
            wrong = rng.permutation(others)[: CHOICES - 1].tolist()
            words = frozenset(tokens_of(said)) - {right.lower()}
            found.append(Gap(words=words, right=right, names=(right, *wrong)))
    return found


def _names_in(text: str, names: Names) -> list[str]:
    return [word for word in NAME.findall(text) if word in names and word not in NO_NAME]


def facts_answered(asked: Asked, summary: str) -> float:
    """Share of the facts, as often as the text states them, that a summary states; nan where there are none."""
    total = asked.facts.total()
    told = facts_of(summary, asked.names)
    return sum(n for fact, n in asked.facts.items() if fact in told) / total if total else float("nan")


def gaps_answered(asked: Asked, spoken: Sequence[str], shelf_words: frozenset[str]) -> float:
    """Share of the gaps that are filled rightly; nan where there are none.

    Args:
        asked: the questions.
        spoken: sentences of the summary.
        shelf_words: words that count as something in common.
    """
    if not asked.gaps:
        return float("nan")
    tokens = [frozenset(tokens_of(one)) for one in spoken]
    return float(np.mean([_filled(gap, tokens, shelf_words) for gap in asked.gaps]))


def _filled(gap: Gap, spoken: Sequence[frozenset[str]], shelf_words: frozenset[str]) -> float:
    """How far a gap is filled rightly: 1, 0, or the share of a guess."""
    words = gap.words & shelf_words
    signs = []
    for name in gap.names:
        beside = [len(words & tokens) for tokens in spoken if name.lower() in tokens]
        signs.append((max(beside, default=0), len(beside)))
    best = [name for name, sign in zip(gap.names, signs, strict=True) if sign == max(signs)]
    return (gap.right in best) / len(best)
