"""The game of debate about questions that fall into parts, as tables: arguments, what they are worth, and the judge.

Nothing here learns; `rewardtree.protocols.debate` says what the game is and trains its players. A row is a question
about a world; beliefs of a level are a table of all names for all questions about all worlds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import logsumexp, softmax

from rewardtree.evaluators.simulated import Bounds, Judgements, preferring_first
from rewardtree.tasks.decomposition import Decomposition, Names, Questions
from rewardtree.tasks.exhibit import Claim, Exhibit
from rewardtree.tasks.levels import FACT
from rewardtree.tasks.meter import Meter

SPREAD = 0.5**0.5
"""Usual spread of the difference between two answers of which each is right in half of the cases."""
CERTAIN = 60.0
"""Pull, in nats, of a step that contradicts itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """One of the three games.

    Attributes:
        name, title: of the scheme.
        free: whether both answers are the debaters' own.
        committed: whether a debater commits to the whole computation at once.
    """

    name: str
    title: str
    free: bool
    committed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Beliefs:
    """What a debater thinks of all questions of one level, as log-probabilities over names; -inf if not allowed.

    Attributes:
        answers: which name is the answer.
        doubts: which name, if it were asserted, would be worth attacking.
    """

    answers: Float[np.ndarray, "worlds tokens names"]
    doubts: Float[np.ndarray, "worlds tokens names"]


Mind = Callable[[int, Questions], Beliefs]
"""A debater: what it thinks of a level's questions about these worlds."""


Thoughts = Mapping[int, Beliefs]
"""Of some levels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Floor:
    """One side of debates about a batch of worlds.

    Attributes:
        family: of the questions.
        committed: see `Rules`.
        speaker: what the one who supports an answer thinks of the levels below.
        other: what the one who attacks it thinks of them.
    """

    family: Decomposition
    committed: bool
    speaker: Thoughts
    other: Thoughts


@dataclass(frozen=True, kw_only=True, slots=True)
class Support:
    """How the speaker would support each name as the answer to each question.

    Attributes:
        asks: the questions that the parts come to.
        said: what it would say of them.
        clash: whether that contradicts the conclusion.
    """

    asks: Int[np.ndarray, "rows names parts"]
    said: Int[np.ndarray, "rows names parts"]
    clash: Bool[np.ndarray, "rows names"]


def support(floor: Floor, level: int, asked: Questions) -> Support:
    """Answers to the parts that lead to each name with at most one change to what the speaker thinks.

    Of several such changes the likeliest by its own beliefs is made; one that is committed makes none.
    """
    family, below = floor.family, floor.family.parts(level)
    changes = [(-1, 0)]
    if not floor.committed:
        changes += [(k, int(n)) for k, lower in enumerate(below) for n in np.flatnonzero(family.allowed(lower))]
    rows, many = len(asked), len(changes)
    every = asked.about(np.repeat(asked.row, many), np.repeat(asked.asked, many))
    changed, to = (np.tile(column, rows) for column in np.array(changes).T)
    asks: list[Names] = []
    said: list[Names] = []
    belief = np.zeros(rows * many)
    for k, lower in enumerate(below):
        asks.append(family.part(level, k, every, said))
        own = floor.speaker[lower].answers.argmax(axis=2)[every.row, asks[k]]
        said.append(np.where(changed == k, to, own))
        belief += floor.speaker[lower].answers[every.row, asks[k], said[k]]
    concluded = family.conclude(level, family.context(every), said).reshape(rows, many)
    best, row = np.full((rows, family.names), -1), np.arange(rows)
    for column in belief.reshape(rows, many).argsort(axis=1, kind="stable").T:
        best[row, concluded[row, column]] = column

    def chosen(found: list[Names]) -> Int[np.ndarray, "rows names parts"]:
        by_change = np.stack(found, axis=1).reshape(rows, many, len(below))
        return np.take_along_axis(by_change, np.maximum(best, 0)[:, :, None], axis=1)

    return Support(asks=chosen(asks), said=chosen(said), clash=best < 0)


def own_parts(floor: Floor, level: int, asked: Questions) -> list[Names]:
    """What the speaker itself thinks of the parts, asked one after the other."""
    found = support(replace(floor, committed=True), level, asked).said[:, 0] if level else np.empty((len(asked), 0))
    return list(found.T)


Score = Callable[[Float[np.ndarray, "batch endings"]], Float[np.ndarray, " batch"]]
"""What the judge thinks of how a side ended, in nats; see `ending`."""
Table = dict[int, Float[np.ndarray, "worlds tokens names"]]


def ending(
    links: Float[np.ndarray, "batch links"], clash: Bool[np.ndarray, " batch"], sound: Bool[np.ndarray, " batch"]
) -> Float[np.ndarray, "batch endings"]:
    """What a transcript shows of a side's end: a contradiction, a step of reasoning that holds, or a fact's links."""
    return np.concatenate([np.stack([clash, sound], axis=1), links * ~(clash | sound)[:, None]], axis=1)


def settle(floor: Floor, level: int, asked: Questions, score: Score) -> tuple[Table, Table]:
    """What asserting each name is worth to the speaker, and how much it draws the other's attack.

    Both are by level, and known only for those questions that a debate on `asked` can come to.
    """
    family, shape = floor.family, (*asked.worlds.tokens.shape[:2], floor.family.names)
    reached = {lower: np.zeros(shape[:2], dtype=bool) for lower in range(level + 1)}
    reached[level][asked.row, asked.asked] = True
    arguments: dict[int, tuple[Questions, Support]] = {}
    for at in range(level, 0, -1):
        rows = asked.about(*np.nonzero(reached[at]))
        arguments[at] = rows, support(floor, at, rows)
        for k, lower in enumerate(family.parts(at)):
            reached[lower][rows.row[:, None], arguments[at][1].asks[:, :, k]] = True
    worth = {at: np.zeros(shape) for at in range(level + 1)}
    pull = {0: floor.other[0].doubts}
    worth[0][reached[0]] = _facts(family, asked.about(*np.nonzero(reached[0])), score)
    lost = float(score(np.eye(1, 2 + _links(family, asked)))[0])
    for at in range(1, level + 1):
        rows, said = arguments[at]
        found = [
            tuple(table[lower][rows.row[:, None], said.asks[:, :, k], said.said[:, :, k]] for table in (pull, worth))
            for k, lower in enumerate(family.parts(at))
        ]
        pulls, worths = (np.stack(each, axis=2) for each in zip(*found, strict=True))
        expected = (softmax(pulls, axis=2) * worths).sum(axis=2)
        worth[at][rows.row, rows.asked] = np.where(said.clash, lost, expected)
        if floor.committed:
            pull[at] = np.zeros(shape)
            pull[at][rows.row, rows.asked] = np.where(said.clash, CERTAIN, logsumexp(pulls, axis=2))
        elif at < level:
            pull[at] = floor.other[at].doubts
    return worth, pull


def _facts(family: Decomposition, rows: Questions, score: Score) -> Float[np.ndarray, "rows names"]:
    """The judge's score of every name at every fact."""
    count, names = len(rows), family.names
    every = rows.about(np.repeat(rows.row, names), np.repeat(rows.asked, names))
    links, no = family.links(every, np.tile(np.arange(names), count)), np.zeros(count * names, dtype=bool)
    return score(ending(links, no, no)).reshape(count, names)


