"""The node `consistency`: which slot of a revised chapter differs from the book?

An input is a chapter with up to 8 slots filled, half of them as the book has it, and a shelf of the book's other
passages. An output is a slot i and a verdict v, 1 for "differs" and 0 for "as the book has it". With c(i) = 1 where the
slot differs, else 0, the true reward is c(i) - abs(v - c(i)). On the face are the verdict, which of the slot's two
values stands in the chapter, and the slot's kind. The instrument opens a passage of the shelf and reads it for this
slot.

One question goes to the helper `facts`: what does the book say of slot i? With s = 1 where the first value stands in
the chapter, else -1, and b what the book says, c(i) = (1 - s b) / 2: one reading at the passage that the helper points
at fixes the reward. Without helpers there are two readings for a thousand passages, of which one or two in a hundred
speak of the slot. Nobody has a search box: probes are what anyone can point out from the chapter and the book's
contents, passages of the next chapters, the opening of one, and the opening of the book.

Who opens a passage gets its words; a simulated reader's number is its rule, and nothing else, on these.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Int

from rewardtree.domains.novels.boards import verdict_board, worded
from rewardtree.domains.novels.chapters import Chapters, Fillings
from rewardtree.domains.novels.facts import INSTRUMENT, Draw, fact_scenes
from rewardtree.domains.novels.features import as_filled, kinds_of, slot_features
from rewardtree.domains.novels.revisions import Column, Revisions, field_of
from rewardtree.domains.novels.shelves import read_of, texts_of
from rewardtree.tasks.answers import Answers, AnswerTask, Scenes
from rewardtree.tasks.backdrop import backdrop, single
from rewardtree.tasks.board import Board, Instrument
from rewardtree.tasks.exhibit import Claim, Claims, Probe, Values
from rewardtree.tasks.task import Question, Split, View, raw_values

DIFFERS = "differs"
"""What verdicts are about: whether a slot differs from the book."""
BOOK, WHOLE = "book", "whole_book"
"""What the book says of a slot: where the helper points, and by all passages together."""
Finding: TypeAlias = Literal["contents", "search", "index"]
PROBES: Mapping[Finding, tuple[str, ...]] = {
    "contents": ("next_chapter", "another_chapter", "opening", "beginning"),
    "search": ("most_alike", "next_alike"),
    "index": ("with_name", "with_name_again"),
}
"""Where readers look by themselves. They have the book's contents; `search` and `index` are measured as controls."""
Places = Callable[[Revisions, Column], Int[np.ndarray, "batch probes"]]


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsistencyTask:
    """Say of a slot of a revised chapter whether it differs from the book. See the module's docstring.

    Attributes:
        answers: the task as one that points at a slot and gives a verdict: inputs, outputs and rewards.
        finding: what readers have to find passages by themselves.
    """

    answers: AnswerTask
    finding: Finding = "contents"

    @property
    def name(self) -> str:
        """The node's name."""
        return self.answers.name

    @property
    def quantities(self) -> tuple[str, ...]:
        """What the book says, by whom it is found out."""
        return (BOOK, *PROBES[self.finding], WHOLE)

    def sample(self, rng: np.random.Generator, count: int, split: Split) -> Scenes:
        """Draw revised chapters."""
        return self.answers.sample(rng, count, split)

    def base_outputs(self, rng: np.random.Generator, inputs: Scenes) -> Answers:
        """Any slot, and either verdict."""
        place = np.where(inputs.valid, rng.random(inputs.valid.shape), -1.0).argmax(axis=1)
        return Answers(place=place, value=rng.integers(2, size=len(inputs)).astype(float))

    def view(self, inputs: Scenes, outputs: Answers, claims: Claims) -> View:
        """Verdict, filling and kind; passages can be opened."""
        revisions, column = revisions_of(inputs), outputs.place
        filled = revisions.filled[np.arange(len(inputs)), column].astype(float)
        places = PLACES[self.finding](revisions, column)
        probes = {
            name: Probe(quantity=name, instruments=(INSTRUMENT,), place=places[:, number])
            for number, name in enumerate(PROBES[self.finding])
        }
        return View(
            face=np.column_stack([outputs.value, filled, *kinds_of(revisions, column)]),
            probes=probes,
            fields={INSTRUMENT: field_of(revisions, column)},
            texts={INSTRUMENT: texts_of(revisions, np.arange(len(inputs)))},
        )

    def reading(self, inputs: Scenes, outputs: Answers, row: int, instrument: str, text: str) -> float:
        """The reader's rule on a text, for the answer's slot."""
        revisions, item = single(inputs.backdrop)
        return read_of(revisions, int(item[row]), int(outputs.place[row]), text)

    def sense(self, face: Float[np.ndarray, "batch face"], known: Mapping[str, Values]) -> Float[np.ndarray, "batch 2"]:
        """How likely the slot differs by what is known of the book, and how far the verdict is from that."""
        says = np.clip(sum(known[name] for name in self.quantities), -1.0, 1.0)
        differs = (1.0 - face[:, 1] * says) / 2.0
        return np.stack([differs, np.abs(face[:, 0] - differs)], axis=1)

    def questions(self, inputs: Scenes, outputs: Answers, claims: Claims) -> Sequence[Question]:
        """What does the book say of the answer's slot?"""
        if BOOK in claims:
            return []
        return [Question(helper="facts", quantity=BOOK, inputs=fact_scenes(revisions_of(inputs), outputs.place))]

    def survey(self, view: View) -> Mapping[str, Values]:
        """What most passages that speak of the slot say."""
        return {WHOLE: np.sign(view.fields[INSTRUMENT].sum(axis=1))}

    def claim(self, inputs: Any, outputs: Any, *, question: Question, version: str) -> Claim:
        """It helps by its `answers`."""
        raise NotImplementedError

    def observe(self, inputs: Scenes, outputs: Answers) -> Float[np.ndarray, "batch features_plus_two"]:
        """The features of the slot, and the verdict."""
        return self.answers.observe(inputs, outputs)

    def hear(self, inputs: Scenes, outputs: Answers, claims: Claims) -> Float[np.ndarray, "batch claims"]:
        """The values that claims give."""
        return raw_values(self.quantities, claims)

    def true_reward(self, inputs: Scenes, outputs: Answers) -> Values:
        """See the module's docstring."""
        return self.answers.true_reward(inputs, outputs)

    def measures(self, inputs: Scenes, outputs: Answers) -> Mapping[str, Values]:
        """Whether the slot pointed at differs, whether the verdict is wrong, how many slots differ, and false alarms.

        These are the reader's: of the passages that speak of the slot, the share that speaks against the book itself.
        """
        revisions = revisions_of(inputs)
        says = field_of(revisions, outputs.place) * revisions.truth[np.arange(len(inputs)), outputs.place][:, None]
        alarms = (says < 0).sum(axis=1) / np.maximum((says != 0).sum(axis=1), 1)
        differs = self.answers.truth(inputs)
        there = differs[np.arange(len(inputs)), outputs.place]
        share = (differs * inputs.valid).sum(axis=1) / inputs.valid.sum(axis=1)
        return {
            "slot_differs": there,
            "wrong_verdict": np.abs(outputs.value - there),
            "slots_that_differ": share,
            "reader_false_alarms": alarms,
        }

    @property
    def question(self) -> str:
        """For people."""
        return "Which verdict on the revised chapter is better?"

    @property
    def guide(self) -> str:
        """What counts, for people."""
        return (
            "A good answer finds something in the chapter that is not as the rest of the book has it, and says so. "
            "Best is a difference that is called one; next, a right 'as the book has it', and a difference that is "
            "overlooked; worst, a difference that is none. Open passages of the book to find out."
        )

    def board(self, inputs: Scenes, outputs: Answers, row: int) -> tuple[Board, tuple[Instrument, ...]]:
        """The chapter's passage with its slot marked, the verdict, and the passages that can be opened."""
        return verdict_board(revisions_of(inputs), int(outputs.place[row]), row, verdict_of(outputs, row))

    def words(self, inputs: Scenes, claim: Claim, row: int) -> tuple[str, str] | None:
        """A claim's passage by chapter and characters, and what it is said to say."""
        return worded(revisions_of(inputs), claim, row)


