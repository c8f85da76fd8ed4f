"""Wildcard search: what is the sum of a function over all that a pattern matches?

Christiano et al. 2018 (arXiv 1810.08575), section 3 and appendix: given f from {0, 1}^6 to {-1, 1}, find the sum of f
over all strings that a pattern over {0, 1, *} matches. A fact is the value of f at one string. A question of level d is
a pattern with d wildcards; it falls into the two patterns that have 0 and 1 in place of its first wildcard, and their
sums add up.

Departures: patterns have at most `depth` wildcards, not any number. A wrong answer is the sum that f would have if its
value at one matching string, drawn at random, were the other one; as f is drawn uniformly, right and wrong answers are
exchangeable, and neither number alone betrays which it is.

Readings do betray something, however instances and wrong answers are chosen: two sums differ by 2 at least, so that the
share of +1 among the 2^d matching strings differs by 2^-d, and one reading of a string drawn at random already tells
them apart with an accuracy of (1 + 2^-d) / 2. Two readings of a uniform f reach 11/16 at level 2, 0.59 at level 3 and
0.54 at level 4.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import gammaln

from rewardtree.errors import TaskError
from rewardtree.tasks.decomposition import Names, Questions, Worlds
from rewardtree.tasks.plain_boards import Stretch, apart

WILDCARD = 2
"""The digit that stands for either."""
IMPOSSIBLE = -6.0
"""Logarithm that stands for the likelihood of what cannot be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patterns:
    """All patterns of a size with at most so many wildcards, those with fewer first; within a level in order.

    Attributes:
        digits: 0, 1 or 2 for a wildcard, at each position.
        level: how many wildcards.
        halves: the patterns with 0 and with 1 in place of the first wildcard; of a pattern without any, itself twice.
        ends: the strings with 0 and with 1 in place of every wildcard.
    """

    digits: Int[np.ndarray, "patterns positions"]
    level: Int[np.ndarray, " patterns"]
    halves: Int[np.ndarray, "patterns 2"]
    ends: Int[np.ndarray, "patterns 2"]


