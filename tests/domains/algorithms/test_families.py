"""The five families against other solvers: matrix powers, pointers, recursion, brute sums, breadth-first search."""

from itertools import combinations, product

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from rewardtree.domains.algorithms.assignments import Assignments
from rewardtree.domains.algorithms.finding import Finding
from rewardtree.domains.algorithms.paths import Paths
from rewardtree.domains.algorithms.powering import Powering
from rewardtree.domains.algorithms.wildcards import Wildcards, patterns
from rewardtree.errors import TaskError
from rewardtree.tasks.decomposition import Decomposition, Names, Questions, everything, one_each, sample, truth
from rewardtree.tasks.task import SPLITS

FAMILIES: list[Decomposition] = [Powering(), Finding(), Assignments(), Wildcards(), Paths()]
SIZED: list[Decomposition] = [
    Powering(size=13).sized(11),
    Finding().sized(9),
    Assignments(size=8).sized(6),
    Wildcards(depth=2).sized(3),
    Paths(size=17).sized(13),
]
EVERY = FAMILIES + SIZED
LEVELS = [(family, level) for family in EVERY for level in range(family.depth + 1)]


def label(value: object) -> str:
    return value.name if isinstance(value, Decomposition) else str(value)


each_level = pytest.mark.parametrize(("family", "level"), LEVELS, ids=label)
each = pytest.mark.parametrize("family", EVERY, ids=label)


def questions(family: Decomposition, level: int, count: int = 30, seed: int = 0) -> Questions:
    """All questions of a level about a few worlds."""
    worlds, keys = sample(family, np.random.default_rng(seed), count, "train")
    nothing = np.empty(0, dtype=np.int64)
    return everything(family, Questions(worlds=worlds, row=nothing, asked=nothing, keys=keys), level)


def powered(family: Powering, level: int, facts: np.ndarray, asked: int) -> int:
    permutation = np.eye(family.size, dtype=int)[facts]
    return int(np.linalg.matrix_power(permutation, 2**level)[asked].argmax())


def found(family: Finding, level: int, facts: np.ndarray, asked: int) -> int:
    name = int(facts[asked])
    while level and name < family.size:
        name = int(facts[name])
    return name


def assigned(family: Assignments, program: np.ndarray, facts: np.ndarray, asked: int) -> int:
    if asked < family.size:
        return int(facts[asked])
    one, other = (assigned(family, program, facts, int(operand)) for operand in program[asked])
    return int(family.table()[one, other])


def matched(family: Wildcards, facts: np.ndarray, asked: int) -> int:
    pattern = patterns(family.size, family.depth).digits[asked]
    total = 0
    for number, string in enumerate(product((0, 1), repeat=family.size)):
        if all(wanted in (digit, 2) for wanted, digit in zip(pattern, string, strict=True)):
            total += int(facts[number]) - family.zero
    return total + family.zero


def distances(family: Paths, facts: np.ndarray, target: int) -> np.ndarray:
    source = np.repeat(np.arange(family.size), family.degree)
    graph = csr_matrix((np.ones(len(source)), (facts - family.first, source)), shape=(family.size,) * 2)
    reached: np.ndarray = dijkstra(graph, indices=target, unweighted=True)
    return reached


def solved(family: Decomposition, level: int, asked: Questions) -> Names:
    """Answers by a way of their own."""
    answers = []
    for row, question in zip(asked.row.tolist(), asked.asked.tolist(), strict=True):
        facts, public = asked.worlds.facts[row], asked.worlds.public[row]
        match family:
            case Powering():
                answers.append(powered(family, level, facts, question))
            case Finding():
                answers.append(found(family, level, facts, question))
            case Assignments():
                answers.append(assigned(family, public, facts, question))
            case Wildcards():
                answers.append(matched(family, facts, question))
            case Paths() if level == 0:
                answers.append(int(facts[question]))
            case Paths():
                distance = distances(family, facts, int(public[0]))[question - family.edges]
                answers.append(int(distance) if distance <= level else family.more)
    return np.array(answers)


@each_level
def test_truth_is_what_other_solvers_find(family: Decomposition, level: int) -> None:
    asked = questions(family, level)
    assert len(asked) >= 30
    np.testing.assert_array_equal(truth(family, level, asked), solved(family, level, asked))


@pytest.mark.parametrize("level", [1, 2, 3])
def test_distances_of_all_vertices(level: int) -> None:
    family = Paths(size=14)
    worlds, keys = sample(family, np.random.default_rng(1), 30, "train")
    row, asked = (index.ravel() for index in np.indices((30, family.size)))
    every = Questions(worlds=worlds, row=row, asked=family.edges + asked, keys=keys)
    np.testing.assert_array_equal(truth(family, level, every), solved(family, level, every))
    assert set(truth(family, level, every)) == {*range(level + 1), family.more}