def verdict_of(outputs: Answers, row: int) -> str:
    """A verdict in words."""
    return "differs from the book" if outputs.value[row] >= 0.5 else "is as the book has it"


def revisions_of(inputs: Scenes) -> Revisions:
    """The revised chapters that scenes show."""
    revisions, item = single(inputs.backdrop)
    taken: Revisions = revisions.take(item)
    return taken


def consistency_task(draw: Draw, finding: Finding = "contents") -> ConsistencyTask:
    """The task of the node.

    Args:
        draw: revised chapters of a split.
        finding: what readers have to find passages by themselves.
    """

    def drawn(rng: np.random.Generator, count: int, split: Split) -> Scenes:
        revisions = draw(rng, count, split)
        return slot_scenes(revisions, slot_features(revisions), revisions.valid.astype(float))

    answers = AnswerTask(
        name="consistency", instruments=(DIFFERS,), draw=drawn, low=0.0, high=1.0, usual=0.5, scale=1.0, levels=2,
        statement="slot {place} differs: {value:.1f} of 1", total="{value:.1f} slots of the chapter differ",
        pointer="slot {place} differs"
    )  # fmt: skip
    return ConsistencyTask(answers=answers, finding=finding)


def slot_scenes(
    revisions: Revisions,
    features: Float[np.ndarray, "batch slots features"],
    prominence: Float[np.ndarray, "batch slots"],
) -> Scenes:
    """The slots of chapters as places.

    Args:
        revisions: the chapters.
        features: of their slots.
        prominence: of their slots.
    """
    return Scenes(
        features=features, valid=revisions.valid, prominence=prominence,
        fields={DIFFERS: revisions.edited.astype(float)}, asked=np.full(len(revisions), -1), origin=revisions.origin,
        backdrop=backdrop(revisions),
    )  # fmt: skip


