"""The nodes `summary` and `parts`: who is on stage in a chapter, and where?

An input of `parts` is a name and a quarter of a chapter, up to 24 of its passages. An output is a passage p and a value
v from 0 to 1. With h(p) = 1 where the reader finds the name on stage in p, else 0, the true reward is
h(p) - abs(v - h(p)). Opening the passage, one reading, settles an answer.

An input of `summary` is a name and a chapter. An output is a quarter q and a verdict v, 1 for "on stage" and 0 for
"not". With w(q) = 1 where any of the quarter's passages has the name on stage, else 0, the true reward is
w(q) - abs(v - w(q)); where the quarter was given, -abs(v - w(q)). On the face are the verdict and whether the quarter
was given. The instrument opens a passage of the quarter. One question goes to `parts`: where in this quarter is the
name on stage? One reading at the passage that it points at fixes the reward, where the helper finds one if there is
one. Without it there are two readings for up to 48 passages.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from rewardtree.domains.novels.reader import on_stage
from rewardtree.domains.novels.revisions import Column
from rewardtree.domains.novels.shelves import passages_in, spans_in
from rewardtree.domains.novels.stage import QUARTERS, Stage
from rewardtree.domains.novels.stage_boards import part_board, quarter_board
from rewardtree.domains.novels.volumes import Volume
from rewardtree.tasks.answers import Answers, AnswerTask, Scenes, some_asked
from rewardtree.tasks.backdrop import backdrop, single
from rewardtree.tasks.board import Board, Instrument
from rewardtree.tasks.exhibit import Claim, Claims, Probe, Values
from rewardtree.tasks.task import Question, Split, View, raw_values
from rewardtree.tasks.texts import Passages

DrawStage = Callable[[np.random.Generator, int, Split], Stage]
ON_STAGE, PRESENT = "on_stage", "present"
"""Opens a passage: is the name on stage? And what summaries are about: whether it is in any of a quarter."""
SEEN, GLANCES = "seen", ("glance", "another_glance")
"""Whether the name is on stage where the helper points; and in single passages."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quarter:
    """One quarter of each chapter."""

    stage: Stage
    quarter: Column

    def __len__(self) -> int:
        return len(self.quarter)


PASSAGES = Passages(
    texts=lambda scenes: {ON_STAGE: passages_in(*_shown(scenes))},
    reading=lambda scenes, row, text: float(_name(scenes, row) in on_stage(text)),
    span=lambda scenes, place: _spans(scenes, place),
)


def _shown(scenes: Scenes) -> tuple[tuple[Volume, ...], Column, Int[np.ndarray, "batch places"]]:
    """The books, which of them each scene is about, and its passages."""
    found, item = single(scenes.backdrop)
    return found.stage.volumes, found.stage.volume[item], found.stage.parts[item, found.quarter[item]]


def _spans(scenes: Scenes, place: Column) -> Int[np.ndarray, "batch 3"]:
    volumes, volume, passages = _shown(scenes)
    return spans_in(volumes, volume, passages[np.arange(len(place)), place])


def _name(scenes: Scenes, row: int) -> str:
    found, item = single(scenes.backdrop)
    return str(found.stage.name(int(item[row])))


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
        valid=stage.sizes > 0, prominence=share, fields={PRESENT: presence(stage)},
        asked=np.full(len(stage), -1), origin=stage.origin, backdrop=backdrop(stage),
    )  # fmt: skip


def presence(stage: Stage) -> Float[np.ndarray, "batch quarters"]:
    """1 for quarters that have the name on stage, else 0."""
    found: Float[np.ndarray, "batch quarters"] = stage.seen().any(axis=2).astype(float)
    return found


def stage_of(inputs: Scenes) -> Stage:
    """The chapters that scenes of quarters show."""
    stage, item = single(inputs.backdrop)
    taken: Stage = stage.take(item)
    return taken