@each_level
def test_answers_are_allowed_and_wrong_ones_wrong(family: Decomposition, level: int) -> None:
    rng, asked = np.random.default_rng(2), questions(family, level)
    right, allowed = truth(family, level, asked), family.allowed(level)
    assert allowed.shape == (family.names,)
    assert allowed[right].all()
    for _ in range(5):
        wrong = family.decoys(rng, level, asked, right)
        assert allowed[wrong].all()
        assert not (wrong == right).any()


@each_level
def test_every_world_can_be_asked_about(family: Decomposition, level: int) -> None:
    worlds, _ = sample(family, np.random.default_rng(3), 200, "train")
    askable = family.askable(worlds, level)
    assert askable.shape == worlds.tokens.shape[:2]
    assert askable.any(axis=1).all()
    if level == 0:
        assert all((np.flatnonzero(row) == np.arange(worlds.facts.shape[1])).all() for row in askable)


@each
def test_splits_share_no_world(family: Decomposition) -> None:
    rng = np.random.default_rng(4)
    drawn = [sample(family, rng, 30, split) for split in SPLITS]
    seen = [{world.tobytes() for world in worlds.tokens} for worlds, _ in drawn]
    names = [set(keys.tolist()) for _, keys in drawn]
    for one, other in combinations(range(len(SPLITS)), 2):
        assert not seen[one] & seen[other]
        assert not names[one] & names[other]


@each
def test_tokens_tell_facts_and_whatever_conclusions_need(family: Decomposition) -> None:
    worlds, _ = sample(family, np.random.default_rng(5), 50, "train")
    assert worlds.tokens.min() >= 0
    assert worlds.tokens.max() < family.vocabulary
    places = worlds.facts.shape[1]
    match family:
        case Assignments():
            told = worlds.tokens[:, :places, 3]
            operands = worlds.tokens[:, places:, 1:3]
            number = {int(own): i for i, own in enumerate(worlds.tokens[0, :, 0])}
            np.testing.assert_array_equal(np.vectorize(number.__getitem__)(operands), worlds.public[:, places:])
        case Wildcards():
            told = worlds.tokens[:, :places, -1]
        case Paths():
            told = worlds.tokens[:, :places, 2]
            is_target = worlds.tokens[:, places:, 1] == family.vocabulary - 2
            np.testing.assert_array_equal(is_target, np.arange(family.size) == worlds.public)
        case _:
            told = worlds.tokens[:, :, 1]
    np.testing.assert_array_equal(told, worlds.facts)
    own = worlds.tokens[0, :, : -1 if isinstance(family, Wildcards) else 2 if isinstance(family, Paths) else 1]
    assert len(np.unique(own, axis=0)) == len(own), "two tokens say that they are the same"


@each_level
def test_garbage_breaks_nothing(family: Decomposition, level: int) -> None:
    rng, asked = np.random.default_rng(6), questions(family, level, 10)
    said: list[Names] = []
    for number, below in enumerate(family.parts(level)):
        part = family.part(level, number, asked, said)
        assert ((part >= 0) & (part < asked.worlds.tokens.shape[1])).all()
        if below == 0:
            assert (part < asked.worlds.facts.shape[1]).all()
        nameable = family.nameable(asked, said)
        assert (nameable == part[:, None]).any(axis=1).all(), "a part that nobody can name"
        assert ((nameable >= 0) & (nameable < asked.worlds.tokens.shape[1])).all()
        assert (nameable[:, 0] == asked.asked).all()
        said.append(rng.integers(family.names, size=len(asked)))
    if level:
        concluded = family.conclude(level, family.context(asked), said)
        assert ((concluded >= 0) & (concluded < family.names)).all()
    links = family.links(asked, rng.integers(family.names, size=len(asked)))
    assert np.isfinite(links).all()


@each_level
def test_hunches_have_a_fixed_width(family: Decomposition, level: int) -> None:
    rng, asked = np.random.default_rng(7), questions(family, level, 10)
    context, answer = family.context(asked), rng.integers(family.names, size=len(asked))
    places = family.glances(level, asked)
    facts = [asked.worlds.facts[asked.row, place].astype(float) for place in places]
    some = [np.where(rng.random(len(fact)) < 0.5, fact, np.nan) for fact in facts]
    hunches = [family.hunch(level, context, read, answer) for read in (facts, some)]
    assert hunches[0].shape == hunches[1].shape
    assert np.isfinite(hunches).all()
    assert bool(places) == (level >= 2 and isinstance(family, Wildcards | Paths))


def test_hunch_about_a_sum_is_the_likelihood_of_what_was_read() -> None:
    family = Wildcards()
    asked = questions(family, 2, 400)
    right = truth(family, 2, asked)
    read = [asked.worlds.facts[asked.row, place].astype(float) for place in family.glances(2, asked)]
    ones = sum((values > family.zero).astype(int) for values in read)
    for total in (-2, 0, 2):
        name = family.zero + total
        of_total = right == name
        told = np.exp(family.hunch(2, family.context(asked), read, np.full(len(asked), name))[:, 0])
        for count in (0, 1, 2):
            expected, share = told[ones == count][0], (ones[of_total] == count).mean()
            if expected < 0.01:
                assert share == 0
            else:
                assert abs(share - expected) < 4 * (expected / of_total.sum()) ** 0.5