def filled_scenes(chapters: Chapters, fillings: Fillings) -> Scenes:
    """The slots of chapters that are revised like that, as places.

    Those catch the eye where more passages have the name with the other value's words than with what stands there.
    """
    revisions = replace(chapters.revisions, filled=fillings.slots)
    features = as_filled(chapters.counts, chapters.kinds, fillings.slots, revisions.valid)
    return slot_scenes(revisions, features, (features[:, :, 1] > features[:, :, 0]).astype(float))


def by_contents(revisions: Revisions, column: Column) -> Int[np.ndarray, "batch 4"]:
    """Two passages of the next chapters, the opening of one, and the opening of the book."""
    volumes = revisions.volumes
    shelf, there = revisions.shelf, revisions.shelf >= 0
    away, inside = np.zeros(shelf.shape), np.zeros(shelf.shape)
    for number in np.unique(revisions.volume):
        rows, one = np.flatnonzero(revisions.volume == number), volumes[number]
        chapter = one.chapter[shelf[rows]]
        begin, end = (one.sections[revisions.section[rows] + more][:, None] for more in (0, 1))
        away[rows] = np.maximum(begin - chapter, chapter - end + 1)
        starts = np.searchsorted(one.chapter, np.arange(len(one.book.chapters)))
        inside[rows] = shelf[rows] - starts[chapter]
    chance = _chance(revisions, column, shelf.shape[1])
    near = np.where(there, away + chance, np.inf).argsort(axis=1)[:, :2]
    opening = np.where(there, inside + away * 1e-3, np.inf).argmin(axis=1)
    return np.column_stack([near, opening, np.zeros(len(revisions), dtype=int)])


def by_search(revisions: Revisions, column: Column) -> Int[np.ndarray, "batch 2"]:
    """The two passages with most rare words in common with the one that is asked about."""
    alike = np.zeros(revisions.shelf.shape)
    slots = revisions.slot[np.arange(len(revisions)), column]
    for number in np.unique(revisions.volume):
        rows = np.flatnonzero(revisions.volume == number)
        alike[rows] = revisions.volumes[number].alike[slots[rows, None], revisions.shelf[rows]]
    return np.where(revisions.shelf >= 0, -alike, np.inf).argsort(axis=1, kind="stable")[:, :2]


def by_index(revisions: Revisions, column: Column) -> Int[np.ndarray, "batch 2"]:
    """Any two passages that have the name."""
    named = np.zeros(revisions.shelf.shape, dtype=bool)
    slots = revisions.slot[np.arange(len(revisions)), column]
    for number in np.unique(revisions.volume):
        rows, one = np.flatnonzero(revisions.volume == number), revisions.volumes[number]
        named[rows] = one.named[one.slots[slots[rows], 0][:, None], revisions.shelf[rows]]
    chance = _chance(revisions, column, revisions.shelf.shape[1])
    return np.where(named & (revisions.shelf >= 0), chance, 2.0).argsort(axis=1)[:, :2]


PLACES: Mapping[Finding, Places] = {"contents": by_contents, "search": by_search, "index": by_index}


def _chance(revisions: Revisions, column: Column, count: int) -> Float[np.ndarray, "batch passages"]:
    """Numbers from 0 to 1 that follow from the draw and the slot: whoever looks again looks at the same place."""
    seeds = (revisions.origin * 31 + column).astype(np.uint64)[:, None] + np.arange(count, dtype=np.uint64)
    mixed = (seeds ^ (seeds >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    found: Float[np.ndarray, "batch passages"] = (mixed >> np.uint64(40)).astype(float) / 2**24
    return found
