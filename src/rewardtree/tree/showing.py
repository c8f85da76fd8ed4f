"""Comparisons as people see them: boards, instruments and claims, rendered by the task and packed for the store.

What the labelling page shows at once is on the board and in the claims; what an instrument would read goes along in
`Instrument.values` or `texts`, for the server alone.
"""

from collections.abc import Mapping
from typing import Any

from rewardtree.tasks.board import Shown, pack
from rewardtree.tasks.exhibit import Exhibit
from rewardtree.tasks.task import Task
from rewardtree.tree.sides import Manner, Side, pointed_at, shown_side


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
    question, guide = str(getattr(task, "question", "")), str(getattr(task, "guide", ""))
    packed, manner = [], Manner(pointed=pointed_at(exhibits, sides), trust=trust, listing=True)
    for row in range(len(inputs)):
        first, second = (
            shown_side(task, inputs, side, exhibit, row, manner) for side, exhibit in zip(sides, exhibits, strict=True)
        )
        packed.append(pack(Shown(first=first, second=second, question=question, guide=guide)))
    return packed
