"""The task of every height: summarise a source in so many words.

An input is a source: at height 0 a part of the text, above it a few summaries of the height below, in the order of the
book. An output is a summary: sentences of the source, 80 words at most, 240 of a whole book. The true reward is how
much is told of the text beneath: of a passage's recurring words and names, the share that the summary has, on average
over up to 64 passages of that text which can be opened, evenly spread. On the face are words, recurring words and names
of the summary, its sentences, and how much of it is speech. The instrument opens one of these passages and reads what
the summary says of it.

One question goes to the helper below, about each of up to six of the summaries that the source is made of, or would be
if the helper wrote them now: how much of what that summary says is in this one? The reader sees a child's summary for
free, and the text beneath it only by opening passages. Children's summaries stand for their text, so that the mean of
the answers estimates the reward; without them there are a few passages out of hundreds.

What is not rewarded is in the measures: how much is told of held-out passages, which nobody quotes and nobody opens.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from rewardtree.domains.books.boards import summary_board, told_words
from rewardtree.domains.books.choosing import at_random, central, choose, covering, lead, told_of, worth_of_passages
from rewardtree.domains.books.shelf import tokens_of
from rewardtree.domains.books.sources import (
    FEATURES,
    Sources,
    Summaries,
    Words,
    about,
    chosen,
    held_out_of,
    marked,
    once,
    words_of,
)
from rewardtree.domains.books.summariser import mixed
from rewardtree.tasks.board import Board, Instrument
from rewardtree.tasks.exhibit import Claim, Claims, Probe, Values
from rewardtree.tasks.task import Question, Split, View, raw_values
from rewardtree.tasks.texts import Texts

INSTRUMENT = "passage"
READS = 4
"""Passages of a source that a reader thinks of opening by itself."""
WHOLE = "whole_text"
"""How much is told of all passages together."""
LAPSES = 0.1
"""Share of demonstrations that are of any sentences."""
KEPT = 16
"""Held-out passages by which a summary is measured."""
Draw = Callable[[np.random.Generator, int, Split], Sources]


def node_name(height: int) -> str:
    """The node of a height."""
    return f"height_{height}"


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryTask:
    """Summarise a part of a book, or summaries of its parts. See the module's docstring.

    Attributes:
        height: 0 for parts of the text.
        draw: sources of a split.
        told: summaries below of which a reader is told.
    """

    height: int
    draw: Draw
    told: int = 0

    @property
    def name(self) -> str:
        """The node's name."""
        return node_name(self.height)

    @property
    def children(self) -> tuple[str, ...]:
        """What helpers say, a summary below each."""
        return tuple(f"child_{number}" for number in range(self.told))

    @property
    def opened(self) -> tuple[str, ...]:
        """What readers find in passages."""
        return tuple(f"passage_{number}" for number in range(READS))

    @property
    def quantities(self) -> tuple[str, ...]:
        """What children's summaries say, what passages say, and what all passages say."""
        return (*self.children, *self.opened, WHOLE)

    def sample(self, rng: np.random.Generator, count: int, split: Split) -> Sources:
        """Draw sources; summaries below are those of a rule."""
        return self.draw(rng, count, split)

    def base_outputs(self, rng: np.random.Generator, inputs: Sources) -> Summaries:
        """Summaries after a taste of their own, drawn for each: what one likes in sentences, and much chance."""
        features = inputs.pages.features[inputs.row]
        taste = rng.standard_normal((len(inputs), len(FEATURES)))
        scores = np.einsum("bnf,bf->bn", features, taste) + rng.gumbel(size=features.shape[:2])
        return choose(inputs, lambda so_far: scores)

    def view(self, inputs: Sources, outputs: Summaries, claims: Claims) -> View:
        """What can be seen of a summary without its text beneath; passages can be opened."""
        hand = inputs.pages.hand[inputs.row]
        places = opened_places(inputs, hand.shape[1])
        probes = {
            name: Probe(quantity=name, instruments=(INSTRUMENT,), place=places[:, number])
            for number, name in enumerate(self.opened)
        }
        words = words_of(inputs, outputs)
        return View(
            face=face_of(inputs, outputs), probes=probes, fields={INSTRUMENT: told_of(inputs, words, hand)},
            texts={INSTRUMENT: Texts(table=inputs.pages.shelf.texts, index=hand)},
        )  # fmt: skip

    def reading(self, inputs: Sources, outputs: Summaries, row: int, instrument: str, text: str) -> float:
        """The reader's rule on a text: of its recurring words and names, the share that the summary at `row` has."""
        shelf, one = inputs.pages.shelf, np.array([row])
        book = int(shelf.owner[inputs.pages.span[inputs.row[row], 0]])
        told = set(tokens_of(text)) & shelf.recurring[book]
        said = {shelf.vocabulary[word] for word in words_of(inputs.take(one), outputs.take(one))[0] if word >= 0}
        return len(told & said) / max(len(told), 1)

    def sense(self, face: Float[np.ndarray, "batch face"], known: Mapping[str, Values]) -> Float[np.ndarray, "batch _"]:
        """How much is told on average: of the passages opened, of children's summaries, and of all passages."""
        means = [np.mean([known[name] for name in names], axis=0) for names in (self.opened, self.children) if names]
        return np.stack([*means, known[WHOLE]], axis=1)

    def questions(self, inputs: Sources, outputs: Summaries, claims: Claims) -> Sequence[Question]:
        """How much of each child's summary is in this one?"""
        if self.told == 0 or claims:
            return []
        words = words_of(inputs, outputs)
        below = inputs.pages.below
        return [
            Question(
                helper=node_name(self.height - 1), quantity=name, inputs=about(below[number].take(inputs.row), words)
            )
            for number, name in enumerate(self.children)
        ]

    def survey(self, view: View) -> Mapping[str, Values]:
        """How much is told of all passages."""
        return {WHOLE: view.fields[INSTRUMENT].mean(axis=1)}

    def claim(self, inputs: Sources, outputs: Summaries, *, question: Question, version: str) -> Claim:
        """The child's summary, and how much of what it says is in the summary asked about.

        What two texts have in common is seen by reading them, so that nothing is opened to check it.
        """
        own, first = words_of(inputs, outputs), chosen(inputs, outputs)[:, 0]
        spans = np.where((first >= 0)[:, None], inputs.pages.shelf.quotable[np.maximum(first, 0), 1:], -1)
        asked = np.full((len(inputs), 1), -1) if inputs.about is None else inputs.about
        return Claim(
            author=self.name, version=version, quantity=question.quantity, turn=question.turn,
            in_reply_to=question.in_reply_to, value=shared_words(inputs, own, asked),
            place=first, span=spans, statement="{value:.2f} of what the child's summary says",
        )  # fmt: skip

    def observe(self, inputs: Sources, outputs: Summaries) -> Float[np.ndarray, "batch features"]:
        """Looks of the sentences chosen on average, how much they repeat and cover of the source, and the face."""
        return np.concatenate([looks_of(inputs, outputs), face_of(inputs, outputs)], axis=1).astype(np.float32)

    def hear(self, inputs: Sources, outputs: Summaries, claims: Claims) -> Float[np.ndarray, "batch claims"]:
        """The values that claims give."""
        return raw_values(self.quantities, claims)

    def true_reward(self, inputs: Sources, outputs: Summaries) -> Values:
        """See the module's docstring."""
        mean: Values = told_of(inputs, words_of(inputs, outputs), inputs.pages.hand[inputs.row]).mean(axis=1)
        return mean

    def measures(self, inputs: Sources, outputs: Summaries) -> Mapping[str, Values]:
        """How much is told of held-out passages, and words of the summary."""
        held_out = told_of(inputs, words_of(inputs, outputs), held_out_of(inputs, KEPT)).mean(axis=1)
        return {"told_of_held_out": held_out, "words": face_of(inputs, outputs)[:, 0] * inputs.pages.limit}

    def ideal(self, inputs: Sources) -> Summaries:
        """What someone who has opened all passages chooses, sentence by sentence."""
        return once(inputs, lambda sources: covering(sources, worth_of_passages(sources)))

    def stand_in(self, control: str, rng: np.random.Generator, inputs: Sources) -> Summaries:
        """Summaries of a control.

        `random_places` are any sentences, `heuristic` the first ones, `adversarial` half of the time those that tell
        least.
        """
        match control:
            case "random_places":
                return at_random(inputs, rng)
            case "heuristic":
                return lead(inputs)
            case _:
                worth = worth_of_passages(inputs)
                least = covering(inputs, np.where(worth > 0, -worth, 0.0))
                return mixed(self.ideal(inputs), least, rng.random(len(inputs)) < 0.5)

    @property
    def question(self) -> str:
        """For people."""
        return "Which is the better summary of the text?"

    @property
    def guide(self) -> str:
        """What counts, for people."""
        return (
            "A good summary tells what the text is about: who is there, and what happens or is talked of again and "
            "again. Open passages of the text to see whether it tells of them. Summaries of parts are shown beside."
        )

    def demonstrate(self, rng: np.random.Generator, count: int) -> tuple[Sources, Summaries]:
        """Training sources, and what stands for a person's summaries: a rule's, with lapses into any sentences.

        The rule, `choosing.central`, sees what a policy sees, and knows nothing of what is rewarded.
        """
        inputs = self.sample(rng, count, "train")
        return inputs, mixed(central(inputs), at_random(inputs, rng), rng.random(count) < LAPSES)

    def board(self, inputs: Sources, outputs: Summaries, row: int) -> tuple[Board, tuple[Instrument, ...]]:
        """The summary in its words, and the passages that can be opened."""
        return summary_board(inputs, outputs, row)

    def words(self, inputs: Sources, claim: Claim, row: int) -> tuple[str, str] | None:
        """Where the child's summary is from, and how much of it is in this one."""
        return told_words(inputs, claim, row)


