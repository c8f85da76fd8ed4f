"""The best unaided evaluator: exact values, closed forms and brute force over concrete places."""

from itertools import combinations, permutations, product
from math import comb

import numpy as np
import pytest

from rewardtree.domains.algorithms.assignments import Assignments
from rewardtree.domains.algorithms.finding import Finding
from rewardtree.domains.algorithms.optimum import Optimum, unaided_optimum
from rewardtree.domains.algorithms.paths import Paths
from rewardtree.domains.algorithms.powering import Powering
from rewardtree.domains.algorithms.programs import enumerated
from rewardtree.domains.algorithms.wildcards import Wildcards
from rewardtree.errors import TaskError
from rewardtree.tasks.decomposition import Decomposition, Questions, Worlds, truth

READINGS = 2
WORLDS = 40_000


def optimum(family: Decomposition, level: int, budget: int = READINGS, worlds: int = WORLDS) -> Optimum:
    return unaided_optimum(family, level, budget, np.random.default_rng(0), worlds)


def near(found: Optimum, exact: float) -> bool:
    """Within what chance allows, and what a strategy fitted to half of the worlds loses."""
    return -4 * found.error - 0.005 < found.accuracy - exact < 4 * found.error + 1e-9


def label(value: object) -> str:
    return value.name if isinstance(value, Decomposition) else str(value)


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("family", [Powering(), Finding(), Assignments(), Wildcards()], ids=label)
def test_what_two_readings_settle(family: Decomposition, level: int) -> None:
    assert optimum(family, level, worlds=2000).accuracy == 1


@pytest.mark.parametrize("level", [2, 3, 4])
def test_powering_is_hidden_by_symmetry(level: int) -> None:
    assert near(optimum(Powering(depth=4), level), 0.5)


@pytest.mark.parametrize("level", [2, 3])
def test_finding_is_hidden_by_exchangeable_labels(level: int) -> None:
    assert near(optimum(Finding(), level), 0.5)


@pytest.mark.parametrize("level", [2, 3])
def test_assignments_are_hidden_by_what_is_left_unread(level: int) -> None:
    found = optimum(Assignments(), level)
    assert (found.accuracy, found.error) == (0.5, 0)


def test_paths() -> None:
    """Two of three edges show a neighbour; a walk of two shows nothing on average; the rest is small."""
    family = Paths()
    assert optimum(family, 0, worlds=2000).accuracy == 1
    assert abs(optimum(family, 1, worlds=20_000).accuracy - 5 / 6) < 0.015
    assert 9 / 17 - 0.015 < optimum(family, 2, worlds=20_000).accuracy < 0.555
    assert 0.5 - 0.015 < optimum(family, 3, worlds=20_000).accuracy < 0.55


def sums(level: int) -> float:
    """Right and wrong have p and p + 1 of n values 1; two readings without return show 0, 1 or 2 of them."""
    n = 2**level

    def shown(ones: int) -> np.ndarray:
        return np.array([comb(ones, k) * comb(n - ones, 2 - k) / comb(n, 2) for k in range(3)])

    apart = [0.5 * np.abs(shown(p) - shown(p + 1)).sum() for p in range(n)]
    weight = [comb(n - 1, p) / 2 ** (n - 1) for p in range(n)]
    return float(0.5 + 0.5 * np.dot(weight, apart))


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_wildcards_have_a_closed_form(level: int) -> None:
    assert near(optimum(Wildcards(depth=4), level), sums(level))


def test_wildcards_at_level_two() -> None:
    assert sums(2) == 11 / 16


def by_brute_force(size: int, level: int) -> float:
    """Powering: all cycles, all wrong answers, all strategies over concrete places; the question is element 0."""
    family = Powering(size=size, depth=level)
    seen: dict[tuple[int, int], list[tuple[list[int], bool]]] = {}
    for rest in permutations(range(1, size)):
        cycle = (0, *rest)
        leads = [cycle[(cycle.index(x) + 1) % size] for x in range(size)]
        right = cycle[2**level % size]
        for far in family.distances(level):
            wrong = cycle[far]
            seen.setdefault((right, wrong), []).append((leads, True))
            seen.setdefault((wrong, right), []).append((leads, False))
    decided, rows = 0.0, 0
    for cases in seen.values():
        leads, first = np.array([lead for lead, _ in cases]), np.array([is_first for _, is_first in cases]).astype(int)
        rows += len(cases)
        best = 0.0
        for one in range(size):
            counts = np.zeros((size, size, size, 2))
            for other in range(size):
                np.add.at(counts, (other, leads[:, one], leads[:, other], first), 1)
            best = max(best, counts.max(axis=3).sum(axis=2).max(axis=0).sum())
        decided += best
    return decided / rows


