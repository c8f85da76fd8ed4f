"""What words state: triples of kind, anchor and value, found by patterns.

- `title`: what stands before a name, "Captain" before "Wentworth"; men's and women's names are apart (`m `, `f `).
- `surname`: what stands after a first name, "Elliot" after "Anne".
- `place`: what stands after a proper noun, "Hall" after "Kellynch".
- `kin`: what somebody is called before a name, "aunt" before "Norris".
- `number`: a number and its unit near a name, "ten thousand" pounds near "Darcy".
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["title", "surname", "place", "kin", "number", "negation"]
Names: TypeAlias = frozenset[str]
"""A book's cast and places, as its contents list them."""

MEN = (
    "Mr.", "Captain", "Colonel", "Admiral", "General", "Sir", "Lord", "Dr.", "Lieutenant", "Major", "Squire", "Father"
)  # fmt: skip
WOMEN = ("Mrs.", "Miss", "Lady")
KIN = (
    "sister", "brother", "mother", "father", "aunt", "uncle", "cousin", "daughter", "son", "niece", "nephew", "wife",
    "husband", "grandmother", "grandfather",
)  # fmt: skip
PLACES = (
    "Park", "Hall", "Abbey", "Cottage", "Parsonage", "Street", "Place", "House", "Lodge", "Square", "Buildings", "Lane",
    "Row", "Hill", "Crescent", "Inn", "Court", "Grove", "Manor", "Castle", "Gardens", "Room", "Rooms", "Bay", "Cape",
    "Island", "Islands", "Sea", "Ocean", "Wood", "Farm",
)  # fmt: skip
ONES = (
    "", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
WORTH = (
    {word: number for number, word in enumerate(ONES) if word}
    | {word: 10 * number for number, word in enumerate(TENS) if word}
    | {"hundred": 100, "thousand": 1000}
)
UNITS = (
    "pounds?|year|annum|years?|miles?|children|sons|daughters|sisters|brothers|o'clock|guineas|months?|weeks?|fathoms?|"
    "leagues?|feet|barrels|mates|boats|hands|men|ships"
)
NEAR = 160
"""Characters around a number in which it is said of a name."""
OFTEN = 4
"""Times that a capitalised word stands inside sentences before it is a name."""


def any_of(words: Iterable[str]) -> str:
    """A pattern of the words."""
    return f"(?:{'|'.join(map(re.escape, words))})"


CAPITAL = r"[A-Z][a-z]+"
TITLED = re.compile(rf"\b({any_of((*MEN, *WOMEN))}) ({CAPITAL})\b")
PAIR = re.compile(rf"\b({CAPITAL})(?= ({CAPITAL})\b)")
KINSHIP = re.compile(rf"\b({any_of(KIN)}),? (?:{any_of((*MEN, *WOMEN))} )?({CAPITAL})\b")
PLACED = re.compile(rf"\b({CAPITAL}(?:'s)?)[ -]({any_of(PLACES)})\b")
NUMBERED = re.compile(rf"\b((?:{any_of(WORTH)}(?: and |[ -])?)+)(?:a|per)?[ -]?({UNITS})\b")
NO_NAME = frozenset(title.rstrip(".") for title in (*MEN, *WOMEN)) | frozenset(PLACES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stated:
    """One thing that a text states.

    Attributes:
        kind: of the triple.
        anchor: of whom or what, told apart by more than a name where the kind needs it.
        value: what is stated.
        start, end: characters of the value.
    """

    kind: Kind
    anchor: str
    value: str
    start: int
    end: int


def names_of(chapters: Sequence[str]) -> Names:
    """Capitalised words that stand often inside sentences, and more often than the same word in small letters."""
    text = "\n".join(chapters)
    inside = Counter(re.findall(rf"[a-z,;] ({CAPITAL})\b", text))
    small = Counter(re.findall(r"\b[a-z]+\b", text))
    return frozenset(word for word, count in inside.items() if count >= OFTEN and small[word.lower()] < count)


def stated(text: str, names: Names) -> Iterator[Stated]:
    """All that a text states of these names."""

    def one(kind: Kind, anchor: str, value: str, span: tuple[int, int]) -> Stated:
        return Stated(kind=kind, anchor=anchor, value=value, start=span[0], end=span[1])

    for match in TITLED.finditer(text):
        if match[2] in names:
            yield one("title", f"{'m' if match[1] in MEN else 'f'} {match[2]}", match[1], match.span(1))
    for match in PAIR.finditer(text):
        if {match[1], match[2]} <= names and match[1] not in NO_NAME and match[2] not in PLACES:
            yield one("surname", match[1], match[2], (match.end() + 1, match.end() + 1 + len(match[2])))
    for match in KINSHIP.finditer(text):
        if match[2] in names:
            yield one("kin", match[2], match[1], match.span(1))
    for match in PLACED.finditer(text):
        yield one("place", match[1], match[2], match.span(2))
    for match in NUMBERED.finditer(text):
        around = text[max(0, match.start() - NEAR) : match.end() + NEAR]
        for name in sorted({word for word in re.findall(CAPITAL, around) if word in names}):
            words = match[1].rstrip(" -")
            span = match.start(1), match.start(1) + len(words)
            yield one("number", f"{match[2].rstrip('s')} {name}", spelled(amount(words)), span)


def amount(words: str) -> int:
    """The number that words name: "five and twenty" is 25."""
    total = current = 0
    for word in re.findall("[a-z]+", words):
        worth = WORTH.get(word, 0)
        if worth >= 100:
            current = max(current, 1) * worth
            if worth == 1000:
                total, current = total + current, 0
        else:
            current += worth
    return total + current


def spelled(number: int) -> str:
    """A number in words, below a million."""
    if number >= 1000:
        rest = number % 1000
        return f"{spelled(number // 1000)} thousand" + (f" {spelled(rest)}" if rest else "")
    if number >= 100:
        return f"{ONES[number // 100]} hundred" + (f" and {spelled(number % 100)}" if number % 100 else "")
    if number >= 20:
        return TENS[number // 10] + (f" {ONES[number % 10]}" if number % 10 else "")
    return ONES[number]


def name_in(kind: Kind, anchor: str) -> str:
    """The name that an anchor is about, as it stands in texts."""
    return anchor.split(" ", 1)[1] if kind in ("title", "number", "negation") else anchor


def group_of(kind: Kind, anchor: str) -> str:
    """Anchors among which values may be exchanged: a woman is no Captain, and miles are no pounds."""
    return f"{kind} {anchor.split(' ', 1)[0]}" if kind in ("title", "number", "negation") else kind