def _links(family: Decomposition, asked: Questions) -> int:
    """How many columns links have."""
    return int(family.links(asked.take(np.arange(1)), np.zeros(1, dtype=np.int64)).shape[1])


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """A turn of those debates that came to a question of its level.

    Attributes:
        level: of the questions.
        rows: which debates.
        asked, answer: the question, and the answer to be supported.
        asks, said: the parts, and what the speaker says of them.
        pointed: the part that the other one points at; -1 where it names this step.
    """

    level: int
    rows: Int[np.ndarray, " rows"]
    asked: Names
    answer: Names
    asks: Int[np.ndarray, "rows parts"]
    said: Int[np.ndarray, "rows parts"]
    pointed: Names


@dataclass(frozen=True, kw_only=True, slots=True)
class Transcript:
    """One side of a batch of debates: an answer, its support, and how that ended.

    Attributes:
        answer: put to proof.
        turns: from the root's level down.
        place, value: the fact asserted at last, where no step was named.
        clash: whether the step that was named contradicts itself.
        sound: whether it holds.
        links: of the fact.
    """

    answer: Names
    turns: tuple[Turn, ...]
    place: Names
    value: Names
    clash: Bool[np.ndarray, " debates"]
    sound: Bool[np.ndarray, " debates"]
    links: Float[np.ndarray, "debates links"]


