"""The metered exhibit: all that an evaluator of any kind ever sees of an output."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float, Int

from rewardtree.errors import TaskError
from rewardtree.tasks.board import ShownSide
from rewardtree.tasks.meter import Meter
from rewardtree.tasks.texts import Texts

Values = Float[np.ndarray, " batch"]
Combine = Callable[[Mapping[str, Values]], Values]
SPAN = 3
"""Numbers of a span: chapter, from, to."""


def only(readings: Mapping[str, Values]) -> Values:
    """The value of a probe that uses one instrument."""
    (value,) = readings.values()
    return value


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """Instruments used together at one place an output, and the quantity that they settle there.

    Attributes:
        quantity: the name of what is learnt, the same name that a claim about it carries.
        instruments: each use is one reading.
        place: where, [batch].
        combine: the quantity from the readings, one value an instrument.
        named: whether the quantity is a name, a number that says which and not how much.
        follow: times that the instruments are used again, at the place that the last reading named.
    """

    quantity: str
    instruments: tuple[str, ...]
    place: Int[np.ndarray, " batch"]
    combine: Combine = only
    named: bool = False
    follow: int = 0

    @property
    def cost(self) -> int:
        """Readings an output."""
        return len(self.instruments) * (1 + self.follow)


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What one helper said of each output in a batch, in answer to one question.

    Attributes:
        author: the helper's node.
        version: the version of the policy that spoke.
        quantity: what the claim is about.
        place: the witness it points at, [batch].
        value: the value it gives, [batch].
        items: the values that `value` sums, [batch, places] with nan where there is no item, or None.
        check: instruments that read the claimed quantity (or an item of it) at a place; empty if none does.
        combine: the quantity from those readings.
        turn: the round in which it was said.
        in_reply_to: the quantity of the claim that it answers, or None.
        named: whether the value is a name, a number that says which and not how much.
        revealed: True where the environment vouches for the value, False where a policy asserts it.
        statement: a sentence with `{place}` and `{value}` for people.
        pointer: the same without its value: where it points, and why.
        span: the stretch of a text that it quotes: chapter, from 0, and characters from and to, [batch, 3]; None where
            places are not in a text. It says where, and never what stands there.
    """

    author: str
    version: str
    quantity: str
    place: Int[np.ndarray, " batch"]
    value: Values
    items: Float[np.ndarray, "batch places"] | None = None
    check: tuple[str, ...] = ()
    combine: Combine = only
    turn: int = 0
    in_reply_to: str | None = None
    named: bool = False
    revealed: bool = False
    statement: str = "{value:.3g} at {place}"
    pointer: str = "points at {place}"
    span: Int[np.ndarray, "batch 3"] | None = None

    def __post_init__(self) -> None:
        if self.place.shape != self.value.shape:
            raise TaskError(f"claim {self.quantity}: give one place and one value an output")
        if self.span is not None and self.span.shape != (*self.place.shape, SPAN):
            raise TaskError(f"claim {self.quantity}: give one span an output, as chapter, from and to")

    def take(self, rows: Int[np.ndarray, " rows"]) -> "Claim":
        """The claims on the outputs at `rows`."""
        items = None if self.items is None else self.items[rows]
        span = None if self.span is None else self.span[rows]
        return replace(self, place=self.place[rows], value=self.value[rows], items=items, span=span)


