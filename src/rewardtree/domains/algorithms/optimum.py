"""How well the best evaluator does without claims: it knows how questions are drawn, and reads as it sees fit.

It compares a right answer with a wrong one, in random order, after `budget` readings of facts. Which fact it reads next
may depend on all that it saw before. Strategies are searched exhaustively up to renaming: a place is chosen not by its
number but by what it is to the evaluator, and what a reading shows is told apart by what it equals. The decision after
every history is the answer that is right more often under the empirical joint distribution over many worlds. Readings
and decisions are chosen on half of the worlds and scored on the other half, so that the estimate does not profit from
chance.

What there is to be named follows from the parts that a family has, for every family alike:

- "question": the facts that a question's parts ask for, at any depth, as far as they are known before any answer is;
- names that a part follows up: their facts are those that this later part asks for. Such are both answers, where they
  are names of that kind, what everybody sees of the question, whatever has been read, and "fresh" names that
  nothing has shown so far;
- where parts follow nothing up, "fresh" facts drawn among all.

A reading is told apart by which of the named things it is, and by whether it could answer the question; where parts
follow nothing up and few names answer questions of level 0, also by what it is. In `NUMBERED` families both answers of
levels above 0 are taken for what they are from the start.

For assignments there are too many programs to tell apart, but exact values are to be had: constants are drawn
independently, so that the outcomes of all strategies can be enumerated program by program.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from rewardtree.domains.algorithms.assignments import Assignments
from rewardtree.domains.algorithms.paths import Paths
from rewardtree.domains.algorithms.programs import enumerated
from rewardtree.domains.algorithms.wildcards import Wildcards
from rewardtree.tasks.decomposition import Decomposition, Names, Questions, truth

NUMBERED = (Wildcards, Paths)
"""Families whose answers are numbers that mean the same in every world."""
CHUNK = 10_000
"""Worlds that are drawn at once."""
FEW = 8
"""Names that are told apart one by one."""
PROGRAMS, ENUMERATED = 2000, 40
"""Programs that are looked at, and those of them that are enumerated at most."""

Action = tuple[str, int]
"""A thing, and which of its facts."""
Counts = dict[tuple[Action, ...], np.ndarray]
"""How often each history occurred with each answer right, by what was read, [start, outcome, ..., outcome, answer]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimum:
    """What the best unaided evaluator attains.

    Attributes:
        accuracy: share of comparisons that it decides right.
        error: the standard error of that estimate; 0 where it is exact.
        strategy: what it reads, in words.
    """

    accuracy: float
    error: float
    strategy: str


