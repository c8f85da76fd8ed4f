"""Tasks whose output points at a place and gives a value: the shape of most helpers.

A *scene* is something with places (cells, nets, blocks) and a primitive field an instrument. A question asks
either to choose the place where a quantity is greatest or least and to say how much it is there, or how much
it is at a place that the asker names. The true reward of an answer is

    direction * worth(quantity(place)) / scale - penalty * |value - quantity(place)| / scale

(the first term only where the helper chooses the place). A place's worth is the quantity itself unless the task says
otherwise: where readings speak for or against something, the place that settles it has the greatest size. The
quantity is a stated function of the primitive fields at the same place; where it needs more than one of them, the task
may put a question a field to helpers of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from rewardtree.errors import TaskError
from rewardtree.tasks.backdrop import Backdrop, mixed_backdrop
from rewardtree.tasks.board import Board, Instrument
from rewardtree.tasks.exhibit import Claim, Claims, Probe, Values
from rewardtree.tasks.plain_boards import listed, named, signed, written
from rewardtree.tasks.task import Question, Split, View, raw_values
from rewardtree.tasks.texts import Passages

SKEW = 3.0
"""How strongly base outputs and questions lean towards prominent places; 1 is not at all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenes:
    """Inputs of an answering task.

    Attributes:
        features: what a policy sees of each place, [batch, places, features], float32.
        valid: places that exist, [batch, places].
        prominence: how much each place catches a layman's eye, from what is drawn there, [batch, places].
        fields: the instruments' fields, [batch, places] each; only the exhibit's meter leads to them.
        asked: the place asked about, or -1 where the helper chooses, [batch].
        origin: a number that names each scene, [batch].
        backdrop: what the places are places of, for people's boards; None where nothing is drawn.
    """

    features: Float[np.ndarray, "batch places features"]
    valid: Bool[np.ndarray, "batch places"]
    prominence: Float[np.ndarray, "batch places"]
    fields: Mapping[str, Float[np.ndarray, "batch places"]]
    asked: Int[np.ndarray, " batch"]
    origin: Int[np.ndarray, " batch"]
    backdrop: Backdrop | None = None

    def __len__(self) -> int:
        return len(self.asked)

    def take(self, rows: Int[np.ndarray, " rows"]) -> "Scenes":
        """The scenes at `rows`."""
        return Scenes(
            features=self.features[rows],
            valid=self.valid[rows],
            prominence=self.prominence[rows],
            fields={name: values[rows] for name, values in self.fields.items()},
            asked=self.asked[rows],
            origin=self.origin[rows],
            backdrop=None if self.backdrop is None else self.backdrop.take(rows),
        )

    def digest(self) -> list[dict[str, Any]]:
        """Scene and place asked about, one record a scene."""
        return [{"scene": int(o), "asked": int(a)} for o, a in zip(self.origin, self.asked, strict=True)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """Outputs of an answering task: a place and a value each, [batch]."""

    place: Int[np.ndarray, " batch"]
    value: Values

    def __len__(self) -> int:
        return len(self.place)

    def take(self, rows: Int[np.ndarray, " rows"]) -> "Answers":
        """The answers at `rows`."""
        return Answers(place=self.place[rows], value=self.value[rows])

    def digest(self) -> list[dict[str, Any]]:
        """Place and value, one record an answer."""
        return [{"place": int(p), "value": float(v)} for p, v in zip(self.place, self.value, strict=True)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """A question about one field at the answer's own place, for a helper.

    Attributes:
        helper: the helper's node.
        columns: the columns of this task's features that are the helper's features.
    """

    helper: str
    columns: slice


def _same_place(fields: Mapping[str, Any]) -> Any:
    (values,) = fields.values()
    return values


def _itself(quantity: Any) -> Any:
    return quantity


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerTask:
    """Point at a place and give a value. See the module's docstring for the true reward.

    Attributes:
        name: the node's name.
        instruments: the fields that can be read, each at a place.
        draw: draws scenes of a split; their `asked` decides the kind of question.
        quantity: the quantity from the fields, elementwise; the field itself if there is one.
        worth: what pointing at a place is worth from the quantity there, elementwise; the quantity itself if not given.
        direction: +1 where the greatest is looked for, -1 where the least is.
        low, high: the range that answers may give, in the quantity's unit.
        usual: a typical value, in its unit.
        scale: a typical spread of the quantity over places, in its unit.
        unit: for people.
        penalty: weight of the value's error.
        asks: questions to helpers, by field.
        levels: number of values that an answer may give, evenly from `low` to `high`.
        statement: the claim as a sentence.
        total: the claim as a sentence where it sums up all places; `statement` if empty.
        pointer: the claim without its value.
        noun: the quantity's name for people, to stand after "the"; the task's if empty.
        posed: what people are asked; which answer about the noun is better if empty.
        counts: what counts in an answer, for people; the noun, its direction and scales in words if empty.
        digits: decimals that people are shown.
        thumb: what a rule of thumb answers, for a control; that of `rewardtree.tree.stand_ins.heuristic` if None.
        picture: draws an answer for people, called with the task, scenes, answers and a row; a text if None.
        passages: the words at places, where they have any.
    """

    name: str
    instruments: tuple[str, ...]
    draw: Callable[[np.random.Generator, int, Split], Scenes]
    quantity: Callable[[Mapping[str, Any]], Any] = _same_place
    worth: Callable[[Any], Any] = _itself
    direction: int = 1
    low: float
    high: float
    usual: float
    scale: float
    unit: str = ""
    penalty: float = 1.0
    asks: Mapping[str, Ask] = field(default_factory=dict)
    levels: int = 65
    statement: str = "{value:.3g} at {place}"
    total: str = ""
    pointer: str = "place {place}"
    noun: str = ""
    posed: str = ""
    counts: str = ""
    digits: int = 2
    thumb: Callable[[Scenes], Answers] | None = None
    picture: Callable[["AnswerTask", Scenes, Answers, int], tuple[Board, tuple[Instrument, ...]]] | None = None
    passages: Passages | None = None

    def __post_init__(self) -> None:
        if (
            self.direction not in (-1, 1)
            or not self.low <= self.usual <= self.high
            or self.low == self.high
            or self.scale <= 0
            or self.levels < 2
        ):
            raise TaskError(f"task {self.name}: direction is +1 or -1, low <= usual <= high, scale > 0 and levels > 1")

    @property
    def quantities(self) -> tuple[str, ...]:
        """The fields at the answer's own place."""
        return self.instruments

    def grid(self) -> Float[np.ndarray, " levels"]:
        """The values that an answer may give."""
        return np.linspace(self.low, self.high, self.levels)

    def truth(self, scenes: Scenes) -> Float[np.ndarray, "batch places"]:
        """The quantity at every place."""
        values: Float[np.ndarray, "batch places"] = self.quantity(scenes.fields)
        return values

    def merit(self, quantity: Any) -> Any:
        """What pointing at places with this quantity is worth, more is better, in the quantity's unit."""
        return self.direction * self.worth(quantity)

    def sample(self, rng: np.random.Generator, count: int, split: Split) -> Scenes:
        """Draw scenes."""
        return self.draw(rng, count, split)

    def base_outputs(self, rng: np.random.Generator, inputs: Scenes) -> Answers:
        """A place that catches the eye (or the one asked about), with a value that some other scene has."""
        truth = self.truth(inputs)
        place = np.where(inputs.asked >= 0, inputs.asked, prominent_places(rng, inputs))
        elsewhere = rng.permutation(len(inputs))
        value = truth[elsewhere, prominent_places(rng, inputs)[elsewhere]]
        return Answers(place=place, value=np.clip(value, self.low, self.high))

    def explore(self, rng: np.random.Generator, inputs: Scenes) -> Answers:
        """A place that catches the eye (or the one asked about), with any value: what a beginner tries."""
        place = np.where(inputs.asked >= 0, inputs.asked, prominent_places(rng, inputs))
        value = self.usual + 2.0 * self.scale * rng.standard_normal(len(inputs))
        return Answers(place=place, value=np.clip(value, self.low, self.high))

    def view(self, inputs: Scenes, outputs: Answers, claims: Claims) -> View:
        """The value that the answer gives is on the face; each field can be read at its place."""
        face = np.stack([outputs.value / self.scale, (inputs.asked >= 0).astype(float)], axis=1)
        probes = {n: Probe(quantity=n, instruments=(n,), place=outputs.place) for n in self.instruments}
        texts = {} if self.passages is None else self.passages.texts(inputs)
        return View(face=face, probes=probes, fields={n: inputs.fields[n] for n in self.instruments}, texts=texts)

    def reading(self, inputs: Scenes, outputs: Answers, row: int, instrument: str, text: str) -> float:
        """What a simulated evaluator takes from a text; for tasks whose places have words."""
        if self.passages is None:
            raise NotImplementedError(f"the places of {self.name} have no words")
        return self.passages.reading(inputs, row, text)

    def sense(self, face: Float[np.ndarray, "batch 2"], known: Mapping[str, Values]) -> Float[np.ndarray, "batch 2"]:
        """The quantity at the place, where that was chosen, and how far the answer's value is from it."""
        quantity = self.quantity({n: known[n] for n in self.instruments})
        amount, merit = quantity / self.scale, self.merit(quantity) / self.scale
        chosen = 1.0 - face[:, 1]
        return np.stack([merit * chosen, np.abs(face[:, 0] - amount)], axis=1)

    def questions(self, inputs: Scenes, outputs: Answers, claims: Claims) -> Sequence[Question]:
        """How much is each field at the answer's place? The answers fix the quantity there: the reward."""
        return [
            Question(helper=ask.helper, quantity=name, inputs=self._asked(inputs, outputs, name, ask))
            for name, ask in self.asks.items()
            if name not in claims
        ]

    def _asked(self, inputs: Scenes, outputs: Answers, name: str, ask: Ask) -> Scenes:
        return replace(
            inputs,
            features=inputs.features[:, :, ask.columns],
            asked=outputs.place,
            fields={name: inputs.fields[name]},
        )

    def survey(self, view: View) -> Mapping[str, Values]:
        """Each field at the answer's own place."""
        return {
            n: np.take_along_axis(view.fields[n], view.probes[n].place[:, None], axis=1)[:, 0] for n in self.instruments
        }

    def claim(self, inputs: Scenes, outputs: Answers, *, question: Question, version: str) -> Claim:
        """The answer as a claim that the fields at its place check."""
        statement, pointer = (question.total and self.total) or self.statement, self.pointer
        if len(inputs) and (inputs.asked >= 0).all():
            pointer = f"{self._noun} at {{place}}"
            statement = f"{pointer}: {{value:.{self.digits}f}} {self.unit}".strip()
        return Claim(
            author=self.name,
            version=version,
            quantity=question.quantity,
            place=outputs.place,
            value=outputs.value,
            check=self.instruments,
            combine=self.quantity,
            turn=question.turn,
            in_reply_to=question.in_reply_to,
            statement=statement,
            pointer=pointer,
            span=None if self.passages is None else self.passages.span(inputs, outputs.place),
        )

    @property
    def _noun(self) -> str:
        return self.noun or self.name.replace("_", " ")

    @property
    def question(self) -> str:
        """For people."""
        return self.posed or f"Which answer about the {self._noun} is better?"

    @property
    def guide(self) -> str:
        """What counts, for people."""
        if self.counts:
            return self.counts
        most, unit = "greatest" if self.direction > 0 else "least", f" {self.unit}" if self.unit else ""
        return (
            f"A good answer points at the right place and gives the right value: the place where the {self._noun} is "
            f"{most}, and how much it is there. A place that is {self.scale:g}{unit} worse counts as much as a value "
            f"that is {self.scale / self.penalty:g}{unit} off. Where the place was given, only the value counts."
        )

    def told(self, inputs: Scenes, outputs: Answers, row: int, label: str) -> str:
        """An answer in words.

        Args:
            inputs: the scenes.
            outputs: the answers.
            row: of the batch.
            label: what the answer's place is called.
        """
        value = float(outputs.value[row])
        if inputs.asked[row] >= 0:
            amount = f"{value:.{self.digits}f} {self.unit}".strip()
            return signed(f"Asked: {self._noun} at {label}. The answer: {amount}")
        return signed(f"The answer: {self.statement.format(place=label, value=value)}")

    def board(self, inputs: Scenes, outputs: Answers, row: int) -> tuple[Board, tuple[Instrument, ...]]:
        """The answer as people see it: in a picture of the scene where there is one, else in words."""
        if self.picture is not None and inputs.backdrop is not None:
            return self.picture(self, inputs, outputs, row)
        words = self.told(inputs, outputs, row, str(outputs.place[row]))
        places = listed(int(place) for place in np.flatnonzero(inputs.valid[row]))
        board, spots = written([words, "\n\n", *places])
        unit = self.unit if self.quantity is _same_place else ""
        return board, tuple(
            Instrument(name=name, label=named(name), unit=unit, digits=self.digits, places=spots)
            for name in self.instruments
        )

    def observe(self, inputs: Scenes, outputs: Answers) -> Float[np.ndarray, "batch features_plus_two"]:
        """The features of the answer's place, whether it was chosen, and the value in units of `scale`."""
        rows = np.arange(len(inputs))
        chosen = (inputs.asked < 0).astype(np.float32)[:, None]
        value = ((outputs.value - self.low) / self.scale).astype(np.float32)[:, None]
        return np.concatenate([inputs.features[rows, outputs.place], chosen, value], axis=1)

    def hear(self, inputs: Scenes, outputs: Answers, claims: Claims) -> Float[np.ndarray, "batch claims"]:
        """The values that claims give."""
        return raw_values(self.quantities, claims)

    def true_reward(self, inputs: Scenes, outputs: Answers) -> Values:
        """See the module's docstring."""
        amount = self.truth(inputs)[np.arange(len(inputs)), outputs.place]
        chosen = inputs.asked < 0
        error = np.abs(outputs.value - amount)
        reward: Values = (self.merit(amount) * chosen - self.penalty * error) / self.scale
        return reward

    def ideal(self, inputs: Scenes) -> Answers:
        """The best answer, as someone with every reading gives it."""
        truth = self.truth(inputs)
        best = np.where(inputs.valid, self.merit(truth), -np.inf).argmax(axis=1)
        place = np.where(inputs.asked >= 0, inputs.asked, best)
        return Answers(place=place, value=truth[np.arange(len(inputs)), place])

    def measures(self, inputs: Scenes, outputs: Answers) -> Mapping[str, Values]:
        """How far the chosen place is from the best one, and the value's error, both in units of `scale`."""
        truth = self.truth(inputs)
        rows = np.arange(len(inputs))
        best = truth[rows, self.ideal(inputs).place]
        there = truth[rows, outputs.place]
        regret: Values = (self.merit(best) - self.merit(there)) / self.scale
        return {
            "regret": regret,
            "value_error": np.abs(outputs.value - there) / self.scale,
        }


def prominent_places(rng: np.random.Generator, scenes: Scenes) -> Int[np.ndarray, " batch"]:
    """A place of each scene, drawn by its rank in prominence: a uniform number to the power `SKEW`."""
    order = np.where(scenes.valid, -scenes.prominence, np.inf).argsort(axis=1, kind="stable")
    rank = (scenes.valid.sum(axis=1) * rng.random(len(scenes)) ** SKEW).astype(int)
    places: Int[np.ndarray, " batch"] = order[np.arange(len(scenes)), rank]
    return places


def some_asked(rng: np.random.Generator, scenes: Scenes, share: float = 0.5) -> Scenes:
    """The same scenes, a share of them with a prominent place that is asked about."""
    asked = np.where(rng.random(len(scenes)) < share, prominent_places(rng, scenes), -1)
    return replace(scenes, asked=asked)


def merge(first: Scenes, second: Scenes, take_second: Bool[np.ndarray, " batch"]) -> Scenes:
    """Scenes of the first batch, or of the second where so marked; both have the same shapes."""

    def mixed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where(take_second.reshape(-1, *[1] * (a.ndim - 1)), b, a)

    return Scenes(
        features=mixed(first.features, second.features),
        valid=mixed(first.valid, second.valid),
        prominence=mixed(first.prominence, second.prominence),
        fields={name: mixed(values, second.fields[name]) for name, values in first.fields.items()},
        asked=mixed(first.asked, second.asked),
        origin=mixed(first.origin, second.origin),
        backdrop=mixed_backdrop(first.backdrop, second.backdrop, take_second),
    )