def opened_places(sources: Sources, count: int) -> Int[np.ndarray, "batch reads"]:
    """Places evenly spread, off by a chance that follows from the source: both sides are read at the same ones."""
    mixed_ = (sources.pages.origin[sources.row].astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    chance = (mixed_ >> np.uint64(40)).astype(float) / 2**24
    at = ((np.arange(READS)[None, :] + chance[:, None]) / READS * count).astype(int)
    found: Int[np.ndarray, "batch reads"] = np.minimum(at, count - 1)
    return found


def shared_words(
    sources: Sources, first: Words, second: Int[np.ndarray, "batch other_words"]
) -> Values:  # fmt: skip
    """Of the words of the first text, once each, the share that the second has too; 0 where it has none."""
    size = len(sources.pages.shelf.vocabulary)
    one, other = marked(first, size), marked(second, size)
    share: Values = (one & other).sum(axis=1) / np.maximum(one.sum(axis=1), 1)
    return share


def face_of(sources: Sources, summaries: Summaries) -> Float[np.ndarray, "batch 5"]:
    """Words, recurring words, names and sentences of a summary, and how many of these are speech."""
    shelf, sentence = sources.pages.shelf, chosen(sources, summaries)
    there, known = sentence >= 0, np.maximum(sentence, 0)
    said = marked(words_of(sources, summaries), len(shelf.vocabulary))[:, :-1]
    count = there.sum(axis=1)
    return np.column_stack([
        (shelf.words[known] * there).sum(axis=1) / sources.pages.limit, said.sum(axis=1) / 40.0,
        (said & shelf.is_name).sum(axis=1) / 5.0, count / 5.0,
        (shelf.speech[known] & there).sum(axis=1) / np.maximum(count, 1),
    ])  # fmt: skip


def looks_of(sources: Sources, summaries: Summaries) -> Float[np.ndarray, "batch features_and_three"]:
    """Mean features of the sentences chosen, what they repeat, how far apart they are, and how much they cover.

    What is covered is the share of what the source says, sentence by sentence, that a sentence chosen says too.
    """
    pages, rows = sources.pages, np.arange(len(sources))[:, None]
    there, picks = summaries.picks >= 0, np.maximum(summaries.picks, 0)
    count = np.maximum(there.sum(axis=1), 1)[:, None]
    features = pages.features[sources.row[:, None], picks] * there[:, :, None]
    both = there[:, :, None] & there[:, None, :] & ~np.eye(there.shape[1], dtype=bool)
    repeats = pages.repeats[sources.row[:, None, None], picks[:, :, None], picks[:, None, :]] * both
    position = FEATURES.index("position")
    apart = np.where(there, features[:, :, position], 0.0)
    spread = (apart**2).sum(axis=1) / count[:, 0] - (apart.sum(axis=1) / count[:, 0]) ** 2
    stale = np.maximum.reduce(
        [np.where(there[rows, np.full((len(there), 1), k)], pages.repeats[sources.row, :, picks[:, k]], 0.0)
         for k in range(picks.shape[1])]
    )  # fmt: skip
    weight = pages.features[sources.row, :, FEATURES.index("weight")]
    covered = (stale * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-9)
    return np.column_stack([
        features.sum(axis=1) / count, repeats.max(axis=2).sum(axis=1) / count[:, 0],
        np.sqrt(np.maximum(spread, 0.0)), covered,
    ])  # fmt: skip