def unaided_optimum(
    family: Decomposition, level: int, budget: int, rng: np.random.Generator, worlds: int = 200_000
) -> Optimum:
    """The accuracy of the best evaluator without claims; see the module's docstring.

    Args:
        family: of the questions.
        level: of the questions.
        budget: readings a comparison.
        rng: draws worlds.
        worlds: how many; half of them choose the strategy.

    Raises:
        TaskError: where assignments have too many constants for the budget to enumerate their values.
    """
    if isinstance(family, Assignments):
        return _of_programs(family, level, budget, rng, min(worlds, PROGRAMS))
    halves: tuple[Counts, Counts] = ({}, {})
    for half in halves:
        for start in range(0, worlds // 2, CHUNK):
            rows = _rows(family, level, rng, min(CHUNK, worlds // 2 - start))
            _tally(rows, _start(rows), budget, half)
    plan = _plan(halves[0], halves[1], (), budget)
    accuracy = float(plan.scored.sum()) / (worlds // 2)
    return Optimum(
        accuracy=accuracy, error=(accuracy * (1 - accuracy) / (worlds // 2)) ** 0.5,
        strategy=_in_words(halves[0], plan, budget),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rows:
    """Comparisons, one a row.

    Attributes:
        family: of the questions.
        level: of the questions.
        asked: the questions.
        answers: right and wrong in random order.
        right: which is right.
        spare: names of things in random order.
        question: the facts that the question's parts ask for.
        wide: how many facts a name leads to.
    """

    family: Decomposition
    level: int
    asked: Questions
    answers: tuple[Names, Names]
    right: Names
    spare: Int[np.ndarray, "batch spare"]
    question: tuple[Names, ...]
    wide: int

    def of_name(self, name: Names) -> tuple[Names, ...]:
        """The facts that a name leads to."""
        return _followed(self.family, self.level, self.asked, name)

    def is_question(self, name: Names) -> Bool[np.ndarray, " batch"]:
        """Whether a name leads to what the question itself leads to."""
        found: Bool[np.ndarray, " batch"] = self.of_name(name)[0] == self.question[0]
        return found


def _known(family: Decomposition, level: int, number: int, asked: Questions) -> bool:
    """Whether a part is known before any answer is."""
    try:
        family.part(level, number, asked, ())
    except IndexError:
        return False
    return True


def _opening(family: Decomposition, level: int, asked: Questions) -> tuple[Names, ...]:
    """The facts that a question's parts ask for, as far as they are known before any answer is."""
    if level == 0:
        return (asked.asked,)
    found: tuple[Names, ...] = ()
    for number, below in enumerate(family.parts(level)):
        if _known(family, level, number, asked):
            part = asked.about(asked.row, family.part(level, number, asked, ()))
            found += _opening(family, below, part)
    return found


def _followed(family: Decomposition, level: int, asked: Questions, name: Names) -> tuple[Names, ...]:
    """The facts that the first part asks for which follows a name up; none where no part does."""
    for number, below in enumerate(family.parts(level)):
        if not _known(family, level, number, asked):
            part = family.part(level, number, asked, [name] * number)
            return _opening(family, below, asked.about(asked.row, part))
    return ()


def _pool(family: Decomposition, level: int) -> Int[np.ndarray, " names"]:
    """Names of things: those of facts that cannot answer the question; where there are none, all names of facts."""
    named = family.allowed(0)
    things = named & ~family.allowed(level)
    return np.flatnonzero(things if things.any() else named)


def _questions(family: Decomposition, level: int, rng: np.random.Generator, count: int) -> Questions:
    """One question a world, of whatever split."""
    worlds = family.draw(rng, count)
    askable = family.askable(worlds, level)
    asked = np.where(askable, rng.random(askable.shape), -1.0).argmax(axis=1)
    return Questions(worlds=worlds, row=np.arange(count), asked=asked, keys=np.arange(count))


def _rows(family: Decomposition, level: int, rng: np.random.Generator, count: int) -> _Rows:
    asked = _questions(family, level, rng, count)
    right = truth(family, level, asked)
    wrong = family.decoys(rng, level, asked, right)
    second = rng.integers(2, size=count)
    pool = _pool(family, level)
    spare = pool[rng.random((count, len(pool))).argsort(axis=1)]
    wide = len(_followed(family, level, asked, spare[:, 0]))
    if not wide:
        spare = rng.integers(asked.worlds.facts.shape[1], size=(count, 8))
    return _Rows(
        family=family, level=level, asked=asked, right=second, spare=spare, wide=wide,
        answers=(np.where(second, wrong, right), np.where(second, right, wrong)),
        question=_opening(family, level, asked),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class _State:
    """What an evaluator has after some readings.

    Attributes:
        things: names that it knows.
        used: what it has read.
        history: a number for all that it has seen.
        shape: how many outcomes there may be at the start and at each reading.
    """

    things: dict[str, Names]
    used: tuple[Action, ...]
    history: Names
    shape: tuple[int, ...]


def _numbered(family: Decomposition, level: int) -> bool:
    return level > 0 and isinstance(family, NUMBERED)


def _start(rows: _Rows) -> _State:
    family, level = rows.family, rows.level
    context = family.context(rows.asked)
    things = {"first answer": rows.answers[0], "second answer": rows.answers[1]}
    for column in range(context.shape[1]):
        if not rows.wide or not rows.is_question(context[:, column]).all():
            things[f"given {column}"] = context[:, column]
    if not _numbered(family, level):
        return _State(things=things, used=(), history=np.zeros(len(rows.asked), dtype=np.int64), shape=(1,))
    wide = int(family.allowed(level).sum())
    first, second = ((np.cumsum(family.allowed(level)) - 1)[answer] for answer in rows.answers)
    return _State(things=things, used=(), history=first * wide + second, shape=(wide**2,))


def _actions(rows: _Rows, state: _State) -> list[Action]:
    """What may be read next; nothing twice."""
    found = [("question", which) for which in range(len(rows.question))]
    answers_lead = bool(rows.family.allowed(rows.level)[_pool(rows.family, rows.level)].any())
    for thing in state.things:
        if answers_lead or not thing.endswith("answer"):
            found += [(thing, which) for which in range(rows.wide)]
    fresh = f"fresh {len(state.used) + 1}"
    found += [(fresh, which) for which in range(max(rows.wide, 1))]
    return [action for action in found if action not in state.used]


def _fresh(rows: _Rows, state: _State) -> Names:
    """Names that nothing has shown so far, as far as there are any."""
    name = rows.spare[:, 0]
    for column in range(1, rows.spare.shape[1]):
        shown = rows.is_question(name) | np.any([name == thing for thing in state.things.values()], axis=0)
        if not shown.any():
            break
        name = np.where(shown, rows.spare[:, column], name)
    return name


def _read(rows: _Rows, state: _State, action: Action) -> _State:
    thing, which = action
    things = dict(state.things)
    if thing == "question":
        place = rows.question[which]
    elif not rows.wide:
        place = rows.spare[:, len(state.used)]
    else:
        if thing not in things:
            things[thing] = _fresh(rows, state)
        place = rows.of_name(things[thing])[which]
    value = rows.asked.worlds.facts[rows.asked.row, place]
    code, outcomes = _outcome(rows, things, value)
    things[f"reading {len(state.used) + 1}"] = value
    return _State(
        things=things, used=(*state.used, action), history=state.history * outcomes + code,
        shape=(*state.shape, outcomes),
    )  # fmt: skip


def _outcome(rows: _Rows, things: dict[str, Names], value: Names) -> tuple[Names, int]:
    """What a reading shows, and how many different things it might show."""
    values = np.flatnonzero(rows.family.allowed(0))
    by_value = not rows.wide and len(values) <= FEW
    if by_value:
        skipped = ("first", "second", "reading") if _numbered(rows.family, rows.level) else ("reading",)
        things = {thing: name for thing, name in things.items() if not thing.startswith(skipped)}
    equal = [value == name for name in things.values()]
    if rows.wide:
        equal.append(rows.is_question(value))
    equal.append(np.ones(len(value), dtype=bool))
    which, outcomes = np.argmax(equal, axis=0), len(equal)
    if by_value:
        return which * len(values) + np.searchsorted(values, value), outcomes * len(values)
    return which * 2 + rows.family.allowed(rows.level)[value], outcomes * 2


def _tally(rows: _Rows, state: _State, budget: int, into: Counts) -> None:
    """Count what all strategies see."""
    if len(state.used) < budget:
        for action in _actions(rows, state):
            _tally(rows, _read(rows, state, action), budget, into)
        return
    cells = int(np.prod(state.shape)) * 2
    counts = np.bincount(state.history * 2 + rows.right, minlength=cells).reshape(*state.shape, 2)
    into[state.used] = into[state.used] + counts if state.used in into else counts


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """The best way on from every history, [start, outcome, ..., outcome].

    Attributes:
        fitted: comparisons decided right on the half that the plan was chosen on.
        scored: the same on the other half.
        chosen: which of `actions`, or which answer where there is no further reading.
        actions: what may be read next.
        on: the plans after each of them.
    """

    fitted: np.ndarray
    scored: np.ndarray
    chosen: np.ndarray
    actions: tuple[Action, ...]
    on: tuple["_Plan", ...]


def _plan(fit: Counts, score: Counts, used: tuple[Action, ...], budget: int) -> _Plan:
    if len(used) == budget:
        fitted, scored = np.moveaxis(fit[used], -1, 0), np.moveaxis(score[used], -1, 0)
        actions: tuple[Action, ...] = ()
        on: tuple[_Plan, ...] = ()
    else:
        actions = tuple(dict.fromkeys(key[len(used)] for key in fit if key[: len(used)] == used))
        on = tuple(_plan(fit, score, (*used, action), budget) for action in actions)
        fitted, scored = (
            np.stack(sums) for sums in zip(*((p.fitted.sum(-1), p.scored.sum(-1)) for p in on), strict=True)
        )
    chosen = fitted.argmax(axis=0)
    take = [np.take_along_axis(values, chosen[None], axis=0)[0] for values in (fitted, scored)]
    return _Plan(fitted=take[0], scored=take[1], chosen=chosen, actions=actions, on=on)


def _in_words(fit: Counts, plan: _Plan, budget: int) -> str:
    """What is read most often, in order, and which of a thing's facts."""
    said: list[Action] = []
    for _ in range(budget):
        counts = next(counts for used, counts in fit.items() if list(used[: len(said)]) == said)
        seen = counts.reshape(*counts.shape[: len(said) + 1], -1).sum(axis=-1)
        which = int(plan.chosen[np.unravel_index(int(seen.argmax()), seen.shape)])
        said.append(plan.actions[which])
        plan = plan.on[which]
    return ", then ".join(f"{thing} ({which})" for thing, which in said) or "nothing"


def _of_programs(family: Assignments, level: int, budget: int, rng: np.random.Generator, count: int) -> Optimum:
    """The same for assignments, program by program.

    Where more constants enter a variable just once than can be read, one such is left unread, and as the variable takes
    every value in turn as that constant does, all values stay equally likely.
    """
    asked = _questions(family, level, rng, count)
    uses = np.zeros((count, family.size), dtype=np.int64)
    for leaf in _opening(family, level, asked):
        uses[np.arange(count), leaf] += 1
    settled, hidden = (uses > 0).sum(axis=1) <= budget, (uses == 1).sum(axis=1) > budget
    rest = np.flatnonzero(~settled & ~hidden)
    some = rng.permutation(rest)[:ENUMERATED]
    found = [
        enumerated(family, level, asked.take(some[i : i + 1]), uses[some[i]] > 0, budget) for i in range(len(some))
    ]
    between = np.array(found) if found else np.full(1, 0.5)
    shares = np.array([settled.mean(), hidden.mean(), len(rest) / count])
    values = np.array([1.0, 0.5, between.mean()])
    accuracy = float(shares @ values)
    spread = float(shares @ (values - accuracy) ** 2) / count + shares[2] ** 2 * between.var() / len(between)
    return Optimum(accuracy=accuracy, error=float(spread**0.5), strategy="any constants that enter the variable")