Claims = Mapping[str, Claim]
"""Claims on a batch of outputs, by quantity."""
NO_CLAIMS: Claims = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True)
class Exhibit:
    """A batch of outputs as an evaluator sees them.

    `face` is free, `claims` are what the helpers said, `probes` name places that can be seen to be worth a
    look, and `read` is the only way to the fields behind the instruments, `open` to their texts.

    Attributes:
        face: what is visible for free, [batch, face].
        probes: places that anyone can point out from the face, by quantity.
        claims: by quantity.
        fields: what the instruments read, by instrument, [batch, places]; not for evaluators, who call
            `read`.
        texts: what the instruments show in words, for those that open texts; not for evaluators, who call `open`.
        meter: shared with the other side of the comparison.
        public: what else everybody sees of the input, in the task's own shape; for its `survey`.
        shared: instruments that read the input and not the output: what is read on one side holds on the other.
        shown: gives the output at a row as people see it, for who reads words; what its instruments hold is nobody's
            until `read` or `open` has granted it.
    """

    face: Float[np.ndarray, "batch face"]
    probes: Mapping[str, Probe]
    claims: Claims
    fields: Mapping[str, Float[np.ndarray, "batch _"]] = field(repr=False)
    meter: Meter = field(repr=False)
    texts: Mapping[str, Texts] = field(default_factory=dict, repr=False)
    public: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)
    shared: frozenset[str] = frozenset()
    shown: Callable[[int], ShownSide] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.face)

    def read(
        self,
        instrument: str,
        places: Int[np.ndarray, "batch requests"],
        wanted: Bool[np.ndarray, " batch"] | None = None,
    ) -> tuple[Float[np.ndarray, "batch requests"], Bool[np.ndarray, "batch requests"]]:
        """Use an instrument at places; each granted use costs one reading.

        Args:
            instrument: its name.
            places: where.
            wanted: outputs for which the instrument is used at all; all of them if None.

        Returns:
            The values, nan where the meter refused, and which were granted.

        Raises:
            TaskError: where there is no such instrument or no such place.
        """
        if instrument not in self.fields:
            raise TaskError(f"there is no instrument {instrument!r}; there are {sorted(self.fields)}")
        known = self.fields[instrument]
        granted = self._granted(instrument, known.shape[1], places, wanted)
        values = np.take_along_axis(known, places, axis=1)
        return np.where(granted, values, np.nan), granted

    def open(
        self,
        instrument: str,
        places: Int[np.ndarray, "batch requests"],
        wanted: Bool[np.ndarray, " batch"] | None = None,
    ) -> tuple[list[list[str | None]], Bool[np.ndarray, "batch requests"]]:
        """Open texts at places, for who reads words; each granted use costs one reading, as it does with `read`.

        Args:
            instrument: its name.
            places: where.
            wanted: outputs for which the instrument is used at all; all of them if None.

        Returns:
            The texts, None where the meter refused or there is nothing to open, and which were granted.

        Raises:
            TaskError: where no such instrument opens texts, or there is no such place.
        """
        if instrument not in self.texts:
            raise TaskError(f"no instrument {instrument!r} opens texts; there are {sorted(self.texts)}")
        known = self.texts[instrument]
        granted = self._granted(instrument, known.index.shape[1], places, wanted)
        found = [
            [known.at(row, place) if given else None for place, given in zip(*both, strict=True)]
            for row, both in enumerate(zip(places.tolist(), granted.tolist(), strict=True))
        ]
        return found, granted

    def _granted(
        self, instrument: str, count: int, places: Int[np.ndarray, "batch requests"],
        wanted: Bool[np.ndarray, " batch"] | None,
    ) -> Bool[np.ndarray, "batch requests"]:  # fmt: skip
        if places.size and (places.min() < 0 or places.max() >= count):
            asked = f"{places.min()} to {places.max()}"
            raise TaskError(f"{instrument} reads places 0 to {count - 1}; {asked} were asked for")
        anyone = np.ones(len(places), dtype=bool) if wanted is None else wanted
        return self.meter.grant(np.repeat(anyone[:, None], places.shape[1], axis=1))

    def read_probe(self, probe: Probe) -> Values:
        """Use a probe's instruments at its place, and where it follows, at the places that its readings name.

        Returns:
            The quantity, nan where a reading was refused.
        """
        place, known = probe.place, np.ones(len(self), dtype=bool)
        for _ in range(1 + probe.follow):
            readings = {name: self.read(name, place[:, None], known)[0][:, 0] for name in probe.instruments}
            value = probe.combine(readings)
            last = next(iter(self.fields[name] for name in probe.instruments)).shape[1] - 1
            known = known & (value >= 0) & (value <= last)
            place = np.where(known, value, 0).astype(np.int64)
        return value