def parts_task(draw: DrawStage) -> AnswerTask:
    """The task of the leaf.

    Args:
        draw: chapters with names; one quarter of each is asked about.
    """

    def drawn(rng: np.random.Generator, count: int, split: Split) -> Scenes:
        stage = draw(rng, count, split)
        quarter = np.where(stage.there.any(axis=2), rng.random((count, QUARTERS)), -1.0).argmax(axis=1)
        return part_scenes(stage, quarter)

    return AnswerTask(
        name="parts", instruments=(ON_STAGE,), draw=drawn, low=0.0, high=1.0, usual=0.5, scale=1.0, levels=17,
        statement="on stage at {place}: {value:.1f} of 1",
        pointer="on stage at {place}", noun="presence on stage", digits=1, picture=part_board,
        passages=PASSAGES,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryTask:
    """Say of a name in which quarter of a chapter it is on stage. See the module's docstring.

    Attributes:
        answers: the task as one that points at a quarter and gives a verdict: inputs, outputs, rewards and claims.
    """

    answers: AnswerTask

    @property
    def name(self) -> str:
        """The node's name."""
        return self.answers.name

    @property
    def quantities(self) -> tuple[str, ...]:
        """On stage where the helper points, and in single passages."""
        return (SEEN, *GLANCES)

    def sample(self, rng: np.random.Generator, count: int, split: Split) -> Scenes:
        """Draw chapters with names."""
        return self.answers.sample(rng, count, split)

    def base_outputs(self, rng: np.random.Generator, inputs: Scenes) -> Answers:
        """Any quarter, or the one asked about, with the value of some other chapter's."""
        return self.answers.base_outputs(rng, inputs)

    def view(self, inputs: Scenes, outputs: Answers, claims: Claims) -> View:
        """Verdict, and whether the quarter was given; its passages can be opened."""
        stage, rows = stage_of(inputs), np.arange(len(inputs))
        sizes = stage.sizes[rows, outputs.place]
        at = [(part * np.maximum(sizes, 1) // 4).astype(np.int64) for part in (1, 3)]
        return View(
            face=np.column_stack([outputs.value, inputs.asked >= 0]).astype(float),
            probes={
                name: Probe(quantity=name, instruments=(ON_STAGE,), place=place)
                for name, place in zip(GLANCES, at, strict=True)
            },
            fields={ON_STAGE: stage.seen()[rows, outputs.place].astype(float)},
            texts={ON_STAGE: passages_in(stage.volumes, stage.volume, stage.parts[rows, outputs.place])},
        )

    def reading(self, inputs: Scenes, outputs: Answers, row: int, instrument: str, text: str) -> float:
        """Whether a text has the name on stage."""
        return float(stage_of(inputs).name(row) in on_stage(text))

    def sense(self, face: Float[np.ndarray, "batch 2"], known: Mapping[str, Values]) -> Float[np.ndarray, "batch 2"]:
        """Whether the name is in the quarter, where that was chosen, and how far the verdict is from it."""
        there = np.clip(sum(known[name] for name in self.quantities), 0.0, 1.0)
        return np.stack([there * (1.0 - face[:, 1]), np.abs(face[:, 0] - there)], axis=1)

    def questions(self, inputs: Scenes, outputs: Answers, claims: Claims) -> Sequence[Question]:
        """Where in the answer's quarter is the name on stage?"""
        if SEEN in claims:
            return []
        return [Question(helper="parts", quantity=SEEN, inputs=part_scenes(stage_of(inputs), outputs.place))]

    def survey(self, view: View) -> Mapping[str, Values]:
        """Whether any passage has the name on stage."""
        return {SEEN: view.fields[ON_STAGE].max(axis=1)}

    def claim(self, inputs: Any, outputs: Any, *, question: Question, version: str) -> Claim:
        """It helps by its `answers`."""
        raise NotImplementedError

    def observe(self, inputs: Scenes, outputs: Answers) -> Float[np.ndarray, "batch features_plus_two"]:
        """The features of the quarter, whether it was chosen, and the verdict."""
        return self.answers.observe(inputs, outputs)

    def hear(self, inputs: Scenes, outputs: Answers, claims: Claims) -> Float[np.ndarray, "batch claims"]:
        """The values that claims give."""
        return raw_values(self.quantities, claims)

    def true_reward(self, inputs: Scenes, outputs: Answers) -> Values:
        """See the module's docstring."""
        return self.answers.true_reward(inputs, outputs)

    def measures(self, inputs: Scenes, outputs: Answers) -> Mapping[str, Values]:
        """Whether the verdict is wrong, and in how many of the chapter's quarters the name is on stage."""
        there = presence(stage_of(inputs))
        wrong = np.abs(outputs.value - there[np.arange(len(inputs)), outputs.place])
        return {"wrong_verdict": wrong, "quarters_on_stage": there.sum(axis=1)}

    @property
    def question(self) -> str:
        """For people."""
        return "Which answer about who is on stage is better?"

    @property
    def guide(self) -> str:
        """What counts, for people."""
        return (
            "A good answer finds a quarter of the chapter in which the name is on stage, not only talked about, and "
            "says so. Where the quarter was given, only the verdict counts. Open passages to find out."
        )

    def board(self, inputs: Scenes, outputs: Answers, row: int) -> tuple[Board, tuple[Instrument, ...]]:
        """Name, quarter and verdict, and the quarter's passages to open."""
        return quarter_board(stage_of(inputs), outputs, row)


def summary_task(draw: DrawStage) -> SummaryTask:
    """The task of the node.

    Args:
        draw: chapters with names; half of the time one of the quarters is asked about.
    """

    def drawn(rng: np.random.Generator, count: int, split: Split) -> Scenes:
        return some_asked(rng, quarter_scenes(draw(rng, count, split)))

    answers = AnswerTask(
        name="summary", instruments=(PRESENT,), draw=drawn, low=0.0, high=1.0, usual=0.5, scale=1.0, levels=2,
        statement="on stage in quarter {place}: {value:.1f} of 1", total="on stage in {value:.1f} quarters",
        pointer="on stage in quarter {place}", noun="presence on stage",
    )  # fmt: skip
    return SummaryTask(answers=answers)
