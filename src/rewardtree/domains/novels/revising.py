"""The root `passage`: revise a chapter so that it fits the whole book.

An input is a chapter with up to 8 slots, two values for each, a paragraph that may be another chapter's, and a shelf of
the book's other passages. An output fills every slot and chooses between two candidates for the paragraph. The true
reward is

    - (number of slots that differ from the book) - [the paragraph is another chapter's]

Any passage of the shelf can be opened; what it says of each of the slots is one reading, a code, which holds for both
revisions that are compared. So can passages of the chapter: is the name on stage that tells in the paragraph?

Questions to the helpers, in two rounds: how many slots differ, slot by slot (`consistency`, a total whose items are
checked where the flagged excerpts speak of them); in how many quarters of the chapter the paragraph's name is on stage
(`summary`, a total too), and where in the surest of them (`parts`: a passage that checks the total's item); which
passage tells most about the chapter, and which one most of those that name somebody else (`excerpts`). Opened, the two
settle some slots of both revisions; of the others the total tells, within what the readings leave possible; and the
name's passage settles the paragraph. Without helpers there are two readings for a thousand passages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Int

from rewardtree.domains.novels.chapter_boards import chapter_board, excerpt_worded
from rewardtree.domains.novels.chapters import Chapters, DrawChapters, Fillings, clues, fillings
from rewardtree.domains.novels.codes import decoded
from rewardtree.domains.novels.consistency import DIFFERS, PROBES, by_contents, filled_scenes
from rewardtree.domains.novels.excerpts import BITS, excerpt_scenes
from rewardtree.domains.novels.facts import INSTRUMENT
from rewardtree.domains.novels.reader import on_stage
from rewardtree.domains.novels.revisions import SLOTS, Column
from rewardtree.domains.novels.shelves import code_of, texts_of
from rewardtree.domains.novels.stage import PART, QUARTERS
from rewardtree.domains.novels.summary import ON_STAGE, PRESENT, part_scenes, quarter_scenes
from rewardtree.tasks.board import Board, Instrument
from rewardtree.tasks.exhibit import Claim, Claims, Probe, Values
from rewardtree.tasks.task import Question, Split, View, raw_values

CONTRADICTIONS, WHOLE = "contradictions", "whole_book"
"""Slots that differ, as claimed and by the whole book."""
WHEREABOUTS, WITNESS, GLIMPSE = "whereabouts", "witness", "glimpse"
"""Quarters that have the name on stage; whether it is where a helper points; whether it is in some passage."""
CHAPTER = "chapter"
"""Opens a passage of the chapter."""
EXCERPTS, OPENED = ("excerpt", "another_excerpt"), ("opened", "opened_too")
"""Passages that helpers flag, and what they say."""
TOLD: Mapping[str, tuple[str, ...]] = {
    "consistency": (CONTRADICTIONS,), "summary": (WHEREABOUTS, WITNESS), "parts": (WITNESS,),
    "excerpts": (*EXCERPTS, *OPENED),
}  # fmt: skip
"""What is not known where a helper is silent."""
Finding: TypeAlias = Literal["contents", "index"]
LOOKS: Mapping[Finding, tuple[str, ...]] = {"contents": PROBES["contents"], "index": ("most_names", "next_names")}
"""Where readers look by themselves; who has an index finds passages with most of the chapter's names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RevisingTask:
    """Revise a chapter so that it fits the whole book. See the module's docstring.

    Attributes:
        draw: chapters of a split.
        finding: what readers have to find passages by themselves.
        silent: helpers that are not asked.
        name: the node's name.
    """

    draw: DrawChapters
    finding: Finding = "contents"
    silent: frozenset[str] = frozenset()
    name: str = "passage"

    @property
    def quantities(self) -> tuple[str, ...]:
        """What helpers claim, as far as they are asked, then what is read."""
        untold = {name for helper in self.silent for name in TOLD[helper]}
        claimed = (CONTRADICTIONS, WHEREABOUTS, *EXCERPTS, WITNESS, *OPENED)
        return (*(n for n in claimed if n not in untold), *LOOKS[self.finding], GLIMPSE, WHOLE)

    def sample(self, rng: np.random.Generator, count: int, split: Split) -> Chapters:
        """Draw chapters."""
        return self.draw(rng, count, split)

    def base_outputs(self, rng: np.random.Generator, inputs: Chapters) -> Fillings:
        """Any filling, either candidate."""
        return fillings(inputs, rng.random(inputs.revisions.valid.shape) < 0.5, rng.random(len(inputs)) < 0.5)

    def view(self, inputs: Chapters, outputs: Fillings, claims: Claims) -> View:
        """How slots are filled and how many there are; passages of book and chapter can be opened."""
        valid, rows = inputs.revisions.valid, np.arange(len(inputs))
        stage = inputs.stage(outputs.paragraph)
        seen, codes = stage.seen().astype(float), inputs.codes.astype(float)
        fields = {INSTRUMENT: codes, CHAPTER: seen.reshape(len(inputs), -1)}
        places = dict(zip(LOOKS[self.finding], PLACES[self.finding](inputs).T, strict=True))
        flagged = [claims[name].place for name in EXCERPTS if name in claims]
        if claims:
            says = sum((decoded(codes[rows, place]) for place in flagged), np.zeros(valid.shape))
            fields[DIFFERS] = np.where(says == 0, np.nan, np.sign(says) != outputs.slots)
            fields |= _on_stage(seen, claims)
        places |= dict(zip(OPENED, flagged, strict=False))
        probes = {
            name: Probe(quantity=name, instruments=(INSTRUMENT,), place=place, named=True)
            for name, place in places.items()
        }
        return View(
            face=np.column_stack([outputs.slots * valid, valid.sum(axis=1)]).astype(float),
            probes={**probes, GLIMPSE: Probe(quantity=GLIMPSE, instruments=(CHAPTER,), place=_any_of(inputs))},
            fields=fields, texts={INSTRUMENT: texts_of(inputs.revisions, rows), CHAPTER: stage.texts()},
            shared=frozenset({INSTRUMENT}),
        )  # fmt: skip

    def reading(self, inputs: Chapters, outputs: Fillings, row: int, instrument: str, text: str) -> float:
        """What a text says of all slots, as a code; of the chapter's own, whether the name is on stage there."""
        if instrument == CHAPTER:
            return float(inputs.stage(outputs.paragraph).name(row) in on_stage(text))
        return code_of(inputs.revisions, row, text)

    def sense(self, face: Float[np.ndarray, "batch face"], known: Mapping[str, Values]) -> Float[np.ndarray, "batch 6"]:
        """How many slots differ and whether the paragraph's name is on stage, by what is known.

        Slots of which opened passages speak are settled; the claimed total counts as far as these leave it possible.
        """
        filled, count, nothing = face[:, :SLOTS], face[:, SLOTS], np.zeros(len(face))
        codes = [known[name] for name in (*OPENED, *LOOKS[self.finding]) if name in known]
        says = np.sign(sum(decoded(code) for code in codes))
        against, for_ = ((says * filled * side > 0).sum(axis=1) for side in (-1, 1))
        left = count - against - for_
        return np.stack(
            [
                np.clip(known.get(CONTRADICTIONS, count / 2.0), against, against + left),
                against + left / 2.0,
                np.clip(known.get(WHEREABOUTS, nothing), 0.0, 1.0),
                known.get(WITNESS, nothing),
                known[GLIMPSE],
                known[WHOLE],
            ],
            axis=1,
        )

    def questions(self, inputs: Chapters, outputs: Fillings, claims: Claims) -> Sequence[Question]:
        """Two rounds: how many slots differ, who is on stage, what to open first; then where, and what to open next."""
        stage = inputs.stage(outputs.paragraph)
        if not claims:
            filled, quarters = filled_scenes(inputs, outputs), quarter_scenes(stage)
            found = [
                Question(helper="consistency", quantity=CONTRADICTIONS, inputs=filled, total=True),
                Question(helper="summary", quantity=WHEREABOUTS, inputs=quarters, total=True),
                Question(helper="excerpts", quantity=EXCERPTS[0], inputs=excerpt_scenes(inputs)),
            ]
            return [question for question in found if question.helper not in self.silent]
        found = []
        if EXCERPTS[0] in claims and EXCERPTS[1] not in claims:
            scenes = excerpt_scenes(inputs, claims[EXCERPTS[0]].place)
            found.append(
                Question(helper="excerpts", quantity=EXCERPTS[1], inputs=scenes, turn=1, in_reply_to=EXCERPTS[0])
            )
        if WHEREABOUTS in claims and WITNESS not in claims and "parts" not in self.silent:
            scenes = part_scenes(stage, claims[WHEREABOUTS].place)
            found.append(Question(helper="parts", quantity=WITNESS, inputs=scenes, turn=1, in_reply_to=WHEREABOUTS))
        return found

    def survey(self, view: View) -> Mapping[str, Values]:
        """How many slots most passages that speak of them contradict, and how many quarters have the name on stage."""
        says = np.sign(decoded(view.fields[INSTRUMENT]).sum(axis=1, dtype=np.int64))
        seen = view.fields[CHAPTER].reshape(len(view.face), QUARTERS, PART).max(axis=2)
        return {
            WHOLE: (says * view.face[:, :SLOTS] < 0).sum(axis=1).astype(float),
            WHEREABOUTS: seen.sum(axis=1),
        }

    def claim(self, inputs: Any, outputs: Any, *, question: Question, version: str) -> Claim:
        """The root helps nobody."""
        raise NotImplementedError(f"{self.name} is the root and helps no other node")

    def observe(self, inputs: Chapters, outputs: Fillings) -> Float[np.ndarray, "batch 4"]:
        """What words show for the values and the candidate that stand in the chapter; it adds up over slots."""
        slots, candidates = clues(inputs)
        chosen = np.where((outputs.paragraph > 0)[:, None], candidates[:, 0], candidates[:, 1])
        return np.column_stack([(slots * outputs.slots[:, :, None]).sum(axis=1) / 2.0, chosen]).astype(np.float32)

    def hear(self, inputs: Chapters, outputs: Fillings, claims: Claims) -> Float[np.ndarray, "batch claims"]:
        """The values that claims give."""
        return raw_values(self.quantities, claims)

    def true_reward(self, inputs: Chapters, outputs: Fillings) -> Values:
        """See the module's docstring."""
        reward: Values = -(_differing(inputs, outputs).sum(axis=1) + _foreign(inputs, outputs)).astype(float)
        return reward

    def measures(self, inputs: Chapters, outputs: Fillings) -> Mapping[str, Values]:
        """The share of slots that contradict the book, and whether the paragraph is another chapter's."""
        differ = _differing(inputs, outputs).sum(axis=1) / inputs.revisions.valid.sum(axis=1)
        return {"contradictions": differ, "foreign_paragraph": _foreign(inputs, outputs).astype(float)}

    @property
    def question(self) -> str:
        """For people."""
        return "Which revision of the chapter fits the book better?"

    @property
    def guide(self) -> str:
        """What counts, for people."""
        return (
            "Better is the revision with fewer things in it that are not as the rest of the book has them. Each marked "
            "word that the book contradicts counts one, and so does a paragraph that belongs into another chapter: its "
            "people are not on stage in the rest of this one. Open passages of book and chapter to find out."
        )

    better = property(lambda self: {CONTRADICTIONS: -1, WHEREABOUTS: 1})

    def board(self, inputs: Chapters, outputs: Fillings, row: int) -> tuple[Board, tuple[Instrument, ...]]:
        """The chapter around each slot and the doubtful paragraph, and the passages that can be opened."""
        return chapter_board(inputs, outputs, row)

    def words(self, inputs: Chapters, claim: Claim, row: int) -> tuple[str, str] | None:
        """A flagged passage in words; totals and witnesses are told as they are."""
        return excerpt_worded(inputs.revisions, claim, row) if claim.quantity in EXCERPTS else None


