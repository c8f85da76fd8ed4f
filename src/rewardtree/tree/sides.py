"""One side of a batch of comparisons, and how people see it: its board, its instruments, its claims in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Int

from rewardtree.tasks.board import Board, Instrument, ShownClaim, ShownSide, Spot
from rewardtree.tasks.exhibit import Claim, Claims, Exhibit
from rewardtree.tasks.plain_boards import beneath, digest_board, quoted, signed
from rewardtree.tasks.task import Task, View

OFFERED = 64
"""Places at which texts are offered to who reads words; they go along with the comparison."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One side of a batch of comparisons: outputs and the claims made of them."""

    outputs: Any
    claims: Claims

    def take(self, rows: Int[np.ndarray, " rows"]) -> "Side":
        """The comparisons at `rows`."""
        return Side(outputs=self.outputs.take(rows), claims={q: c.take(rows) for q, c in self.claims.items()})


@dataclass(frozen=True, kw_only=True, slots=True)
class Manner:
    """How the sides of comparisons are shown.

    Attributes:
        pointed: places that probes and claims on either side point at, by instrument, [batch, places].
        trust: reliability of the claims on each quantity, 0 to 1; may be empty.
        listing: whether people see it: a text then lists under it the places at which texts can be opened, and
            instruments of which the exhibit knows nothing, having values or pictures of their own, are there.
    """

    pointed: Mapping[str, Int[np.ndarray, "batch _"]] = field(default_factory=dict)
    trust: Mapping[str, float] = field(default_factory=dict)
    listing: bool = False


def pointed_at(seen: Sequence[View | Exhibit], sides: Sequence[Side]) -> dict[str, Int[np.ndarray, "batch _"]]:
    """Places that probes and claims on these sides point at, by the instruments that open texts there."""
    found: dict[str, list[np.ndarray]] = {name: [] for one in seen for name in one.texts}
    for one, side in zip(seen, sides, strict=True):
        pointing = [(probe.instruments, probe.place) for probe in one.probes.values()]
        pointing += [(claim.check, claim.place) for claim in side.claims.values()]
        for name, places in found.items():
            places += [place for instruments, place in pointing if name in instruments]
    return {name: np.stack(places, axis=1) for name, places in found.items() if places}


def shown_side(
    task: Task, inputs: Any, side: Side, seen: View | Exhibit, row: int, manner: Manner
) -> ShownSide:  # fmt: skip
    """One output as people see it.

    Args:
        task: whose output it is.
        inputs: one a comparison.
        side: outputs and claims.
        seen: has what the instruments read, where the task's board does not say, and which of them read the input.
        row: of the comparison.
        manner: how it is shown.
    """
    board, instruments = _board(task, inputs, side.outputs, seen, row)
    known = seen.fields.keys() | seen.texts.keys()
    instruments = tuple(one for one in instruments if manner.listing or one.name in known)
    measured = tuple(
        replace(_filled(one, seen, row, manner), shared=one.name in seen.shared) for one in instruments
    )  # fmt: skip
    if manner.listing:
        board, measured = beneath(board, measured)
    words = getattr(task, "words", None)
    claims = []
    for quantity, claim in side.claims.items():
        told = None if words is None else words(inputs, claim, row)
        claims.append(_claim(claim, row, measured, told, manner.trust.get(quantity)))
    return ShownSide(board=board, instruments=measured, claims=tuple(claims))


def _filled(tool: Instrument, seen: View | Exhibit, row: int, manner: Manner) -> Instrument:
    """An instrument with what it reads: values, or texts at as many places as are offered.

    These are the ones that are pointed at, and others in an order that never changes, so that both sides have the same.
    """
    if tool.name not in seen.texts:
        if len(tool.values) or tool.name not in seen.fields:
            return tool
        return replace(tool, values=np.ascontiguousarray(seen.fields[tool.name][row], dtype=float))
    texts = seen.texts[tool.name]
    first = _order(texts.index.shape[1]).copy()
    if tool.name in manner.pointed:
        first[manner.pointed[tool.name][row]] = -1
    offered = {spot[0] for spot in sorted(tool.places, key=lambda spot: int(first[spot[0]]))[:OFFERED]}
    places = tuple(spot for spot in tool.places if spot[0] in offered)
    return replace(tool, places=places, values=(), texts=tuple(texts.at(row, place) for place, _, _ in places))


@lru_cache(maxsize=8)
def _order(count: int) -> Int[np.ndarray, " places"]:
    """The order in which so many places are offered: by chance, and always the same."""
    return np.random.default_rng(0).permutation(count)


def _board(
    task: Task, inputs: Any, outputs: Any, seen: View | Exhibit, row: int
) -> tuple[Board, tuple[Instrument, ...]]:
    """The task's own board, or a plain one of the records that name its input and output."""
    own: Any = getattr(task, "board", None)
    if own is not None:
        board, instruments = own(inputs, outputs, row)
        return board, instruments
    one = np.array([row])
    given, made = inputs.take(one).digest()[0], outputs.take(one).digest()[0]
    counts = {name: texts.index.shape[1] for name, texts in seen.texts.items()}
    return digest_board(given, made, counts | {name: values.shape[1] for name, values in seen.fields.items()})


def _claim(
    claim: Claim, row: int, instruments: tuple[Instrument, ...], told: tuple[str, str] | None, trust: float | None
) -> ShownClaim:  # fmt: skip
    """One claim on one output.

    Args:
        claim: on a batch.
        row: of the batch.
        instruments: on the board.
        told: pointer and statement in the task's words; the claim's own if None.
        trust: reliability of such claims.
    """
    place, value = int(claim.place[row]), float(claim.value[row])
    tool = next((one for one in instruments if one.name in claim.check), None)
    spot = None if tool is None else _spot(tool, place)
    nowhere = str(place) if claim.span is None else quoted(claim.span[row].tolist())
    label = nowhere if spot is None else spot[1]
    pointer, statement = told or (
        claim.pointer.format(place=label), claim.statement.format(place=label, value=value)
    )  # fmt: skip
    if claim.items is not None and np.isfinite(claim.items[row, place]):
        statement = f"{statement}; of this {float(claim.items[row, place]):.3g} at {label}"
    return ShownClaim(
        author=claim.author,
        version=claim.version,
        quantity=claim.quantity,
        pointer=pointer,
        statement=signed(statement),
        place=place,
        place_label="" if spot is None else label,
        box=() if spot is None else spot[2],
        instrument=None if tool is None else tool.name,
        reliability=None if trust is None else float(trust),
    )


def _spot(tool: Instrument, place: int) -> Spot | None:
    """A place of an instrument; most have their places in order."""
    if place < len(tool.places) and tool.places[place][0] == place:
        return tool.places[place]
    return next((spot for spot in tool.places if spot[0] == place), None)
