"""The task `continuation`: go on with a passage of a book.

An input is an opening, some sixty words of a book. An output are words that go on from it. There is no true reward:
which of two continuations is better readers alone can say, people or a language model. Its evaluators see the opening
and the continuation whole; there is nothing to look up, and nobody helps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from rewardtree.domains.continuation.openings import Openings, Source
from rewardtree.language.encoding import Rows
from rewardtree.policies.language import Outputs, joined
from rewardtree.tasks.board import Board, Instrument
from rewardtree.tasks.exhibit import Claim, Claims
from rewardtree.tasks.plain_boards import written
from rewardtree.tasks.task import Question, Split, View, raw_values

GOES_ON = "\n\n\N{RIGHTWARDS ARROW} "
"""Stands between an opening and what was written."""
CUT_OFF = "\N{HORIZONTAL ELLIPSIS}"
RUN = 3
"""Words in a row that count as said again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ContinuationTask:
    """Go on with a passage of a book. Readers alone judge: there is no true reward.

    Attributes:
        source: of the openings.
        name: of the node.
        quantities: none.
    """

    source: Source
    name: str = "continuation"
    quantities: tuple[str, ...] = ()

    def sample(self, rng: np.random.Generator, count: int, split: Split) -> Openings:
        """Draw openings."""
        return self.source.draw(rng, count, split)

    def base_outputs(self, rng: np.random.Generator, inputs: Openings) -> Outputs:
        """How the book goes on somewhere else."""
        other = self.source.pool("calibration").own
        return Outputs(ids=other[rng.integers(len(other), size=len(inputs))])

    def view(self, inputs: Openings, outputs: Outputs, claims: Claims) -> View:
        """Nothing but words, which the board has."""
        return View(face=np.zeros((len(inputs), 0)), probes={}, fields={})

    def sense(self, face: Float[np.ndarray, "batch face"], known: Mapping[str, Any]) -> Any:
        """Nothing: nobody is simulated here."""
        return np.zeros((len(face), 0))

    def questions(self, inputs: Openings, outputs: Outputs, claims: Claims) -> Sequence[Question]:
        """None."""
        return []

    def survey(self, view: View) -> Mapping[str, Any]:
        """Nothing."""
        return {}

    def claim(self, inputs: Any, outputs: Any, *, question: Question, version: str) -> Claim:
        """A continuation helps nobody."""
        raise NotImplementedError

    def observe(self, inputs: Openings, outputs: Outputs) -> Rows:
        """Opening and continuation as token ids."""
        return joined(inputs, outputs)

    def hear(self, inputs: Openings, outputs: Outputs, claims: Claims) -> Any:
        """Nothing."""
        return raw_values(self.quantities, claims)

    def measures(self, inputs: Openings, outputs: Outputs) -> Mapping[str, Float[np.ndarray, " batch"]]:
        """Words, and of its runs of three the shares that it has twice, and that stand in the opening: no merit."""
        found = [text.split() for text in self._texts(outputs)]
        runs = [list(zip(*(words[start:] for start in range(RUN)), strict=False)) for words in found]
        given = [inputs.cut(row).before.split() for row in range(len(inputs))]
        known = [set(zip(*(words[start:] for start in range(RUN)), strict=False)) for words in given]
        return {
            "words": np.array([len(words) for words in found], dtype=float),
            "said_twice": np.array([1 - len(set(one)) / len(one) if one else 0.0 for one in runs]),
            "copied": np.array([sum(run in there for run in one) / max(len(one), 1)
                                for one, there in zip(runs, known, strict=True)]),
        }  # fmt: skip

    @property
    def question(self) -> str:
        """For people."""
        return "Which of the two goes on better?"

    @property
    def guide(self) -> str:
        """What counts, for people."""
        return (
            "Both begin with the same passage of a novel; what stands after the arrow was written to follow it. A good "
            "continuation follows from the passage and speaks of its people and matters, makes sense, is in its "
            "manner, and does not say the same again and again. Some are cut off, which counts for nothing."
        )

    def board(self, inputs: Openings, outputs: Outputs, row: int) -> tuple[Board, tuple[Instrument, ...]]:
        """The opening, and how it goes on."""
        board, _ = written([self.given(inputs, row)[1], GOES_ON, self.made(inputs, outputs, row)])
        return board, ()

    def given(self, inputs: Openings, row: int) -> tuple[str, str]:
        """Book and chapter, and the opening's words."""
        cut = inputs.cut(row)
        return f"{cut.book}, chapter {cut.chapter}", cut.before

    def made(self, inputs: Openings, outputs: Outputs, row: int) -> str:
        """The continuation's words, with dots where it was cut off."""
        one = outputs.take(np.array([row]))
        words = self._texts(one)[0].strip()
        return words if self.source.encoder.model.end in one.ids else f"{words}{CUT_OFF}"

    def originals(self, inputs: Openings) -> Outputs:
        """How the books go on, cut off where an output is."""
        return Outputs(ids=inputs.own)

    def _texts(self, outputs: Outputs) -> list[str]:
        return self.source.encoder.texts(outputs.ids)
