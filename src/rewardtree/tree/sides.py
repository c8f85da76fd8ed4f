"""One side of a batch of comparisons, and how people see it: its board, its instruments, its claims in words."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Int

from rewardtree.tasks.board import Board, Instrument, ShownClaim, ShownSide, Spot
from rewardtree.tasks.exhibit import Claim, Claims, Exhibit
from rewardtree.tasks.plain_boards import digest_board, signed
from rewardtree.tasks.task import Task, View


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One side of a batch of comparisons: outputs and the claims made of them."""

    outputs: Any
    claims: Claims

    def take(self, rows: Int[np.ndarray, " rows"]) -> "Side":
        """The comparisons at `rows`."""
        return Side(outputs=self.outputs.take(rows), claims={q: c.take(rows) for q, c in self.claims.items()})


def shown_side(
    task: Task, inputs: Any, side: Side, seen: View | Exhibit, row: int, trust: Mapping[str, float]
) -> ShownSide:
    """One output as people see it.

    Args:
        task: whose output it is.
        inputs: one a comparison.
        side: outputs and claims.
        seen: has what the instruments read, where the task's board does not say, and which of them read the input.
        row: of the comparison.
        trust: reliability of the claims on each quantity, 0 to 1; may be empty.
    """
    board, instruments = _board(task, inputs, side.outputs, seen.fields, row)
    measured = tuple(
        replace(
            one,
            values=one.values if len(one.values) else np.ascontiguousarray(seen.fields[one.name][row], dtype=float),
            shared=one.name in seen.shared,
        )
        for one in instruments
    )
    words = getattr(task, "words", None)
    claims = []
    for quantity, claim in side.claims.items():
        told = None if words is None else words(inputs, claim, row)
        claims.append(_claim(claim, row, measured, told, trust.get(quantity)))
    return ShownSide(board=board, instruments=measured, claims=tuple(claims))


def _board(
    task: Task, inputs: Any, outputs: Any, fields: Mapping[str, np.ndarray], row: int
) -> tuple[Board, tuple[Instrument, ...]]:
    """The task's own board, or a plain one of the records that name its input and output."""
    own: Any = getattr(task, "board", None)
    if own is not None:
        board, instruments = own(inputs, outputs, row)
        return board, instruments
    one = np.array([row])
    given, made = inputs.take(one).digest()[0], outputs.take(one).digest()[0]
    return digest_board(given, made, {name: values.shape[1] for name, values in fields.items()})


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
    label = str(place) if spot is None else spot[1]
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
