"""The nodes `summary` and `parts`: who is on stage in a chapter, and where?

An input of `parts` is a name and a quarter of a chapter, up to 24 of its passages. An output is a passage p and a value
v from 0 to 1. With h(p) = 1 where the reader finds the name on stage in p, else 0, the true reward is
h(p) - abs(v - h(p)); where a passage was given, -abs(v - h(p)). Opening the passage, one reading, settles an answer.

An input of `summary` is a name and a chapter. An output is a quarter q and a value v from 0 to 1. With w(q) = the share
of the quarter's passages that have the name on stage, the true reward is (w(q) - abs(v - w(q))) / 0.25; where the
quarter was given, the second term alone. On the face are the value, whether the quarter was chosen, and its number of
passages. The instrument opens a passage of the quarter. One question goes to `parts`: on stage in which of the
quarter's passages, all in all? The itemised total over the number of passages is w(q), which fixes the reward, and any
item can be checked by one reading. Without it there are two readings for up to 48 passages.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from rewardtree.domains.novels.revisions import Column
from rewardtree.domains.novels.stage import QUARTERS, Stage
from rewardtree.domains.novels.stage_boards import part_board, quarter_board, worded
from rewardtree.tasks.answers import Answers, AnswerTask, Scenes, some_asked
from rewardtree.tasks.backdrop import backdrop
from rewardtree.tasks.board import Board, Instrument
from rewardtree.tasks.exhibit import Claim, Claims, Probe, Values
from rewardtree.tasks.task import Question, Split, View, raw_values

DrawStage = Callable[[np.random.Generator, int, Split], Stage]
ON_STAGE, PRESENT = "on_stage", "present"
"""Opens a passage: is the name on stage? And what summaries are about: in how much of a quarter it is."""
SEEN, GLANCES = "seen", ("glance", "another_glance")
"""In how many of a quarter's passages the name is on stage; single passages."""
USUAL = 0.25
"""A typical spread of shares over quarters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quarter:
    """One quarter of each chapter."""

    stage: Stage
    quarter: Column

    def __len__(self) -> int:
        return len(self.quarter)


def part_scenes(stage: Stage, quarter: Column) -> Scenes:
    """The passages of one quarter of each chapter as places; those that mention the name catch the eye."""
    rows = np.arange(len(stage))
    passages, mentioned = stage.parts[rows, quarter], stage.mentioned()[rows, quarter]
    around = np.zeros((*passages.shape, 3), dtype=np.float32)
    for number in np.unique(stage.volume):
        its, one = np.flatnonzero(stage.volume == number), stage.volumes[number]
        at = passages[its]
        around[its] = np.stack([np.log1p(one.crowd[at]), np.log1p(one.quotes[at]), one.words[at] / 60], axis=2)
    features = np.concatenate([mentioned[:, :, None], mentioned[:, :, None] * around, around], axis=2)
    return Scenes(
        features=features.astype(np.float32) * (passages >= 0)[:, :, None], valid=passages >= 0,
        prominence=mentioned.astype(float), fields={ON_STAGE: stage.seen()[rows, quarter].astype(float)},
        asked=np.full(len(stage), -1), origin=stage.origin * QUARTERS + quarter,
        backdrop=backdrop(Quarter(stage=stage, quarter=quarter)),
    )  # fmt: skip


def quarter_scenes(stage: Stage) -> Scenes:
    """The quarters of each chapter as places; those that mention the name most catch the eye."""
    there, mentioned = stage.there, stage.mentioned()
    sizes = np.maximum(stage.sizes, 1)
    quotes = np.zeros(there.shape, dtype=np.float32)
    for number in np.unique(stage.volume):
        rows = np.flatnonzero(stage.volume == number)
        quotes[rows] = stage.volumes[number].quotes[stage.parts[rows]]
    share = mentioned.sum(axis=2) / sizes
    spoken = ((mentioned & (quotes > 0)).sum(axis=2)) / sizes
    return Scenes(
        features=np.stack([share, spoken, share > 0, np.log1p(stage.sizes)], axis=2).astype(np.float32),
        valid=stage.sizes > 0, prominence=share, fields={PRESENT: shares(stage)},
        asked=np.full(len(stage), -1), origin=stage.origin, backdrop=backdrop(stage),
    )  # fmt: skip


def shares(stage: Stage) -> Float[np.ndarray, "batch quarters"]:
    """In how much of each quarter the name is on stage."""
    found: Float[np.ndarray, "batch quarters"] = stage.seen().sum(axis=2) / np.maximum(stage.sizes, 1)
    return found


def stage_of(inputs: Scenes) -> Stage:
    """The chapters that scenes of quarters show."""
    assert inputs.backdrop is not None
    stage: Stage = inputs.backdrop.batches[0]
    return stage.take(inputs.backdrop.item)


def parts_task(draw: DrawStage) -> AnswerTask:
    """The task of the leaf.

    Args:
        draw: chapters with names; one quarter of each is asked about, half of the time one of its passages.
    """

    def drawn(rng: np.random.Generator, count: int, split: Split) -> Scenes:
        stage = draw(rng, count, split)
        quarter = np.where(stage.there.any(axis=2), rng.random((count, QUARTERS)), -1.0).argmax(axis=1)
        return some_asked(rng, part_scenes(stage, quarter))

    return AnswerTask(
        name="parts", instruments=(ON_STAGE,), draw=drawn, low=0.0, high=1.0, usual=0.5, scale=1.0, levels=17,
        statement="on stage at {place}: {value:.1f} of 1", total="on stage in {value:.1f} passages of the quarter",
        pointer="on stage at {place}", noun="presence on stage", digits=1, picture=part_board,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryTask:
    """Say of a name in which quarter of a chapter it is on stage, and how much. See the module's docstring.

    Attributes:
        answers: the task as one that points at a quarter and gives a value: inputs, outputs, rewards and claims.
    """

    answers: AnswerTask

    @property
    def name(self) -> str:
        """The node's name."""
        return self.answers.name

    @property
    def quantities(self) -> tuple[str, ...]:
        """On stage in how many passages, and in single ones."""
        return (SEEN, *GLANCES)

    def sample(self, rng: np.random.Generator, count: int, split: Split) -> Scenes:
        """Draw chapters with names."""
        return self.answers.sample(rng, count, split)

    def base_outputs(self, rng: np.random.Generator, inputs: Scenes) -> Answers:
        """Any quarter, or the one asked about, with the value of some other chapter's."""
        return self.answers.base_outputs(rng, inputs)

    def view(self, inputs: Scenes, outputs: Answers, claims: Claims) -> View:
        """Value, and how many passages the quarter has; these can be opened."""
        stage, rows = stage_of(inputs), np.arange(len(inputs))
        sizes = stage.sizes[rows, outputs.place]
        at = [(part * np.maximum(sizes, 1) // 4).astype(np.int64) for part in (1, 3)]
        return View(
            face=np.column_stack([outputs.value, inputs.asked >= 0, sizes]).astype(float),
            probes={
                name: Probe(quantity=name, instruments=(ON_STAGE,), place=place)
                for name, place in zip(GLANCES, at, strict=True)
            },
            fields={ON_STAGE: stage.seen()[rows, outputs.place].astype(float)},
        )

    def sense(self, face: Float[np.ndarray, "batch 3"], known: Mapping[str, Values]) -> Float[np.ndarray, "batch 4"]:
        """The quarter's share, where it was chosen, and how far the value is from it; the same by single passages."""
        share = known[SEEN] / np.maximum(face[:, 2], 1.0)
        single = (known[GLANCES[0]] + known[GLANCES[1]]) / 2.0
        chosen = 1.0 - face[:, 1]
        return np.stack(
            [share * chosen, np.abs(face[:, 0] - share), single * chosen, np.abs(face[:, 0] - single)], axis=1
        )

    def questions(self, inputs: Scenes, outputs: Answers, claims: Claims) -> Sequence[Question]:
        """In how many passages of the answer's quarter is the name on stage?"""
        if SEEN in claims:
            return []
        scenes = part_scenes(stage_of(inputs), outputs.place)
        return [Question(helper="parts", quantity=SEEN, inputs=scenes, total=True)]

    def survey(self, view: View) -> Mapping[str, Values]:
        """In how many passages the name is on stage."""
        return {SEEN: view.fields[ON_STAGE].sum(axis=1)}

    def claim(self, inputs: Any, outputs: Any, *, question: Question, version: str) -> Claim:
        """It helps by its `answers`."""
        raise NotImplementedError

    def observe(self, inputs: Scenes, outputs: Answers) -> Float[np.ndarray, "batch features_plus_two"]:
        """The features of the quarter, whether it was chosen, and the value."""
        return self.answers.observe(inputs, outputs)

    def hear(self, inputs: Scenes, outputs: Answers, claims: Claims) -> Float[np.ndarray, "batch claims"]:
        """The values that claims give."""
        return raw_values(self.quantities, claims)

    def true_reward(self, inputs: Scenes, outputs: Answers) -> Values:
        """See the module's docstring."""
        return self.answers.true_reward(inputs, outputs)

    def measures(self, inputs: Scenes, outputs: Answers) -> Mapping[str, Values]:
        """How far quarter and value are from the best, and in how much of the chapter the name is on stage."""
        return {**self.answers.measures(inputs, outputs), "on_stage": shares(stage_of(inputs)).mean(axis=1)}

    @property
    def question(self) -> str:
        """For people."""
        return "Which answer about who is on stage is better?"

    @property
    def guide(self) -> str:
        """What counts, for people."""
        return (
            "A good answer points at the quarter of the chapter in which the name is on stage most, not only talked "
            "about, and says in what share of its passages. Where the quarter was given, only the share counts."
        )

    def board(self, inputs: Scenes, outputs: Answers, row: int) -> tuple[Board, tuple[Instrument, ...]]:
        """Name, quarter and share, and the quarter's passages to open."""
        return quarter_board(stage_of(inputs), outputs, row)

    def words(self, inputs: Scenes, claim: Claim, row: int) -> tuple[str, str] | None:
        """In how many passages the helper says that the name is on stage."""
        return worded(stage_of(inputs), claim, row)


def summary_task(draw: DrawStage) -> SummaryTask:
    """The task of the node.

    Args:
        draw: chapters with names; half of the time one of the quarters is asked about.
    """

    def drawn(rng: np.random.Generator, count: int, split: Split) -> Scenes:
        return some_asked(rng, quarter_scenes(draw(rng, count, split)))

    return SummaryTask(
        answers=AnswerTask(
            name="summary", instruments=(PRESENT,), draw=drawn, low=0.0, high=1.0, usual=USUAL, scale=USUAL, levels=33,
            statement="on stage most in quarter {place}: {value:.2f} of it",
            total="on stage in {value:.2f} quarters of the chapter", pointer="on stage most in quarter {place}",
            noun="share on stage",
        )
    )  # fmt: skip
