"""The best unaided comparison of two values of one variable, by going through all values of a program's constants."""

from itertools import combinations, product

import numpy as np
from jaxtyping import Bool

from rewardtree.domains.algorithms.assignments import Assignments
from rewardtree.errors import TaskError
from rewardtree.tasks.decomposition import Names, Questions

MOST = 8**6
"""Values of all constants together, and outcomes of all readings, that are gone through at most."""


def enumerated(
    family: Assignments, level: int, asked: Questions, enters: Bool[np.ndarray, " constants"], budget: int
) -> float:
    """The accuracy of the best evaluator for one variable of one program.

    Args:
        family: of the program.
        level: of the variable.
        asked: one question.
        enters: the constants that enter the variable.
        budget: readings.

    Raises:
        TaskError: where there are too many values or outcomes to go through.
    """
    constants = np.flatnonzero(enters)
    if family.values ** len(constants) > MOST or (family.values * len(constants)) ** budget > MOST:
        raise TaskError(
            f"{len(constants)} constants with {family.values} values each are too many to go through; choose a budget "
            "of fewer readings or fewer variables a layer"
        )
    grid = np.array(list(product(range(family.values), repeat=len(constants))))
    number = {int(constant): column for column, constant in enumerate(constants)}
    operands = asked.worlds.public[asked.row[0]]
    context = np.empty((len(grid), 0), dtype=np.int64)

    def value(layer: int, variable: int) -> Names:
        if layer == 0:
            return np.asarray(grid[:, number[variable]])
        return family.conclude(layer, context, [value(layer - 1, int(operand)) for operand in operands[variable]])

    result = value(level, int(asked.asked[0])).reshape((family.values,) * len(constants))
    pairs = np.array(list(combinations(range(family.values), 2)))

    def decided(left: np.ndarray, budget: int) -> np.ndarray:
        if budget == 0 or left.ndim == 0:
            often: np.ndarray = np.bincount(left.ravel(), minlength=family.values)[pairs].max(axis=1)
            return often
        slabs = [
            [np.asarray(left.take(value, axis=axis)) for value in range(family.values)] for axis in range(left.ndim)
        ]
        read: np.ndarray = np.max([np.sum([decided(s, budget - 1) for s in of], axis=0) for of in slabs], axis=0)
        return read

    return float(decided(result, budget).sum()) / (result.size * (family.values - 1))
