"""The task of one level of a decomposition: answer a question with a name.

True reward: 1 where the answer is right, else 0. An instrument reads one fact. The questions put to helpers are the
question's parts, in order; their right answers settle the comparison, since the family's `conclude` then gives the
right answer. At a level whose parts are single facts the evaluator can check what helpers say of them.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from rewardtree.tasks.answers import Answers
from rewardtree.tasks.board import Board, Instrument
from rewardtree.tasks.decomposition import Decomposition, Names, Questions, Worlds, named, one_each, truth
from rewardtree.tasks.exhibit import Claim, Claims, Probe, Values
from rewardtree.tasks.plain_boards import digest_board
from rewardtree.tasks.task import Question, Split, View
from rewardtree.tasks.wording import Worded, question_board

FACT = "fact"
"""The instrument, and the quantity that it reads at level 0."""

SHARED = frozenset({FACT})


def level_name(level: int) -> str:
    """The node of a level."""
    return f"level_{level}"


@dataclass(frozen=True, kw_only=True, slots=True)
class LevelTask:
    """See the module's docstring.

    Attributes:
        family: of the questions.
        level: of the questions.
    """

    family: Decomposition
    level: int

    @property
    def name(self) -> str:
        """The node's name."""
        return level_name(self.level)

    @property
    def parts(self) -> tuple[str, ...]:
        """The quantities that helpers claim."""
        return tuple(f"part_{number}" for number in range(len(self.family.parts(self.level))))

    @property
    def quantities(self) -> tuple[str, ...]:
        """The answers to the parts, or the fact itself; then what a glance may show."""
        return (self.parts or (FACT,)) + tuple(f"glance_{i}" for i in range(self._glances))

    @property
    def _glances(self) -> int:
        assert isinstance(self.family, Hashable), "families are frozen values"
        return _glances(self.family, self.level)

    def sample(self, rng: np.random.Generator, count: int, split: Split) -> Questions:
        """One question about each of `count` worlds."""
        return one_each(self.family, rng, count, split, self.level)

    def base_outputs(self, rng: np.random.Generator, inputs: Questions) -> Answers:
        """As often right as wrong."""
        right = truth(self.family, self.level, inputs)
        wrong = self.family.decoys(rng, self.level, inputs, right)
        return _answers(inputs, np.where(rng.random(len(inputs)) < 0.5, right, wrong))

    def explore(self, rng: np.random.Generator, inputs: Questions) -> Answers:
        """Any name that may be an answer: what a beginner tries."""
        allowed = np.flatnonzero(self.family.allowed(self.level))
        return _answers(inputs, rng.choice(allowed, len(inputs)))

    def view(self, inputs: Questions, outputs: Answers, claims: Claims) -> View:
        """On the face: the answer, and what everybody sees of the question. A probe reads a fact."""
        context = self.family.context(inputs)
        face = np.concatenate([outputs.value[:, None], context.astype(float)], axis=1)
        facts = inputs.worlds.facts[inputs.row].astype(float)
        return View(face=face, probes=self._probes(inputs), fields={FACT: facts}, public=_public(inputs), shared=SHARED)

    def _probes(self, inputs: Questions) -> dict[str, Probe]:
        """How facts can be read unaided.

        The fact asked for; each part that is a fact known from the question alone; a part that
        is a fact which the part before it names, by following.
        """

        def probe(quantity: str, place: Names, follow: int = 0) -> Probe:
            return Probe(quantity=quantity, instruments=(FACT,), place=place, follow=follow, named=True)

        if self.level == 0:
            return {FACT: probe(FACT, inputs.asked)}
        below = self.family.parts(self.level)
        found: dict[str, Probe] = {}
        if not any(below):
            zeros = [np.zeros(len(inputs), dtype=np.int64)] * len(below)
            ones = [np.ones(len(inputs), dtype=np.int64)] * len(below)
            for number, quantity in enumerate(self.parts):
                asked = self.family.part(self.level, number, inputs, zeros[:number])
                fixed = np.array_equal(asked, self.family.part(self.level, number, inputs, ones[:number]))
                found[quantity] = probe(quantity, asked) if fixed else probe(quantity, inputs.asked, number)
        glances = self.family.glances(self.level, inputs) if self._glances else ()
        return found | {f"glance_{i}": probe(f"glance_{i}", place) for i, place in enumerate(glances)}

    def sense(self, face: Float[np.ndarray, "batch face"], known: Mapping[str, Values]) -> Float[np.ndarray, "batch _"]:
        """Whether the answer is the one that follows from what is known; what glances say of it."""
        answer = named(self.family, face[:, 0])
        context = face[:, 1:].astype(np.int64)
        found = [(self._concluded(context, known) == answer).astype(float)[:, None]]
        if self._glances:
            read = [np.where(known[q] < 0, np.nan, known[q]) for q in self.quantities if q.startswith("glance")]
            found.append(self.family.hunch(self.level, context, read, answer))
        return np.concatenate(found, axis=1)

    def _concluded(self, context: np.ndarray, known: Mapping[str, Values]) -> Names:
        """The answer that follows from the parts, or the fact; -1 where one that matters is not known."""
        if self.level == 0:
            return np.where(known[FACT] < 0, -1, named(self.family, known[FACT]))
        said = [known[quantity] for quantity in self.parts]
        names = [named(self.family, values) for values in said]
        follows = self.family.conclude(self.level, context, names)
        for number, values in enumerate(said):
            others = [np.where(i == number, (n + 1) % self.family.names, n) for i, n in enumerate(names)]
            matters = self.family.conclude(self.level, context, others) != follows
            follows = np.where((values < 0) & matters, -1, follows)
        return follows

    def questions(self, inputs: Questions, outputs: Answers, claims: Claims) -> Sequence[Question]:
        """The next part, given what was claimed of those before it."""
        said = [named(self.family, claims[q].value) for q in self.parts if q in claims]
        if len(said) == len(self.parts):
            return ()
        number = len(said)
        asked = self.family.part(self.level, number, inputs, said)
        return [
            Question(
                helper=level_name(self.family.parts(self.level)[number]),
                quantity=self.parts[number],
                inputs=inputs.about(inputs.row, asked),
                turn=number,
                in_reply_to=self.parts[number - 1] if number else None,
            )
        ]

    def survey(self, view: View) -> Mapping[str, Values]:
        """The right answers to all parts, by reading every fact."""
        rows, facts = np.arange(len(view.face)), view.fields[FACT].astype(np.int64)
        nothing = np.empty((len(rows), 0), dtype=np.int64)
        worlds = Worlds(tokens=nothing[:, :, None], facts=facts, public=view.public["program"], hidden=nothing)
        read = Questions(worlds=worlds, row=rows, asked=view.public["asked"], keys=rows)
        if self.level == 0:
            return {FACT: truth(self.family, 0, read).astype(float)}
        known: list[Names] = []
        for number, below in enumerate(self.family.parts(self.level)):
            part = read.about(read.row, self.family.part(self.level, number, read, known))
            known.append(truth(self.family, below, part))
        return {quantity: values.astype(float) for quantity, values in zip(self.parts, known, strict=True)}

    def claim(self, inputs: Questions, outputs: Answers, *, question: Question, version: str) -> Claim:
        """The answer as a claim; a fact is checked by reading it."""
        return Claim(
            author=self.name, version=version, quantity=question.quantity, place=inputs.asked, value=outputs.value,
            check=(FACT,) if self.level == 0 else (), turn=question.turn, in_reply_to=question.in_reply_to,
            named=True, statement="the answer to {place} is {value:.0f}",
        )  # fmt: skip

    @property
    def question(self) -> str:
        """For people."""
        return "Which answer is right?"

    @property
    def guide(self) -> str:
        """What counts, for people."""
        rules = f" {self.family.rules()}" if isinstance(self.family, Worded) else ""
        return f"A right answer is better than a wrong one; two right or two wrong ones are equally good.{rules}"

    def board(self, inputs: Questions, outputs: Answers, row: int) -> tuple[Board, tuple[Instrument, ...]]:
        """Question and answer in words, if the family has words for them, with the facts to look up."""
        if isinstance(self.family, Worded):
            name = int(named(self.family, outputs.value[[row]])[0])
            return question_board(self.family, self.level, inputs, row, name, instrument=FACT)
        one = np.array([row])
        places = {FACT: inputs.worlds.facts.shape[1]}
        return digest_board(inputs.take(one).digest()[0], outputs.take(one).digest()[0], places)

    def words(self, inputs: Questions, claim: Claim, row: int) -> tuple[str, str] | None:
        """The part that a claim answers, and its answer."""
        if not isinstance(self.family, Worded) or claim.quantity not in self.parts:
            return None
        below = self.family.parts(self.level)[self.parts.index(claim.quantity)]
        asked = self.family.ask(below, int(claim.place[row]), inputs, row)
        return asked, f"{asked} {self.family.answer(int(named(self.family, claim.value[[row]])[0]))}"

    def observe(self, inputs: Questions, outputs: Answers) -> Float[np.ndarray, "batch links"]:
        """What single facts link question and answer; above level 0 that does not settle it."""
        return self.family.links(inputs, named(self.family, outputs.value))

    def hear(self, inputs: Questions, outputs: Answers, claims: Claims) -> Float[np.ndarray, "batch 1"]:
        """Whether the answer is the one that follows from the claims."""
        said = {quantity: claims[quantity].value for quantity in self.parts}
        follows, answer = self._concluded(self.family.context(inputs), said), named(self.family, outputs.value)
        agrees: Float[np.ndarray, "batch 1"] = np.equal(follows, answer).astype(np.float32)[:, None]
        return agrees

    def true_reward(self, inputs: Questions, outputs: Answers) -> Values:
        """1 where the answer is right, else 0."""
        right: Values = np.equal(truth(self.family, self.level, inputs), outputs.value).astype(float)
        return right

    def measures(self, inputs: Questions, outputs: Answers) -> Mapping[str, Values]:
        """Nothing beside the true reward."""
        return {}

    def ideal(self, inputs: Questions) -> Answers:
        """The right answers."""
        return _answers(inputs, truth(self.family, self.level, inputs))

    def stand_in(self, control: str, rng: np.random.Generator, inputs: Questions) -> Answers:
        """Answers of a control.

        `random_places` gives the right answer to some other question about the same world; `heuristic` takes the
        nearest fact for the answer; `adversarial` gives a wrong one in half of the cases.
        """
        right = truth(self.family, self.level, inputs)
        match control:
            case "random_places":
                askable = self.family.askable(inputs.worlds, self.level)[inputs.row]
                other = np.where(askable, rng.random(askable.shape), -1.0).argmax(axis=1)
                return _answers(inputs, truth(self.family, self.level, inputs.about(inputs.row, other)))
            case "heuristic":
                fact = inputs.worlds.facts[inputs.row, np.minimum(inputs.asked, inputs.worlds.facts.shape[1] - 1)]
                allowed = self.family.allowed(self.level)
                return _answers(inputs, np.where(allowed[fact], fact, int(np.flatnonzero(allowed)[0])))
            case _:
                lie = rng.random(len(inputs)) < 0.5
                choices = np.flatnonzero(self.family.allowed(self.level))
                step = rng.integers(1, len(choices), size=len(inputs))
                other = choices[(np.searchsorted(choices, right) + step) % len(choices)]
                return _answers(inputs, np.where(lie, other, right))


def _public(inputs: Questions) -> dict[str, np.ndarray]:
    """What everybody sees of questions, no fact among it."""
    return {"asked": inputs.asked, "program": inputs.worlds.public[inputs.row]}


@lru_cache(maxsize=256)
def _glances(family: Hashable, level: int) -> int:
    """Facts at which an unaided evaluator may glance where it can read no whole part."""
    if level < 2:
        return 0
    assert isinstance(family, Decomposition)
    return len(family.glances(level, one_each(family, np.random.default_rng(0), 1, "train", level)))


def _answers(inputs: Questions, names: Names) -> Answers:
    return Answers(place=inputs.asked, value=names.astype(float))
