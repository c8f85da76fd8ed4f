"""Permutation powering: where does a permutation lead from x in 2^level steps?

Christiano et al. 2018 (arXiv 1810.08575), section 3 and appendix: given a permutation of 64 elements, compute its k-th
power at x, k up to 64. A fact is where one element leads. A question falls into two of half the power, the
second about the answer to the first.

Departures: powers are 2^level, those that repeated squaring visits. Permutations are single cycles and sizes odd, so
that exponents are coprime to the size and no short cycle gives anything away. Wrong answers lie on the same cycle
where readings that fit the budget lead from neither question nor answer to the other in a way that tells right from
wrong.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from rewardtree.domains.algorithms.plain import Plain
from rewardtree.errors import TaskError
from rewardtree.tasks.decomposition import Names, Questions, Worlds
from rewardtree.tasks.plain_boards import Stretch, apart

READINGS = 2
"""Steps along the cycle that an evaluator's readings are expected to take."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Powering(Plain):
    """See the module's docstring.

    Attributes:
        depth: the highest level; the root asks for the power 2^depth.
        size: elements; odd.
        room: elements that names leave room for, so that one network serves all sizes; 0 for no more than there are.
    """

    depth: int = 3
    size: int = 11
    room: int = 0

    def __post_init__(self) -> None:
        if self.size < 7 or self.size % 2 == 0 or self.depth < 0:
            raise TaskError(
                f"powering needs an odd size from 7 on and a depth from 0 on, not {self.size}, {self.depth}"
            )
        if self.room and self.room < self.size:
            raise TaskError(f"there is no room for {self.size} elements among {self.room} names; leave room out")
        if not _far(self.size, self.depth):
            raise TaskError(
                f"a power of 2 up to 2^{self.depth} leads next to where it starts on a cycle of {self.size} elements; "
                "choose another size"
            )

    @property
    def name(self) -> str:
        """Of the family."""
        return "powering"

    @property
    def names(self) -> int:
        """One an element."""
        return self.room or self.size

    @property
    def vocabulary(self) -> int:
        """Elements."""
        return self.names

    def sizes(self) -> tuple[int, ...]:
        """Odd sizes from 9 on, or its own where that is less; none where a level's power leads next to the question."""
        return tuple(size for size in range(min(9, self.size), self.size + 1, 2) if _far(size, self.depth))

    def sized(self, size: int) -> "Powering":
        """The same with fewer elements, under the same names."""
        return replace(self, size=size, room=self.names)

    def draw(self, rng: np.random.Generator, count: int) -> Worlds:
        """Cycles, all equally likely."""
        order = rng.random((count, self.size)).argsort(axis=1)
        rows = np.arange(count)[:, None]
        facts, standing = np.empty_like(order), np.empty_like(order)
        facts[rows, order] = np.roll(order, -1, axis=1)
        standing[rows, order] = np.arange(self.size)
        own = np.broadcast_to(np.arange(self.size), facts.shape)
        return Worlds(
            tokens=np.stack([own, facts], axis=2), facts=facts, public=np.empty((count, 0), dtype=int),
            hidden=np.stack([order, standing], axis=1),
        )  # fmt: skip

    def askable(self, worlds: Worlds, level: int) -> Bool[np.ndarray, "worlds tokens"]:
        """Every element."""
        return np.ones(worlds.facts.shape, dtype=bool)

    def allowed(self, level: int) -> Bool[np.ndarray, " names"]:
        """Every element."""
        return np.arange(self.names) < self.size

    def parts(self, level: int) -> tuple[int, ...]:
        """Twice half the power."""
        return (level - 1, level - 1) if level else ()

    def part(self, level: int, number: int, asked: Questions, said: Sequence[Names]) -> Names:
        """From x, then from where that led; a name that is no element leads back to x."""
        return self._element(said[0], asked) if number else asked.asked

    def _element(self, name: Names, asked: Questions) -> Names:
        return np.where(name < self.size, name, asked.asked)

    def nameable(self, asked: Questions, said: Sequence[Names]) -> Int[np.ndarray, "batch nameable"]:
        """The element itself, and those that answers name."""
        return np.stack([asked.asked, *(self._element(name, asked) for name in said)], axis=1)

    def conclude(self, level: int, context: Int[np.ndarray, "batch columns"], said: Sequence[Names]) -> Names:
        """Where the second half led."""
        return said[1]

    def distances(self, level: int) -> Int[np.ndarray, " distances"]:
        """How far from the question, along the cycle, wrong answers lie.

        The right answer lies `right` steps ahead. A wrong one that is closer than the budget to the question on either
        side would be found out by walking; one that is within the budget of `right` is balanced by its mirror image.
        """
        right, far = 2**level % self.size, np.arange(1, self.size)
        safe = (far > READINGS) & (far < self.size - READINGS)
        mirrored = np.isin(2 * right - far, far[safe])
        fit = far[safe & (far != right) & ((np.abs(far - right) > READINGS) | mirrored)]
        found: Int[np.ndarray, " distances"] = fit if len(fit) else far[far != right]
        return found

    def decoys(self, rng: np.random.Generator, level: int, asked: Questions, truth: Names) -> Names:
        """An element as far along the cycle as `distances` has it."""
        order, standing = (asked.worlds.hidden[asked.row, i] for i in (0, 1))
        rows = np.arange(len(asked))
        there = standing[rows, asked.asked] + rng.choice(self.distances(level), len(asked))
        found: Names = order[rows, there % self.size]
        return found

    def links(self, asked: Questions, answer: Names) -> Float[np.ndarray, "batch links"]:
        """Whether one step leads from question to answer, or back, or none is needed."""
        facts = asked.worlds.facts
        there = facts[asked.row, asked.asked] == answer
        back = facts[asked.row, self._element(answer, asked)] == asked.asked
        return np.stack([there, back, answer == asked.asked], axis=1).astype(np.float32)

    def rules(self) -> str:
        """For people."""
        return f"f leads from each of the numbers 0 to {self.size - 1} to one of them, in one circle through all."

    def ask(self, level: int, place: int, asked: Questions, row: int) -> str:
        """For people."""
        steps = 2**level
        return f"Where does f lead from {place} in {steps} steps?" if level else f"What is f({place})?"

    def answer(self, name: int) -> str:
        """For people."""
        return str(name)

    def sheet(self, level: int, asked: Questions, row: int) -> Iterable[str | Stretch]:
        """For people: where f leads in one step."""
        return ["One step: ", *apart((i, f"f({i})", f"f({i})") for i in range(self.size))]


def _far(size: int, depth: int) -> bool:
    """Whether the powers of all levels from 2 on lead further along the cycle than readings do, on either side."""
    return all(READINGS < 2**level % size < size - READINGS for level in range(2, depth + 1))
