"""Questions of levels in words: what a family tells people of a question, and the board made of it."""

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from rewardtree.tasks.board import Board, Instrument
from rewardtree.tasks.decomposition import Questions
from rewardtree.tasks.plain_boards import Stretch, written


@runtime_checkable
class Worded(Protocol):
    """A family of questions (see `rewardtree.tasks.decomposition`) that can be put in words."""

    def rules(self) -> str:
        """What there is in a world, in a few sentences."""
        ...

    def ask(self, level: int, place: int, asked: Questions, row: int) -> str:
        """A question as people ask it.

        Args:
            level: of the question.
            place: the question, as in `Questions.asked`.
            asked: questions about worlds.
            row: of them, for the world.
        """
        ...

    def answer(self, name: int) -> str:
        """A name in words."""
        ...

    def sheet(self, level: int, asked: Questions, row: int) -> Iterable[str | Stretch]:
        """What everybody sees of the question's world, with all facts as places; no fact's value."""
        ...

    def readings(self, facts: Int[np.ndarray, " places"]) -> Float[np.ndarray, " places"]:
        """Facts as numbers that people read."""
        ...


def question_board(
    family: Worded, level: int, asked: Questions, row: int, name: int, *, instrument: str
) -> tuple[Board, tuple[Instrument, ...]]:
    """A question with its answer, and the facts that can be looked up.

    Args:
        family: of the question.
        level: of the question.
        asked: questions.
        row: of the question.
        name: the answer.
        instrument: that reads facts.
    """
    head = f"{family.ask(level, int(asked.asked[row]), asked, row)}\nThe answer: {family.answer(name)}\n\n"
    board, spots = written([head, *family.sheet(level, asked, row)])
    values: Any = family.readings(asked.worlds.facts[asked.row[row]])
    return board, (Instrument(name=instrument, label="Look up", digits=0, values=values, places=spots),)
