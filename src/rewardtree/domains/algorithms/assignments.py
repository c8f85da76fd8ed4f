"""Sequential assignments: which value has a variable at last?

Christiano et al. 2018 (arXiv 1810.08575), section 3 and appendix: given a function f of two values and a sequence of
assignments x := 3 or x := f(y, z), over 64 variables and 8 values, evaluate a variable. A fact is the value that one
constant is given. The program itself, which variable is computed from which, is there for everybody to see. A question
of level d is about a variable of layer d, and falls into the values of its two operands, of layer d - 1.

Departures: f is the same in every world and known to all, a table in which every value occurs once in each row and
column, so that one operand alone tells nothing about the result (in the paper it is part of the world). Variables
come in layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from rewardtree.errors import TaskError
from rewardtree.tasks.decomposition import Names, Questions, Worlds


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignments:
    """See the module's docstring.

    Attributes:
        depth: the highest level, whose variables are computed in that many layers.
        size: variables of a layer.
        values: that variables take.
    """

    depth: int = 3
    size: int = 6
    values: int = 8

    def __post_init__(self) -> None:
        if self.size < 3 or self.values < 2 or self.depth < 0:
            raise TaskError(f"assignments need 3 variables a layer, 2 values and a depth from 0 on, not {self}")

    @property
    def name(self) -> str:
        """Of the family."""
        return "assignments"

    @property
    def names(self) -> int:
        """Values."""
        return self.values

    @property
    def variables(self) -> int:
        """Of all layers."""
        return self.size * (self.depth + 1)

    @property
    def vocabulary(self) -> int:
        """Values, variables, and one for nothing."""
        return self.values + self.variables + 1

    def table(self) -> Int[np.ndarray, "values values"]:
        """f, a Latin square with shuffled rows, columns and values; the same whenever it is asked for."""
        rng = np.random.default_rng(181008575)
        rows, columns, values = (rng.permutation(self.values) for _ in range(3))
        found: Int[np.ndarray, "values values"] = values[(rows[:, None] + columns[None, :]) % self.values]
        return found

    def draw(self, rng: np.random.Generator, count: int) -> Worlds:
        """Programs with two different operands for each variable, and constants, all equally likely."""
        facts = rng.integers(self.values, size=(count, self.size))
        operands = np.full((count, self.variables, 2), -1)
        for layer in range(1, self.depth + 1):
            drawn = rng.random((count, self.size, self.size)).argsort(axis=2)[:, :, :2]
            operands[:, layer * self.size : (layer + 1) * self.size] = drawn + (layer - 1) * self.size
        own = np.broadcast_to(self.values + np.arange(self.variables), (count, self.variables))
        nothing = self.vocabulary - 1
        linked = np.where(operands >= 0, operands + self.values, nothing)
        given = np.full((count, self.variables), nothing)
        given[:, : self.size] = facts
        tokens = np.concatenate([own[:, :, None], linked, given[:, :, None]], axis=2)
        return Worlds(tokens=tokens, facts=facts, public=operands, hidden=np.empty((count, 0), dtype=int))

    def askable(self, worlds: Worlds, level: int) -> Bool[np.ndarray, "worlds tokens"]:
        """The variables of a layer."""
        return np.broadcast_to(np.arange(self.variables) // self.size == level, (len(worlds), self.variables))

    def allowed(self, level: int) -> Bool[np.ndarray, " names"]:
        """Every value."""
        return np.ones(self.names, dtype=bool)

    def parts(self, level: int) -> tuple[int, ...]:
        """The two operands."""
        return (level - 1, level - 1) if level else ()

    def part(self, level: int, number: int, asked: Questions, said: Sequence[Names]) -> Names:
        """The operands, as the program has them."""
        found: Names = asked.worlds.public[asked.row, asked.asked, number]
        return found

    def context(self, asked: Questions) -> Int[np.ndarray, "batch columns"]:
        """Nothing is needed."""
        return np.empty((len(asked), 0), dtype=int)

    def conclude(self, level: int, context: Int[np.ndarray, "batch columns"], said: Sequence[Names]) -> Names:
        """What f makes of the operands' values."""
        found: Names = self.table()[said[0], said[1]]
        return found

    def decoys(self, rng: np.random.Generator, level: int, asked: Questions, truth: Names) -> Names:
        """Any other value."""
        return (truth + 1 + rng.integers(self.values - 1, size=len(asked))) % self.values

    def links(self, asked: Questions, answer: Names) -> Float[np.ndarray, "batch links"]:
        """Whether the variable is a constant with this value, and how many constants have it."""
        facts, constant = asked.worlds.facts, asked.asked < self.size
        own = facts[asked.row, np.where(constant, asked.asked, 0)] == answer
        anywhere = (facts[asked.row] == answer[:, None]).mean(axis=1)
        return np.stack([own & constant, anywhere], axis=1).astype(np.float32)
