"""Union find: which label has the class of x?

Christiano et al. 2018 (arXiv 1810.08575), section 3 and appendix: given statements that two of 64 elements are of one
class and statements that label an element with one of 8 values, find the label of x. A fact is what is
recorded of one element: the element that it is joined to, or its class's label. A question of level d is about an
element that is d steps from the labelled one of its class; it falls into "what is recorded of x?" and "which label has
that one's class?", a question of level d - 1.

Departures: statements point towards the labelled element, as in the data structure of that name; each class has its own
draw of a label, so that reading other classes tells nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from rewardtree.errors import TaskError
from rewardtree.tasks.decomposition import Names, Questions, Worlds


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """See the module's docstring.

    Attributes:
        depth: the highest level; the root's elements are that many steps from a label.
        size: elements.
        labels: values that labels take.
    """

    depth: int = 3
    size: int = 20
    labels: int = 8

    def __post_init__(self) -> None:
        if self.labels < 2 or self.depth < 0 or self.size < 2 * (self.depth + 1):
            raise TaskError(
                f"union find needs 2 labels, a depth from 0 on and two elements a level, not {self.labels} labels, "
                f"depth {self.depth} and size {self.size}"
            )

    @property
    def name(self) -> str:
        """Of the family."""
        return "finding"

    @property
    def names(self) -> int:
        """Elements first, then labels."""
        return self.size + self.labels

    @property
    def vocabulary(self) -> int:
        """Labels and elements."""
        return self.names

    def draw(self, rng: np.random.Generator, count: int) -> Worlds:
        """Forests in which as many elements as can be stand at each height."""
        rows, order = np.arange(count)[:, None], rng.random((count, self.size)).argsort(axis=1)
        height = np.arange(self.size) % (self.depth + 1)
        standing = np.flatnonzero(height == 0)
        recorded = np.empty((count, self.size), dtype=np.int64)
        recorded[:, standing] = self.size + rng.integers(self.labels, size=(count, len(standing)))
        for above in range(1, self.depth + 1):
            here, below = np.flatnonzero(height == above), np.flatnonzero(height == above - 1)
            recorded[:, here] = order[rows, below[rng.integers(len(below), size=(count, len(here)))]]
        facts, heights = np.empty_like(recorded), np.empty_like(recorded)
        facts[rows, order], heights[rows, order] = recorded, height
        own = np.broadcast_to(np.arange(self.size), facts.shape)
        return Worlds(
            tokens=np.stack([own, facts], axis=2), facts=facts, public=np.empty((count, 0), dtype=int), hidden=heights
        )

    def askable(self, worlds: Worlds, level: int) -> Bool[np.ndarray, "worlds tokens"]:
        """Elements that are that many steps from a label; at level 0 every element's record."""
        found: Bool[np.ndarray, "worlds tokens"] = (worlds.hidden == level) | (level == 0)
        return found

    def allowed(self, level: int) -> Bool[np.ndarray, " names"]:
        """Labels; at level 0 elements too."""
        return (np.arange(self.names) >= self.size) | (level == 0)

    def parts(self, level: int) -> tuple[int, ...]:
        """The record, then the label of the one that it names."""
        return (0, level - 1) if level else ()

    def part(self, level: int, number: int, asked: Questions, said: Sequence[Names]) -> Names:
        """About x, then about the element that its record names; a label there leads nowhere, back to x."""
        if number == 0:
            return asked.asked
        return np.where(said[0] < self.size, said[0], asked.asked)

    def context(self, asked: Questions) -> Int[np.ndarray, "batch columns"]:
        """Nothing is needed."""
        return np.empty((len(asked), 0), dtype=int)

    def conclude(self, level: int, context: Int[np.ndarray, "batch columns"], said: Sequence[Names]) -> Names:
        """The label of the next one."""
        return said[1]

    def decoys(self, rng: np.random.Generator, level: int, asked: Questions, truth: Names) -> Names:
        """Any other label; at level 0 any other name of the same kind."""
        label = truth >= self.size
        count, first = np.where(label, self.labels, self.size), np.where(label, self.size, 0)
        step = 1 + (rng.random(len(asked)) * (count - 1)).astype(int)
        return first + (truth - first + step) % count

    def links(self, asked: Questions, answer: Names) -> Float[np.ndarray, "batch links"]:
        """Whether the answer is recorded of x, is recorded of anything, or records x."""
        facts = asked.worlds.facts
        own = facts[asked.row, asked.asked] == answer
        anywhere = (facts[asked.row] == answer[:, None]).mean(axis=1)
        element = np.minimum(answer, self.size - 1)
        back = (answer < self.size) & (facts[asked.row, element] == asked.asked)
        return np.stack([own, anywhere, back], axis=1).astype(np.float32)
