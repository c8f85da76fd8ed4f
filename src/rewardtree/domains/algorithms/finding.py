"""Union find: which label has the class of x?

Christiano et al. 2018 (arXiv 1810.08575), section 3 and appendix: given statements that two of 64 elements are of one
class and statements that label an element with one of 8 values, find the label of x. A fact is what is
recorded of one element: the element that it is joined to, or its class's label. A question of level d is about an
element that is d steps from the labelled one of its class; it falls into "what is recorded of x?" and "which label has
that one's class?", a question of level d - 1.

Departures: statements point towards the labelled element, as in the data structure of that name. At each height
elements are paired with one of another label; otherwise classes and labels are drawn uniformly. Questions are about
paired elements, and the wrong answer is the other one's label: right and wrong answers are exchangeable, and what is
read of other elements tells as much for the one as for the other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from rewardtree.domains.algorithms.plain import Plain
from rewardtree.errors import TaskError
from rewardtree.tasks.decomposition import Names, Questions, Worlds
from rewardtree.tasks.plain_boards import Stretch, apart


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding(Plain):
    """See the module's docstring.

    Attributes:
        depth: the highest level; the root's elements are that many steps from a label.
        size: elements.
        labels: values that labels take.
        room: elements that names leave room for, so that one network serves all sizes; 0 for no more than there are.
    """

    depth: int = 3
    size: int = 20
    labels: int = 8
    room: int = 0

    def __post_init__(self) -> None:
        if self.labels < 2 or self.depth < 0 or self.size < 2 * (self.depth + 1):
            raise TaskError(
                f"union find needs 2 labels, a depth from 0 on and two elements a level, not {self.labels} labels, "
                f"depth {self.depth} and size {self.size}"
            )
        if self.room and self.room < self.size:
            raise TaskError(f"there is no room for {self.size} elements among {self.room} names; leave room out")

    @property
    def name(self) -> str:
        """Of the family."""
        return "finding"

    @property
    def first(self) -> int:
        """The name of the first label; elements have the names before it."""
        return self.room or self.size

    @property
    def names(self) -> int:
        """Elements first, then labels."""
        return self.first + self.labels

    @property
    def vocabulary(self) -> int:
        """Labels and elements."""
        return self.names

    def sizes(self) -> tuple[int, ...]:
        """From 8, or two elements a level if that is more, one by one."""
        return tuple(range(min(max(8, 2 * (self.depth + 1)), self.size), self.size + 1))

    def sized(self, size: int) -> "Finding":
        """The same with fewer elements, under the same names."""
        return replace(self, size=size, room=self.first)

    def draw(self, rng: np.random.Generator, count: int) -> Worlds:
        """Forests in which as many elements as can be stand at each height."""
        rows, order = np.arange(count)[:, None], rng.random((count, self.size)).argsort(axis=1)
        height = np.arange(self.size) % (self.depth + 1)
        recorded, other = np.empty((count, self.size), dtype=np.int64), np.full((count, self.size), -1)
        standing = np.broadcast_to(self.first + np.arange(self.labels), (count, self.labels))
        records = standing
        for above in range(self.depth + 1):
            here = np.flatnonzero(height == above)
            chosen = _paired(rng, standing, len(here))
            recorded[:, here] = records[rows, chosen]
            standing = standing[rows, chosen]
            pairs = len(here) // 2 * 2
            other[:, here[:pairs]] = standing[:, :pairs].reshape(count, -1, 2)[:, :, ::-1].reshape(count, pairs)
            records = order[:, here]
        facts, heights, wrong = (np.empty_like(recorded) for _ in range(3))
        facts[rows, order], heights[rows, order], wrong[rows, order] = recorded, height, other
        own = np.broadcast_to(np.arange(self.size), facts.shape)
        return Worlds(
            tokens=np.stack([own, facts], axis=2), facts=facts, public=np.empty((count, 0), dtype=int),
            hidden=np.stack([heights, wrong], axis=1),
        )  # fmt: skip

    def askable(self, worlds: Worlds, level: int) -> Bool[np.ndarray, "worlds tokens"]:
        """Elements of pairs that are that many steps from a label; at level 0 every element's record."""
        heights, wrong = worlds.hidden[:, 0], worlds.hidden[:, 1]
        found: Bool[np.ndarray, "worlds tokens"] = ((heights == level) & (wrong >= 0)) | (level == 0)
        return found

    def allowed(self, level: int) -> Bool[np.ndarray, " names"]:
        """Labels; at level 0 elements too."""
        names = np.arange(self.names)
        return (names >= self.first) | ((names < self.size) & (level == 0))

    def parts(self, level: int) -> tuple[int, ...]:
        """The record, then the label of the one that it names."""
        return (0, level - 1) if level else ()

    def part(self, level: int, number: int, asked: Questions, said: Sequence[Names]) -> Names:
        """About x, then about the element that its record names; a label there leads nowhere, back to x."""
        if number == 0:
            return asked.asked
        return np.where(said[0] < self.size, said[0], asked.asked)

    def nameable(self, asked: Questions, said: Sequence[Names]) -> Int[np.ndarray, "batch nameable"]:
        """The element itself, and what answers name; a label leads back to x."""
        return np.stack([asked.asked, *(np.where(name < self.size, name, asked.asked) for name in said)], axis=1)

    def conclude(self, level: int, context: Int[np.ndarray, "batch columns"], said: Sequence[Names]) -> Names:
        """The label of the next one."""
        return said[1]

    def decoys(self, rng: np.random.Generator, level: int, asked: Questions, truth: Names) -> Names:
        """The label of the pair's other element; at level 0, and where there is no pair, any other name of the kind."""
        label = truth >= self.first
        count, first = np.where(label, self.labels, self.size), np.where(label, self.first, 0)
        step = 1 + (rng.random(len(asked)) * (count - 1)).astype(int)
        wrong = asked.worlds.hidden[asked.row, 1, asked.asked] if level else np.full(len(asked), -1)
        return np.where((wrong < 0) | (wrong == truth), first + (truth - first + step) % count, wrong)

    def links(self, asked: Questions, answer: Names) -> Float[np.ndarray, "batch links"]:
        """Whether the answer is recorded of x, is recorded of anything, or records x."""
        facts = asked.worlds.facts
        own = facts[asked.row, asked.asked] == answer
        anywhere = (facts[asked.row] == answer[:, None]).mean(axis=1)
        element = np.minimum(answer, self.size - 1)
        back = (answer < self.size) & (facts[asked.row, element] == asked.asked)
        return np.stack([own, anywhere, back], axis=1).astype(np.float32)

    def rules(self) -> str:
        """For people."""
        return (
            f"Elements have the numbers 0 to {self.size - 1}, labels {self.first} to {self.names - 1}. Of each element "
            "one thing is recorded: another element of its class, or the label of its class."
        )

    def ask(self, level: int, place: int, asked: Questions, row: int) -> str:
        """For people."""
        if level == 0:
            return f"What is recorded of element {place}?"
        return f"Which label has the class of element {place}?"

    def answer(self, name: int) -> str:
        """For people."""
        return f"{'label' if name >= self.first else 'element'} {name}"

    def sheet(self, level: int, asked: Questions, row: int) -> Iterable[str | Stretch]:
        """For people: the records."""
        return ["Records: ", *apart((i, f"the record of element {i}", f"element {i}") for i in range(self.size))]


def _paired(
    rng: np.random.Generator, label: Int[np.ndarray, "worlds below"], wide: int
) -> Int[np.ndarray, "worlds wide"]:
    """Choices among those below, uniform but for this: first and second, third and fourth and so on differ in label."""
    worlds, below = label.shape
    chosen = rng.integers(below, size=(worlds, wide))
    pairs = chosen[:, : wide // 2 * 2].reshape(worlds, -1, 2)
    while True:
        found = np.take_along_axis(label, pairs.reshape(worlds, -1), axis=1).reshape(pairs.shape)
        same = found[:, :, 0] == found[:, :, 1]
        if not same.any():
            return np.concatenate([pairs.reshape(worlds, -1), chosen[:, wide // 2 * 2 :]], axis=1)
        pairs[same] = rng.integers(below, size=(int(same.sum()), 2))
