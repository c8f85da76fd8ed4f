"""The reader's rule: what the words of one passage say to a question. It was fixed before any helper was trained.

A question names a kind, an anchor, and two values that the book may give it. A passage speaks for the first, for the
second, or is silent; any other value speaks against the first. The rule sees words: of what was planted where, of the
answers and of how names were exchanged, nothing can be known here.
"""

import re
from dataclasses import dataclass

from rewardtree.domains.novels.words import CAPITAL, Kind, Names, stated

FIRST, SILENT, SECOND = 1.0, 0.0, -1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What does the book say of this?

    Attributes:
        kind: of the triple; `negation` asks whether the title is the first value at all.
        anchor: of whom or what.
        first, second: two values, in an order that tells nothing; a negation's second is anything else.
    """

    kind: Kind
    anchor: str
    first: str
    second: str

    @property
    def key(self) -> tuple[Kind, str]:
        """What is looked for in words: who is no captain is found out by titles."""
        return ("title" if self.kind == "negation" else self.kind, self.anchor)


def reading(asked: Asked, words: str, names: Names) -> float:
    """What words say to a question: 1 the first value, -1 the second or yet another one, 0 nothing.

    Args:
        asked: the question.
        words: of a passage.
        names: the book's cast and places.
    """
    values = {one.value for one in stated(words, names) if (one.kind, one.anchor) == asked.key}
    if not values:
        return SILENT
    return FIRST if asked.first in values else SECOND


def on_stage(words: str) -> frozenset[str]:
    """Capitalised words that stand outside of quotation marks: who is there, and not only talked about.

    Args:
        words: of a passage; it is taken to begin outside of them.
    """
    plain = words.replace("\u201c", '"').replace("\u201d", '"')
    return frozenset(re.findall(rf"\b{CAPITAL}\b", " ".join(plain.split('"')[::2])))
