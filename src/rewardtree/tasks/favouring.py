"""Which output the helpers' claims favour: what is shown instead of the claims where only verdicts are."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from rewardtree.tasks.exhibit import Claims
from rewardtree.tasks.task import Task

Favoured: TypeAlias = Literal["first", "second", "neither"]


def verdicts(task: Task, first: Claims, second: Claims, row: int) -> dict[str, Favoured]:
    """Which output the claims on each quantity favour, taken by themselves and at their word.

    Only quantities of which the task says whether more or less is better (`ForPeople.better`).
    """
    better: Mapping[str, int] = getattr(task, "better", {})
    found: dict[str, Favoured] = {}
    for quantity in first:
        if quantity in better and quantity in second:
            one, other = (float(claims[quantity].value[row]) for claims in (first, second))
            lead = better[quantity] * (one - other)
            found[quantity] = "first" if lead > 0 else "second" if lead < 0 else "neither"
    return found