@lru_cache(maxsize=16)
def patterns(size: int, depth: int) -> Patterns:
    """Patterns of `size` positions with at most `depth` wildcards."""
    every = np.array(list(product(range(3), repeat=size)))
    level = (every == 2).sum(axis=1)
    order = np.argsort(level, kind="stable")
    digits, level = every[order][: (level <= depth).sum()], np.sort(level)[: (level <= depth).sum()]
    weight = 3 ** np.arange(size - 1, -1, -1)
    number = np.full(3**size, -1)
    number[digits @ weight] = np.arange(len(digits))
    first = np.where(level > 0, (digits == 2).argmax(axis=1), -1)
    is_first = np.arange(size) == first[:, None]
    halves = np.stack([number[np.where(is_first, digit, digits) @ weight] for digit in (0, 1)], axis=1)
    ends = np.stack([number[np.where(digits == 2, digit, digits) @ weight] for digit in (0, 1)], axis=1)
    for array in (digits, level, halves, ends):
        array.setflags(write=False)
    return Patterns(digits=digits, level=level, halves=halves, ends=ends)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wildcards:
    """See the module's docstring. The name of a sum s is s + 2^depth.

    Attributes:
        depth: the highest level, and wildcards of the root's patterns.
        size: positions of a pattern.
        room: positions that tokens leave room for, so that one network serves all sizes; 0 for no more than there are.
    """

    depth: int = 3
    size: int = 4
    room: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.depth <= self.size or not 1 <= self.size <= 8:
            raise TaskError(
                f"wildcards need 1 to 8 positions and a depth from 0 to as many, not {self.size} positions and depth "
                f"{self.depth}"
            )
        if self.room and self.room < self.size:
            raise TaskError(f"there is no room for {self.size} positions in patterns of {self.room}; leave room out")

    @property
    def name(self) -> str:
        """Of the family."""
        return "wildcards"

    @property
    def names(self) -> int:
        """Sums from -2^depth to 2^depth."""
        return 2 * self.zero + 1

    @property
    def zero(self) -> int:
        """The name of the sum 0."""
        return int(2**self.depth)

    @property
    def vocabulary(self) -> int:
        """Sums, three digits a position, and one for nothing."""
        return self.names + 3 * (self.room or self.size) + 1

    def sizes(self) -> tuple[int, ...]:
        """From as many positions as the root has wildcards, one by one."""
        return tuple(range(max(1, self.depth), self.size + 1))

    def sized(self, size: int) -> "Wildcards":
        """The same with fewer positions, under the same numbers."""
        return replace(self, size=size, room=self.room or self.size)

    def draw(self, rng: np.random.Generator, count: int) -> Worlds:
        """Functions, all equally likely."""
        table, strings = patterns(self.size, self.depth), 2**self.size
        facts = self.zero + 2 * rng.integers(2, size=(count, strings)) - 1
        own = self.names + 3 * np.arange(self.size) + table.digits
        tokens = np.full((count, len(own), (self.room or self.size) + 1), self.vocabulary - 1)
        tokens[:, :, : self.size] = own
        tokens[:, :strings, -1] = facts
        empty = np.empty((count, 0), dtype=int)
        return Worlds(tokens=tokens, facts=facts, public=empty, hidden=empty)

    def askable(self, worlds: Worlds, level: int) -> Bool[np.ndarray, "worlds tokens"]:
        """The patterns with so many wildcards."""
        of_level = patterns(self.size, self.depth).level == level
        return np.broadcast_to(of_level, (len(worlds), len(of_level)))

    def allowed(self, level: int) -> Bool[np.ndarray, " names"]:
        """Sums of 2^level values that are -1 or 1."""
        total = np.arange(self.names) - self.zero
        found: Bool[np.ndarray, " names"] = (np.abs(total) <= 2**level) & ((total - 2**level) % 2 == 0)
        return found

    def parts(self, level: int) -> tuple[int, ...]:
        """The two halves."""
        return (level - 1, level - 1) if level else ()

    def part(self, level: int, number: int, asked: Questions, said: Sequence[Names]) -> Names:
        """The pattern with `number` in place of its first wildcard."""
        found: Names = patterns(self.size, self.depth).halves[asked.asked, number]
        return found

    def nameable(self, asked: Questions, said: Sequence[Names]) -> Int[np.ndarray, "batch nameable"]:
        """The pattern itself, and those with 0 and with 1 in place of its first wildcard."""
        return np.column_stack([asked.asked, patterns(self.size, self.depth).halves[asked.asked]])

    def context(self, asked: Questions) -> Int[np.ndarray, "batch columns"]:
        """Nothing is needed."""
        return np.empty((len(asked), 0), dtype=int)

    def conclude(self, level: int, context: Int[np.ndarray, "batch columns"], said: Sequence[Names]) -> Names:
        """The sum of the halves' sums, as far as names go."""
        found: Names = np.clip(said[0] + said[1] - self.zero, 0, self.names - 1)
        return found

    def decoys(self, rng: np.random.Generator, level: int, asked: Questions, truth: Names) -> Names:
        """The sum that f would have if one of its values were the other one."""
        ones = (truth - self.zero + 2**level) / 2 / 2**level
        return np.where(rng.random(len(asked)) < ones, truth - 2, truth + 2)

    def links(self, asked: Questions, answer: Names) -> Float[np.ndarray, "batch links"]:
        """Whether the question is a string at which f has the answer as its value."""
        facts = asked.worlds.facts
        string = asked.asked < facts.shape[1]
        own = string & (facts[asked.row, np.where(string, asked.asked, 0)] == answer)
        return np.stack([own], axis=1).astype(np.float32)

    def glances(self, level: int, asked: Questions) -> tuple[Names, ...]:
        """Above level 1 the first and the last string that the pattern matches."""
        if level < 2:
            return ()
        ends = patterns(self.size, self.depth).ends[asked.asked]
        return ends[:, 0], ends[:, 1]

    def hunch(
        self,
        level: int,
        context: Int[np.ndarray, "batch columns"],
        read: Sequence[Float[np.ndarray, " batch"]],
        answer: Names,
    ) -> Float[np.ndarray, "batch hunches"]:
        """The logarithm of the likelihood of what was read if the answer is right: drawn from an urn without return."""
        if level < 2:
            return np.zeros((len(answer), 0))
        seen = np.stack(list(read), axis=1)
        drawn, good = np.isfinite(seen).sum(axis=1), (seen > self.zero).sum(axis=1)
        strings = 2.0**level
        ones = (answer - self.zero + strings) / 2
        among = _log_choose(ones, good) + _log_choose(strings - ones, drawn - good)
        return np.stack([np.maximum(among - _log_choose(strings, drawn), IMPOSSIBLE)], axis=1)

    def rules(self) -> str:
        """For people."""
        return (
            f"f is 1 or \N{MINUS SIGN}1 at each string of {self.size} digits 0 and 1. A pattern matches the strings "
            "that have its digits where it has no *."
        )

    def ask(self, level: int, place: int, asked: Questions, row: int) -> str:
        """For people."""
        pattern = self._pattern(place)
        return f"What is the sum of f over the strings that match {pattern}?" if level else f"What is f({pattern})?"

    def answer(self, name: int) -> str:
        """For people."""
        return str(name - self.zero).replace("-", "\N{MINUS SIGN}")

    def sheet(self, level: int, asked: Questions, row: int) -> Iterable[str | Stretch]:
        """For people: the strings, first those that match."""
        table = patterns(self.size, self.depth)
        digits, strings = table.digits[asked.asked[row]], table.digits[: 2**self.size]
        match = ((digits == strings) | (digits == WILDCARD)).all(axis=1)
        for head, chosen in (("Matching: ", match), ("\n\nOthers: ", ~match)):
            yield head
            yield from apart(
                (int(i), f"f({self._pattern(int(i))})", self._pattern(int(i))) for i in np.flatnonzero(chosen)
            )

    def readings(self, facts: Int[np.ndarray, " places"]) -> Float[np.ndarray, " places"]:
        """For people: the values of f."""
        return (facts - self.zero).astype(float)

    def _pattern(self, place: int) -> str:
        return "".join("01*"[digit] for digit in patterns(self.size, self.depth).digits[place])


def _log_choose(
    whole: Float[np.ndarray, " batch"] | float, chosen: Int[np.ndarray, " batch"]
) -> Float[np.ndarray, " batch"]:
    """The logarithm of the binomial coefficient; that of 0 where there are not so many to choose."""
    fits = chosen <= whole
    whole, few = np.where(fits, whole, 0.0), np.where(fits, chosen, 0)
    found = gammaln(whole + 1) - gammaln(few + 1) - gammaln(whole - few + 1)
    return np.where(fits, found, IMPOSSIBLE)