def _differing(inputs: Chapters, outputs: Fillings) -> Any:
    return (outputs.slots != inputs.revisions.truth) & inputs.revisions.valid


def _foreign(inputs: Chapters, outputs: Fillings) -> Any:
    return (outputs.paragraph != inputs.own) & (inputs.doubted > 0)


def _on_stage(seen: Float[np.ndarray, "batch quarters places"], claims: Claims) -> dict[str, np.ndarray]:
    """The quarter that a helper points at, passage by passage, and what is read of it where another one points."""
    if WHEREABOUTS not in claims:
        return {}
    rows, quarter = np.arange(len(seen)), claims[WHEREABOUTS].place
    read = np.full(seen.shape[:2], np.nan)
    if WITNESS in claims:
        read[rows, quarter] = seen[rows, quarter, claims[WITNESS].place]
    return {ON_STAGE: seen[rows, quarter], PRESENT: read}


def _any_of(inputs: Chapters) -> Column:
    """A passage of the chapter that follows from the draw: whoever looks again looks at the same one."""
    there = (inputs.parts >= 0).reshape(len(inputs), -1)
    pick = (inputs.revisions.origin * 2654435761 % 2**32 >> 8) % np.maximum(there.sum(axis=1), 1)
    found: Column = np.take_along_axis(np.argsort(~there, axis=1, kind="stable"), pick[:, None], axis=1)[:, 0]
    return found


def _by_contents(inputs: Chapters) -> Int[np.ndarray, "batch 4"]:
    return by_contents(inputs.revisions, np.zeros(len(inputs), dtype=np.int64))


def _by_index(inputs: Chapters) -> Int[np.ndarray, "batch 2"]:
    """The two passages with most of the slots' names."""
    there = inputs.revisions.shelf >= 0
    return np.where(there, -BITS[inputs.names], 1).argsort(axis=1, kind="stable")[:, :2]


PLACES = {"contents": _by_contents, "index": _by_index}