def test_hunch_about_a_path_knows_the_target() -> None:
    family = Paths()
    asked = questions(family, 2, 20)
    context = family.context(asked)
    at_target, nothing = context[:, 1].astype(float), np.full(len(asked), np.nan)
    one, more = (np.full(len(asked), name) for name in (1, family.more))
    assert (family.hunch(2, context, [nothing, at_target, nothing], one) == 1).all()
    assert (family.hunch(2, context, [nothing, at_target, nothing], more) == -1).all()
    assert (family.hunch(2, context, [nothing, at_target - 1, nothing], one) == 0).all()


@pytest.mark.parametrize("level", [1, 2, 3])
def test_paths_ask_about_the_level_or_beyond(level: int) -> None:
    family = Paths()
    asked = one_each(family, np.random.default_rng(8), 3000, "train", level)
    right = truth(family, level, asked)
    assert set(right) == {level, family.more}
    share = 9 / 17 if level == 2 else 0.5
    assert abs((right == level).mean() - share) < 4 * 0.5 / 3000**0.5


@pytest.mark.parametrize("level", [1, 2, 3])
def test_right_and_wrong_sums_are_exchangeable(level: int) -> None:
    family = Wildcards()
    asked = one_each(family, np.random.default_rng(9), 20_000, "train", level)
    right = truth(family, level, asked)
    wrong = family.decoys(np.random.default_rng(10), level, asked, right)
    both = np.zeros((family.names, family.names))
    np.add.at(both, (right, wrong), 1)
    assert (np.abs(both - both.T) <= 4.5 * np.sqrt(both + both.T)).all()


@pytest.mark.parametrize("level", [1, 2, 3])
def test_labels_of_a_pair_are_exchangeable(level: int) -> None:
    """The partner of the partner is the question, so that each is the other's wrong answer."""
    family = Finding()
    asked = questions(family, level, 200)
    right = truth(family, level, asked)
    wrong = family.decoys(np.random.default_rng(11), level, asked, right)
    for row in range(200):
        mine = asked.row == row
        pairs = list(zip(right[mine], wrong[mine], strict=True))
        assert sorted(pairs) == sorted((b, a) for a, b in pairs)


@pytest.mark.parametrize("level", [2, 3])
def test_more_constants_enter_once_than_can_be_read(level: int) -> None:
    family = Assignments()
    asked = questions(family, level)
    for row, question in zip(asked.row, asked.asked, strict=True):
        variables = [int(question)]
        for _ in range(level):
            variables = [int(operand) for variable in variables for operand in asked.worlds.public[row, variable]]
        assert len(variables) == 2**level
        assert (np.bincount(variables) == 1).sum() > 2


@pytest.mark.parametrize(
    "family",
    [Powering(size=61), Powering(size=67, depth=5), Assignments(size=16), Wildcards(size=6, depth=6), Paths(size=64),
     Finding(size=64), Assignments(size=12, depth=4), Paths(size=64, degree=2)],
    ids=label,
)  # fmt: skip
def test_official_sizes_can_be_drawn(family: Decomposition) -> None:
    for level in range(family.depth + 1):
        asked = one_each(family, np.random.default_rng(12), 8, "test", level)
        np.testing.assert_array_equal(truth(family, level, asked), solved(family, level, asked))


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        (Powering, {"size": 9}), (Powering, {"size": 8}), (Powering, {"size": 63, "depth": 6}),
        (Finding, {"size": 7}), (Finding, {"labels": 1}),
        (Assignments, {"size": 5}), (Assignments, {"size": 2, "depth": 1}), (Assignments, {"size": 6, "depth": 4}),
        (Wildcards, {"depth": 5}), (Wildcards, {"size": 20, "depth": 2}),
        (Paths, {"size": 12}), (Paths, {"degree": 1}), (Paths, {"depth": -1}),
        (Powering, {"room": 7}), (Finding, {"room": 7}), (Assignments, {"room": 3}), (Wildcards, {"room": 3}),
        (Paths, {"room": 3}),
    ],
)  # fmt: skip
def test_impossible_sizes_are_refused(kind: type, sizes: dict[str, int]) -> None:
    with pytest.raises(TaskError):
        kind(**sizes)


def test_programs_that_hardly_exist_are_refused() -> None:
    with pytest.raises(TaskError, match="choose more"):
        Assignments(size=8, depth=6).draw(np.random.default_rng(0), 5)


@pytest.mark.parametrize("family", FAMILIES, ids=label)
def test_smaller_sizes_speak_of_the_same_things(family: Decomposition) -> None:
    """One network serves all sizes: numbers, columns and names stay."""
    own, _ = sample(family, np.random.default_rng(13), 3, "train")
    assert family.sizes()[-1] == family.size
    for size in family.sizes():
        small = family.sized(size)
        worlds, _ = sample(small, np.random.default_rng(13), 3, "train")
        assert (small.names, small.vocabulary) == (family.names, family.vocabulary)
        assert worlds.tokens.shape[2] == own.tokens.shape[2]
