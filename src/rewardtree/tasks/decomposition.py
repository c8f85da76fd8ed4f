"""Tasks whose questions fall into easier questions, down to single facts.

A *world* holds facts; a *question* is the number of a place or token in it; an answer is a *name*, a whole number from
0 on. Level 0 asks for one fact. A question of a higher level has *parts*, questions of lower levels, asked one after
the other as each answer may pose the next, and a rule that concludes from their answers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from rewardtree.errors import TaskError
from rewardtree.tasks.task import Split

Names = Int[np.ndarray, " batch"]
SHARES: Mapping[Split, tuple[int, int]] = {
    "train": (0, 13), "calibration": (13, 14), "validation": (14, 15), "test": (15, 16)
}  # fmt: skip
"""Sixteenths of all worlds that belong to each split, told by a hash of what is in them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Worlds:
    """Worlds to ask about.

    Attributes:
        tokens: what a policy sees, in numbers of a vocabulary; token i is question i, [worlds, tokens, columns].
        facts: the name that an instrument reads at each place; question i of level 0 asks for fact i, [worlds, places].
        public: what everybody sees, in a shape of the family's own, [worlds, ...].
        hidden: what only the drawing of wrong answers looks at, [worlds, ...].
        notes: what a policy worked out about all of them, so that its next question about them costs nothing.
    """

    tokens: Int[np.ndarray, "worlds tokens columns"]
    facts: Int[np.ndarray, "worlds places"]
    public: Int[np.ndarray, "worlds ..."]
    hidden: Int[np.ndarray, "worlds ..."]
    notes: dict[tuple[int, int], Any] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.tokens)

    def take(self, rows: Int[np.ndarray, " rows"]) -> "Worlds":
        """The worlds at `rows`."""
        return Worlds(
            tokens=self.tokens[rows], facts=self.facts[rows], public=self.public[rows], hidden=self.hidden[rows]
        )

    def keys(self) -> Int[np.ndarray, " worlds"]:
        """A number that names each world by what is in it."""
        seen = self.tokens.reshape(len(self), -1).astype(np.uint64)
        weights = np.random.default_rng(1981).integers(2**63, size=seen.shape[1], dtype=np.uint64) | np.uint64(1)
        mixed = (seen + np.uint64(1)) * weights
        mixed = (mixed ^ (mixed >> np.uint64(31))).sum(axis=1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        names: Int[np.ndarray, " worlds"] = (mixed >> np.uint64(12)).astype(np.int64)
        return names


@dataclass(frozen=True, kw_only=True, slots=True)
class Questions:
    """Inputs of a level's task: one question a row, many of which may be about the same world.

    Attributes:
        worlds: shared by the rows.
        row: the world of each question.
        asked: the question.
        keys: names of the worlds.
    """

    worlds: Worlds
    row: Int[np.ndarray, " batch"]
    asked: Int[np.ndarray, " batch"]
    keys: Int[np.ndarray, " worlds"]

    def __len__(self) -> int:
        return len(self.asked)

    def take(self, rows: Int[np.ndarray, " rows"]) -> "Questions":
        """The questions at `rows`; worlds that no row is about are left out."""
        kept, row = np.unique(self.row[rows], return_inverse=True)
        return Questions(worlds=self.worlds.take(kept), row=row, asked=self.asked[rows], keys=self.keys[kept])

    def about(self, row: Int[np.ndarray, " rows"], asked: Int[np.ndarray, " rows"]) -> "Questions":
        """Other questions about the same worlds."""
        return Questions(worlds=self.worlds, row=row, asked=asked, keys=self.keys)

    def digest(self) -> list[dict[str, Any]]:
        """World and question, one record a row."""
        return [{"world": int(k), "asked": int(a)} for k, a in zip(self.keys[self.row], self.asked, strict=True)]


@runtime_checkable
class Decomposition(Protocol):
    """A family of questions of levels 0 to `depth`, in whole batches of rows: one world and question a row."""

    @property
    def name(self) -> str:
        """Of the family."""
        ...

    @property
    def depth(self) -> int:
        """The highest level."""
        ...

    @property
    def names(self) -> int:
        """How many names answers are taken from, over all levels."""
        ...

    @property
    def vocabulary(self) -> int:
        """How many numbers tokens are made of; the first `names` of them are the names."""
        ...

    def sizes(self) -> tuple[int, ...]:
        """The sizes that a curriculum goes through up to its own: from 8, or the least that can be above that."""
        ...

    def sized(self, size: int) -> "Decomposition":
        """The same family at one of `sizes`, with the same names and vocabulary, so that one network serves all."""
        ...

    def draw(self, rng: np.random.Generator, count: int) -> Worlds:
        """Draw worlds."""
        ...

    def askable(self, worlds: Worlds, level: int) -> Bool[np.ndarray, "worlds tokens"]:
        """Which questions belong to a level."""
        ...

    def allowed(self, level: int) -> Bool[np.ndarray, " names"]:
        """Which names may answer a question of a level."""
        ...

    def parts(self, level: int) -> tuple[int, ...]:
        """The levels of the questions that one of this level falls into, in the order in which they are asked."""
        ...

    def part(self, level: int, number: int, asked: Questions, said: Sequence[Names]) -> Names:
        """What part `number` asks, given the answers to the parts before it."""
        ...

    def nameable(self, asked: Questions, said: Sequence[Names]) -> Int[np.ndarray, "batch nameable"]:
        """Questions that anybody can name who sees a question and the answers to its first parts: what a part may be.

        Args:
            asked: the questions; the first column is these themselves.
            said: the answers to their first parts, right or wrong.

        Returns:
            As many for every question, in the same roles; the question itself where there is none in a role.
        """
        ...

    def context(self, asked: Questions) -> Int[np.ndarray, "batch columns"]:
        """What everybody sees of a question, as far as the conclusion depends on it."""
        ...

    def conclude(self, level: int, context: Int[np.ndarray, "batch columns"], said: Sequence[Names]) -> Names:
        """The answer that follows from the answers to all parts."""
        ...

    def decoys(self, rng: np.random.Generator, level: int, asked: Questions, truth: Names) -> Names:
        """A wrong answer each, drawn so that few readings betray as little as can be about which answer is wrong."""
        ...

    def links(self, asked: Questions, answer: Names) -> Float[np.ndarray, "batch links"]:
        """What single facts link question and answer: all that a reward model sees of an output."""
        ...

    def glances(self, level: int, asked: Questions) -> tuple[Names, ...]:
        """Facts whose reading may tell something unaided, at a level where no part can be read whole; often none."""
        ...

    def hunch(
        self,
        level: int,
        context: Int[np.ndarray, "batch columns"],
        read: Sequence[Float[np.ndarray, " batch"]],
        answer: Names,
    ) -> Float[np.ndarray, "batch hunches"]:
        """What glances say of an answer, as features to be added up; so many at a level, whatever was read.

        Args:
            level: of the question.
            context: what everybody sees of it.
            read: what was read at each of the places of `glances`, nan where nothing was.
            answer: the name in question.
        """
        ...


def sample(family: Decomposition, rng: np.random.Generator, count: int, split: Split) -> tuple[Worlds, np.ndarray]:
    """Worlds of one split, and their names; a hash of what is in a world decides to which split it belongs.

    Raises:
        TaskError: where hardly any world belongs to the split.
    """
    low, high = SHARES[split]
    share, found, names, have = (high - low) / 16, [], [], 0
    for _ in range(50):
        drawn = family.draw(rng, int((count - have) / share * 1.3) + 8)
        keys = drawn.keys()
        mine = np.flatnonzero((keys % 16 >= low) & (keys % 16 < high))[: count - have]
        found.append(drawn.take(mine))
        names.append(keys[mine])
        have += len(mine)
        if have == count:
            return _joined(found), np.concatenate(names)
    raise TaskError(f"{family.name}: there are too few different worlds for the {split} split; choose a larger size")


def _joined(found: list[Worlds]) -> Worlds:
    if len(found) == 1:
        return found[0]
    return Worlds(
        tokens=np.concatenate([w.tokens for w in found]),
        facts=np.concatenate([w.facts for w in found]),
        public=np.concatenate([w.public for w in found]),
        hidden=np.concatenate([w.hidden for w in found]),
    )


def one_each(family: Decomposition, rng: np.random.Generator, count: int, split: Split, level: int) -> Questions:
    """One question of a level about each of `count` worlds, drawn among those that can be asked."""
    worlds, keys = sample(family, rng, count, split)
    askable = family.askable(worlds, level)
    asked = np.where(askable, rng.random(askable.shape), -1.0).argmax(axis=1)
    return Questions(worlds=worlds, row=np.arange(count), asked=asked, keys=keys)


def everything(family: Decomposition, worlds: Questions, level: int) -> Questions:
    """Every question of a level about the same worlds."""
    row, asked = np.nonzero(family.askable(worlds.worlds, level))
    return worlds.about(row, asked)


Answerer = Callable[[int, Questions], Names]
"""Answers questions of a level."""


def by_parts(
    family: Decomposition, level: int, asked: Questions, answer: Answerer, said: Sequence[Names] = ()
) -> Names:
    """The answer that follows when every part is answered by `answer`: one step of amplification.

    Args:
        family: of the questions.
        level: of the questions, above 0.
        asked: the questions.
        answer: answers the parts.
        said: answers that are known already, to the first parts.
    """
    known = answers_to_parts(family, level, asked, answer, said)
    return family.conclude(level, family.context(asked), known)


def answers_to_parts(
    family: Decomposition, level: int, asked: Questions, answer: Answerer, said: Sequence[Names] = ()
) -> list[Names]:
    """What `answer` says of every part, each asked in the light of those before it; arguments as for `by_parts`."""
    known = list(said)
    for number in range(len(known), len(family.parts(level))):
        question = asked.about(asked.row, family.part(level, number, asked, known))
        known.append(answer(family.parts(level)[number], question))
    return known


def truth(family: Decomposition, level: int, asked: Questions) -> Names:
    """The right answer: facts at level 0, above it what follows from the right answers to all parts."""
    if level == 0:
        found: Names = asked.worlds.facts[asked.row, asked.asked]
        return found
    return by_parts(family, level, asked, lambda below, part: truth(family, below, part))


def named(family: Decomposition, values: Float[np.ndarray, " batch"]) -> Names:
    """Values of claims as names; whatever is none becomes name 0."""
    whole = np.where(np.isfinite(values), values, 0.0).astype(np.int64)
    return np.where((whole >= 0) & (whole < family.names), whole, 0)