def test_brute_force_over_places_agrees() -> None:
    exact = by_brute_force(7, 2)
    assert exact > 0.6
    assert near(optimum(Powering(size=7, depth=2), 2, worlds=100_000), exact)


@pytest.mark.parametrize(
    ("family", "level", "budget", "exact"),
    [
        (Powering(), 2, 0, 0.5), (Powering(), 0, 1, 1.0), (Powering(), 1, 1, 0.5), (Finding(depth=2), 2, 3, 1.0),
        (Finding(), 1, 1, 0.5), (Wildcards(depth=2), 2, 4, 1.0), (Wildcards(), 0, 0, 0.5), (Paths(), 1, 3, 1.0),
        (Assignments(), 2, 3, 0.5), (Assignments(), 2, 4, 1.0), (Assignments(), 1, 1, 0.5), (Assignments(), 3, 0, 0.5),
    ],
    ids=label,
)  # fmt: skip
def test_other_budgets(family: Decomposition, level: int, budget: int, exact: float) -> None:
    assert near(optimum(family, level, budget, 4000), exact)


def program(family: Assignments, operands: list[list[int]]) -> Questions:
    """One question about the last variable of a program of two layers."""
    public = np.full((1, family.variables, 2), -1)
    public[0, family.size : family.size + len(operands) - 1] = operands[:-1]
    public[0, -1] = operands[-1]
    nothing = np.empty((1, 0), dtype=np.int64)
    worlds = Worlds(tokens=nothing[:, :, None], facts=nothing, public=public, hidden=nothing)
    return Questions(worlds=worlds, row=np.array([0]), asked=np.array([family.variables - 1]), keys=np.array([0]))


def all_strategies(family: Assignments, asked: Questions, constants: list[int]) -> float:
    """A first constant, a second one for each value of the first, an answer for each value of both; one by one."""
    values, pairs, total = family.values, list(combinations(range(family.values), 2)), 0
    worlds = list(product(range(values), repeat=len(constants)))
    facts = np.zeros((len(worlds), family.size), dtype=np.int64)
    facts[:, constants] = worlds
    everywhere = Worlds(
        tokens=np.zeros((len(worlds), family.variables, 1), dtype=np.int64), facts=facts,
        public=np.repeat(asked.worlds.public, len(worlds), axis=0), hidden=np.empty((len(worlds), 0), dtype=np.int64),
    )  # fmt: skip
    row = np.arange(len(worlds))
    results = truth(family, 2, Questions(worlds=everywhere, row=row, asked=np.full(len(row), asked.asked[0]), keys=row))
    for one, other in pairs:
        best = 0
        for first in constants:
            decided = 0
            for value in range(values):
                options = []
                for second in constants:
                    here = [results[(facts[:, first] == value) & (facts[:, second] == v)] for v in range(values)]
                    options.append(sum(max((r == one).sum(), (r == other).sum()) for r in here))
                decided += max(options)
            best = max(best, decided)
        total += best
    return total / len(worlds) / (values - 1)


@pytest.mark.parametrize(
    "operands",
    [[[0, 1], [0, 2], [4, 5]], [[0, 1], [1, 0], [4, 5]], [[0, 1], [2, 3], [4, 5]], [[0, 2], [1, 2], [4, 5]]],
    ids=["shared", "the same", "apart", "shared too"],
)
def test_programs_are_enumerated_right(operands: list[list[int]]) -> None:
    family = Assignments(depth=2, size=4, values=3)
    asked = program(family, operands)
    constants = sorted({constant for pair in operands[:-1] for constant in pair})
    enters = np.isin(np.arange(family.size), constants)
    exact = all_strategies(family, asked, constants)
    assert enumerated(family, 2, asked, enters, READINGS) == pytest.approx(exact)
    if len(constants) == 4:
        assert exact == 0.5
    if len(constants) == 2:
        assert exact == 1


def test_too_many_constants_are_refused() -> None:
    with pytest.raises(TaskError, match="too many"):
        unaided_optimum(Assignments(size=10), 3, 5, np.random.default_rng(0), 200)


def test_the_same_seed_gives_the_same_strategy() -> None:
    assert optimum(Powering(), 1, worlds=2000) == optimum(Powering(), 1, worlds=2000)
    assert optimum(Finding(), 1, worlds=2000).strategy == "question (0), then reading 1 (0)"
