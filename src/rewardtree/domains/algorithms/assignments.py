"""Sequential assignments: which value has a variable at last?

Christiano et al. 2018 (arXiv 1810.08575), section 3 and appendix: given a function f of two values and a sequence of
assignments x := 3 or x := f(y, z), over 64 variables and 8 values, evaluate a variable. A fact is the value that one
constant is given. The program itself, which variable is computed from which, is there for everybody to see. A question
of level d is about a variable of layer d, and falls into the values of its two operands, of layer d - 1.

Departures: f is the same in every world and known to all, a table in which every value occurs once in each row and
column, so that one operand alone tells nothing about the result (in the paper it is part of the world). Variables
come in layers. From layer 2 on programs are such that more constants enter a variable just once than an evaluator has
readings: one of them is left unread, and whatever the others are, each value of it gives the variable another value.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase

import numpy as np
from jaxtyping import Bool, Float, Int

from rewardtree.domains.algorithms.plain import Plain
from rewardtree.domains.algorithms.powering import READINGS
from rewardtree.errors import TaskError
from rewardtree.tasks.decomposition import Names, Questions, Worlds
from rewardtree.tasks.plain_boards import Stretch, apart

TRIES = 60
"""Draws after which programs are given up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignments(Plain):
    """See the module's docstring.

    Attributes:
        depth: the highest level, whose variables are computed in that many layers.
        size: variables of a layer.
        values: that variables take.
        room: variables of a layer that tokens leave room for, so that one network serves all sizes; 0 for no more than
            there are.
    """

    depth: int = 3
    size: int = 6
    values: int = 8
    room: int = 0

    def __post_init__(self) -> None:
        least = self._least()
        if self.size < least or self.values < 2 or self.depth < 0:
            raise TaskError(f"assignments need {least} variables a layer, 2 values and a depth from 0 on, not {self}")
        if self.room and self.room < self.size:
            raise TaskError(f"there is no room for {self.size} variables in layers of {self.room}; leave room out")

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
        return self.values + (self.room or self.size) * (self.depth + 1) + 1

    def table(self) -> Int[np.ndarray, "values values"]:
        """f, a Latin square with shuffled rows, columns and values; the same whenever it is asked for."""
        rng = np.random.default_rng(181008575)
        rows, columns, values = (rng.permutation(self.values) for _ in range(3))
        found: Int[np.ndarray, "values values"] = values[(rows[:, None] + columns[None, :]) % self.values]
        return found

    def sizes(self) -> tuple[int, ...]:
        """From the smallest layers that there can be, or of as many as make 8 variables, one by one."""
        return tuple(range(min(max(self._least(), -(-8 // (self.depth + 1))), self.size), self.size + 1))

    def sized(self, size: int) -> "Assignments":
        """The same with smaller layers, under the same numbers."""
        return replace(self, size=size, room=self.room or self.size)

    def draw(self, rng: np.random.Generator, count: int) -> Worlds:
        """Programs with two different operands for each variable, and constants, all equally likely."""
        facts = rng.integers(self.values, size=(count, self.size))
        operands = self._programs(rng, count)
        layers, within = np.divmod(np.arange(self.variables), self.size)
        number = self.values + layers * (self.room or self.size) + within
        own = np.broadcast_to(number, (count, self.variables))
        nothing = self.vocabulary - 1
        linked = np.where(operands >= 0, number[operands], nothing)
        given = np.full((count, self.variables), nothing)
        given[:, : self.size] = facts
        tokens = np.concatenate([own[:, :, None], linked, given[:, :, None]], axis=2)
        return Worlds(tokens=tokens, facts=facts, public=operands, hidden=np.empty((count, 0), dtype=int))

    def _least(self) -> int:
        """Variables a layer from which on there are programs; from depth 4 on a lower bound that is easy to tell."""
        return (3, 3, 4, 6, 8)[max(0, min(self.depth, 4))]

    def _programs(self, rng: np.random.Generator, count: int) -> Int[np.ndarray, "worlds variables 2"]:
        """Operands of each variable; -1 for those of constants."""
        operands = np.full((count, self.variables, 2), -1)
        left = np.arange(count)
        for _ in range(TRIES):
            uses = np.broadcast_to(np.eye(self.size, dtype=np.int64), (len(left), self.size, self.size))
            fit = np.ones(len(left), dtype=bool)
            for layer in range(1, self.depth + 1):
                drawn, uses, fits = _layer(rng, uses, READINGS if layer > 1 else 0)
                operands[left, layer * self.size : (layer + 1) * self.size] = drawn + (layer - 1) * self.size
                fit &= fits
            left = left[~fit]
            if not len(left):
                return operands
        raise TaskError(f"hardly any program of depth {self.depth} has {self.size} variables a layer; choose more")

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

    def nameable(self, asked: Questions, said: Sequence[Names]) -> Int[np.ndarray, "batch nameable"]:
        """The variable itself, and its operands; a constant has none but itself."""
        operands = asked.worlds.public[asked.row, asked.asked]
        return np.column_stack([asked.asked, np.where(operands < 0, asked.asked[:, None], operands)])

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

    def rules(self) -> str:
        """For people."""
        last = self.values - 1
        return (
            f"Each variable has a value from 0 to {last}. Those of layer a are constants that can be looked up; the "
            "others are computed by f, whose table is known."
        )

    def ask(self, level: int, place: int, asked: Questions, row: int) -> str:
        """For people."""
        return f"What is {self._variable(place)}?"

    def answer(self, name: int) -> str:
        """For people."""
        return str(name)

    def sheet(self, level: int, asked: Questions, row: int) -> Iterable[str | Stretch]:
        """For people: how the variable is computed, the constants, and the table."""
        operands, needed, lines = asked.worlds.public[asked.row[row]], [int(asked.asked[row])], []
        for place in needed:
            if operands[place, 0] >= 0:
                first, second = (int(operand) for operand in operands[place])
                needed += [operand for operand in dict.fromkeys((first, second)) if operand not in needed]
                terms = f"{self._variable(first)}, {self._variable(second)}"
                lines.append(f"{self._variable(place)} = f({terms})\n")
        yield from lines
        yield "Constants: "
        yield from apart((i, self._variable(i), self._variable(i)) for i in range(self.size))
        if lines:
            yield "\n\nThe table of f(x, y), for each x as y→f(x, y):"
            for x, line in enumerate(self.table()):
                yield f"\nx = {x}:  " + "  ".join(f"{y}→{value}" for y, value in enumerate(line))

    def _variable(self, place: int) -> str:
        """A variable's name: a letter for its layer, and its number there."""
        layer, number = divmod(place, self.size)
        return f"{ascii_lowercase[layer % len(ascii_lowercase)]}{number}"


def _layer(
    rng: np.random.Generator, below: Int[np.ndarray, "worlds variables constants"], unread: int
) -> tuple[
    Int[np.ndarray, "worlds variables 2"], Int[np.ndarray, "worlds variables constants"], Bool[np.ndarray, " worlds"]
]:
    """Operands of a layer, so that more than `unread` constants enter each variable just once.

    Args:
        rng: draws.
        below: how often each constant enters each variable of the layer below.
        unread: constants.

    Returns:
        the operands, how often each constant enters each variable, and in which worlds there are such operands.
    """
    worlds, size, _ = below.shape
    once, never = (below == 1).astype(np.float32), (below == 0).astype(np.float32)
    one_way = once @ never.transpose(0, 2, 1)
    fit = ((one_way + one_way.transpose(0, 2, 1)) > unread) & ~np.eye(size, dtype=bool)
    choices = fit.sum(axis=(1, 2))
    possible = choices > 0
    fit[~possible, 0, 1] = True
    choices = np.maximum(choices, 1)[:, None]
    before = np.cumsum(choices, axis=0) - choices
    chosen = np.flatnonzero(fit)[before + (rng.random((worlds, size)) * choices).astype(np.int64)]
    drawn = np.stack(np.divmod(chosen % size**2, size), axis=2)
    return drawn, below[np.arange(worlds)[:, None, None], drawn].sum(axis=2), possible