def argue(
    floor: Floor,
    level: int,
    asked: Questions,
    answer: Names,
    rng: np.random.Generator,
    astray: Bool[np.ndarray, " debates"],
) -> Transcript:
    """Put one answer a question to proof.

    Args:
        floor: who speaks and who doubts.
        level: of the questions.
        asked: one a debate.
        answer: what the speaker must support.
        rng: for where the other one points.
        astray: debates in which it points anywhere, to find out what that is worth.
    """
    pull: Table = {lower: thought.doubts for lower, thought in floor.other.items()}
    if floor.committed:
        pull = settle(floor, level, asked, lambda ends: np.zeros(len(ends)))[1]
    at, place, value = np.full(len(asked), level), asked.asked.copy(), answer.copy()
    clash, sound, turns = np.zeros(len(asked), dtype=bool), np.zeros(len(asked), dtype=bool), []
    for here in range(level, 0, -1):
        rows, below = np.flatnonzero(at == here), np.array(floor.family.parts(here))
        if not len(rows):
            continue
        question, index = asked.about(asked.row[rows], place[rows]), np.arange(len(rows))
        found = support(floor, here, question)
        asks, said, broken = (each[index, value[rows]] for each in (found.asks, found.said, found.clash))
        drawn = np.stack([pull[lower][question.row, asks[:, k], said[:, k]] for k, lower in enumerate(below)], axis=1)
        part = np.where(astray[rows, None], rng.random(drawn.shape), drawn).argmax(axis=1)
        chance = rng.random(len(rows)) < 1 / (1 + len(below))
        ends = np.where(astray[rows], chance, broken) if floor.committed else broken
        pointed = np.where(ends, -1, part)
        turns.append(
            Turn(level=here, rows=rows, asked=place[rows], answer=value[rows], asks=asks, said=said, pointed=pointed)
        )
        clash[rows], sound[rows] = ends & broken, ends & ~broken
        at[rows] = np.where(ends, -1, below[part])
        place[rows] = np.where(ends, place[rows], asks[index, part])
        value[rows] = np.where(ends, value[rows], said[index, part])
    links = floor.family.links(asked.about(asked.row, place), value)
    return Transcript(
        answer=answer, turns=tuple(turns), place=place, value=value, clash=clash, sound=sound, links=links
    )


def exhibits(asked: Questions, sides: tuple[Transcript, Transcript], budget: int | None) -> tuple[Exhibit, Exhibit]:
    """What the judge gets: how each side ended, and an instrument that reads facts, under one meter."""
    meter = Meter(len(asked), budget=budget)
    shown = []
    for side in sides:
        last = Claim(
            author="debater", version="", quantity=FACT, place=side.place, value=side.value.astype(float),
            check=(FACT,), named=True,
        )  # fmt: skip
        shown.append(
            Exhibit(
                face=np.stack([side.clash, side.sound], axis=1).astype(float), probes={}, claims={FACT: last},
                fields={FACT: asked.worlds.facts[asked.row].astype(float)}, meter=meter,
            )
        )  # fmt: skip
    return shown[0], shown[1]


def judge(shown: tuple[Exhibit, Exhibit], bounds: Bounds, rng: np.random.Generator) -> Judgements:
    """The bounded judge: reads the facts asserted at last, as far as its meter goes, and nothing else.

    A side is worth 1 where the step that was named holds or the fact is as asserted, 0 where not, and 1/2 where it
    could not be read. The answer is Boltzmann-rational in that, as for every simulated evaluator. Attention must
    suffice for one claim a side.
    """
    estimates, heard = [], bounds.attention >= len(shown)
    for exhibit in shown:
        claim, (clash, sound) = exhibit.claims[FACT], exhibit.face.T > 0.5
        there = (claim.place >= 0) & (claim.place < exhibit.fields[FACT].shape[1])
        place = np.where(there, claim.place, 0)[:, None]
        read, granted = exhibit.read(FACT, place, ~clash & ~sound & there & heard)
        holds = np.where(granted[:, 0], read[:, 0] == claim.value, there * 0.5)
        estimates.append(np.where(clash, 0.0, np.where(sound, 1.0, holds)) if heard else np.full(len(there), 0.5))
    probability = preferring_first((estimates[0] - estimates[1]) / SPREAD, bounds)
    count = len(probability)
    return Judgements(
        probability=probability, first_better=rng.random(count) < probability, readings=shown[0].meter.used,
        claims_seen=np.full(count, len(shown) * heard),
    )  # fmt: skip


def describe(side: Transcript, speaker: str, other: str) -> list[dict[str, Any]]:
    """A side as the store keeps it: what was asserted, by whom, in reply to what; nothing in it is revealed."""
    said: list[list[dict[str, Any]]] = [[] for _ in side.answer]
    for turn in side.turns:
        columns = (turn.rows, turn.asked, turn.answer, turn.asks, turn.said, turn.pointed)
        for row, asked, answer, asks, names, part in zip(*(column.tolist() for column in columns), strict=True):
            now, shown = (
                len(said[row]),
                {"asserted": True, "place": asked, "value": answer, "parts": asks, "said": names},
            )
            said[row] += [
                {"author": speaker, "turn": now, "in_reply_to": now - 1 if now else None, "level": turn.level} | shown,
                {"author": other, "turn": now + 1, "in_reply_to": now, "points_at": part},
            ]
    ends = np.where(side.clash, "contradiction", np.where(side.sound, "step", "fact")).tolist()
    facts = side.answer.tolist(), ends, side.place.tolist(), side.value.tolist(), said
    return [
        {"output": answer, "ends_with": end, "place": place, "value": value, "claims": claims}
        for answer, end, place, value, claims in zip(*facts, strict=True)
    ]
