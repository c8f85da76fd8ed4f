"""Comparisons as people see them: boards, instruments and claims, rendered by the task and packed for the store.

What the labelling page shows at once is on the board and in the claims; what an instrument would read goes along in
`Instrument.values`, for the server alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np

from rewardtree.tasks.board import Board, Instrument, Shown, ShownClaim, ShownSide, Spot, pack
from rewardtree.tasks.exhibit import Claim, Exhibit
from rewardtree.tasks.plain_boards import digest_board, signed
from rewardtree.tasks.task import Task
from rewardtree.tree.comparing import Side

Favoured: TypeAlias = Literal["first", "second", "neither"]
BoardOf: TypeAlias = Callable[[int], tuple[Board, tuple[Instrument, ...]]]
"""The board of a row, and its instruments."""


def show(
    task: Task, inputs: Any, sides: tuple[Side, Side], exhibits: tuple[Exhibit, Exhibit], trust: Mapping[str, float]
) -> list[bytes]:
    """Pack every comparison as people see it.

    Args:
        task: of the node whose outputs are compared; see `rewardtree.tasks.task.ForPeople` for what it may bring along.
        inputs: one a comparison.
        sides: outputs and claims.
        exhibits: of the sides.
        trust: reliability of the claims on each quantity as it was measured, 0 to 1; may be empty.

    Returns:
        Bytes for `Comparison.fields`, one a comparison.
    """
    boards = [_board_of(task, inputs, side.outputs, shown) for side, shown in zip(sides, exhibits, strict=True)]
    question, guide = str(getattr(task, "question", "")), str(getattr(task, "guide", ""))
    packed = []
    for row in range(len(inputs)):
        first, second = (
            _side(task, inputs, row, side, exhibit, board(row), trust)
            for side, exhibit, board in zip(sides, exhibits, boards, strict=True)
        )
        packed.append(pack(Shown(first=first, second=second, question=question, guide=guide)))
    return packed


def verdicts(task: Task, sides: tuple[Side, Side], row: int) -> dict[str, Favoured]:
    """Which output the claims on each quantity favour, taken by themselves and at their word.

    Only quantities of which the task says whether more or less is better (`ForPeople.better`).
    """
    better: Mapping[str, int] = getattr(task, "better", {})
    found: dict[str, Favoured] = {}
    for quantity in sides[0].claims:
        if quantity in better and quantity in sides[1].claims:
            one, other = (float(side.claims[quantity].value[row]) for side in sides)
            lead = better[quantity] * (one - other)
            found[quantity] = "first" if lead > 0 else "second" if lead < 0 else "neither"
    return found


def _board_of(task: Task, inputs: Any, outputs: Any, shown: Exhibit) -> BoardOf:
    """The task's own boards, or plain ones of the records that name its outputs."""
    own = getattr(task, "board", None)
    if own is not None:
        return lambda row: own(inputs, outputs, row)
    given, made = inputs.digest(), outputs.digest()
    places = {name: values.shape[1] for name, values in shown.fields.items()}
    return lambda row: digest_board(given[row], made[row], places)


def _side(
    task: Task, inputs: Any, row: int, side: Side, exhibit: Exhibit, drawn: tuple[Board, tuple[Instrument, ...]],
    trust: Mapping[str, float],
) -> ShownSide:  # fmt: skip
    board, instruments = drawn
    measured = tuple(
        replace(
            one,
            values=one.values if len(one.values) else np.asarray(exhibit.fields[one.name][row], dtype=float),
            shared=one.name in exhibit.shared,
        )
        for one in instruments
    )
    words = getattr(task, "words", None)
    claims = []
    for quantity, claim in side.claims.items():
        told = None if words is None else words(inputs, claim, row)
        claims.append(_claim(claim, row, measured, told, trust.get(quantity)))
    return ShownSide(board=board, instruments=measured, claims=tuple(claims))


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
