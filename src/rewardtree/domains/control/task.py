"""The task: behave well, judged by pieces of rollouts.

The true reward of a piece is the sum of the environment's own rewards over its steps, and that of a whole episode is
its return. An evaluator watches a clip part by part: the instrument `pace` reads what one part earned, which is what
somebody sees who watches it. The face shows what a still picture does: the first observation. With a reading for
every part of both clips a comparison is judged as in Christiano et al. 2017 (arXiv 1706.03741, section 2.2.3), whose
synthetic evaluator knows the sums; no helper is needed then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Num

from rewardtree.domains.control.behaviours import random_pieces
from rewardtree.domains.control.boards import GOALS, segment_board
from rewardtree.domains.control.environments import GAMES, Environment, form_of
from rewardtree.domains.control.pictures import observed
from rewardtree.domains.control.rollouts import joined
from rewardtree.domains.control.segments import Segments, Starts
from rewardtree.tasks.board import Board, Instrument
from rewardtree.tasks.exhibit import Claim, Claims, Probe, Values
from rewardtree.tasks.task import SPLITS, Question, Split, View, raw_values

PACE = "pace"
STILL = 64
"""Numbers of a still picture, at most, on a face."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentTask:
    """Behave well in an environment; see the module's docstring.

    Attributes:
        environment: which.
        segment: steps of a piece.
        parts: of a clip, of equal length, each watched by itself.
        name: the node's.
        goal: what people are told is wanted; empty for what is known of the environment.
    """

    environment: Environment
    segment: int = 50
    parts: int = 2
    name: str = "behaviour"
    goal: str = ""

    @property
    def quantities(self) -> tuple[str, ...]:
        """What each part earned."""
        return tuple(f"part_{number}" for number in range(self.parts))

    def sample(self, rng: np.random.Generator, count: int, split: Split) -> Starts:
        """Seeds of the split."""
        return Starts(seeds=rng.integers(2**28, size=count) * len(SPLITS) + SPLITS.index(split))

    def base_outputs(self, rng: np.random.Generator, inputs: Starts) -> Segments:
        """Pieces of rollouts of random behaviour, from seeds of the inputs' splits; see `behaviours`."""
        splits = inputs.seeds % len(SPLITS)
        found = np.unique(splits)
        parts = [
            random_pieces(self.environment, SPLITS[number], rng, int((splits == number).sum()), self.segment)
            for number in found.tolist()
        ]
        order = np.concatenate([np.flatnonzero(splits == number) for number in found])
        return joined(parts).take(np.argsort(order, kind="stable"))

    def view(self, inputs: Starts, outputs: Segments, claims: Claims) -> View:
        """Free: the first observation. Readable: what a part earned."""
        return View(
            face=self.still(outputs),
            probes={
                quantity: Probe(quantity=quantity, instruments=(PACE,), place=np.full(len(outputs), number))
                for number, quantity in enumerate(self.quantities)
            },
            fields={PACE: paces(outputs, self.parts)},
        )

    def still(self, outputs: Segments) -> Float[np.ndarray, "batch face"]:
        """What a still picture of the beginning shows; images coarsely."""
        first = outputs.observations[:, 0].reshape(len(outputs), -1).astype(float)
        if form_of(self.environment).pixels:
            edges = np.linspace(0, first.shape[1], STILL + 1).astype(int)[:-1]
            coarse: Float[np.ndarray, "batch face"] = np.add.reduceat(first, edges, axis=1) / first.shape[1]
            return coarse
        return first[:, :STILL]

    def sense(self, face: Float[np.ndarray, "batch face"], known: Mapping[str, Values]) -> Float[np.ndarray, "batch _"]:
        """Every part as it is."""
        return np.stack([known[name] for name in self.quantities], axis=1)

    def questions(self, inputs: Starts, outputs: Segments, claims: Claims) -> Sequence[Question]:
        """None: nobody helps."""
        return ()

    def survey(self, view: View) -> Mapping[str, Values]:
        """Every part, watched."""
        return {quantity: view.fields[PACE][:, number] for number, quantity in enumerate(self.quantities)}

    def claim(self, inputs: Starts, outputs: Segments, *, question: Question, version: str) -> Claim:
        """Behaviour is no answer to a question."""
        raise NotImplementedError(f"{self.name} helps no other node")

    def observe(self, inputs: Starts, outputs: Segments) -> Num[np.ndarray, "batch features"]:
        """Observation, action and whether it is there, step after step; of pictures see `pictures`."""
        form = form_of(self.environment)
        if form.pixels:
            return observed(form, outputs)
        batch, steps = outputs.rewards.shape
        seen = outputs.observations.reshape(batch, steps, -1)
        parts = [seen, outputs.actions, outputs.valid[..., None]]
        return np.concatenate([part.astype(np.float32) for part in parts], axis=2).reshape(batch, -1)

    def hear(self, inputs: Starts, outputs: Segments, claims: Claims) -> Float[np.ndarray, "batch claims"]:
        """The values that claims give."""
        return raw_values(self.quantities, claims)

    def true_reward(self, inputs: Starts, outputs: Segments) -> Values:
        """The sum of the environment's own rewards."""
        return outputs.returns

    @property
    def question(self) -> str:
        """What people are asked."""
        return "Which clip shows the better behaviour?"

    @property
    def guide(self) -> str:
        """What is wanted of the environment, where that is known."""
        return self.goal or GOALS.get(self.environment.id.partition("-v")[0].removeprefix(GAMES), "")

    def board(self, inputs: Starts, outputs: Segments, row: int) -> tuple[Board, tuple[Instrument, ...]]:
        """A piece as people see it; see `boards`."""
        return segment_board(self.environment, outputs, row, self.parts, PACE)

    def measures(self, inputs: Starts, outputs: Segments) -> Mapping[str, Values]:
        """The return, and steps that there are."""
        return {"return": outputs.returns, "steps": outputs.length.astype(float)}


def paces(outputs: Segments, parts: int) -> Float[np.ndarray, "batch parts"]:
    """What each of so many parts of equal length earned."""
    steps = outputs.rewards.shape[1]
    earned: Any = np.where(outputs.valid, outputs.rewards, 0.0)
    edges = np.linspace(0, steps, parts + 1).round().astype(int)
    totals = np.concatenate([np.zeros((len(outputs), 1)), earned.cumsum(axis=1)], axis=1)
    found: Float[np.ndarray, "batch parts"] = np.diff(totals[:, edges], axis=1)
    return found
